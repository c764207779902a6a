"""How hard a vendor is asked: one budget a vendor host, shared by everything in the process that speaks to it.

1. Rate: a token bucket that holds a tenth of a second of tokens, at least one; requests are served in the order they came.
2. Concurrency: at most so many requests in flight. Where several connections share a host, the smallest limits hold for all.
3. When the vendor says `Retry-After`, the host is closed to everyone until then, however long that is; a clock that is set back
   keeps it closed no longer.
4. Threads (pulls) and tasks (the gateway) stand in one line: who came first goes first, and no thread waits for a task.

Our own pace is waited for; a closed host is waited for within the caller's patience, beyond which `Waiting` is raised. Another
process has budgets of its own.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from sovereign.clock import Clock
from sovereign.egress.errors import Busy, Interrupted, Waiting
from sovereign.egress.waiting import later, quota_reset, retry_after

Pause = Callable[[float], None]
"""Waits so many seconds; raises Interrupted when asked to stop."""

BASE = 0.5
"""The first pause before asking a vendor again, in seconds."""
_POLL = 0.2


class _Turn:
    """A place in the line; `wake` tells whoever stands there that it was granted."""

    __slots__ = ("granted", "wake")

    def __init__(self, wake: Callable[[], object]) -> None:
        self.wake, self.granted = wake, False


class HostBudget:
    """The budget of one vendor host."""

    def __init__(self, host: str, monotonic: Callable[[], float]) -> None:
        self.host = host
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._line: deque[_Turn] = deque()
        self._limits: dict[int, tuple[float | None, int]] = {}
        self._rate: float | None = None
        self._concurrency = 1
        self._in_flight = 0
        self._tokens = 1.0
        self._refilled = monotonic()
        self._closed_until: datetime | None = None
        self._open_at = math.inf
        """The same, by the clock that nobody sets: a host is open once either says so."""

    @property
    def closed_until(self) -> datetime | None:
        """Until when the vendor asked everyone to stay away; an instant, UTC."""
        return self._closed_until

    def close(self, until: datetime, seconds: float = math.inf) -> None:
        """Stay away until then, and no longer than so many seconds; an earlier instant than the present one changes nothing."""
        with self._lock:
            opens = self._monotonic() + seconds
            if self._closed_until is None or until > self._closed_until or opens > self._open_at:
                self._closed_until, self._open_at = until, opens

    def heed(self, status: int, headers: Mapping[str, str], present: datetime, guess: float) -> bool:
        """Close the host for as long as an answer asks; returns whether it asked.

        headers: names in lower case. guess: seconds, for a 429 that does not say how long.
        """
        if status not in (429, 503):
            return False
        until = retry_after(headers, present)
        if until is None and status == 429:
            until = quota_reset(headers, present) or later(present, guess)
        if until is not None:
            # A vendor that says "now" again and again still costs its caller some patience.
            until = max(until, present + timedelta(seconds=BASE / 2))
            self.close(until, (until - present).total_seconds())
        return until is not None

    def reopen(self) -> None:
        """Forget what the vendor asked."""
        with self._lock:
            self._closed_until = None

    def enter(self, clock: Clock, pause: Pause, stop: threading.Event, patience: float) -> float:
        """Wait for the right to send one request; `leave` gives it back.

        patience: seconds that a closed host may be waited for. Returns the seconds spent on that. Errors: Waiting, Interrupted.
        """
        waited = 0.0
        while True:
            until, seconds = self._opening(clock, patience - waited)
            if seconds > 0:
                pause(seconds)
                waited += seconds
            self._opened(until)
            due = self._due()
            if due > 0:
                try:
                    pause(due)
                except Interrupted:
                    self._undue()
                    raise
            granted = threading.Event()
            turn = self._stand(granted.set)
            while not granted.wait(0 if turn.granted else _POLL):
                if stop.is_set():
                    self._withdraw(turn)
                    raise Interrupted
            if self._closed_until is None:
                return waited
            self.leave()

    async def enter_task(self, clock: Clock, patience: float, queue: float) -> float:
        """Wait, as a task of an event loop, for the right to send one request; `leave` gives it back.

        patience: seconds that a closed host may be waited for; queue: seconds to stand in line, and to keep our own pace.
        Returns the seconds spent on a closed host. Errors: Waiting, Busy. Cancelled while it waits, it holds nothing.
        """
        waited = 0.0
        while True:
            until, seconds = self._opening(clock, patience - waited)
            if seconds > 0:
                await asyncio.sleep(seconds)
                waited += seconds
            self._opened(until)
            due = self._due()
            if due > queue:
                self._undue()
                raise Busy(host=self.host)
            if due > 0:
                try:
                    await asyncio.sleep(due)
                except asyncio.CancelledError:
                    self._undue()
                    raise
            await self._turn(queue)
            if self._closed_until is None:
                return waited
            self.leave()

    def leave(self) -> None:
        """Give back the right to send."""
        with self._lock:
            self._in_flight -= 1
            self._grant()

    def _opening(self, clock: Clock, patience: float) -> tuple[datetime | None, float]:
        """Until when the host is closed, and the seconds to wait for that; errors: Waiting when they pass the patience.

        What is raised says when the host opens by the clock of now: whoever was told the instant of a clock that was set back
        since would come back that much too late.
        """
        until = self._closed_until
        if until is None:
            return None, 0.0
        present, left = clock(), self._open_at - self._monotonic()
        seconds = min((until - present).total_seconds(), left)
        if seconds > patience:
            raise Waiting(host=self.host, until=min(until, later(present, left)))
        return until, max(seconds, 0.0)

    def _opened(self, until: datetime | None) -> None:
        """Open the host that was closed until then, unless it was closed for longer meanwhile."""
        with self._lock:
            if self._closed_until == until:
                self._closed_until = None

    def _due(self) -> float:
        """Take a token; gives the seconds until it is due."""
        with self._lock:
            rate = self._rate
            if rate is None:
                return 0.0
            present = self._monotonic()
            self._tokens = min(max(1.0, rate / 10), self._tokens + (present - self._refilled) * rate)
            self._refilled = present
            self._tokens -= 1
            return -self._tokens / rate

    def _undue(self) -> None:
        """Give a token back."""
        with self._lock:
            self._tokens += 1

    def _stand(self, wake: Callable[[], object]) -> _Turn:
        """Stand in line; whoever finds room goes at once."""
        turn = _Turn(wake)
        with self._lock:
            self._line.append(turn)
            self._grant()
        return turn

    def _withdraw(self, turn: _Turn) -> None:
        """Leave the line, or give back what was granted meanwhile."""
        with self._lock:
            if turn.granted:
                self._in_flight -= 1
                self._grant()
            elif turn in self._line:
                self._line.remove(turn)

    async def _turn(self, seconds: float) -> None:
        """Stand in line as a task; errors: Busy when its turn does not come in time."""
        with self._lock:
            if not self._line and self._in_flight < self._concurrency:
                self._in_flight += 1
                return
        loop = asyncio.get_running_loop()
        granted = loop.create_future()
        turn = self._stand(partial(_wake, loop, granted))
        if turn.granted:
            return
        try:
            async with asyncio.timeout(seconds):
                await granted
        except BaseException as error:
            self._withdraw(turn)
            if isinstance(error, TimeoutError):
                raise Busy(host=self.host) from None
            raise

    def _grant(self) -> None:
        """Let the first of the line go, as far as there is room. With the lock held."""
        while self._line and self._in_flight < self._concurrency:
            turn = self._line.popleft()
            try:
                turn.wake()
            except RuntimeError:
                # Its event loop is closed: nobody stands there any more.
                continue
            turn.granted = True
            self._in_flight += 1

    def limit(self, holder: int, limits: tuple[float | None, int] | None) -> None:
        """Set a holder's limits (requests a second, requests at once), None once it is gone; the strictest of all hold."""
        with self._lock:
            if limits is None:
                self._limits.pop(holder, None)
            else:
                self._limits[holder] = limits
            rates = [rate for rate, _ in self._limits.values() if rate is not None]
            self._rate = min(rates, default=None)
            self._concurrency = min((concurrency for _, concurrency in self._limits.values()), default=1)
            self._grant()


def _wake(loop: asyncio.AbstractEventLoop, granted: "asyncio.Future[None]") -> None:
    """Tell a task of that loop, from any thread, that its turn has come."""
    loop.call_soon_threadsafe(lambda: None if granted.done() else granted.set_result(None))


class Budgets:
    """The budgets of a process, by host and port."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._hosts: dict[tuple[str, int], HostBudget] = {}

    def join(self, host: str, port: int, holder: object, *, rate: float | None, concurrency: int) -> HostBudget:
        """Share the budget of a host, under these limits and everyone else's, until `part`."""
        with self._lock:
            budget = self._hosts.get((host, port))
            if budget is None:
                budget = self._hosts[host, port] = HostBudget(host, self._monotonic)
        budget.limit(id(holder), (rate, concurrency))
        return budget

    def part(self, holder: object) -> None:
        """Withdraw the limits of a holder; what the vendor asked (a closed host) stays."""
        with self._lock:
            budgets = list(self._hosts.values())
        for budget in budgets:
            budget.limit(id(holder), None)

    def reopen(self) -> None:
        """Forget what every vendor asked: for an operator who knows better, and between two drills of one process."""
        with self._lock:
            budgets = list(self._hosts.values())
        for budget in budgets:
            budget.reopen()


BUDGETS = Budgets()
"""The budgets of this process."""
