"""Which network addresses a connection may dial: pure rules, no socket.

1. An address is judged by what it reaches: an IPv4 address inside an IPv6 one (mapped, compatible, translated, NAT64, 6to4,
   Teredo, ISATAP) is taken out and judged too.
2. The lists are ours: Python's `is_global` calls NAT64, 6to4, site-local and some multicast addresses global.
3. A `private` connection may reach RFC 1918 and unique local addresses; `loopback` alone opens this machine. Nothing opens
   metadata services, link-local, multicast or reserved addresses.

It judges addresses only. Names are judged by the allow-list, and resolved once, by the dialler, which asks here about every
result. Sources: IANA special-purpose address registries (RFC 6890), RFC 6052, RFC 8215, RFC 3056, RFC 4380, RFC 5214.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from sovereign.egress.errors import Refused

Address = IPv4Address | IPv6Address

_V4: tuple[tuple[str, IPv4Network], ...] = tuple(
    (rule, IPv4Network(network))
    for rule, networks in (
        # AWS, Azure, GCP, OpenStack; ECS tasks; Oracle; Alibaba; Azure's wire server, which stands in public space.
        ("metadata", "169.254.169.254 169.254.170.2 169.254.169.253 192.0.0.192 100.100.100.200 168.63.129.16"),
        ("loopback", "127.0.0.0/8"),
        ("private", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16"),
        ("link_local", "169.254.0.0/16"),
        ("shared", "100.64.0.0/10"),
        ("multicast", "224.0.0.0/4"),
        (
            "reserved",
            """0.0.0.0/8 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.175.48.0/24 198.18.0.0/15
            198.51.100.0/24 203.0.113.0/24 240.0.0.0/4""",
        ),
    )
    for network in networks.split()
)
_V6: tuple[tuple[str, IPv6Network], ...] = tuple(
    (rule, IPv6Network(network))
    for rule, networks in (
        ("metadata", "fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:c1::a9fe:a9fe"),
        ("loopback", "::1"),
        ("private", "fc00::/7 64:ff9b:1::/48"),
        ("link_local", "fe80::/10"),
        ("multicast", "ff00::/8"),
        (
            "reserved",
            """fec0::/10 2001:2::/48 2001:10::/28 2001:20::/28 2001:30::/28 2001:db8::/32 2001:4:112::/48 2620:4f:8000::/48
            3fff::/20""",
        ),
    )
    for network in networks.split()
)
_GLOBAL = IPv6Network("2000::/3")
_LAST_32 = tuple(IPv6Network(network) for network in ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
_6TO4 = IPv6Network("2002::/16")
_TEREDO = IPv6Network("2001::/32")
_ZERO = IPv4Address(0)


def check(address: str | Address, *, private: bool = False, loopback: bool = False) -> Address:
    """Let an address pass, or raise.

    address: as the resolver gave it, or as written in a URL (no brackets). private, loopback: what the connection may reach.
    Returns the address. Errors: Refused with rule `egress.address.…`.
    """
    try:
        parsed = ip_address(address) if isinstance(address, str) else address
    except ValueError:
        raise Refused("egress.address.malformed") from None
    if isinstance(parsed, IPv6Address) and parsed.scope_id is not None:
        raise Refused("egress.address.link_local")
    for reached in (parsed, *embedded(parsed)):
        rule = _rule(reached, carrier=reached is parsed)
        if rule is not None and not (rule == "private" and private) and not (rule == "loopback" and loopback):
            raise Refused(f"egress.address.{rule}")
    return parsed


def embedded(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to, or may lead to."""
    if isinstance(address, IPv4Address):
        return
    bits = int(address)
    if address == IPv6Address(1):
        return
    if any(address in network for network in _LAST_32) or (bits >> 32) & 0xFDFF_FFFF == 0x5EFE:
        yield IPv4Address(bits & 0xFFFF_FFFF)
    elif address in _LOCAL_NAT64:
        # The length of the operator's prefix is unknown: every place RFC 6052 (section 2.2) allows is looked at; an empty one
        # is none.
        for found in (
            (bits >> 64 & 0xFFFF) << 16 | bits >> 40 & 0xFFFF,
            (bits >> 64 & 0xFF) << 24 | bits >> 32 & 0xFF_FFFF,
            bits >> 24 & 0xFFFF_FFFF,
            bits & 0xFFFF_FFFF,
        ):
            if IPv4Address(found) != _ZERO:
                yield IPv4Address(found)
    elif address in _6TO4:
        yield IPv4Address(bits >> 80 & 0xFFFF_FFFF)
    elif address in _TEREDO:
        yield IPv4Address(bits >> 64 & 0xFFFF_FFFF)
        yield IPv4Address(~bits & 0xFFFF_FFFF)


def _rule(address: Address, *, carrier: bool) -> str | None:
    """The rule that an address falls under; None when it is a public one."""
    if isinstance(address, IPv4Address):
        return next((rule for rule, network in _V4 if address in network), None)
    found = next((rule for rule, network in _V6 if address in network), None)
    if found is None and address not in _GLOBAL and not (carrier and any(address in network for network in _LAST_32)):
        return "reserved"
    return found
