# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# PRIVATE to the collection: no promise of stability outside it.

"""The firewall's status codes in words. Refusals: (what it means, what to do).

Source: the API document's tables, one for each entity; 521, 526, 532 and 599 are reported. Every 2xx is done, most with
a remark: 217 and 222 say that there is no message, and are done as well (measured).
"""

from __future__ import annotations

# The API is closed to everybody, or to whoever asks (reported).
API_OFF, NOT_ALLOWED = CLOSED = (532, 534)
# "This account may not" (reported).
NO_RIGHT = 599

_PRIMARY = (
    "Where this is the auxiliary device of a high-availability pair, give the address of the cluster: only the primary"
    " takes changes."
)
_PORT = "Look up in the web console who has the port, and choose another."
_WAF = "Look at the firewall's other web server protection rules for this port and domain."
_CONSOLE = "Choose another port for the one or the other in the web console (Administration > Admin and user settings)."
_API = "Backup & firmware > API (SFOS 22: Administration > API access)"
_SOURCES = "Backup & firmware > API (SFOS 22: Administration > API access, where sources are IP hosts)"
_KEY = "Give the private key that the certificate was made with, unencrypted or with its passphrase."
_SAME = "Look in the web console which object that is; use it, or remove it."

_ANY = {
    500: (
        "it could not be carried out",
        f"Compare the options of this task with what exists there. {_PRIMARY}",
    ),
    501: (
        "a value is not valid",
        "The firewall finds a value invalid; compare the options of this task with what exists there.",
    ),
    502: ("there is an object of that name", "Use another name, or have the present object updated or removed."),
    503: ("there is an object with the same details", _SAME),
    504: ("something refers to the object", "Something still refers to the object; remove that reference first."),
    505: ("a part of it could not be carried out", "Look in the web console which part is missing, then run again."),
    508: ("the certificate lacks its private key", "Upload it again, with its key."),
    510: ("the private key or its passphrase is wrong", _KEY),
    519: ("a certificate signing request could not be made", "Look at the names and key type that were asked for."),
    521: (
        "this firmware does not understand the request",
        "Update the firewall to a firmware that is maintained, or report it with the number of its version.",
    ),
    522: ("a range has more than 128 addresses", "Use a smaller range, or several."),
    523: ("a range has more than 128 addresses", "Use a smaller range, or several."),
    526: ("there is no such object", "Run again: it is read anew."),
    529: (
        "the request did not arrive whole, or this firmware does not know the entity",
        "Is there a proxy in between? Else update the firewall's firmware.",
    ),
    API_OFF: (
        "the API is off",
        f"Switch it on in the web console, {_API}, and allow this machine's address there.",
    ),
    NOT_ALLOWED: (
        "the API is not open to this source",
        f"Add this machine's address, as the firewall sees it, to the allowed sources in the web console, {_SOURCES}.",
    ),
    541: ("a value does not fit, or clashes with another", "Compare it with what exists there."),
    542: ("the port or object is in use in another way", _PORT),
    543: ("a redirect of this domain clashes with a rule on port 80", _WAF),
    544: ("a rule on port 80 clashes with the redirect of this domain", _WAF),
    545: ("another service has that port", _PORT),
    546: ("another rule has one of the domains on that port", _WAF),
    547: ("this hosted address and port may not be used", _WAF),
    550: ("the user portal has that port", _CONSOLE),
    551: ("another portal or service of the firewall has that port", _CONSOLE),
    552: ("another portal or service of the firewall has that port", _CONSOLE),
    553: ("another portal or service of the firewall has that port", _CONSOLE),
    554: ("another portal or service of the firewall has that port", _CONSOLE),
    596: ("Sophos Central owns the object", "Sophos Central owns this object; change it there."),
    NO_RIGHT: (
        "the account may not do that",
        "The API account's administration profile lacks the right to this part of the configuration.",
    ),
}
_DAMAGED = ("the file may be damaged", "The certificate file is damaged or not PEM.")
_RANGE = ("the addresses do not fit each other", "Both ends of a range have to be of one kind, in the right order.")
_WAF_TYPE = ("a rule of another type has that port", _WAF)
# What a code means for one entity in particular.
_PARTICULAR = {
    ("Certificate", 500): (
        "the certificate could not be stored, or is not there",
        f"Look at certificate and key: both have to be PEM. {_PRIMARY}",
    ),
    ("Certificate", 541): _DAMAGED,
    ("Certificate", 542): (
        "a web server protection rule uses it",
        "Upload it under another name, and switch the rule.",
    ),
    ("CertificateAuthority", 503): ("this authority is there under another name", _SAME),
    ("CertificateAuthority", 504): (
        "HTTPS scanning uses it",
        "Choose another authority there first (Web > General settings).",
    ),
    ("CertificateAuthority", 541): _DAMAGED,
    ("IPHost", 541): _RANGE,
    ("NATRule", 503): (
        "another DNAT rule has that address and port",
        "Remove it or switch it to another port; an answer to the CA can come from one place only.",
    ),
    ("NATRule", 541): _RANGE,
    ("FirewallRule", 542): ("plain HTTP is not possible on that port", _WAF),
    ("FirewallRule", 552): _WAF_TYPE,
    ("FirewallRule", 553): ("another rule redirects this domain", _WAF),
    ("WebAdminSettings", 541): ("a port is used twice", _CONSOLE),
    ("WebAdminSettings", 542): ("the port of the admin console is in use", _CONSOLE),
    ("LocalServiceACL", 541): (
        "the web admin console cannot be opened to all of WAN",
        "Name the source addresses that may reach it.",
    ),
    ("EmailConfiguration", 545): (
        "the mail proxy is not in MTA mode",
        "Switch MTA mode on (Email > General settings).",
    ),
}
_UNKNOWN = (
    "which is not documented",
    "Look in the web console's log viewer (Admin) what it did, and report the code, so that it gets words.",
)

# Done, and nothing else to say: 202 is "renamed and updated" (API document).
_DONE = (200, 202)
# "Updated remote access IPsec VPN" (API document): with this entity 201 is the ordinary answer to an update.
_DONE_TOO = (("SophosConnectClient", 201),)
_NO_MESSAGE = "the firewall has no message for it; look there what it is about"
# What a remark is about, where the firewall's own words may be a bare "applied successfully" (measured).
_REMARKS: dict[tuple[str, int] | int, str] = {
    ("L2TPConnection", 201): "it takes effect when L2TP is switched on",
    217: _NO_MESSAGE,
    222: _NO_MESSAGE,
}


def remark(code: int, entity: str) -> str | None:
    """Of a write that was carried out: None where that is all, else what the firewall means, "" where only it knows."""
    if code in _DONE or (entity, code) in _DONE_TOO:
        return None
    return _REMARKS.get((entity, code)) or _REMARKS.get(code, "")


def in_words(code: int, entity: str = "") -> tuple[str, str]:
    """(meaning, remedy) of a refusal."""
    return _PARTICULAR.get((entity, code)) or _ANY.get(code) or _UNKNOWN


__all__ = ("CLOSED", "NO_RIGHT", "in_words", "remark")
