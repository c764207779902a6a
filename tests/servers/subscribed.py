"""A small house that tells subscribers: state, keys, audit log, outbox and sender, over real receivers."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import select

from sovereign.audit import AuditLog
from sovereign.events.gathering import Changed, Gathering, no_rows
from sovereign.events.outbox import Outbox
from sovereign.events.subscribing import CURSOR, Subscribers, Told
from sovereign.gateway.callbacks import Announcer, Schedule
from sovereign.settings import Network, Subscriber
from sovereign.state import State
from sovereign.state.schema import counters
from sovereign.state.telling import subscriber_messages
from tests.servers.gate import _keys
from vault.keys import Keys
from vault.secrets import Secrets

QUICK = Schedule(waits=(0.05, 0.1, 0.2, 0.2, 0.2), rest=0.1)
HERE = Network(loopback=True, plaintext=True)


def subscriber(url: str, *types: str, **more: Any) -> Subscriber:  # noqa: ANN401 - fields of the table
    """One that is told over plain HTTP on this machine."""
    made = Subscriber(url=url, types=types or ("*",), network=HERE)
    return msgspec.structs.replace(made, **more)


@dataclass
class House:
    root: Path
    state: State
    keys: Keys
    ahead: timedelta = timedelta()
    subscribers: Subscribers | None = None
    outbox: Outbox | None = None

    def __post_init__(self) -> None:
        self.audit = AuditLog(self.state, self.keys, self.clock, folder=self.root / "audit")

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def declare(self, changed: Changed = no_rows, **declared: Subscriber) -> Mapping[str, str]:
        """What the settings declare from now on; gives the secrets that were made."""
        secrets = Secrets(self.keys, self.root / "keys" / "secrets")
        known = Subscribers(declared, self.state, self.audit, secrets, self.clock, self.root)
        known.settle()
        gathering = Gathering(self.state, self.audit, self.keys, self.clock, changed)
        self.subscribers = known
        self.outbox = Outbox(self.state, self.audit, self.keys, self.clock, gathering, known.all, known.ready)
        return {name: known.secret(name)[0] for name in declared if name not in known.ready()}

    def commit(self, sequence: int, stream: str = "agents") -> int:
        """Enter a copy in the log."""
        facts = {"manifest": "ab", "sequence": sequence, "verdict": "complete", "mode": "full_refresh", "rows": 1}
        return self.audit.append("sync.committed", {"connection": "rh", "stream": stream, "run": "r"}, facts)

    def rows(self, name: str | None = None) -> list[Any]:
        query = select(subscriber_messages).order_by(subscriber_messages.c.subscriber, subscriber_messages.c.sequence)
        with self.state.read() as reader:
            return [row for row in reader.execute(query) if name in (None, row.subscriber)]

    def settled(self) -> bool:
        """Whether every entry of the log was looked at."""
        with self.state.read() as reader:
            counted = {row.name: row.value for row in reader.execute(select(counters))}
        return bool(counted[CURSOR] >= counted["audit"] - 1)

    def outcomes(self, name: str) -> list[str]:
        return [row.outcome for row in self.rows(name)]

    def acts(self, act: str) -> list[Any]:
        return list(self.audit.entries(act=act))

    @asynccontextmanager
    async def announcing(self, schedule: Schedule = QUICK) -> AsyncIterator["Drill"]:
        assert self.subscribers is not None
        assert self.outbox is not None
        announcer: Announcer[Told, Any] = Announcer(self.subscribers, self.outbox, self.clock, lambda: 0.0, schedule)
        try:
            yield Drill(self, announcer)
        finally:
            for task in list(announcer._tasks):
                task.cancel()
            async with announcer.running():
                pass


@dataclass
class Drill:
    house: House
    announcer: "Announcer[Told, Any]"

    async def until(self, true: Callable[[], object], seconds: float = 60) -> None:
        """Tell what is due until it is so."""
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, self.house.rows()
            await self.announcer.look()
            await asyncio.sleep(0.02)


@contextmanager
def house(root: Path) -> Iterator[House]:
    """Open it, made the first time."""
    keys = _keys(root)
    with State(root / "state.db") as state:
        made = House(root, state, keys)
        yield made
