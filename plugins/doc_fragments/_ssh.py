# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  ssh:
    description:
      - How to log in to the firewall's console by SSH. It needs the Python library C(paramiko) where the task runs.
      - Each of these is taken from the inventory where the task leaves it out, as C(xgs_ssh_port) for O(ssh.port), then from the
        environment, as E(XGS_SSH_PORT).
    type: dict
    suboptions:
      host:
        description:
          - Address or name of the firewall. Without it the inventory's C(xgs_ssh_host), C(xgs_host), C(ansible_host) or the host's name count.
        type: str
      port:
        description:
          - TCP port of its SSH server; V(22) unless set.
        type: int
      username:
        description:
          - The account that gets the console menu; V(admin) unless set. On the firewall no other has SSH.
        type: str
      password:
        description:
          - Its password. That of the XML API is never tried instead.
        type: str
      private_key_path:
        description:
          - File with a private key that the firewall knows, in the format of OpenSSH or PEM. It is tried before the password.
        type: path
      private_key_content:
        description:
          - The key itself instead, from a vault.
        type: str
      passphrase:
        description:
          - What the private key is encrypted with.
        type: str
      known_hosts:
        description:
          - File with the firewall's host key, in the format of OpenSSH. Without it V(~/.ssh/known_hosts) and
            V(/etc/ssh/ssh_known_hosts) count.
          - A host key that is not known is never accepted; the error shows its fingerprint.
        type: path
      fingerprint:
        description:
          - The host key's fingerprint, as C(ssh-keygen -l) prints it, V(SHA256:) and 43 characters. Then no file of known hosts is read.
          - Several, as a list or separated by commas, while the key is being replaced.
        type: list
        elements: str
      timeout:
        description:
          - Seconds that the way from connecting to the shell may take, and each command in it; V(60) unless set.
        type: int
"""
