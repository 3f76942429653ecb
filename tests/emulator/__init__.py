# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An emulated fleet of Sophos XGS firewalls: XML API, certificates, rules and a data plane."""
