# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

from __future__ import annotations


class ModuleDocFragment:
    # Keep in step with module_utils/_acme_options.py.
    DOCUMENTATION = r"""
options:
  acme_directory:
    description:
      - URL of the CA's ACME directory. The default is Let's Encrypt's production server.
      - For rehearsals use Let's Encrypt's staging server, V(https://acme-staging-v02.api.letsencrypt.org/directory).
    type: str
    default: https://acme-v02.api.letsencrypt.org/directory
  account_key_path:
    description:
      - File with the private key of the ACME account, in PEM, RSA or EC (P-256, P-384).
      - It must not be accessible by group or others.
      - Takes precedence over O(account_key_content).
      - Taken from the environment variable E(ACME_ACCOUNT_KEY_PATH) when not set.
    type: path
  account_key_content:
    description:
      - The private key itself, for example from Ansible Vault.
      - Taken from the environment variable E(ACME_ACCOUNT_KEY) when not set.
    type: str
  account_key_passphrase:
    description: Passphrase of the private key, if it is encrypted.
    type: str
  ca_path:
    description:
      - PEM file with the CAs to trust for the HTTPS of the ACME server, in place of the system's. Only private CAs need it.
      - Taken from the environment variable E(ACME_CA_PATH) when not set.
    type: path
  validate_certs:
    description: Whether to verify the HTTPS certificate of the ACME server. V(false) is for tests only.
    type: bool
    default: true
requirements:
  - acme >= 5.0.0 (Python library)
  - cryptography (Python library)
"""
