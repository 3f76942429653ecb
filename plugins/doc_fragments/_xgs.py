# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  host:
    description:
      - Address or name of the firewall's web admin console.
      - Without it the inventory's C(xgs_host), C(ansible_host) or the host's name count, then the environment variable E(XGS_HOST).
    type: str
  port:
    description:
      - Port of the web admin console. The inventory's C(xgs_port) or C(ansible_httpapi_port), then E(XGS_PORT), then V(4444) count without it.
    type: int
  username:
    description:
      - A local administrator without a one-time password.
      - The inventory's C(xgs_username) or C(ansible_user), then E(XGS_USERNAME) count without it.
    type: str
  password:
    description:
      - Its password.
      - The inventory's C(xgs_password), C(ansible_password) or C(ansible_httpapi_password), then E(XGS_PASSWORD) count without it.
    type: str
  validate_certs:
    description:
      - Whether the firewall's own TLS certificate is verified. It is unless this is V(false).
      - The inventory's C(xgs_validate_certs) or C(ansible_httpapi_validate_certs), then E(XGS_VALIDATE_CERTS) count without it.
    type: bool
  ca_path:
    description:
      - File with the certificate authorities that the firewall's certificate is verified by, instead of the system's.
      - The inventory's C(xgs_ca_path) or C(ansible_httpapi_ca_path), then E(XGS_CA_PATH) count without it.
    type: path
  fingerprint:
    description:
      - SHA-256 of the firewall's certificate, hexadecimal, in any case, with or without colons. Such a certificate is accepted
        although no authority vouches for it; one that verifies the ordinary way is accepted as well, so that the pin may stay when
        the certificate is replaced.
      - Several, as a list or separated by commas, let a firewall through whose certificate is about to be replaced by one that no
        authority vouches for either.
      - The inventory's C(xgs_fingerprint), then E(XGS_FINGERPRINT) count without it.
    type: list
    elements: str
  tls_server_name:
    description:
      - The name that the certificate has to bear, where the firewall is reached by its address.
      - The inventory's C(xgs_tls_server_name), then E(XGS_TLS_SERVER_NAME) count without it.
    type: str
  connect_timeout:
    description:
      - Seconds that connection and TLS handshake may take; V(10) unless set.
      - The inventory's C(xgs_connect_timeout), then E(XGS_CONNECT_TIMEOUT) count without it.
    type: int
  timeout:
    description:
      - Seconds that the firewall may take for one whole answer; V(120) unless set. Writes take a real one 5 to 20 seconds.
      - One request goes to a firewall at a time. Who has to wait for another task, thread or job of the same user on the same machine
        gives up after twice this time.
      - The inventory's C(xgs_timeout), then E(XGS_TIMEOUT) count without it.
    type: int
  check_rights:
    description:
      - Whether the account's administration profile is read before the first write, in one request, and the task refused without writing
        anything if it is sure to lack a right. It is unless this is V(false). What cannot be told from it stops nothing.
      - Set it to V(false) where the firewall lets the account do what its profile does not seem to allow.
      - The inventory's C(xgs_check_rights), then E(XGS_CHECK_RIGHTS) count without it.
    type: bool
"""
