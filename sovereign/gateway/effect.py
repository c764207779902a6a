"""What a write changes of the records that the local copy holds, as far as a clearance may see it. Plain values.

1. Each field comes with its class. A field above the clearance is named, and said to change or not; its values are not given.
2. What no copy tells is said (`absent`), never shown as if nothing changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Protocol

from saas_connectors.connector import Json
from sovereign.gateway.intent import WriteIntent
from sovereign.language import Language

Kind = Literal["create", "update", "delete", "unchanged"]
KINDS: Final[tuple[Kind, ...]] = ("create", "update", "delete", "unchanged")


@dataclass(frozen=True, slots=True)
class FieldEffect:
    """One field: its class, its value before and after. seen: whether the clearance covers them; else both are None."""

    name: str
    class_: str
    before: Json = field(repr=False)
    after: Json = field(repr=False)
    changes: bool
    seen: bool = True


@dataclass(frozen=True, slots=True)
class RecordEffect:
    """One record. names: the fields that say which, None for a value above the clearance."""

    kind: Kind
    stream: str
    names: tuple[tuple[str, str | None], ...] = field(repr=False)
    fields: tuple[FieldEffect, ...]


@dataclass(frozen=True, slots=True)
class Effect:
    """What a write changes. clearance: None sees no value. at: when the oldest copy compared with was taken, and its age.

    classes: of the data that the write carries. absent: why nothing is compared (French, English), None when it is.
    """

    clearance: str | None
    records: tuple[RecordEffect, ...] = ()
    classes: frozenset[str] = frozenset()
    absent: tuple[str, str] | None = None
    at: datetime | None = None
    age: int | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """How many records are created, updated, deleted, left as they are."""
        return {kind: sum(each.kind == kind for each in self.records) for kind in KINDS}

    def covers(self, classes: frozenset[str]) -> bool:
        """Whether the clearance covers data of these classes."""
        order = ("internal", "personal", "sensitive")
        return self.clearance is not None and all(order.index(each) <= order.index(self.clearance) for each in classes)

    @property
    def hides_names(self) -> bool:
        """Whether what says which record is written to lies above the clearance."""
        return any(value is None for each in self.records for _, value in each.names)

    def record(self, language: Language) -> dict[str, Any]:
        """As JSON, its words in a language."""
        return {
            "compared": self.absent is None, "absent": None if self.absent is None else self.absent[language == "en"],
            "clearance": self.clearance, "copy_at": None if self.at is None else self.at.isoformat(), "copy_age": self.age,
            "counts": dict(self.counts) if self.absent is None else None,
            "records": [
                {
                    "kind": each.kind, "stream": each.stream, "key": dict(each.names),
                    "fields": [
                        {"field": f.name, "class": f.class_, "changes": f.changes, "seen": f.seen}
                        | ({"before": f.before, "after": f.after} if f.seen else {})
                        for f in each.fields
                    ],
                }
                for each in self.records
            ],
        }  # fmt: skip


def no_comparison(_intent: WriteIntent, clearance: str | None, /) -> Effect:
    """Compare with nothing, and say so."""
    return Effect(clearance, (), frozenset({"personal"}), ("Aucune copie locale.", "No local copy."))


class Compare(Protocol):
    """Compares a write with the local copy; `sovereign.comparing` answers."""

    def __call__(self, intent: WriteIntent, clearance: str | None, /) -> Effect:
        """What it changes, as far as a clearance sees; never raises for want of a copy."""
        ...
