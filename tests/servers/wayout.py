"""Opens the product's own way out towards a local peer."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from saas_connectors.auth import Auth
from saas_connectors.request import Request, Response
from sovereign.clock import Clock, now
from sovereign.egress import Budgets, EgressPolicy, Transport, open_transport
from sovereign.egress.channel import Channel, open_channel

LOCAL = {"loopback": True, "plaintext": True, "connect_timeout": 5.0, "timeout": 5.0, "total_timeout": 20.0, "patience": 2.0}


class Time:
    """A clock that moves only when someone sleeps on it; it remembers the sleeps."""

    def __init__(self) -> None:
        self.present = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self.sleeps: list[float] = []

    def clock(self) -> datetime:
        return self.present

    def monotonic(self) -> float:
        return self.present.timestamp()

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.present += timedelta(seconds=seconds)


@contextmanager
def way(
    url: str,
    auth: Auth | None = None,
    *,
    time: Time | None = None,
    stop: threading.Event | None = None,
    resolve: Callable[..., Any] | None = None,
    budgets: Budgets | None = None,
    chance: Callable[[], float] = lambda: 1.0,
    **policy: Any,  # noqa: ANN401 - fields of EgressPolicy
) -> Iterator[Transport]:
    """A transport to `url`, with a budget of its own, that may reach this machine in clear."""
    made = EgressPolicy(connection="ville", url=url, **(LOCAL | policy))
    more: dict[str, Any] = {} if resolve is None else {"resolve": resolve}
    if time is not None:
        more |= {"sleep": time.sleep}
    shared = budgets or Budgets(*([time.monotonic] if time is not None else []))
    with open_transport(made, auth, time.clock if time else now, stop=stop, budgets=shared, chance=chance, **more) as opened:
        yield opened


def call(
    url: str,
    *requests: Request,
    auth: Auth | None = None,
    resolve: Callable[..., Any] | None = None,
    budgets: Budgets | None = None,
    clock: Clock = now,
    **policy: Any,  # noqa: ANN401 - fields of EgressPolicy
) -> list[Response | Exception]:
    """Send requests one after the other by a channel of the event loop; gives each answer, or what was raised."""

    async def run() -> list[Response | Exception]:
        found: list[Response | Exception] = []
        async with channel(url, auth, resolve=resolve, budgets=budgets, clock=clock, **policy) as out:
            for request in requests:
                try:
                    found.append(await out.send(request))
                except Exception as error:  # noqa: BLE001 - the test looks at it
                    found.append(error)
        return found

    return asyncio.run(run())


def channel(
    url: str,
    auth: Auth | None = None,
    *,
    resolve: Callable[..., Any] | None = None,
    budgets: Budgets | None = None,
    clock: Clock = now,
    **policy: Any,  # noqa: ANN401 - fields of EgressPolicy
) -> Channel:
    """A channel to `url`, with a budget of its own, that may reach this machine in clear."""
    made = EgressPolicy(connection="ville", url=url, **(LOCAL | policy))
    more: dict[str, Any] = {} if resolve is None else {"resolve": resolve}
    return open_channel(made, auth, clock, budgets=budgets or Budgets(), **more)
