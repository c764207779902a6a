"""Where a URL leads: read by one strict grammar, so that what is checked is what is dialled.

A host is a name in ASCII (letters, digits, hyphens) or an address in its usual form. Other spellings of an address (`0x7f.1`,
`2130706433`), user parts, backslashes, blanks and control characters are refused, not repaired.
"""

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from sovereign.egress.errors import Refused

PORTS = {"https": 443, "http": 80, "imaps": 993, "imap": 143, "ldaps": 636, "ldap": 389, "sftp": 22}
"""The schemes of addresses that have a host, and the port of each where an address names none."""
_URL = re.compile(r"(?P<scheme>[A-Za-z]{4,5})://(?P<authority>[^/?#]*)(?P<target>[^#\x00-\x1f\x7f]*)(?:#.*)?\Z", re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(?P<port>[0-9]{1,5}))?\Z")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)\Z")


@dataclass(frozen=True, slots=True)
class Origin:
    """A scheme, a host (lower case; an IPv6 address without brackets) and a port."""

    scheme: str
    host: str
    port: int

    @property
    def literal(self) -> bool:
        """Whether the host is an address and not a name."""
        return ":" in self.host or self.host.rpartition(".")[2].isdigit()

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}" if self.port == PORTS[self.scheme] else f"{self.scheme}://{host}:{self.port}"


def split(url: str) -> tuple[str, str, str]:
    """Cut a URL into its scheme, its authority and its target (path and query); errors: Refused `egress.url`."""
    found = _URL.match(url)
    if found is None:
        raise Refused("egress.url")
    target = found["target"]
    return found["scheme"].lower(), found["authority"], target if target.startswith("/") else f"/{target}"


def origin(scheme: str, authority: str) -> Origin:
    """Read an origin; errors: Refused `egress.url`, or `egress.userinfo`."""
    if "@" in authority:
        raise Refused("egress.userinfo")
    found = _AUTHORITY.match(authority)
    if scheme not in PORTS or found is None:
        raise Refused("egress.url")
    port = int(found["port"]) if found["port"] else PORTS[scheme]
    if not 0 < port < 65536:
        raise Refused("egress.url")
    return Origin(scheme, _host(found["host"].lower()), port)


def declared(text: str) -> Origin:
    """Read an origin as an operator writes it: a whole URL, or a host with or without a port (then `https`)."""
    scheme, authority, _ = split(text if "://" in text else f"https://{text}")
    return origin(scheme, authority)


def _host(host: str) -> str:
    try:
        if host.startswith("["):
            return str(IPv6Address(host[1:-1]))
        host = host.removesuffix(".")
        if _NUMERIC.match(host.rpartition(".")[2]):
            # What ends in a number is an address (WHATWG URL, "ends in a number"), and has one spelling here.
            return str(IPv4Address(host))
    except AddressValueError:
        raise Refused("egress.url") from None
    if not _NAME.match(host):
        raise Refused("egress.url")
    return host
