"""Ask a time-stamping authority for a token over the latest checkpoint (RFC 3161), once a day and when someone wants it.

1. The answer is verified whole, its nonce and time included, before a byte of it is kept: the time must lie between the
   question and the answer, give or take `SLACK`.
2. What goes wrong is told and tried again later; the log goes on without the authority.
3. One question at a time is asked by a thread of its own while a service runs; whether it is time to ask is read in the log.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from saas_connectors.request import Request, Response
from sovereign.audit import stamps
from sovereign.audit.errors import NotStamped
from sovereign.audit.log import AuditLog
from sovereign.audit.repeating import Repeating
from sovereign.audit.stamps import ACT, Stamped
from sovereign.clock import Clock
from sovereign.state.schema import instant_text
from vault.errors import BadTimestamp, Fault
from vault.timestamps import LIMIT, NONCE, QUERY, Authority, query

SLACK: Final = timedelta(minutes=5)
"""How far from our clock an authority's may be: what the threat model assumes of ours."""
LOOK: Final = 30.0
"""Seconds between two looks at whether it is time to ask."""
AGAIN: Final = 300.0
"""Seconds before an authority that failed is asked again; each failure doubles it, up to `LATEST`."""
LATEST: Final = 3600.0


class Way(Protocol):
    """What carries a question to the authority; closed once the answer is there."""

    def send(self, request: Request) -> Response:
        """Send it; errors: EgressError."""
        ...

    def close(self) -> None:
        """Close the sockets."""
        ...


@dataclass(frozen=True, slots=True)
class Stamper:
    """Stamps a log. way: opens the way to `url`; entropy: gives random bytes."""

    log: AuditLog
    authority: Authority
    url: str
    every: timedelta
    way: Callable[[], Way]
    clock: Clock
    entropy: Callable[[int], bytes]

    def stamp(self) -> Stamped:
        """Have the latest checkpoint stamped, keep the token and enter it. Errors: NotStamped, BadTimestamp, EgressError."""
        checkpoint = self.log.publication.publish()
        message, nonce = checkpoint.note.encode(), self.entropy(NONCE)
        asked = self.clock()
        answer = self._ask(query(message, nonce, self.authority.policy))
        stamp = self.authority.verify(answer, message, nonce)
        if not asked - SLACK <= stamp.at <= self.clock() + SLACK:
            raise BadTimestamp(reason="time", why_fr="son heure n'est pas la nôtre", why_en="its time is not ours")
        try:
            stamps.keep(self.log.publication.folder, checkpoint, answer)
        except OSError as error:
            raise NotStamped(reason=error.strerror or type(error).__name__) from None
        facts = {
            "at": instant_text(stamp.at),
            "token": stamps.digest(answer),
            "policy": stamp.policy,
            "serial": f"{stamp.serial:x}",
        }
        self.log.append(ACT, {"size": checkpoint.size}, facts)
        return Stamped(checkpoint.size, stamp)

    def last(self) -> datetime | None:
        """When the log was stamped last, None before the first time, as its entries tell. Errors: Damaged."""
        for entry in self.log.entries(act=ACT, limit=1):
            return datetime.fromisoformat(str(entry.facts["at"]))
        return None

    def due(self) -> bool:
        """Whether it is time to ask."""
        last = self.last()
        return last is None or abs(self.clock() - last) >= self.every

    def _ask(self, asked: bytes) -> bytes:
        way = self.way()
        try:
            headers = (("content-type", QUERY), ("accept", "application/timestamp-reply"))
            response = way.send(Request("POST", self.url, headers=headers, body=asked, max_bytes=LIMIT, reads=True))
        finally:
            way.close()
        if response.status != 200:
            raise NotStamped(reason=f"HTTP {response.status}")
        return response.body


class Stamping(Repeating):
    """Asks when it is time, in a thread of its own, until it is left; a context manager.

    trouble: told of a fault, once until the next success.
    """

    def __init__(self, stamper: Stamper, trouble: Callable[[Fault], None], look: float = LOOK, again: float = AGAIN) -> None:
        def ask() -> None:
            if stamper.due():
                stamper.stamp()

        super().__init__("audit-stamping", ask, trouble, every=look, again=again, latest=LATEST)
