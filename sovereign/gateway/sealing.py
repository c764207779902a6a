"""What an application writes, and what the vendor answered, at rest: sealed, each row alone erasable, its key destroyable.

    data key   one a connection and period, changed every `USES` seals; wrapped under the scope (connection, "intent", period)
    row        vault envelope of JSON {…} under the data key, context "sovereign-intent/1:<intent>" (or -outcome/1)
    lane       hex of the first 16 bytes of HMAC-SHA256(site key for "gateway/lane", connection 0x00 entity)

1. Nothing an application gave is readable in `state.db`: neither the body, nor the path, nor the entity, nor who it is about.
2. The wrapped data key stands in the row, so that the row, `keys/` and the master open it, and nothing else is needed.
3. Each envelope has a stream key of its own (fresh salt), so a data key may seal many.
"""

import hashlib
import hmac
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

import msgspec
import orjson
from sqlalchemy import select, update

from saas_connectors.request import Pairs
from sovereign.gateway.digests import Digests
from sovereign.gateway.errors import PayloadGone
from sovereign.gateway.intent import Spooled, WriteIntent
from sovereign.state import State
from sovereign.state.outbound import intents
from vault import envelope
from vault.errors import NoKey, Shredded
from vault.keys import Keys, Scope, Wrapped

KEY_CLASS: Final = "intent"
USES: Final = 4096
"""Seals under one data key."""
MAX_ANSWER: Final = 1 << 20
"""The longest body of an answer that is kept, in bytes; a longer one is given to who waits for it, and not kept."""

_INTENT, _OUTCOME = b"sovereign-intent/1:", b"sovereign-outcome/1:"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A payload at rest: the wrapped data key as JSON text, the envelope, and the keyed digest of the intent."""

    wrapped: str
    sealed: bytes = field(repr=False)
    digest: bytes = field(repr=False)


class Content(msgspec.Struct, frozen=True):
    """What is sealed of an intent."""

    body: bytes
    content_type: str
    entity: str
    path: str
    headers: tuple[tuple[str, str], ...]
    person: str | None
    callback: str | None
    key: str | None
    upload: Spooled | None = None


class Answer(msgspec.Struct, frozen=True):
    """What a vendor answered to a write. body: None when it was too long to keep."""

    status: int
    vendor_id: str | None = None
    headers: Pairs = ()
    body: bytes | None = None


_PACK, _CONTENT, _ANSWER = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Content), msgspec.msgpack.Decoder(Answer)


class Sealing:
    """Seals and opens what the gateway keeps. Thread safe."""

    def __init__(self, keys: Keys, period: Literal["year", "month"], *, entropy: Callable[[int], bytes] = os.urandom) -> None:
        self._keys, self._period, self._entropy = keys, period, entropy
        self._lane = keys.derive("gateway/lane")
        self.digests = Digests(keys)
        self._lock = threading.Lock()
        self._current: dict[Scope, tuple[bytes, str, int]] = {}
        self._revision = -1

    def lane(self, connection: str, entity: str) -> str:
        """Stand for an entity: the same one at the same connection gives the same 32 hex digits, at this site alone."""
        return hmac.digest(self._lane, connection.encode() + b"\0" + entity.encode(), hashlib.sha256)[:16].hex()

    def key_digest(self, client: str, key: str) -> bytes:
        """Stand for a client's idempotency key, 32 bytes."""
        return hmac.digest(self._lane, b"key\0" + client.encode() + b"\0" + key.encode(), hashlib.sha256)

    def seal(self, intent: WriteIntent) -> Sealed:
        """Seal what an application gave."""
        key, wrapped = self._key(intent.connection, intent.received_at)
        content = Content(
            intent.body, intent.content_type, intent.entity, intent.path, intent.headers, intent.person, intent.callback,
            intent.idempotency_key, intent.upload,
        )  # fmt: skip
        sealed = envelope.seal(key, _INTENT + intent.id.encode(), _PACK.encode(content), entropy=self._entropy)
        return Sealed(wrapped, sealed, self.digests.intent(intent.id, intent.digest))

    def open(self, intent: str, connection: str, wrapped: str, sealed: bytes | None) -> Content:
        """Open it; errors: PayloadGone when it was erased or its key destroyed, WrongKey, Corrupt."""
        if sealed is None:
            raise PayloadGone(intent=intent)
        key = self._unwrap(intent, connection, wrapped)
        return _CONTENT.decode(envelope.open(key, _INTENT + intent.encode(), sealed, what=intent))

    def seal_answer(self, intent: str, connection: str, wrapped: str, answer: Answer) -> bytes:
        """Seal what the vendor answered, under the same data key."""
        if answer.body is not None and len(answer.body) > MAX_ANSWER:
            answer = msgspec.structs.replace(answer, body=None)
        key = self._unwrap(intent, connection, wrapped)
        return envelope.seal(key, _OUTCOME + intent.encode(), _PACK.encode(answer), entropy=self._entropy)

    def open_answer(self, intent: str, connection: str, wrapped: str, sealed: bytes | None) -> Answer | None:
        """Open it; None when nothing was kept, or it can no longer be opened."""
        if sealed is None:
            return None
        try:
            key = self._unwrap(intent, connection, wrapped)
        except PayloadGone:
            return None
        return _ANSWER.decode(envelope.open(key, _OUTCOME + intent.encode(), sealed, what=intent))

    def keks_in_use(self, state: State) -> set[str]:
        """The ids of the key-encryption keys under which a payload still lies."""
        query = select(intents.c.wrapped).where(intents.c.sealed.is_not(None)).distinct()
        with state.read() as reader:
            return {row["kek"] for row in reader.execute(query).scalars()}

    def rewrap(self, state: State) -> int:
        """Put every data key under the newest generation of its scope; gives how many moved."""
        with state.read() as reader:
            query = select(intents.c.connection, intents.c.wrapped).where(intents.c.sealed.is_not(None)).distinct()
            held = [(row.connection, Wrapped(**row.wrapped)) for row in reader.execute(query)]
        moved = 0
        for connection, wrapped in held:
            if self._keys.is_current(wrapped):
                continue
            renewed = msgspec.to_builtins(self._keys.rewrap(wrapped, connection.encode()))
            with state.begin() as transaction:
                transaction.execute(
                    update(intents)
                    .where(intents.c.connection == connection, intents.c.wrapped == msgspec.to_builtins(wrapped))
                    .values(wrapped=renewed)
                )
            moved += 1
        with self._lock:
            self._current.clear()
        return moved

    def _key(self, connection: str, at: datetime) -> tuple[bytes, str]:
        scope = Scope(connection, KEY_CLASS, f"{at:%Y}" if self._period == "year" else f"{at:%Y-%m}")
        with self._lock:
            self._refresh()
            key, wrapped, uses = self._current.get(scope, (b"", "", USES))
            if uses >= USES:
                key, fresh = self._keys.new_data_key(scope, connection.encode())
                self._revision = self._keys.revision
                wrapped, uses = orjson.dumps(msgspec.to_builtins(fresh), option=orjson.OPT_SORT_KEYS).decode(), 0
            self._current[scope] = key, wrapped, uses + 1
        return key, wrapped

    def _unwrap(self, intent: str, connection: str, wrapped: str) -> bytes:
        with self._lock:
            self._refresh()
            for key, text, _ in self._current.values():
                if text == wrapped:
                    return key
        try:
            return self._keys.unwrap(Wrapped(**orjson.loads(wrapped)), connection.encode())
        except (Shredded, NoKey):
            raise PayloadGone(intent=intent) from None

    def _refresh(self) -> None:
        """Forget the data keys at hand when the keyring was written: one of theirs may be retired, or destroyed."""
        revision = self._keys.revision
        if revision != self._revision:
            self._current.clear()
            self._revision = revision
