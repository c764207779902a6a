"""Whatever comes in whatever order, a refused credential is shown once, then once an hour; a right one opens the connection."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from sovereign.audit import AuditLog
from sovereign.gateway.breaker import Breaker
from sovereign.state import State
from sovereign.state.refusals import LOOK, shut
from tests.servers.gate import _keys

OFTEN = ["send", "read"] * 3
SELDOM = ["asked_to_wait", "sick", "kill", "twenty_minutes", "an_hour", "set_back", "store_wrong", "store_right"]
STEPS = st.lists(st.sampled_from([*OFTEN, *SELDOM]), max_size=40)
NUMBERS = count()


class Play:
    """One connection of a site, its vendor, and the time that goes by."""

    def __init__(self, state: State, audit: AuditLog) -> None:
        self.state, self.audit = state, audit
        self.begin()

    def begin(self) -> None:
        """Begin anew, with another connection and a wrong secret."""
        self.name, self.now = f"c{next(NUMBERS)}", datetime(2026, 11, 27, 19, tzinfo=UTC)
        self.breaker, self.secret, self.good = Breaker(self.state, self.audit), 0, False
        self.passed, self.shown = timedelta(), list[timedelta]()

    def send(self, t: Connection) -> None:
        self._ask(t, self.breaker.get(t, self.name).passes(self.now))

    def read(self, t: Connection) -> None:
        self._ask(t, self.breaker.get(t, self.name).reads(self.now))

    def _ask(self, t: Connection, passes: str) -> None:
        if passes == "none":
            return
        if passes == "one":
            self.breaker.trial(t, self.breaker.get(t, self.name), self.now)
        if self.good:
            self.breaker.note(t, self.name, self.now, sick=False, why="ok")
            assert self.breaker.get(t, self.name).state == "closed"
        else:
            self.shown.append(self.passed)
            self.breaker.refuse(t, self.name, self.now, str(self.secret), "status.401")
            assert self.breaker.get(t, self.name).passes(self.now) == "none"

    def asked_to_wait(self, t: Connection) -> None:
        self.breaker.note(t, self.name, self.now, sick=None, why="status.429")

    def sick(self, t: Connection) -> None:
        if self.breaker.get(t, self.name).passes(self.now) == "all":
            self.breaker.note(t, self.name, self.now, sick=True, why="egress.broken")

    def kill(self, t: Connection) -> None:
        self.breaker = Breaker(self.state, self.audit)
        self.breaker.recover(t, self.now)
        self.breaker.recall(t, self.now, lambda each: str(self.secret) if each == self.name else "?")

    def twenty_minutes(self, _: Connection) -> None:
        self._later(timedelta(minutes=20))

    def an_hour(self, _: Connection) -> None:
        self._later(LOOK)

    def set_back(self, t: Connection) -> None:
        self.now -= timedelta(days=2)
        self.breaker.set_back(t, self.now)

    def _later(self, by: timedelta) -> None:
        self.now, self.passed = self.now + by, self.passed + by

    def store_wrong(self, t: Connection) -> None:
        self._store(t, good=False)

    def store_right(self, t: Connection) -> None:
        self._store(t, good=True)

    def _store(self, t: Connection, *, good: bool) -> None:
        self.secret, self.good = self.secret + 1, good
        self.shown.clear()
        self.breaker.reopen(t, self.name, self.now, "credential.changed")
        assert self.breaker.get(t, self.name).state != "refused"


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Play]:
    folder: Path = tmp_path_factory.mktemp("refused")
    keys = _keys(folder)
    with State(folder / "state.db") as state:
        yield Play(state, AuditLog(state, keys, lambda: datetime.now(UTC), folder=folder / "audit"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_a_refused_credential_is_shown_at_most_once_an_hour(play: Play, steps: list[str]) -> None:
    play.begin()
    for step in steps:
        with play.state.begin() as transaction:
            getattr(play, step)(transaction)
            assert (play.name in shut(transaction)) == (play.breaker.get(transaction, play.name).state == "refused")
        assert all(later - sooner >= LOOK for sooner, later in pairwise(play.shown))
