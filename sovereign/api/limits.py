"""How much one application may ask, so that none can harm another: requests a second, requests at once, bytes in hand.

Each application has its own bucket and its own places; what all of them hold in memory together is bounded as well, and of that
each has a quarter at most. Counts are in memory: a limit on speed need not outlive the process. Whoever shows no credential is
counted by address: an IPv4 address, or an IPv6 network of 64 bits.
"""

import ipaddress
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sovereign.access.clients import Client
from sovereign.api.errors import Full, TooMany

_MOST_BUCKETS: Final = 10_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    seen: float
    at_once: int = 0


class Limits:
    """The limits of a process. `monotonic`: seconds; `most_bytes`: of all bodies in hand together."""

    def __init__(self, monotonic: Callable[[], float], most_bytes: int) -> None:
        self._monotonic, self._most = monotonic, most_bytes
        self._buckets: dict[str, _Bucket] = {}
        self._shares: Counter[str] = Counter()
        self.held = 0

    @contextmanager
    def place(self, client: Client) -> Iterator[None]:
        """Let one request of an application in. Errors: TooMany."""
        limits, now = client.limits, self._monotonic()
        burst = max(1.0, limits.rate)
        bucket = self._buckets.pop(client.id, None) or _Bucket(burst, now)
        self._buckets[client.id] = bucket  # the last to ask is the last to be forgotten
        while len(self._buckets) > _MOST_BUCKETS and not self._buckets[oldest := next(iter(self._buckets))].at_once:
            del self._buckets[oldest]
        bucket.tokens = min(burst, bucket.tokens + (now - bucket.seen) * limits.rate)
        bucket.seen = now
        if bucket.at_once >= limits.concurrency:
            said = f"{limits.concurrency} à la fois", f"{limits.concurrency} at once"
            raise TooMany(limit_fr=said[0], limit_en=said[1], retry_after=1)
        if bucket.tokens < 1:
            wait = math.ceil((1 - bucket.tokens) / limits.rate)
            raise TooMany(limit_fr=f"{limits.rate:g} par seconde", limit_en=f"{limits.rate:g} a second", retry_after=wait)
        bucket.tokens -= 1
        bucket.at_once += 1
        try:
            yield
        finally:
            bucket.at_once -= 1

    def share(self, client: Client, body: int | None = None) -> "Share":
        """What an application may hold of the bytes in hand: a quarter, or one body where that is more.

        body: the longest that is held in memory, in bytes; all that the application may send when None.
        """
        return Share(self, client.id, max(self._most // 4, client.limits.max_bytes if body is None else body))

    def take(self, client: str, size: int, most: int) -> None:
        """Hold so many more bytes for an application, of `most` that it may. Errors: TooMany, Full."""
        if self._shares[client] + size > most:
            mebi = most // 2**20
            raise TooMany(limit_fr=f"{mebi} Mio en main", limit_en=f"{mebi} MiB in hand", retry_after=1)
        if self.held + size > self._most:
            raise Full(retry_after=1)
        self._shares[client] += size
        self.held += size

    def give(self, client: str, size: int) -> None:
        """Hold so many fewer."""
        self.held -= size
        self._shares[client] -= size
        if not self._shares[client]:
            del self._shares[client]


@dataclass(frozen=True, slots=True)
class Share:
    """The bytes that one application holds. most: at most."""

    limits: Limits
    client: str
    most: int

    def take(self, size: int) -> None:
        """Hold so many more bytes. Errors: TooMany, Full."""
        self.limits.take(self.client, size, self.most)

    def give(self, size: int) -> None:
        """Hold so many fewer."""
        self.limits.give(self.client, size)


def origin_of(host: str) -> str:
    """Whom an address stands for: itself, or its IPv6 network of 64 bits; empty when it is none."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        address = address.ipv4_mapped or address
    return str(address) if address.version == 4 else str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))
