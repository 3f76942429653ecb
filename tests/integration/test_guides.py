# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""README and guides, followed to the letter: their inventories are copied, their commands typed."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils import _responder_process as responder
from ansible_collections.certfleet.sophos_xgs.plugins.module_utils._acme import account

from lab.entries import firewall, waf_rule
from lab.fleet import PASSWORD
from lab.reader import Reader

pytestmark = pytest.mark.any_firmware

QUICK_START = "docs/guides/quickstart.md"
FLEET = "docs/guides/fleet.md"
CAS = "docs/guides/other-cas.md"
SHORT = "docs/guides/short-lived.md"


@pytest.fixture
def reader(collection_path, tmp_path):
    return Reader(tmp_path / "reader", collection_path)


def lab(fleet, **more):
    """What is not as on the pages: the CA, and ports that are not free twice on one machine."""
    return {
        "vault_xgs_password": PASSWORD,
        "xgs_letsencrypt_directory": fleet.ca.directory_url,
        "xgs_letsencrypt_directory_ca_path": fleet.ca.ca_file,
        "xgs_letsencrypt_responder_bind": fleet.responder,
        "xgs_letsencrypt_responder_port": fleet.responder_port,
        "xgs_letsencrypt_resolvers": [fleet.ca.dns_address],
        "xgs_letsencrypt_probe_port": fleet.http_port,
        **more,
    }


def pin(fleet, name):
    return fleet.emulator.firewall(name)["appliance_fingerprint"]


def test_the_quick_start_of_the_readme(make_fleet, add_staging, reader):
    names = ["owa.example.com", "exchange.example.com"]
    fleet = make_fleet([firewall(1, waf_rule("OWA rule", *names))], dict.fromkeys(names, "fw1"))
    staging, variables = add_staging(fleet, names)
    reader.values = {
        "fw.helsinki.example.com": fleet.addresses["fw1"],
        "3f2a...": pin(fleet, "fw1"),
        "10.0.0.20": fleet.responder,
        "/etc/certfleet/": "",
    }
    reader.knows(**lab(fleet, **variables))
    reader.copies("inventory.yml", "README.md", "fw-helsinki:")
    reader.copies("plugin.sh", "docs/report.md", "#!/bin/bash")
    assert reader.runs("bash plugin.sh").rc == 2

    told = reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml --check --diff").check()
    assert "would be renewed" in told.stdout
    assert fleet.writes() == 0
    assert not [request for request in staging.requests() if request[0] == "POST"]

    rehearsed = reader.types("ansible-playbook certfleet.sophos_xgs.rehearse -i inventory.yml").check()
    assert "rehearsed" in rehearsed.stdout
    assert staging.issued() == 1
    assert set(fleet.emulator.firewall("fw1")["certificates"]) == {"ApplianceCertificate"}

    renew = "ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml"
    reader.types(renew, "-e xgs_letsencrypt_staging=true").check()
    assert fleet.shown("fw1", 8443, names[0], staging.root_pem()).trusted
    assert fleet.ca.issued() == 0

    reader.types(renew).check()
    assert all(fleet.shown("fw1", 8443, name).trusted for name in names)
    assert (staging.issued(), fleet.ca.issued()) == (2, 1)
    assert reader.types(renew).check().changed == 0

    line = reader.runs("bash plugin.sh")
    assert (line.rc, line.stdout[:5]) == (0, "OK - ")
    assert "OK - " in reader.types("ansible-playbook certfleet.sophos_xgs.check -i inventory.yml").stdout
    info = reader.types("ansible fw-helsinki -i inventory.yml -m certfleet.sophos_xgs.xgs_cert_info").check()
    assert '"waf:OWA rule"' in info.stdout
    reader.runs("rm inventory.yml; mkdir inventory.yml")
    assert reader.runs("bash plugin.sh").rc == 3


def test_the_quick_start_on_a_real_firewall(make_fleet, add_staging, reader):
    name = "owa.example.com"
    fleet = make_fleet([firewall(1, waf_rule("OWA rule", name))], {name: "fw1"})
    staging, variables = add_staging(fleet, [name])
    address = fleet.addresses["fw1"]
    password = reader.home / ".vault-password"
    password.write_text("the vault's own\n")
    reader.values = {
        "fw.helsinki.example.com": address,
        "10.0.0.20": fleet.responder,
        "203.0.113.7": address,
        "/home/ops/.vault-password": str(password),
    }
    known = lab(fleet, **variables)
    secret = known.pop("vault_xgs_password")
    reader.knows(**known)
    reader.activates()
    editor = reader.home / "editor"
    editor.write_text(f"#!/bin/sh\necho 'vault_xgs_password: \"{secret}\"' >$1\n")
    editor.chmod(0o700)
    reader.sets(ANSIBLE_VAULT_PASSWORD_FILE=str(password), EDITOR=str(editor))
    reader.types("mkdir -p group_vars/xgs && ansible-vault create group_vars/xgs/vault.yml", "--skip-tty-check").check()
    shown = reader.types(
        "openssl s_client -connect fw.helsinki.example.com:4444 </dev/null 2>/dev/null"
        " | openssl x509 -noout -fingerprint -sha256"
    ).check()
    reader.values["AB:CD:…"] = shown.stdout.strip().partition("=")[2]
    reader.copies("inventory.yml", QUICK_START, "fw-helsinki:")

    info = reader.types("ansible xgs -i inventory.yml -m certfleet.sophos_xgs.xgs_cert_info").check()
    assert '"waf:OWA rule"' in info.stdout
    reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml --check --diff").check()
    assert fleet.writes() == 0
    reader.types("ansible-playbook certfleet.sophos_xgs.rehearse -i inventory.yml").check()
    assert (staging.issued(), fleet.ca.issued()) == (1, 0)

    reader.at_night(QUICK_START, "# crontab").check()
    assert fleet.shown("fw1", 8443, name).trusted
    served = fleet.emulator.firewall("fw1")["served"]
    reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml").check()
    assert fleet.emulator.firewall("fw1")["served"] == served
    assert fleet.ca.issued() == 1


def test_a_fleet_as_its_guide_has_it(make_fleet, reader):
    """Two sites with permanent responders, then a list in a structure of one's own, and one certificate on both."""
    owa, shop = ["owa.example.com", "exchange.example.com"], ["shop.example.com", "www.example.com"]
    here = firewall(1, waf_rule("OWA rule", *owa), zones={"DMZ": ["127.0.0.0/8"]})
    there = firewall(2, waf_rule("shop", *shop), waf_rule("OWA rule", *owa, listen_port=9443))
    there["wan_hosts"] = {"#Port3": there["address"]}
    fleet = make_fleet([here, there], {**dict.fromkeys(owa, "fw1"), **dict.fromkeys(shop, "fw2")})
    state = reader.home / "state"
    reader.values = {
        "fw.helsinki.example.com": fleet.addresses["fw1"],
        "fw.oulu.example.com": fleet.addresses["fw2"],
        "3f2a...": pin(fleet, "fw1"),
        "91c0...": pin(fleet, "fw2"),
        "10.1.0.20": fleet.responder,
        "10.2.0.20": fleet.responder,
        "203.0.113.7": fleet.addresses["fw1"],
        "/var/www/html/certificates.html": str(reader.home / "certificates.html"),
        "/var/lib/node_exporter/textfile/xgs.prom": str(reader.home / "xgs.prom"),
        "/var/lib/certfleet/report.json": str(reader.home / "report.json"),
        "/var/lib/certfleet": str(state),
        "[9.9.9.9, 1.1.1.1]": f"[{fleet.ca.dns_address}]",
    }
    reader.knows(**lab(fleet, xgs_letsencrypt_state_dir=str(state)))
    reader.copies("inventory.yml", FLEET, "fw-oulu:")
    reader.copies("group_vars/oulu.yml", FLEET, "xgs_letsencrypt_certificates_query")
    reader.copies("group_vars/xgs/report.yml", "docs/report.md", "xgs_letsencrypt_report_json")
    reader.copies("host_vars/fw-helsinki.yml", "docs/preflight.md", "xgs_letsencrypt_resolvers")
    reader.copies("second.yml", FLEET, "Upload what fw-helsinki obtained")
    reader.types("ansible xgs -i inventory.yml -m certfleet.sophos_xgs.xgs_cert_info").check()

    key = reader.home / ".config/certfleet/account.pem"
    key.parent.mkdir(parents=True)
    account.ensure_account_key(str(key))
    place = fleet.responder, fleet.responder_port
    responder.start(*place, account.thumbprint(account.load_account_key(path=str(key))), 300)
    try:
        reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml").check()
    finally:
        responder.stop(*place)
    assert fleet.shown("fw1", 8443, owa[0]).trusted
    assert fleet.shown("fw2", 8443, shop[1]).names == shop
    for report in ("certificates.html", "report.json", "xgs.prom"):
        assert "fw-oulu" in (reader.home / report).read_text()

    assert reader.runs("ansible-playbook -i inventory.yml second.yml").check().changed == 2
    assert fleet.shown("fw2", 9443, owa[0]).pem == fleet.shown("fw1", 8443, owa[0]).pem
    assert reader.runs("ansible-playbook -i inventory.yml second.yml").check().changed == 0


def test_a_private_ca_with_external_account_binding(make_fleet, reader, tmp_path):
    mac = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    demands = {"externalAccountBindingRequired": True, "externalAccountMACKeys": {"customer-1": mac}}
    names = ["owa.example.com", "exchange.example.com"]
    rule = waf_rule("OWA rule", *names)
    fleet = make_fleet([firewall(1, rule)], dict.fromkeys(names, "fw1"), ca_options={"extra_config": demands})
    roots = tmp_path / "roots.pem"
    roots.write_text(fleet.roots + Path(fleet.ca.ca_file).read_text())
    reader.values = {
        "https://acme.example.com/directory": fleet.ca.directory_url,
        "https://ca.corp.example/acme/directory": fleet.ca.directory_url,
        "/etc/ssl/corp-root.pem": str(roots),
        "fw.helsinki.example.com": fleet.addresses["fw1"],
        "3f2a...": pin(fleet, "fw1"),
        "10.0.0.20": fleet.responder,
        "vault_eab_kid": "'customer-1'",
        "vault_eab_key": f"'{mac}'",
        "terms_agreed: true": f"terms_agreed: true\n        ca_path: {roots}",
    }
    reader.knows(**lab(fleet))
    reader.copies("register.yml", CAS, "Bind it to the customer")
    reader.copies("inventory.yml", "README.md", "fw-helsinki:")
    reader.copies("group_vars/xgs/any.yml", CAS, "Let's Encrypt keeps no address")
    reader.copies("group_vars/xgs/private.yml", CAS, "vouches for the server's own")
    renew = "ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml"
    assert "registers accounts only with an external account binding" in reader.types(renew).stdout

    assert reader.runs("ansible-playbook register.yml").check().changed == 1
    reader.types(
        "ansible-playbook certfleet.sophos_xgs.rehearse -i inventory.yml"
        " -e xgs_letsencrypt_staging_directory=https://acme.example.com/directory"
    ).check()
    assert fleet.writes() > 0
    reader.types(renew).check()
    assert fleet.shown("fw1", 8443, names[0]).trusted
    assert fleet.ca.issued() == 2


def test_short_lived_certificates_and_addresses(make_fleet, reader):
    name = "shop.example.com"
    fleet = make_fleet(
        [firewall(1, waf_rule("shop", name)), firewall(2)],
        {name: "fw1"},
        ca_options={"profiles": {"shortlived": 160 * 3600}},
    )
    address = fleet.addresses["fw2"]
    reader.values = {"203.0.113.7": address}
    hosts = {"fw1": {}, "fw2": {"xgs_ca_path": fleet.ca.root_file()}}
    reader.copies("host_vars/fw1.yml", SHORT, "name: shop")
    reader.copies("host_vars/fw2.yml", SHORT, "portal-by-address")
    reader.writes("inventory.yml", yaml.safe_dump(fleet.inventory(hosts)))
    reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml").check()
    assert fleet.shown("fw1", 8443, name).trusted
    console = fleet.shown("fw2", 4444, address)
    assert console.trusted
    left = console.certificate.not_valid_after_utc - datetime.now(timezone.utc)
    assert timedelta(days=6) < left < timedelta(days=7)
    assert reader.types("ansible-playbook certfleet.sophos_xgs.renew -i inventory.yml").check().changed == 0


def test_a_port_is_closed_at_once(make_fleet, reader):
    """docs/firewall.md: what a killed run left open, before its lease is over."""
    fleet = make_fleet([firewall(1)], {})
    reader.writes("inventory.yml", yaml.safe_dump(fleet.inventory({"fw1": {}})))
    reader.runs(
        "ansible fw1 -i inventory.yml -m certfleet.sophos_xgs.xgs_dnat_port -a 'target=127.0.0.1 run_id=left'"
    ).check()
    assert fleet.emulator.firewall("fw1")["port80_open"]
    reader.values = {"RUN": "left", "192.0.2.1": fleet.addresses["fw1"]}
    command = 'ansible fw1 -i inventory.yml -m certfleet.sophos_xgs.xgs_dnat_port -a "state=absent run_id=RUN"'
    reader.types(command).check()
    assert not fleet.emulator.firewall("fw1")["port80_open"]
    shown = reader.types(
        "openssl s_client -connect 192.0.2.1:4444 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256"
    )
    assert shown.stdout.replace(":", "").strip().lower().endswith(pin(fleet, "fw1").replace(":", "").lower())


def test_an_account_for_a_permanent_responder(ca, reader):
    reader.values = {"terms_agreed=true": f"terms_agreed=true acme_directory={ca.directory_url} ca_path={ca.ca_file}"}
    key = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out account.pem"
    reader.types(key).check()
    told = reader.types(
        'ansible localhost -m certfleet.sophos_xgs.acme_account -a "account_key_path=account.pem terms_agreed=true"'
    ).check()
    assert re.search(r'"thumbprint": "[\w-]{43}"', told.stdout)


def test_the_references_are_shown(reader):
    for command in (
        "ansible-doc -t role certfleet.sophos_xgs.xgs_letsencrypt",
        "ansible-doc certfleet.sophos_xgs.acme_http01_order",
    ):
        assert "certfleet" in reader.types(command).check().stdout
