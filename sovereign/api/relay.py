"""What passes through the pass-through, both ways, by lists of what may: whatever is not on them stays.

No credential of a caller's, no cookie of a vendor's and no hop-by-hop field is on them, nor a field that changes what a method
means (`X-HTTP-Method-Override`) or where a write lands (`Destination`). Bodies are searched for credentials by egress, which
knows them; here a redirect is turned into an address of ours, or dropped.
"""

from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import urlsplit

from saas_connectors.request import Pairs

OUTWARD: Final = frozenset(
    {
        "accept", "accept-language", "accept-crs", "content-crs", "content-language", "content-disposition", "if-match",
        "if-none-match", "if-modified-since", "if-unmodified-since", "range", "soapaction", "odata-version", "depth",
    }
)  # fmt: skip
"""Fields of a caller that the vendor is sent."""
INWARD: Final = frozenset(
    {
        "content-type", "content-language", "content-disposition", "content-range", "content-crs", "accept-ranges", "etag",
        "last-modified", "cache-control", "expires", "age", "cache-status", "vary", "retry-after", "allow", "odata-version",
        "x-total-count", "date",
    }
)  # fmt: skip
"""Fields of a vendor that the caller is sent."""


def outward(headers: Iterable[tuple[bytes, bytes]]) -> Pairs:
    """The fields of a caller that go to the vendor."""
    return tuple((n.decode("latin-1"), v.decode("latin-1")) for n, v in headers if n.decode("latin-1") in OUTWARD)


def inward(headers: Mapping[str, str], connection: str, origin: str) -> list[tuple[bytes, bytes]]:
    """The fields of a vendor that go to the caller. origin: the vendor's, `https://host[:port]`."""
    kept = [(name, headers[name]) for name in headers if name in INWARD]
    if (there := headers.get("location")) is not None and (here := _ours(there, connection, origin)) is not None:
        kept.append(("location", here))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in kept if value.isprintable()]


def _ours(location: str, connection: str, origin: str) -> str | None:
    """The address of ours for an address of the vendor's; None for any other."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return None
    if parts.netloc and f"{parts.scheme}://{parts.netloc}".lower() != origin.lower():
        return None
    if not parts.path.startswith("/") or parts.path.startswith("//"):
        return None
    return f"/v1/connections/{connection}/http{parts.path}" + (f"?{parts.query}" if parts.query else "")
