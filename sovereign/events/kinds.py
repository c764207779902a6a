"""The types of events that go out: what each tells, as JSON Schema, and from which entries of the audit log it is made.

1. A type tells no personal value, but for `sovereign.row.changed`, which holds a row that its subscriber is cleared for.
2. The schema of a type is what `asyncapi` publishes; a field is added without a new type, never taken away nor changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

_TEXT: Final = {"type": "string"}
_COUNT: Final = {"type": "integer", "minimum": 0}
_DATASET: Final = {"connection": _TEXT, "stream": _TEXT}


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of events. needed, maybe: the fields of its data, each with its schema; acts: the entries it is made of."""

    type: str
    fr: str
    en: str
    needed: Mapping[str, Any]
    maybe: Mapping[str, Any]
    acts: frozenset[str] = frozenset()
    states: frozenset[str] = frozenset()

    @property
    def schema(self) -> dict[str, Any]:
        """The schema of its data (JSON Schema, draft 7 and later)."""
        return {"type": "object", "required": list(self.needed), "properties": {**self.needed, **self.maybe}}


_WRITE: Final = {"intent": _TEXT, "connection": _TEXT, "state": _TEXT, "client": _TEXT}
_WHY: Final = {"why": _TEXT}
_STEP: Final = {"flow": _TEXT, "occasion": _TEXT, "step": _TEXT, "record": _TEXT, "undo": {"type": "boolean"}}
_ASKED: Final = {"intent": _TEXT, "connection": _TEXT, "state": _TEXT, **_WHY}
_DELIVERED, _CONFIRMED = frozenset({"delivered"}), frozenset({"confirmed", "landed"})
_FAILED: Final = frozenset({"denied", "refused", "expired", "cancelled", "rejected", "failed", "did_not_happen"})
_UNKNOWN: Final = frozenset({"unknown", "inconclusive"})
_STATES: Final = _DELIVERED | _CONFIRMED | _FAILED | _UNKNOWN
STEPS: Final = frozenset({"intent.decided", *(f"delivery.{state}" for state in _STATES)})
"""The acts that say where a write stands."""

STOPPED: Final = "flow.stopped"
"""The act that says that a step of a flow never became a write."""


def _write(name: str, fr: str, en: str, states: frozenset[str]) -> Kind:
    return Kind(f"sovereign.write.{name}", fr, en, _WRITE, _WHY, STEPS, states)


def _step(name: str, fr: str, en: str, states: frozenset[str], *acts: str) -> Kind:
    return Kind(f"sovereign.flow.{name}", fr, en, _STEP, _ASKED, STEPS.union(acts), states)


KINDS: Final = (
    Kind(
        "sovereign.snapshot.committed",
        "Une copie est publiée.",
        "A snapshot is committed.",
        {**_DATASET, "snapshot": _COUNT, "manifest": _TEXT, "verdict": _TEXT, "mode": _TEXT, "rows": _COUNT},
        {"run": _TEXT, "inserted": _COUNT, "updated": _COUNT, "deleted": _COUNT, "unchanged": _COUNT},
        frozenset({"sync.committed", "snapshot.recovered", "snapshot.amended"}),
    ),
    Kind(
        "sovereign.snapshot.quarantined",
        "Une copie est mise en quarantaine.",
        "A snapshot is put in quarantine.",
        {**_DATASET, "rule": _TEXT},
        {"run": _TEXT},
        frozenset({"sync.quarantined"}),
    ),
    _write("held", "Une écriture attend une personne.", "A write waits for a person.", frozenset({"held"})),
    _write("delivered", "Une écriture est acceptée par le fournisseur.", "A write is accepted by the vendor.", _DELIVERED),
    _write("confirmed", "Une écriture est confirmée chez le fournisseur.", "A write is confirmed at the vendor.", _CONFIRMED),
    _write("failed", "Une écriture n'a pas eu lieu.", "A write did not happen.", _FAILED),
    _write("unknown", "L'issue d'une écriture est inconnue.", "The outcome of a write is unknown.", _UNKNOWN),
    Kind(
        "sovereign.flow.acted",
        "Un flux a pris une occasion.",
        "A flow took an occasion.",
        {"flow": _TEXT, "occasion": _TEXT, "rows": _COUNT, "writes": _COUNT},
        {},
        frozenset({"flow.acted"}),
    ),
    Kind(
        "sovereign.flow.held",
        "Un flux est retenu : une personne doit regarder.",
        "A flow is held: a person must look.",
        {"flow": _TEXT, "occasion": _TEXT, "rows": _COUNT, "writes": _COUNT, "held": _TEXT},
        {},
        frozenset({"flow.held"}),
    ),
    _step(
        "done",
        "Une étape d'un flux a eu lieu pour un enregistrement.",
        "A step of a flow happened for a record.",
        _DELIVERED | frozenset({"landed"}),
    ),
    _step("failed", "Une étape d'un flux n'a pas eu lieu.", "A step of a flow did not happen.", _FAILED, STOPPED),
    _step("unknown", "L'issue d'une étape d'un flux est inconnue.", "The outcome of a step of a flow is unknown.", _UNKNOWN),
    Kind(
        "sovereign.row.changed",
        "Une ligne d'une copie a changé.",
        "A row of a copy has changed.",
        {
            **_DATASET,
            "snapshot": _COUNT,
            "change": {"enum": ["inserted", "updated", "deleted"]},
            "before": {"type": ["object", "null"]},
            "after": {"type": ["object", "null"]},
        },
        {},
    ),
    Kind(
        "sovereign.subscriber.tested",
        "Un essai, demandé par une personne.",
        "A trial, asked for by a person.",
        {"subscriber": _TEXT},
        {},
    ),
    Kind(
        "sovereign.subscriber.lost",
        "Des événements n'ont pas été gardés : trop attendaient.",
        "Events were not kept: too many were waiting.",
        {"subscriber": _TEXT, "lost": _COUNT},
        {},
    ),
)
BY_TYPE: Final[Mapping[str, Kind]] = {each.type: each for each in KINDS}
ACTS: Final = frozenset(act for kind in KINDS for act in kind.acts)
"""The acts that some type is made of."""
