"""What the address guard promises, for every address."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sovereign.egress.errors import Refused
from sovereign.egress.guard import check

V4 = st.integers(0, 2**32 - 1).map(IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(IPv6Address)
RFC1918 = [IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")]
NEVER = [
    IPv4Network(text)
    for text in ("0.0.0.0/8", "100.64.0.0/10", "169.254.0.0/16", "224.0.0.0/4", "240.0.0.0/4", "198.18.0.0/15")
]

EMBEDDINGS = {
    "mapped": lambda v: 0xFFFF << 32 | v,
    "compatible": lambda v: v,
    "translated": lambda v: 0xFFFF << 48 | v,
    "nat64": lambda v: 0x64FF9B << 96 | v,
    "nat64_local_96": lambda v: 0x64FF9B0001 << 80 | v,
    "nat64_local_48": lambda v: 0x64FF9B0001 << 80 | (v >> 16) << 64 | (v & 0xFFFF) << 40,
    "6to4": lambda v: 0x2002 << 112 | v << 80 | 1,
    "teredo_client": lambda v: 0x20010000 << 96 | 0x08080808 << 64 | (~v & 0xFFFFFFFF),
    "teredo_server": lambda v: 0x20010000 << 96 | v << 64 | (~0x08080808 & 0xFFFFFFFF),
    "isatap": lambda v: 0x20010DB9 << 96 | 0x5EFE << 32 | v,
    "isatap_global": lambda v: 0x20010DB9 << 96 | 0x02005EFE << 32 | v,
}


def verdict(address: object, **allowed: bool) -> str | None:
    """The rule that refuses an address; None when it passes."""
    try:
        check(address, **allowed)  # type: ignore[arg-type]
    except Refused as refusal:
        return refusal.rule
    return None


@given(V4)
@example(IPv4Address("127.0.0.1"))
@example(IPv4Address("169.254.169.254"))
@example(IPv4Address("8.8.8.8"))
def test_what_python_calls_not_global_never_passes(address: IPv4Address) -> None:
    if not address.is_global or address.is_multicast:
        assert verdict(address) is not None


@pytest.mark.parametrize("name", EMBEDDINGS)
@given(v4=V4)
@example(v4=IPv4Address("127.0.0.1"))
@example(v4=IPv4Address("10.0.0.1"))
@example(v4=IPv4Address("169.254.169.254"))
@example(v4=IPv4Address("168.63.129.16"))
def test_an_address_hidden_in_another_is_judged_as_itself(name: str, v4: IPv4Address) -> None:
    wrapped = IPv6Address(EMBEDDINGS[name](int(v4)))
    refused = verdict(v4, private=True)
    if refused is not None and int(v4) != 0:
        assert verdict(wrapped, private=True) is not None
    if verdict(v4) is not None:
        assert verdict(wrapped) is not None


@given(st.sampled_from(RFC1918), st.integers(0, 2**24 - 1))
def test_a_private_connection_reaches_private_networks_and_an_ordinary_one_does_not(network: IPv4Network, offset: int) -> None:
    address = network[offset % network.num_addresses]
    assert verdict(address) == "egress.address.private"
    assert verdict(address, private=True) is None


@given(st.sampled_from(NEVER), st.integers(0, 2**28 - 1))
def test_nothing_opens_what_is_never_allowed(network: IPv4Network, offset: int) -> None:
    assert verdict(network[offset % network.num_addresses], private=True, loopback=True) is not None


@given(V6)
def test_an_ipv6_address_outside_global_unicast_passes_only_as_private_or_as_a_translation(address: IPv6Address) -> None:
    if int(address) >> 125 != 1 and verdict(address) is None:
        # Only translations of a public IPv4 address are left.
        assert int(address) >> 32 in (0xFFFF, 0, 0xFFFF0000, 0x64FF9B << 64)
        assert verdict(IPv4Address(int(address) & 0xFFFFFFFF)) is None


@given(V4 | V6)
def test_opening_private_networks_does_not_open_this_machine(address: IPv4Address | IPv6Address) -> None:
    if verdict(address, private=True) is None:
        assert not address.is_loopback
    if verdict(address) is None:
        assert verdict(address, private=True, loopback=True) is None


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("127.0.0.1", "loopback"), ("127.8.9.10", "loopback"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"),
        ("::127.0.0.1", "loopback"),
        ("169.254.169.254", "metadata"), ("::ffff:169.254.169.254", "metadata"), ("64:ff9b::a9fe:a9fe", "metadata"),
        ("fd00:ec2::254", "metadata"), ("100.100.100.200", "metadata"), ("168.63.129.16", "metadata"),
        ("fd20:ce::254", "metadata"),
        ("169.254.1.1", "link_local"), ("fe80::1", "link_local"), ("fe80::1%eth0", "link_local"),
        ("10.1.2.3", "private"), ("172.31.255.255", "private"), ("192.168.0.1", "private"), ("fd12:3456::1", "private"),
        ("fc00::1", "private"),
        ("100.64.0.1", "shared"), ("224.0.0.1", "multicast"), ("ff02::1", "multicast"), ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        (str(IPv4Address(0)), "reserved"), ("::", "reserved"), ("fec0::1", "reserved"), ("2001:db8::1", "reserved"),
        ("192.0.2.1", "reserved"), ("100::1", "reserved"),
        ("64:ff9b::7f00:1", "loopback"), ("64:ff9b:1::a00:1", "private"), ("2002:7f00:1::", "loopback"),
        ("2002:a9fe:a9fe::1", "metadata"),
        ("2001:0:808:808::80ff:fffe", "loopback"), ("not an address", "malformed"), ("2130706433", "malformed"),
        ("0x7f.1", "malformed"),
    ],
)  # fmt: skip
def test_each_special_address_falls_under_its_rule(address: str, rule: str) -> None:
    assert verdict(address) == f"egress.address.{rule}"


@pytest.mark.parametrize(
    "address", ["fd00:ec2::254", "169.254.169.254", "fe80::1", "100.100.100.200", "fd20:ce::254", "64:ff9b::a9fe:a9fe"]
)
def test_metadata_and_link_local_are_refused_even_to_a_private_connection(address: str) -> None:
    assert verdict(address, private=True, loopback=True) is not None


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "185.24.184.1", "2a00:1450:4007:80b::2004", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_public_addresses_pass(address: str) -> None:
    assert verdict(address) is None
