"""Digests at rest, keyed: what a short payload says cannot be guessed from `state.db`, nor a row be made to agree with another.

    of an intent    HMAC-SHA256(site key for "gateway/digest", "intent" 0x00 id 0x00 digest)
    of a request    HMAC-SHA256(the same key, "request" 0x00 client 0x00 digest)

1. The digest itself stands sealed alone: in the audit log's body of `intent.received`, and in the notes of approvers.
2. Whoever writes rows without the site's keys makes none that agrees.
3. A database of before is settled once, in one transaction, by the first that opens it with the site's keys.
"""

import hashlib
import hmac
from contextlib import suppress
from typing import Final

from sqlalchemy import Table, Update, bindparam, delete, select, update

from sovereign.state import State, StateBusy
from sovereign.state.outbound import approval_requests, idempotency, intents
from sovereign.state.schema import counters
from vault.keys import Keys

_LEFT: Final = counters.c.name == "digests"
"""The row by which the fourth migration says that digests of before are left."""


class Digests:
    """Stands for digests, at one site."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.derive("gateway/digest")

    def intent(self, intent: str, digest: bytes) -> bytes:
        """Stand for the digest of an intent, 32 bytes."""
        return hmac.digest(self._key, b"intent\0" + intent.encode() + b"\0" + digest, hashlib.sha256)

    def request(self, client: str, digest: bytes) -> bytes:
        """Stand for what a client asked under an idempotency key, 32 bytes."""
        return hmac.digest(self._key, b"request\0" + client.encode() + b"\0" + digest, hashlib.sha256)

    def settle(self, state: State) -> bool:
        """Replace the digests that an earlier version kept as they were; gives whether there was anything to do."""
        with state.read() as reader:
            if reader.execute(_pending).first() is None:
                return False
        with state.begin() as transaction:
            if transaction.execute(_pending).first() is None:
                return False
            for table, name in ((intents, "id"), (approval_requests, "intent")):
                rows = transaction.execute(select(table.c[name], table.c.digest)).all()
                if rows:
                    made = [{"row": row[0], "made": self.intent(row[0], row.digest)} for row in rows]
                    transaction.execute(_renewed(table, name), made)
            keyed = transaction.execute(select(idempotency.c.client, idempotency.c.digest_of_key, idempotency.c.digest)).all()
            if keyed:
                named = idempotency.c.client == bindparam("whose")
                transaction.execute(
                    _renewed(idempotency, "digest_of_key").where(named),
                    [{"row": r.digest_of_key, "whose": r.client, "made": self.request(r.client, r.digest)} for r in keyed],
                )
            transaction.execute(delete(counters).where(_LEFT))
        with suppress(StateBusy):  # a long reader: the log of pages is emptied after it, as always
            state.scrub()
        return True


_pending = select(counters.c.value).where(_LEFT)


def _renewed(table: Table, name: str) -> Update:
    return update(table).where(table.c[name] == bindparam("row")).values(digest=bindparam("made"))
