"""What every phase of the pull of the requests shares: where it stands, how it asks, how it gives.

A page's position is the whole state after it. A server found to give what was not asked for is read again, without windows.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import pyarrow as pa

from saas_connectors.connector import Evidence, Fetch, Json, Page
from saas_connectors.records import pieces
from saas_connectors.request import Response
from saas_connectors.urban.open311.answers import Speech
from saas_connectors.urban.open311.records import REQUESTS, Registry, Reported
from saas_connectors.urban.open311.settings import Said
from saas_connectors.urban.open311.state import State, plain
from saas_connectors.urban.open311.windows import DAY, Windows

NAME: Final = "requests"

Pulling: TypeAlias = Generator[Fetch | Page | Evidence, tuple[Response, ...] | None, None]
Finding: TypeAlias = Generator[Fetch | Page | Evidence, tuple[Response, ...] | None, bool]


@dataclass(slots=True)
class Reading:
    """One read. `past`: the cursor of the last copy; `again`: everything is asked for; `started`: seconds since 1970."""

    speech: Speech
    said: Said
    started: int
    past: Mapping[str, Json] | None
    again: bool
    state: State = field(default_factory=State)
    registry: Registry = field(init=False)
    windows: Windows = field(init=False)

    def __post_init__(self) -> None:
        self.registry = Registry(self.said.zone, self.started - self.said.settings.lookback)
        self._restart()

    @property
    def until(self) -> int:
        """Where windows end: a day ahead, for clocks that differ."""
        return self.started + DAY

    @property
    def widest(self) -> int:
        """The widest window, in seconds, so that what is asked for never spans more than the setting."""
        return max(DAY, self.said.settings.window * DAY - 2 * self.state.margin)

    def _adopt(self, state: State) -> None:
        self.state = state
        self.speech.form = state.form
        self.registry.invalid, self.registry.suspect = state.invalid, dict(state.suspect)
        self.windows = Windows(self.speech, self.registry, state)

    def _restart(self) -> None:
        state = State(form=self.speech.form, cap=self.said.settings.cap, at=self.said.since)
        self._adopt(state)
        state.width = self.widest

    def _distrust(self) -> None:
        """Give up windows: something came back that was not asked for."""
        invalid, suspect = self.registry.invalid, self.registry.suspect
        self._restart()
        self.registry.invalid, self.registry.suspect = invalid, suspect
        self.state.sense, self.state.phase = "ignored", "whole"

    def _give(self, rows: Sequence[Reported]) -> Iterator[Page]:
        state = self.state
        state.form, state.invalid, state.suspect = self.speech.form, self.registry.invalid, dict(self.registry.suspect)
        if not rows:
            return
        tables = list(pieces(pa.Table.from_pylist([row.row for row in rows], schema=REQUESTS)))
        yield from (Page(NAME, table) for table in tables[:-1])
        yield Page(NAME, tables[-1], plain(state))

    def _cut(self, rows: Sequence[Reported], seconds: int) -> Evidence:
        """Say that a window is full and cannot be halved."""
        return Evidence(NAME, "page_cap", False, {"asked": self.state.cap, "given": len(rows), "seconds": seconds})
