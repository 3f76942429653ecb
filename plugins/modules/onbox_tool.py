#!/usr/bin/python
# Copyright: (c) 2026, certfleet contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: onbox_tool
short_description: Take a shell tool that renews certificates off a Sophos XGS firewall
version_added: 1.0.0
author: certfleet contributors (@certfleet)
description:
  - Logs in by SSH and takes off what the public shell tools leave on a firewall, that is their endless loop with all that it started, their
    rules in the chain C(PREROUTING), the boot scripts C(/etc/rc.d/S01acme) and C(/etc/rc.d/S01lets), and the directories C(/var/acme)
    and C(/conf/acme). The root file system is read-only afterwards.
  - Processes are known by the path of the script that they carry out, the rule by every word of it, a boot script by what it starts, and
    a directory by C(renew.sh) or C(config.csv) in it. Nothing else is touched, and C(/conf/certificate) stays as it is.
  - Nothing is changed while the tool is obtaining a certificate, and none of it where C(/conf/certificate) has links to its files.
options:
  state:
    description: V(absent) is all that there is. What is there is told by check mode.
    type: str
    choices: [absent]
    default: absent
  save_to:
    description:
      - A directory of the control node to which C(config.csv) and the files of the ACME account are copied first, below their paths on the
        firewall. It is made if need be, and only the user enters it.
    type: path
extends_documentation_fragment:
  - certfleet.sophos_xgs._ssh
  - certfleet.sophos_xgs._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
notes:
  - Of a pair, each node has to be visited by its own address.
  - Whether something still uses the certificates of the tool is not asked here; the playbook C(retire_onbox_tool.yml) does.
seealso:
  - module: certfleet.sophos_xgs.onbox_config_info
  - module: certfleet.sophos_xgs.xgs_cert_info
"""

EXAMPLES = r"""
- name: What there is of it
  certfleet.sophos_xgs.onbox_tool:
  check_mode: true
  diff: true
  register: tool

- name: Take it off
  certfleet.sophos_xgs.onbox_tool:
    save_to: "old/{{ inventory_hostname }}"
"""

RETURN = r"""
found:
  description: Whether there was anything of it.
  returned: success
  type: bool
  sample: true
certificates:
  description: The names in its C(config.csv), which are those of certificates on the firewall.
  returned: success
  type: list
  elements: str
  sample: [OWA]
saved:
  description: The copies on the control node, or in check mode those that would be made.
  returned: success
  type: list
  elements: str
  sample: [/home/ops/old/fw1/var/acme/config.csv]
"""

from ..module_utils._clock import Clock
from ..module_utils._errors import stage
from ..module_utils._onbox.retire import retire, save, targets
from ..module_utils._onbox.tool import Found, look
from ..module_utils._runner import Arguments, Outcome, Params, run_module
from ..module_utils._shell.session import shell
from ..module_utils._ssh_options import ssh_endpoint_from, ssh_spec

ARGUMENTS = Arguments(
    spec={
        **ssh_spec(),
        "state": {"type": "str", "choices": ["absent"], "default": "absent"},
        "save_to": {"type": "path"},
    },
    ssh="ssh",
)


def run(params: Params, check_mode: bool) -> Outcome:
    directory = params["save_to"]
    with stage("shell"), shell(ssh_endpoint_from(params)) as session:
        found = look(session)
        if found.anything and not check_mode:
            if directory:
                save(session, found, directory)
            retire(session, found, Clock())
    return Outcome(
        found.anything,
        {
            "found": found.anything,
            "certificates": list(found.certificates),
            "saved": list(targets(found, directory).values()) if directory else [],
        },
        before=found.as_diff(),
        after=found.without_tool().as_diff(),
        warnings=_warnings(found),
    )


def _warnings(found: Found) -> list[str]:
    told = [f"{path} starts nothing of the on-box tool, and was left alone" for path in found.foreign]
    if found.root_writable and not found.anything:
        told.append(
            "the firewall's root file system is writable, and nothing of the on-box tool is there: make it read-only in"
            " the advanced shell (mount -o remount,ro /), or reboot"
        )
    return told


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
