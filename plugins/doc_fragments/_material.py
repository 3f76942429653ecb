# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  certificate_path:
    description:
      - File with the certificate followed by its chain, PEM. This or O(certificate_content) is required for O(state=present).
    type: path
  certificate_content:
    description:
      - The same as text.
    type: str
  private_key_path:
    description:
      - File with the private key, PEM (PKCS#8 or PKCS#1), whatever its name. This or O(private_key_content) is required for O(state=present).
    type: path
  private_key_content:
    description:
      - The same as text, for instance from a vault.
    type: str
  private_key_passphrase:
    description:
      - Opens an encrypted key. The key is decrypted here; the passphrase is not sent.
    type: str
"""
