"""What a run says while it works: events, never text.

A run calls `emit` from one thread at a time, about four times a second while it reads. An observer that raises stops the run,
so it must not. Events hold names, counts and instants: no record, no address, no secret.
"""

from datetime import datetime
from typing import Any, Protocol, TypeAlias

import msgspec


class RunStarted(msgspec.Struct, frozen=True, tag="run.started", tag_field="type"):
    """A run begins, or continues after a stop (`resumed`)."""

    run: str
    connection: str
    resumed: bool
    modes: dict[str, str]
    at: datetime


class Phase(msgspec.Struct, frozen=True, tag="phase", tag_field="type"):
    """The run passes to `planning`, `reading`, `measuring`, `publishing` or `serving`."""

    run: str
    phase: str
    stream: str | None = None


class Reading(msgspec.Struct, frozen=True, tag="reading", tag_field="type"):
    """How far the reading is, counted since the run began; `expected` is the vendor's own count, a hint."""

    run: str
    rows: int
    pages: int
    requests: int
    bytes_in: int
    rows_per_second: float
    slices_done: int
    slices: int
    stream: str | None = None
    expected: int | None = None


class Awaited(msgspec.Struct, frozen=True, tag="waiting", tag_field="type"):
    """The vendor asked to be left alone until an instant (UTC)."""

    run: str
    until: datetime
    fr: str
    en: str


class StreamDone(msgspec.Struct, frozen=True, tag="stream.done", tag_field="type"):
    """A stream was committed, found unchanged or put in quarantine."""

    run: str
    stream: str
    state: str
    verdict: str
    counts: dict[str, int]
    sequence: int | None = None


class RunFinished(msgspec.Struct, frozen=True, tag="run.finished", tag_field="type"):
    """The run ended; `state` as in `RunOutcome`."""

    run: str
    connection: str
    state: str
    at: datetime


Event: TypeAlias = RunStarted | Phase | Reading | Awaited | StreamDone | RunFinished


def as_json(event: Event) -> dict[str, Any]:
    """The event as a JSON object with its `type`; instants in RFC 3339."""
    document: dict[str, Any] = msgspec.to_builtins(event)
    return document


class Progress(Protocol):
    """Something that watches a run."""

    def emit(self, event: Event) -> None:
        """Take note of one event, quickly."""
        ...


class Silent:
    """Watches nothing."""

    def emit(self, event: Event) -> None:
        """Forget the event."""


class Recorder:
    """Keeps every event, in order; for tests and for those who want the whole story at the end."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        """Keep the event."""
        self.events.append(event)


SILENT = Silent()
