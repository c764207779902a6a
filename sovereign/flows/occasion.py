"""What makes a flow act, once: a change of a dataset, an event, an instant, a hand. Its name is unique and stable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

from saas_connectors.connector import Json

BY_HAND: Final = "hand"
States = Literal["taken", "held", "failed", "dropped"]


@dataclass(frozen=True, slots=True)
class Occasion:
    """name: unique for the flow. before, after: the snapshots of `dataset` that are compared. event: its data, on an event."""

    name: str
    dataset: str | None = None
    before: int = 0
    after: int = 0
    event: Mapping[str, Json] | None = field(default=None, repr=False)


def of_change(dataset: str, before: int, after: int) -> Occasion:
    """The change of a dataset from one snapshot to another."""
    return Occasion(f"change:{dataset}:{before}-{after}", dataset, before, after)


def of_event(name: str, data: Mapping[str, Json]) -> Occasion:
    """An event, by its name in the diary of events."""
    return Occasion(f"event:{name}", event=data)


def of_instant(due_at: datetime) -> Occasion:
    """An instant of a cadence."""
    return Occasion(f"every:{due_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}")
