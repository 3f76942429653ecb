# Copyright: (c) 2026, certfleet contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests of the data plane share: the objects that lead port 80 on, as XML."""

from __future__ import annotations

HOST = "<IPHost><Name>responder</Name><HostType>IP</HostType><IPAddress>{}</IPAddress></IPHost>"
SERVICE = (
    "<Services><Name>responder-port</Name><Type>TCPorUDP</Type><ServiceDetails><ServiceDetail>"
    "<SourcePort>1:65535</SourcePort><DestinationPort>{}</DestinationPort><Protocol>TCP</Protocol>"
    "</ServiceDetail></ServiceDetails></Services>"
)
NAT = (
    "<NATRule><Name>{name}</Name><Status>{status}</Status><Position>Top</Position>"
    "<TranslatedSource>{source}</TranslatedSource>"
    "<OriginalDestinationNetworks><Network>{destination}</Network></OriginalDestinationNetworks>"
    "<TranslatedDestination>responder</TranslatedDestination>"
    "<OriginalServices><Service>{service}</Service></OriginalServices>"
    "<TranslatedService>responder-port</TranslatedService></NATRule>"
)
RULE = (
    "<FirewallRule><Name>{name}</Name><Status>{status}</Status><Position>{position}</Position>"
    "<PolicyType>Network</PolicyType><NetworkPolicy><Action>{action}</Action>"
    "<SourceZones><Zone>WAN</Zone></SourceZones><DestinationZones><Zone>{zone}</Zone></DestinationZones>"
    "<Schedule>{schedule}</Schedule><Services><Service>{service}</Service></Services>"
    "</NetworkPolicy></FirewallRule>"
)


def nat(**fields):
    return NAT.format(
        **{"name": "nat", "status": "Enable", "source": "MASQ", "destination": "#Port2", "service": "HTTP", **fields}
    )


def rule(**fields):
    return RULE.format(
        **{
            "name": "rule",
            "status": "Enable",
            "position": "Top",
            "action": "Accept",
            "zone": "LAN",
            "schedule": "All The Time",
            "service": "HTTP",
            **fields,
        }
    )
