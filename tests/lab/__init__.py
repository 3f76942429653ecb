# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: real processes for tests and the demo (test CA, DNS, ansible-playbook). No mocks."""
