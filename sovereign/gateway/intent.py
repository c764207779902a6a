"""A write intent: what someone wants written at a vendor, before anyone decided anything.

1. It never holds a vendor's credential, nor a client's.
2. Its digest covers all that would change the vendor: two intents of one digest ask for the same. Approvers sign the digest,
   and an idempotency key given twice is held to it. It says nothing of when it was asked, nor under which key.
3. Bodies are sealed wherever they are kept (`sealing`); an intent is in clear in memory only.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, Literal

import msgspec

from saas_connectors.connector import Json
from saas_connectors.payloads import decode
from saas_connectors.request import Pairs
from sovereign.audit import canonical

Door = Literal["operation", "http", "flow"]
BY_HTTP: Final = "http"
"""The operation of an intent that came by the pass-through."""
FIRST, USUAL, LAST = 0, 5, 9
"""Priorities: departures go first."""

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class Spooled(msgspec.Struct, frozen=True):
    """A body that is too long for a row: where it lies sealed (`spool`), under its own key. size: bytes. sha256: of them."""

    key: bytes
    size: int
    sha256: bytes

    def __repr__(self) -> str:
        return f"Spooled({self.size})"


@dataclass(frozen=True)
class WriteIntent:
    """What is to be written, by whom, where.

    person: on whose behalf the client asks, as the client says. door, operation: how it came; the pass-through's operation is
    `http`, with `method`, `path` (and query, as sent to the vendor) and the end-to-end `headers`; for an operation these are
    empty and `body` is its JSON payload. upload: the body, when it lies in a file; `body` is then empty. entity: what it is
    written to, in the vendor's own words: intents of one entity keep their order. callback: where the application asked to be
    told, one of the addresses that an operator gave. Instants are UTC.
    """

    id: str
    client: str
    connection: str
    door: Door
    operation: str
    body: bytes = field(repr=False)
    content_type: str
    entity: str = field(repr=False)
    received_at: datetime
    person: str | None = field(default=None, repr=False)
    method: str = ""
    path: str = field(default="", repr=False)
    headers: Pairs = field(default=(), repr=False)
    priority: int = USUAL
    expires_at: datetime | None = None
    idempotency_key: str | None = field(default=None, repr=False)
    callback: str | None = field(default=None, repr=False)
    upload: Spooled | None = None

    @property
    def size(self) -> int:
        """The length of its body, in bytes."""
        return len(self.body) if self.upload is None else self.upload.size

    @cached_property
    def payload(self) -> Json:
        """The body of an operation as JSON, its numbers exactly as they were sent; decoded once. Errors: BadPayload."""
        return decode(self.body)

    def read(self, payload: Json) -> "WriteIntent":
        """Keep its body as JSON, as whoever made it has just decoded it."""
        self.__dict__["payload"] = payload
        return self

    @cached_property
    def digest(self) -> bytes:
        """What it asks for, as 32 bytes: SHA-256 of canonical JSON (RFC 8785), the body by its own SHA-256."""
        return hashlib.sha256(
            b"sovereign-intent/1\n"
            + canonical.dumps(
                {
                    "body": (hashlib.sha256(self.body).digest() if self.upload is None else self.upload.sha256).hex(),
                    "client": self.client,
                    "connection": self.connection,
                    "content_type": self.content_type,
                    "door": self.door,
                    "entity": self.entity,
                    "expires_at": None if self.expires_at is None else self.expires_at.astimezone(UTC).isoformat(),
                    "headers": [list(pair) for pair in self.headers],
                    "method": self.method,
                    "operation": self.operation,
                    "path": self.path,
                    "person": self.person,
                    "priority": self.priority,
                }
            )
        ).digest()


def new_id(at: datetime, entropy: Callable[[int], bytes]) -> str:
    """Make the id of an intent: `w-` and 26 digits of base 32 that sort by time (48 bits of milliseconds, 80 of chance)."""
    number = (int(at.timestamp() * 1000) << 80) | int.from_bytes(entropy(10))
    return "w-" + "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -5, -5))
