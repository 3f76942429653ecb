# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job: `ansible-playbook certfleet.sophos_xgs.renew`, from first issuance to renewal of what is due."""

from __future__ import annotations

import stat
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography import x509

from lab import proxy as fault
from lab.entries import certificate, certificates, firewall, waf_rule
from lab.processes import wait_until
from lab.proxy import FaultProxy

OWA = waf_rule("OWA rule", "owa.example.com", "mail.example.com", group="Published")
NAMES = {"owa.example.com": "fw1", "mail.example.com": "fw1", "fw2.example.com": "fw2", "shop.example.com": "fw2"}
HOSTS = {
    "fw1": certificates(certificate("OWA", "owa.example.com", "mail.example.com", consumers=["waf:OWA rule"])),
    "fw2": certificates(
        certificate("admin", "fw2.example.com", consumers=["webadmin"]),
        certificate("shop", "shop.example.com", consumers=["waf:Shop"], key_type="ec256"),
        xgs_tls_server_name="fw2.example.com",
    ),
}
PLACES = {
    "owa.example.com": ("fw1", 8443),
    "mail.example.com": ("fw1", 8443),
    "fw2.example.com": ("fw2", 4444),
    "shop.example.com": ("fw2", 8443),
}


def two_firewalls():
    return [firewall(1, OWA), firewall(2, waf_rule("Shop", "shop.example.com"))], NAMES


def looks(fleet):
    return {name: fleet.shown(firewall, port, name) for name, (firewall, port) in PLACES.items()}


@pytest.mark.planes("loopback", "namespaces")
def test_issue_bind_rest_and_renew_what_is_due(make_fleet, play):
    fleet = make_fleet(*two_firewalls())

    first = play(fleet, HOSTS).check()
    shown = looks(fleet)
    assert all(served.trusted for served in shown.values())
    assert shown["owa.example.com"].names == ["owa.example.com", "mail.example.com"]
    assert fleet.ca.issued() == 3
    assert "fw2       shop         renewed" in first.stdout
    assert (fleet.workdir / "account.pem").stat().st_mode & 0o777 == 0o600
    for name in fleet.addresses:
        assert len(fleet.emulator.firewall(name)["open_intervals"]) == 1, "the CA came through the port that was opened"
        fleet.emulator.reset(name)

    second = play(fleet, HOSTS).check()
    assert second.changed == 0
    assert fleet.writes() == 0
    assert fleet.ca.issued() == 3
    assert looks(fleet) == shown

    now = datetime.now(timezone.utc)
    fleet.ca.set_renewal_info(shown["shop.example.com"].pem, now - timedelta(days=2), now - timedelta(days=1))
    play(fleet, HOSTS).check()
    third = looks(fleet)
    assert fleet.ca.issued() == 4
    assert third.pop("shop.example.com") != shown.pop("shop.example.com")
    assert third == shown
    objects = fleet.emulator.firewall("fw2")["certificates"]
    assert sum(name.startswith("shop-") for name in objects) == 1, "the version that nobody uses is gone"
    assert fleet.counters()["fw1"]["writes"] == 0


@pytest.mark.any_firmware
def test_check_mode_tells_and_writes_nothing(make_fleet, play):
    fleet = make_fleet(*two_firewalls())
    result = play(fleet, HOSTS, flags=["--check", "--diff"]).check()
    assert fleet.writes() == 0
    assert fleet.ca.issued() == 0
    assert not [request for request in fleet.ca.requests() if request[0] == "POST"]
    assert not (fleet.workdir / "account.pem").exists()
    assert "would be renewed" in result.stdout
    assert '"forward": "#Port2:80 to 127.0.0.1:' in result.stdout
    assert "mail.example.com" in result.stdout


@pytest.mark.no_check_run
@pytest.mark.any_firmware
def test_on_a_slow_firewall_the_port_is_open_for_the_validation_and_one_write(make_fleet, play):
    """A tenth of what a real one takes for a write. What is made before, and removed after, opens nothing."""
    boxes, names = two_firewalls()
    fleet = make_fleet(
        [{**boxes[0], "latency": {"real": 0.1}}], {name: "fw1" for name in names if names[name] == "fw1"}
    )
    play(fleet, {"fw1": HOSTS["fw1"]}).check()
    state = fleet.emulator.firewall("fw1")
    (opening,) = state["open_intervals"]
    meanwhile = [
        (entry["operation"], entry["entity"])
        for entry in state["log"]
        if entry["operation"] not in ("get", "login") and opening["opened_at"] < entry["time"] <= opening["closed_at"]
    ]
    assert meanwhile in ([], [("remove", "NATRule")], [("add", "NATRule")], [("add", "NATRule"), ("remove", "NATRule")])


@pytest.mark.any_firmware
def test_keys_are_gone_after_the_run(make_fleet, play, scratch):
    fleet = make_fleet(*two_firewalls())
    play(fleet, HOSTS, env={"TMPDIR": str(scratch)}).check()
    assert not [path for path in scratch.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]


@pytest.mark.any_firmware
def test_a_state_directory_saves_an_issuance(make_fleet, play, tmp_path):
    fleet = make_fleet(*two_firewalls())
    fleet.emulator.add_faults("fw1", {"kind": "status", "operation": "set", "entity": "Certificate", "code": 500})
    state = tmp_path / "state"
    variables = {"xgs_letsencrypt_state_dir": str(state)}
    failed = play(fleet, {"fw1": HOSTS["fw1"]}, variables=variables)
    assert failed.rc != 0
    assert "fw1: OWA: upload: the firewall refused" in failed.stdout
    assert not fleet.shown("fw1", 8443, "owa.example.com").trusted
    for path in [state, *state.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)

    play(fleet, {"fw1": HOSTS["fw1"]}, variables=variables).check()
    assert fleet.ca.issued() == 1
    assert fleet.shown("fw1", 8443, "owa.example.com").trusted


@pytest.mark.any_firmware
def test_a_run_killed_between_issuance_and_upload_costs_no_second_certificate(make_fleet, play, launch, tmp_path):
    fleet = make_fleet(*two_firewalls())
    silent = {"kind": "timeout", "operation": "set", "entity": "Certificate", "seconds": 60}
    fleet.emulator.add_faults("fw1", silent)
    state = tmp_path / "state"
    variables = {"xgs_letsencrypt_state_dir": str(state)}
    run = launch(fleet, {"fw1": HOSTS["fw1"]}, variables=variables)
    wait_until((state / "fw1/OWA/fullchain.pem").exists, 60, lambda: "nothing was issued")
    run.kill_all()
    assert fleet.ca.issued() == 1
    assert not fleet.shown("fw1", 8443, "owa.example.com").trusted
    key = (state / "fw1/OWA/privkey.pem").read_text()

    fleet.emulator.clear_faults("fw1")
    play(fleet, {"fw1": HOSTS["fw1"]}, variables=variables).check()
    assert fleet.ca.issued() == 1
    assert fleet.shown("fw1", 8443, "owa.example.com").trusted
    assert (state / "fw1/OWA/privkey.pem").read_text() == key
    # The second run found the first one's responder, which would go by itself when its lease ends.
    options = {"state": "stopped", "address": fleet.responder, "port": fleet.responder_port}
    stop = {"hosts": "fw1", "tasks": [{"certfleet.sophos_xgs.acme_http01_responder": options}]}
    play(fleet, {"fw1": {}}, playbook=[{**stop, "gather_facts": False}]).check()


@pytest.mark.any_firmware
def test_an_upload_that_nobody_uses_is_put_to_use(make_fleet, play):
    """A run that died between upload and switch, at a first issuance."""
    fleet = make_fleet(*two_firewalls())
    refusal = {"kind": "status", "operation": "update", "entity": "FirewallRule", "code": 500, "count": 2}
    fleet.emulator.add_faults("fw1", refusal)
    assert play(fleet, {"fw1": HOSTS["fw1"]}).rc != 0
    assert not fleet.shown("fw1", 8443, "owa.example.com").trusted
    fleet.emulator.clear_faults("fw1")
    play(fleet, {"fw1": HOSTS["fw1"]}).check()
    assert fleet.shown("fw1", 8443, "owa.example.com").trusted
    assert fleet.ca.issued() == 1


@pytest.mark.any_firmware
def test_names_from_another_structure(make_fleet, play):
    fleet = make_fleet(*two_firewalls())
    variables = {
        "sites": [
            {
                "service": "OWA",
                "rule": "waf:OWA rule",
                "hosts": [{"dns": "owa.example.com"}, {"dns": "mail.example.com"}],
            }
        ],
        "xgs_letsencrypt_certificates_query": "sites[].{name: service, domains: hosts[].dns, consumers: [rule]}",
    }
    play(fleet, {"fw1": {}}, variables=variables).check()
    assert fleet.shown("fw1", 8443, "mail.example.com").trusted


@pytest.mark.no_check_run
@pytest.mark.any_firmware
@pytest.mark.planes("loopback", "namespaces")
def test_account_key_from_the_environment_and_a_responder_elsewhere(make_fleet, play, tmp_path):
    """As AWX injects the key; the responder runs as a module on another host."""
    fleet = make_fleet(*two_firewalls())
    play(fleet, {"fw1": HOSTS["fw1"]}).check()
    key = fleet.workdir / "account.pem"
    other = make_fleet([firewall(3, OWA)], dict.fromkeys(OWA["domains"], "fw3"))
    result = play(
        other,
        {"fw3": HOSTS["fw1"]},
        others={"inside": {"ansible_connection": "local"}},
        variables={"xgs_letsencrypt_responder_host": "inside"},
        env={"ACME_ACCOUNT_KEY": key.read_text()},
        verbosity=4,
    ).check()
    secret = key.read_text().splitlines()[1]
    assert secret not in result.stdout + result.stderr
    assert other.shown("fw3", 8443, "owa.example.com").trusted
    assert not (other.workdir / "account.pem").exists()
    assert not Path(tmp_path / "run" / "home" / ".config").exists()


@pytest.mark.any_firmware
def test_international_names_and_capitals(make_fleet, play):
    ascii_name = "xn--mnchen-3ya.example.com"
    fleet = make_fleet([firewall(1, waf_rule("Rathaus", ascii_name))], {ascii_name: "fw1"})
    play(fleet, {"fw1": certificates(certificate("Rathaus", "MÜNCHEN.Example.com", consumers=["waf:Rathaus"]))}).check()
    assert fleet.shown("fw1", 8443, ascii_name).trusted


@pytest.mark.any_firmware
def test_a_profile(make_fleet, play):
    fleet = make_fleet(*two_firewalls(), ca_options={"profiles": {"shortlived": 6 * 86400}})
    own = certificate("OWA", "owa.example.com", "mail.example.com", consumers=["waf:OWA rule"])
    wrong = play(fleet, {"fw1": certificates({**own, "profile": "gold"})})
    assert wrong.rc != 0
    assert "the CA does not offer the profile 'gold'. It offers: default, shortlived." in wrong.stdout
    assert ("POST", "/order-plz") not in fleet.ca.requests()
    play(fleet, {"fw1": certificates({**own, "profile": "shortlived"})}).check()
    shown = fleet.shown("fw1", 8443, "owa.example.com")
    assert shown.trusted
    life = x509.load_pem_x509_certificate(shown.pem.encode())
    assert life.not_valid_after_utc - life.not_valid_before_utc < timedelta(days=7)


@pytest.mark.no_check_run
@pytest.mark.any_firmware
def test_an_address_a_chain_and_the_former_key(make_fleet, play, tmp_path):
    """All that a certificate can be asked to be, seen by a visitor."""
    fleet = make_fleet([firewall(2)], {"fw2.example.com": "fw2"}, ca_options={"alternate_roots": 1})
    address = fleet.addresses["fw2"]
    roots = x509.load_pem_x509_certificates(fleet.ca.root_pem().encode())
    chosen = roots[1].subject.rfc4514_string().removeprefix("CN=")
    own = {"reuse_key": True, "preferred_chain": chosen, "consumers": ["webadmin"]}
    hosts = {"fw2": certificates(certificate("admin", "fw2.example.com", address, **own))}
    shown = []
    for force in (False, True):
        variables = {"xgs_letsencrypt_state_dir": str(tmp_path / "state"), "xgs_letsencrypt_force": force}
        play(fleet, hosts, variables=variables).check()
        shown.append(fleet.shown("fw2", 4444, address))
    assert [one.trusted for one in shown] == [True, True]
    assert shown[0].fingerprint != shown[1].fingerprint
    assert shown[0].certificate.public_key() == shown[1].certificate.public_key()
    chain = x509.load_pem_x509_certificates((tmp_path / "state/fw2/admin/fullchain.pem").read_bytes())
    assert chain[-1].issuer == roots[1].subject
    assert play(fleet, hosts).rc != 0, "the key has no place without a state directory"


def of_profile(profile):
    options = {"profile": profile} if profile else {}
    return certificates(
        certificate("OWA", "owa.example.com", "mail.example.com", consumers=["waf:OWA rule"], **options)
    )


def run_once_and_rest(fleet, play, issued, hosts, **variables):
    """It is due once, and then no more; what was before is gone."""
    first = play(fleet, {"fw1": hosts}, variables=variables).check()
    assert first.changed > 0
    assert fleet.ca.issued() == issued
    assert fleet.shown("fw1", 8443, "owa.example.com").trusted
    assert len([name for name in fleet.emulator.firewall("fw1")["certificates"] if name.startswith("OWA-")]) == 1
    writes = fleet.writes()
    assert play(fleet, {"fw1": hosts}, variables=variables).check().changed == 0
    assert (fleet.writes(), fleet.ca.issued()) == (writes, issued)
    return first


@pytest.mark.no_check_run
@pytest.mark.any_firmware
def test_f12_another_profile_or_another_ca_renews_once(make_fleet, play):
    fleet = make_fleet(*two_firewalls(), ca_options={"profiles": {"other": 60 * 86400}})
    run_once_and_rest(fleet, play, 1, of_profile("default"))
    run_once_and_rest(fleet, play, 2, of_profile("other"))
    run_once_and_rest(fleet, play, 3, of_profile("default"))
    # The same CA for us, another one for whoever goes by its URL.
    elsewhere = fleet.ca.directory_url.replace("127.0.0.1", "localhost")
    before = len(fleet.ca.requests())
    run_once_and_rest(fleet, play, 4, of_profile("default"), xgs_letsencrypt_directory=elsewhere)
    asked = [path for method, path in fleet.ca.requests()[before:] if method == "GET" and "renewal" in path.lower()]
    assert len(asked) == 1, "of the second run, about the new certificate"


@pytest.mark.any_firmware
def test_renewal_information_is_remembered(make_fleet, play, tmp_path):
    fleet = make_fleet(*two_firewalls())
    variables = {"xgs_letsencrypt_state_dir": str(tmp_path / "state")}
    for _night in range(2):
        play(fleet, {"fw1": HOSTS["fw1"]}, variables=variables).check()
    before = fleet.ca.requests()
    assert play(fleet, {"fw1": HOSTS["fw1"]}, variables=variables).check().changed == 0
    assert fleet.ca.requests() == before
    assert stat.S_IMODE((tmp_path / "state/fw1/.renewal-info.json").stat().st_mode) == 0o600


@pytest.mark.any_firmware
def test_f28_a_control_node_that_is_behind(make_fleet, play, tmp_path):
    """Seen from there the CA's certificates are of the future. They are taken, and the user is told."""
    fleet = make_fleet(*two_firewalls())
    with FaultProxy(fleet.ca.directory_url.rpartition("/")[0], fleet.ca.ca_file, tmp_path / "proxy") as proxy:
        for method in ("GET", "HEAD", "POST"):
            proxy.on("/", fault.headers(Date=fault.http_date(7200)), method=method, times=None)
        variables = {
            "xgs_letsencrypt_directory": proxy.directory_url,
            "xgs_letsencrypt_directory_ca_path": proxy.ca_file,
        }
        first = play(fleet, {"fw1": HOSTS["fw1"]}, variables=variables).check()
        second = play(fleet, {"fw1": HOSTS["fw1"]}, variables=variables).check()
    assert fleet.shown("fw1", 8443, "owa.example.com").trusted
    assert second.changed == 0
    for result in (first, second):
        said = " ".join((result.stdout + result.stderr).split())
        assert "s behind the CA's; certificates are judged by the CA's" in said
