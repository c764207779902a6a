"""Idempotency keys: a request made again is the same request, and nothing is written twice (the IETF draft).

1. A key belongs to one application; it is kept as a keyed digest, and so is what was asked under it.
2. Given again with the same request it names what it began; with another it is refused.
3. It is remembered for a day, and until what it began is over: a request made again late is the same request.
4. What decides is the row, in the transaction that keeps the intent: two that come at once never both begin.
"""

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from sovereign.clock import Clock
from sovereign.gateway.deliveries import Deliveries, over_since
from sovereign.gateway.errors import KeyBusy, KeyReused
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.sealing import Sealing
from sovereign.state import State
from sovereign.state.group import GroupCommit
from sovereign.state.schema import instant_text
from sovereign.state.statements import Statement, insert

KEPT: Final = timedelta(days=1)
"""How long a key is remembered at least."""
Key = tuple[str, bytes]
"""The application, and the digest of the key that it gave."""


class IdempotencyKeys:
    """The keys of a site. monotonic: seconds."""

    def __init__(
        self, state: State, deliveries: Deliveries, sealing: Sealing, clock: Clock, monotonic: Callable[[], float]
    ) -> None:
        self._state, self._deliveries, self._sealing = state, deliveries, sealing
        self._clock, self._monotonic = clock, monotonic
        self._began = clock(), monotonic()
        self._row = Statement(
            state, "SELECT digest, intent, expires_at FROM idempotency WHERE client = :client AND digest_of_key = :key"
        )
        self._forget = Statement(state, "DELETE FROM idempotency WHERE client = :client AND digest_of_key = :key")
        self._keep = insert(state, "idempotency", "client", "digest_of_key", "digest", "intent", "added_at", "expires_at")

    def of(self, intent: WriteIntent) -> Key | None:
        """The key under which an intent is asked for; None when there is none."""
        if intent.idempotency_key is None:
            return None
        return intent.client, self._sealing.key_digest(intent.client, intent.idempotency_key)

    def asked(self, intent: WriteIntent) -> bytes:
        """What stands for a request, 32 bytes."""
        return self._sealing.digests.request(intent.client, intent.digest)

    def began(self, group: GroupCommit, intent: WriteIntent, key: Key) -> str | None:
        """The intent that this key began, None when it is free. Errors: KeyReused when something else was asked then."""
        row = group.look(self._row, client=key[0], key=key[1])
        if row is None:
            return None
        digest, known, expires_at = row
        with self._state.read() as reader:
            if self._lapsed(reader, known, expires_at):
                return None
        if not hmac.compare_digest(self.asked(intent), digest):
            raise KeyReused(intent=known)
        return str(known)

    def keep(self, transaction: Connection, key: Key, intent: str, asked: bytes, now: datetime) -> None:
        """Remember what a key begins. Errors: KeyBusy when it began another: whoever asked first went away."""
        taken = self._row(transaction, client=key[0], key=key[1]).fetchone()
        if taken is not None and not self._lapsed(transaction, taken[1], taken[2]):
            raise KeyBusy(intent=taken[1])
        self._forget(transaction, client=key[0], key=key[1])
        self._keep(
            transaction, client=key[0], digest_of_key=key[1], digest=asked, intent=intent, added_at=instant_text(now),
            expires_at=instant_text(now + KEPT),
        )  # fmt: skip

    def _lapsed(self, reader: Connection, intent: str, expires_at: str) -> bool:
        since = over_since(self._deliveries.get(reader, intent))
        return since is not None and datetime.fromisoformat(expires_at) <= self._steady()

    def _steady(self) -> datetime:
        """The present, as far as the clock and the time that went by agree: a clock set forwards makes nothing forgotten."""
        at, then = self._began
        return min(self._clock(), at + timedelta(seconds=self._monotonic() - then))
