"""Rules for nftables that make this gateway the only way out to the vendors' addresses.

1. Only the account that runs the gateway may open a connection to them; everything else of this machine, and all that it
   forwards for others, is refused and counted.
2. Addresses are those that the names resolve to when the rules are written: write them again when a vendor moves. A vendor
   reached through a proxy is kept by the proxy's own rules.

Text only: loading it is an administrator's act (`nft -f`). Source: nft(8).
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Way:
    """One vendor's address: connection, port, and the addresses its name resolves to."""

    connection: str
    port: int
    addresses: tuple[str, ...]


def rules(ways: Iterable[Way], uid: int) -> str:
    """The rules as text for `nft -f`. uid: of the account that runs the gateway."""
    held = sorted(ways, key=lambda way: way.connection)
    lines = [
        "# Sovereign: only the gateway's account reaches these vendors. Load with: nft -f FILE",
        "table inet sovereign",
        "delete table inet sovereign",
        "table inet sovereign {",
    ]
    for family, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
        elements = sorted(
            {
                f"{address} . {way.port}"
                for way in held
                for address in (ipaddress.ip_address(each) for each in way.addresses)
                if address.version == family
            }
        )
        lines.append(f"    set vendors{family} {{")
        lines.append(f"        type {kind} . inet_service")
        if elements:
            lines.append(f"        elements = {{ {', '.join(elements)} }}")
        lines.append("    }")
    refused = (
        "        ip daddr . tcp dport @vendors4 counter reject",
        "        ip6 daddr . tcp dport @vendors6 counter reject",
    )
    udp = ("        ip daddr . udp dport @vendors4 counter reject", "        ip6 daddr . udp dport @vendors6 counter reject")
    lines += [
        "    chain output {",
        "        type filter hook output priority 0; policy accept;",
        f"        meta skuid {uid} accept",
        *refused,
        *udp,
        "    }",
        "    chain forward {",
        "        type filter hook forward priority 0; policy accept;",
        *refused,
        *udp,
        "    }",
        "}",
    ]
    return "\n".join(lines) + "\n"
