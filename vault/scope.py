"""What names a key: the scope that it closes, a data key as it is stored under it, and what may be shown of it."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from vault.keyring import Record, State


@dataclass(frozen=True, slots=True)
class Scope:
    """What one key-encryption key closes: destroying it erases exactly this."""

    connection: str
    key_class: str
    period: str

    def __str__(self) -> str:
        return f"{self.connection}/{self.key_class}/{self.period}"


class Wrapped(msgspec.Struct, frozen=True):
    """A data key as it is stored: the id of its KEK, and base64 of nonce(12) and AES-256-GCM(KEK, nonce, key) (48)."""

    kek: str
    key: str


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What may be shown of a key-encryption key."""

    id: str
    scope: Scope
    generation: int
    created: datetime
    state: State
    destroyed: datetime | None
    covered: bool
    """Whether the recovery kit opens it."""


def scope_of(record: Record) -> Scope:
    """Give the scope of a KEK's record."""
    return Scope(record.connection, record.key_class, record.period)


def shown(record: Record) -> KeyRecord:
    """Give what may be shown of a KEK's record."""
    created, destroyed = record.created, record.destroyed
    return KeyRecord(record.id, scope_of(record), record.generation, created, record.state, destroyed, bool(record.sealed))
