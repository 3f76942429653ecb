# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The envelope: transport, login, operations, filters, statuses."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
import requests

from emulator.specimens import specimen

pytestmark = pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")

HOST = "<IPHost><Name>{}</Name><HostType>IP</HostType><IPAddress>{}</IPAddress></IPHost>"
LOGIN = "<Request><Login><Username>admin</Username><Password>secret</Password></Login></Request>"


def send(box, **options):
    return requests.request(options.pop("method", "POST"), box.url, verify=False, timeout=10, **options)


class TestTransport:
    @pytest.mark.parametrize(
        "options",
        [
            {"data": {"reqxml": LOGIN}},
            {"files": {"reqxml": (None, LOGIN)}},
            {"files": {"reqxml": (None, LOGIN)}, "method": "GET"},
            {"params": {"reqxml": LOGIN}, "method": "GET"},
            {"params": {"reqxml": LOGIN}},
        ],
    )
    def test_every_way_to_send_the_form(self, box, options):
        assert "Authentication Successful" in send(box, **options).text

    def test_raw_xml_is_ignored(self, box):
        answer = send(box, data=LOGIN, headers={"Content-Type": "application/xml"})
        assert (answer.status_code, answer.content) == (200, b"")

    def test_other_paths_are_html(self, box):
        answer = requests.get(f"https://{box.address}:4444/api/firewall-config/v1/", verify=False, timeout=10)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")

    def test_keep_alive(self, box):
        with requests.Session() as session:
            for _ in range(3):
                session.post(box.url, data={"reqxml": LOGIN}, verify=False, timeout=10)
            pools = session.get_adapter(box.url).poolmanager.pools
            pool = pools[next(iter(pools.keys()))]
            assert (pool.num_connections, pool.num_requests) == (1, 3)


class TestLogin:
    def test_wrong_password_has_no_code_and_no_entity(self, box):
        answer = box.ask("<Get><IPHost/></Get>", password="wrong")
        assert [child.tag for child in answer] == ["Login"]
        assert answer.findtext("Login/status") == "Authentication Failure"
        assert answer.find(".//*[@code]") is None
        assert box.state["counters"]["auth_failures"] == 1

    def test_encrypted_password_form_fails(self, box):
        xml = LOGIN.replace("<Password>", '<Password passwordform="encrypt">')
        assert "Authentication Failure" in requests.post(box.url, data={"reqxml": xml}, verify=False, timeout=10).text

    @pytest.mark.parametrize(
        ("setting", "code"), [({"api_enabled": False}, "532"), ({"allowed_sources": ["192.0.2.0/24"]}, "534")]
    )
    def test_before_login(self, box, setting, code):
        box.settings(**setting)
        answer = box.ask("<Get><IPHost/></Get>")
        assert [(child.tag, child.get("code")) for child in answer] == [("Status", code)]

    def test_malformed(self, box):
        answer = box.ask("<Get><IPHost></Get>")
        assert [(child.tag, child.get("code")) for child in answer] == [("Status", "529")]

    def test_limited_account(self, box):
        assert len(box.ask("<Get><IPHost/></Get>", username="reader", password="x").findall("IPHost")) == 2
        for body in ("<Get><Certificate/></Get>", f'<Set operation="add">{HOST.format("a", "192.0.2.1")}</Set>'):
            assert box.code(body, username="reader", password="x") == "599"
        assert "a" not in box.state["objects"]["IPHost"]

    def test_api_version_and_passwordform_plain(self, box):
        xml = LOGIN.replace("<Request>", '<Request APIVersion="1905.1">')
        xml = xml.replace("<Password>", '<Password passwordform="plain">')
        answer = ET.fromstring(requests.post(box.url, data={"reqxml": xml}, verify=False, timeout=10).content)
        assert answer.get("APIVersion")
        assert answer.findtext("Login/status") == "Authentication Successful"


class TestOperations:
    def test_add_update_remove(self, box):
        assert box.add(HOST.format("a", "192.0.2.1")) == "200"
        assert box.add(HOST.format("a", "192.0.2.2")) == "502"
        assert box.update(HOST.format("missing", "192.0.2.3")) == "500"
        assert box.code(f"<Set>{HOST.format('a', '192.0.2.4')}</Set>") == "200"
        assert box.code(f"<Set>{HOST.format('b', '192.0.2.5')}</Set>") == "200"
        assert box.get("IPHost", "a")[0].findtext("IPAddress") == "192.0.2.4"
        assert box.remove("IPHost", "a") == "200"
        assert box.get("IPHost", "a") == []
        assert box.remove("IPHost", "a") == "504"

    def test_operation_in_any_case(self, box):
        assert box.code(f'<Set operation="Add">{HOST.format("a", "192.0.2.1")}</Set>') == "200"

    def test_update_replaces_everything(self, box):
        box.add(HOST.format("a", "192.0.2.1").replace("<HostType>", "<Description>old</Description><HostType>"))
        assert box.get("IPHost", "a")[0].findtext("Description") == "old"
        box.update(HOST.format("a", "192.0.2.1"))
        assert not box.get("IPHost", "a")[0].findtext("Description")

    def test_several_entities_in_order(self, box):
        answer = box.ask(
            f'<Set operation="add">{HOST.format("a", "192.0.2.1")}{HOST.format("a", "192.0.2.2")}</Set>'
            "<Remove><IPHost transactionid='7'><Name>a</Name></IPHost></Remove>"
        )
        assert [status.get("code") for status in answer.iter("Status")] == ["200", "502", "200"]
        assert [entity.get("transactionid") for entity in answer.findall("IPHost")] == ["", "", "7"]

    @pytest.mark.parametrize(
        ("host", "path"),
        [
            (HOST.format("#a", "192.0.2.1"), "/IPHost/Name"),
            (HOST.format("a,b", "192.0.2.1"), "/IPHost/Name"),
            (HOST.format("a" * 61, "192.0.2.1"), "/IPHost/Name"),
            (HOST.format("a", "nonsense"), "/IPHost/IPAddress"),
            (HOST.format("a", "192.0.2.1").replace("<HostType>IP<", "<HostType>System Host<"), "/IPHost/HostType"),
            (
                HOST.format("a", "192.0.2.1").replace(
                    "<HostType>", f"<Description>{'d' * 256}</Description><HostType>"
                ),
                "/IPHost/Description",
            ),
        ],
    )
    def test_validation_names_the_field(self, box, host, path):
        answer = box.ask(f'<Set operation="add">{host}</Set>')
        assert answer.find("IPHost/Status").get("code") == "501"
        assert [param.text for param in answer.findall("IPHost/InvalidParams/Params")] == [path]

    def test_same_detail_under_another_name(self, box):
        assert [box.add(HOST.format(name, "192.0.2.1")) for name in "ab"] == ["200", "503"]
        box.settings(allow_duplicate_hosts=True)
        assert box.add(HOST.format("b", "192.0.2.1")) == "200"

    def test_system_hosts_stay(self, box):
        assert box.get("IPHost", "#Port2")[0].findtext("IPAddress") == box.address
        assert box.remove("IPHost", "#Port2") == "500"

    def test_unknown_entity(self, box):
        assert box.code("<Get><NoSuchThing/></Get>") == "529"

    def test_auxiliary_refuses_writes(self, box):
        box.settings(auxiliary=True)
        assert box.add(HOST.format("a", "192.0.2.1")) == "500"


class TestFilters:
    @pytest.fixture
    def filtered(self, box):
        for number, name in enumerate(("alpha", "beta")):
            box.add(HOST.format(name, f"192.0.2.{number}"))

        def names(*keys):
            body = "".join(f'<key name="{key}" criteria="{criteria}">{value}</key>' for key, criteria, value in keys)
            answer = box.ask(f"<Get><IPHost><Filter>{body}</Filter></IPHost></Get>")
            return [found.text for found in answer.findall("IPHost/Name")]

        return names

    def test_criteria(self, filtered):
        assert filtered(("Name", "=", "alpha")) == ["alpha"]
        assert filtered(("Name", "!=", "alpha")) == ["#Port1", "#Port2", "beta"]
        assert filtered(("Name", "like", "lph")) == ["alpha"]
        assert filtered(("IPAddress", "=", "192.0.2.1")) == ["beta"]

    def test_only_the_first_key_counts(self, filtered):
        assert filtered(("Name", "=", "alpha"), ("Name", "=", "beta")) == ["alpha"]

    def test_unsupported_key_is_ignored(self, filtered):
        assert len(filtered(("Nonsense", "=", "alpha"))) == 4

    def test_no_match(self, box):
        answer = box.ask('<Get><IPHost><Filter><key name="Name" criteria="=">x</key></Filter></IPHost></Get>')
        assert answer.findtext("IPHost/Status") == "No. of records Zero."
        assert answer.find("IPHost/Status").attrib == {}


class TestOddEntities:
    def test_ha(self, box):
        assert box.ask("<Get><HAConfigure/></Get>").findtext("HAConfigure/Status") == "Transaction fail"

    def test_services_answer_under_their_own_name(self, box):
        body = '<Set operation="update"><SystemServices><WAF><Action>{}</Action></WAF></SystemServices></Set>'
        assert box.ask(body.format("Restart")).find("WAF/Status").get("code") == "200"
        assert box.ask(body.format("Stop")).find("WAF/Status").get("code") == "202"
        assert box.ask("<Get><SystemServices/></Get>").findtext("SystemServices/WAF/Status") == "Stopped"

    def test_local_service_acl_has_another_key(self, box):
        assert (
            box.add(
                "<LocalServiceACL><RuleName>r</RuleName><SourceZone>WAN</SourceZone>"
                "<Hosts><Host>#Port1</Host></Hosts><Action>accept</Action></LocalServiceACL>"
            )
            == "200"
        )
        assert box.code("<Remove><LocalServiceACL><RuleName>r</RuleName></LocalServiceACL></Remove>") == "200"

    def test_time_zone(self, box):
        assert box.get("Time")[0].findtext("TimeZone") == "Europe/Berlin"
        assert box.update("<Time><TimeZone>Nowhere/Land</TimeZone></Time>") == "501"
        assert box.update("<Time><TimeZone>Asia/Tokyo</TimeZone></Time>") == "200"

    def test_connect_client_says_201_the_second_time(self, box):
        client = specimen("SophosConnectClient")
        empty = box.ask("<Get><SophosConnectClient/></Get>")
        assert empty.findtext("SophosConnectClient/Status") == "No. of records Zero."
        assert [box.update(client), box.update(client)] == ["200", "201"]


def test_counters_log_and_no_secrets(box):
    box.add(HOST.format("a", "192.0.2.1"))
    box.get("IPHost")
    box.remove("IPHost", "a")
    box.ask("", password="hunter2")
    state = box.state
    assert state["counters"] == {"requests": 4, "reads": 1, "writes": 2, "auth_failures": 1}
    seen = [(entry["operation"], entry["entity"], entry["name"], entry["status"]) for entry in state["log"]]
    assert seen == [
        ("add", "IPHost", "a", "200"),
        ("get", "IPHost", "", "3"),
        ("remove", "IPHost", "a", "200"),
        ("login", "", "", "failure"),
    ]
    assert "secret" not in str(state)
    assert "hunter2" not in str(state)
    box.emulator.reset(box.name)
    assert (box.state["counters"]["requests"], box.state["log"]) == (0, [])
