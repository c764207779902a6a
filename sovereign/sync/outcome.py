"""What became of a run, in values that a person, a table and a JSON line can all show.

The states of a run, and how it leaves each:

    running      it works now.
    succeeded    every stream was committed or found unchanged, with nothing against it.
    partial      every stream was committed, and the verdict of one says that records are missing; or some were committed and a
                 fault came before the others. The next run reads again, or goes on.
    quarantined  a stream was kept aside; the others were committed. A person looks; the next run tries again.
    waiting      the vendor asked for a pause. The draft is kept; the run goes on when the pause is over.
    cancelled    it was asked to stop. The draft is kept; the next run of the connection continues it.
    failed       a fault. The draft is kept when continuing it can help; the last good copy is untouched.
    interrupted  its process died. The draft is kept; the next run of the connection continues it.
"""

from datetime import datetime
from typing import Literal

import msgspec

from saas_connectors.connector import Evidence, Json
from vault.errors import Fault

RunState = Literal["running", "succeeded", "partial", "quarantined", "waiting", "cancelled", "failed", "interrupted"]
StreamState = Literal["committed", "unchanged", "quarantined"]


class Said(msgspec.Struct, frozen=True):
    """A sentence in both languages."""

    fr: str
    en: str


class Shown(msgspec.Struct, frozen=True):
    """A fault as it may be shown and kept: its code, its kind, what happened and what to do next, in both languages."""

    code: str
    kind: str
    fr: str
    en: str
    todo_fr: str = ""
    todo_en: str = ""

    @classmethod
    def of(cls, fault: Fault) -> "Shown":
        """Give a fault's diagnostics."""
        fr, en = fault.diagnostics("fr"), fault.diagnostics("en")
        return cls(fault.code, fault.kind, fr.what, en.what, fr.todo, en.todo)


class Noted(msgspec.Struct, frozen=True):
    """A piece of evidence, as JSON."""

    stream: str
    check: str
    holds: bool | None
    detail: dict[str, Json] = {}

    @classmethod
    def of(cls, evidence: Evidence) -> "Noted":
        """Write evidence down."""
        return cls(evidence.stream, evidence.check, evidence.holds, dict(evidence.detail))

    def evidence(self) -> Evidence:
        """Read it back."""
        return Evidence(self.stream, self.check, self.holds, self.detail)


class StreamOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one stream. `counts`: rows, inserted, updated, deleted, unchanged, in records of the snapshot.

    `drift`: what is new in the vendor's schema, each `action`, `class`, `fields`, `values`, and `field` when it is internal.
    """

    stream: str
    state: StreamState
    mode: str
    verdict: str
    counts: dict[str, int]
    manifest: str | None = None
    sequence: int | None = None
    evidence: tuple[Noted, ...] = ()
    drift: tuple[dict[str, Json], ...] = ()
    reason: Said | None = None


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a run. Records, pages, requests and bytes count all its attempts; instants are UTC."""

    run: str
    connection: str
    state: RunState
    trigger: str
    started_at: datetime
    finished_at: datetime | None = None
    waiting_until: datetime | None = None
    streams: tuple[StreamOutcome, ...] = ()
    fault: Shown | None = None
    rows: int = 0
    pages: int = 0
    requests: int = 0
    bytes_in: int = 0
    attempts: int = 1
    remarks: tuple[Said, ...] = ()

    @property
    def resumed(self) -> bool:
        """Whether it took more than one attempt."""
        return self.attempts > 1
