# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look before ordering, and rehearse without deploying."""

from __future__ import annotations

import contextlib

import pytest
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process as responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account

from lab.entries import certificate, certificates, firewall, waf_rule

pytestmark = [pytest.mark.any_firmware, pytest.mark.no_check_run]

ELSEWHERE = "127.99.99.99"


def rules(*names):
    return [waf_rule(name.partition(".")[0], name) for name in names]


def wanted(*names):
    """A certificate for each name, called by its first label, for the rule of that name."""
    short = [name.partition(".")[0] for name in names]
    return [certificate(label, name, consumers=[f"waf:{label}"]) for label, name in zip(short, names, strict=True)]


def preflight(fleet, **more):
    """The firewall's own port 80 is a high port here."""
    return {
        "xgs_letsencrypt_preflight": True,
        "xgs_letsencrypt_wan_addresses": [fleet.addresses["fw1"]],
        "xgs_letsencrypt_resolvers": [fleet.ca.dns_address],
        "xgs_letsencrypt_probe_port": fleet.http_port,
        **more,
    }


@pytest.fixture
def caa_ca():
    return {"extra_config": {"caaIdentities": ["ca.example"]}}


def test_f05_f06_what_is_sure_to_fail_is_not_ordered(make_fleet, play, caa_ca):
    names = ["good.site.test", "six.site.test", "moved.site.test", "denied.closed.test", "gone.site.test"]
    fleet = make_fleet([firewall(1, *rules(*names))], dict.fromkeys((names[0], names[3]), "fw1"), ca_options=caa_ca)
    # The CA of the lab never falls back to IPv4, so its own answer would be no.
    fleet.ca.add_a(names[1], fleet.addresses["fw1"])
    fleet.ca.add_aaaa(names[1], "::1")
    fleet.ca.add_a(names[2], ELSEWHERE)
    fleet.ca.add_caa("closed.test", "stranger.example")
    fleet.ca.add_caa("site.test", "ca.example; validationmethods=http-01")
    host = certificates(*wanted(*names), **preflight(fleet))

    told = play(fleet, {"fw1": host}, flags=["--check"])
    assert told.rc != 0
    assert "fw1: moved: preflight: moved.site.test leads to 127.99.99.99, not to" in told.stdout
    assert not [request for request in fleet.ca.requests() if request[0] == "POST"]
    assert fleet.writes() == 0

    result = play(fleet, {"fw1": host})
    assert result.rc != 0
    assert fleet.ca.requests().count(("POST", "/order-plz")) == 2
    assert {validation.name for validation in fleet.ca.validations()} == {names[0], names[1]}
    assert fleet.shown("fw1", 8443, names[0]).trusted
    for says in (
        "fw1: moved: preflight: moved.site.test leads to 127.99.99.99, not to",
        "fw1: denied: preflight: the CAA records at closed.test do not permit ca.example",
        "fw1: gone: preflight: gone.site.test has no address",
    ):
        assert says in result.stdout
    assert "six.site.test has the IPv6 address ::1, which CAs prefer" in " ".join(
        (result.stdout + result.stderr).replace("[WARNING]:", "").split()
    )
    assert "does not answer" not in result.stdout + result.stderr


def test_nothing_is_opened_when_everything_is_sure_to_fail(make_fleet, play):
    fleet = make_fleet([firewall(1)], {})
    result = play(fleet, {"fw1": certificates(*wanted("nowhere.site.test"), **preflight(fleet))})
    assert result.rc != 0
    assert fleet.writes() == 0
    assert ("POST", "/order-plz") not in fleet.ca.requests()


def test_the_probe_goes_through_the_open_port(make_fleet, play):
    """The firewall's own word for its address; a required answer, first not had, then had."""
    name = "probe.site.test"
    fleet = make_fleet([firewall(1, *rules(name))], {name: "fw1"})
    options = preflight(fleet, xgs_letsencrypt_wan_addresses=[], xgs_letsencrypt_probe="require")
    nobody = {**options, "xgs_letsencrypt_probe_port": fleet.responder_port}
    refused = play(fleet, {"fw1": certificates(*wanted(name), **nobody)})
    assert refused.rc != 0
    assert "fw1: probe: preflight: port" in refused.stdout
    assert fleet.ca.validations() == []
    (interval,) = fleet.emulator.firewall("fw1")["open_intervals"]
    assert interval["connections"] == 0

    play(fleet, {"fw1": certificates(*wanted(name), **options)}).check()
    assert fleet.shown("fw1", 8443, name).trusted
    *_first, interval = fleet.emulator.firewall("fw1")["open_intervals"]
    (validation,) = fleet.ca.validations(name)
    assert interval["connections"] == 1 + validation.fetches, "the probe, and then the CA"


@pytest.mark.parametrize("layout", ["nobody", "another account", "in place"])
def test_a_permanent_responder_is_looked_for_before_anything_is_opened(make_fleet, play, layout):
    """One for good: the run starts none."""
    label = layout.replace(" ", "-")
    name = f"{label}.inside.test"
    fleet = make_fleet([firewall(1, waf_rule(label, name))], {name: "fw1"})
    host = certificates(
        certificate(label, name, consumers=[f"waf:{label}"]),
        **preflight(fleet, xgs_letsencrypt_probe="none", xgs_letsencrypt_responder_managed=False),
        **({"xgs_letsencrypt_responder_probe": "require"} if layout == "nobody" else {}),
    )
    place = {"address": fleet.responder, "port": fleet.responder_port}
    key = fleet.workdir / "account.pem"
    account.ensure_account_key(str(key))
    with contextlib.ExitStack() as stack:
        if layout != "nobody":
            mine = account.thumbprint(account.load_account_key(path=str(key)))
            responder.start(*place.values(), "o" * 43 if layout == "another account" else mine, 300)
            stack.callback(responder.stop, *place.values())
        checked = play(fleet, {"fw1": host}, flags=["--check"])
        result = play(fleet, {"fw1": host})
    says = {"nobody": "nothing listens there", "another account": "a responder for another ACME account answers"}
    for each in (checked, result):
        assert (each.rc == 0) == (layout == "in place")
        assert says.get(layout, "") in each.stdout
    if layout == "in place":
        assert fleet.shown("fw1", 8443, name).trusted
    else:
        assert fleet.writes() == 0
        assert ("POST", "/order-plz") not in fleet.ca.requests()
        assert f"fw1: {label}: preflight: the responder is to be at {fleet.responder}" in result.stdout


def test_without_dnspython_that_is_said_before_anything_is_done(make_fleet, play, tmp_path):
    (tmp_path / "hidden" / "dns").mkdir(parents=True)
    (tmp_path / "hidden" / "dns" / "__init__.py").write_text("raise ImportError('hidden')")
    name = "poor.site.test"
    fleet = make_fleet([firewall(1, *rules(name))], {name: "fw1"})
    env = {"PYTHONPATH": str(tmp_path / "hidden")}
    host = certificates(*wanted(name), **preflight(fleet))
    refused = play(fleet, {"fw1": host}, env=env)
    assert refused.rc != 0
    assert "preflight needs the Python library dnspython" in refused.stdout
    assert fleet.writes() == 0
    assert ("POST", "/order-plz") not in fleet.ca.requests()

    play(fleet, {"fw1": {**host, "xgs_letsencrypt_preflight": False}}, env=env).check()


# The rehearsal

# What the emulator tells of a firewall's configuration; what opening and closing port 80 writes.
LASTING = ("objects", "certificates", "bindings", "served")
PORT = {"IPHost", "Services", "Schedule", "FirewallRule", "NATRule"}
NAMES = ["owa.stage.test", "new.stage.test"]


@pytest.fixture
def staging(make_fleet, add_staging, tmp_path):
    """(fleet, staging CA, variables)"""
    fleet = make_fleet([firewall(1, *rules(*NAMES))], dict.fromkeys(NAMES, "fw1"))
    ca, variables = add_staging(fleet, NAMES)
    return fleet, ca, {**variables, "xgs_letsencrypt_state_dir": str(tmp_path / "state")}


def test_a_rehearsal_validates_for_real_and_deploys_nothing(staging, play, tmp_path, scratch):
    fleet, ca, variables = staging
    owa, new = wanted(*NAMES)
    play(fleet, {"fw1": certificates(owa)}, variables=variables).check()
    before = fleet.emulator.firewall("fw1")
    state = sorted(tmp_path.joinpath("state").rglob("*"))
    shown = fleet.shown("fw1", 8443, NAMES[0])

    for round_number in (1, 2):
        fleet.emulator.reset("fw1")
        result = play(
            fleet,
            {"fw1": certificates(owa, new)},
            playbook="certfleet.sophos_xgs.rehearse",
            variables=variables,
            env={"TMPDIR": str(scratch)},
        ).check()
        # OWA is not due: it is rehearsed all the same.
        for name in NAMES:
            assert f"validated: {name}" in result.stdout
            assert len(ca.validations(name)) == round_number
        assert result.stdout.count("rehearsed") >= 2
        assert ca.issued() == 2 * round_number
        after = fleet.emulator.firewall("fw1")
        assert [after[what] for what in LASTING] == [before[what] for what in LASTING]
        written = {entry["entity"] for entry in after["log"] if entry["operation"] not in ("get", "login")}
        assert written == PORT
        intervals = after["open_intervals"]
        assert len(intervals) == len(before["open_intervals"]) + round_number
        assert intervals[-1]["connections"] > 0
    assert fleet.ca.issued() == 1
    assert fleet.shown("fw1", 8443, NAMES[0]) == shown
    assert sorted(tmp_path.joinpath("state").rglob("*")) == state
    assert not [path for path in scratch.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]


def test_a_rehearsal_that_fails_fails_the_run(staging, play):
    fleet, ca, variables = staging
    ca.clear(NAMES[1])
    result = play(
        fleet,
        {"fw1": certificates(*wanted(*NAMES))},
        playbook="certfleet.sophos_xgs.rehearse",
        variables=variables,
    )
    assert result.rc != 0
    assert f"validated: {NAMES[0]}" in result.stdout
    assert "fw1: new: order: the CA could not validate" in result.stdout
    assert not fleet.emulator.firewall("fw1")["certificates"].keys() - {"ApplianceCertificate"}


def test_a_rehearsal_in_check_mode(staging, play):
    fleet, ca, variables = staging
    result = play(
        fleet,
        {"fw1": certificates(*wanted(*NAMES))},
        playbook="certfleet.sophos_xgs.rehearse",
        variables=variables,
        flags=["--check"],
    ).check()
    assert "would be rehearsed" in result.stdout
    assert fleet.writes() == 0
    assert not [request for request in ca.requests() if request[0] == "POST"]
