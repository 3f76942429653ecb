# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The window that the options of acme_http01_order ask for."""

from __future__ import annotations

from ._acme.account import thumbprint
from ._acme_options import client_from
from ._errors import CertfleetError
from ._port_window import PortWindow
from ._runner import Params
from ._shell_window import ShellWindow
from ._ssh_options import ssh_endpoint_from
from ._xgs.window import Window
from ._xgs_options import IPTABLES, firewall_from, forward_from


def window_from(params: Params) -> PortWindow | None:
    """None without port_forward: the port leads to the responder already.

    Raises CertfleetError (stage "plan") when an option cannot be right, or the lease is shorter than order_timeout.
    """
    options = params["port_forward"]
    if options is None:
        return None
    if options["lease"] < params["order_timeout"]:
        raise CertfleetError(
            f"the lease of {options['lease']} s ends before an order may, {params['order_timeout']} s",
            stage="plan",
            remedy="Set the lease to at least order_timeout.",
        )
    if options["method"] == IPTABLES:
        # Asked for when it is opened: in check mode there may be no account yet.
        return ShellWindow(
            ssh_endpoint_from(params), forward_from(options), lambda: thumbprint(client_from(params).account_key)
        )
    return Window(firewall_from(options), forward_from(options))


__all__ = ("window_from",)
