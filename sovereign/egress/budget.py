"""How hard a vendor is asked: one budget a vendor host, shared by everything in the process that speaks to it.

1. Rate: a token bucket that holds a tenth of a second of tokens, at least one; requests are served in the order they came.
2. Concurrency: at most so many requests in flight. Where several connections share a host, the smallest limits hold for all.
3. When the vendor says `Retry-After`, the host is closed to everyone until then, however long that is.

Our own pace is waited for; a closed host is waited for within the caller's patience, beyond which `Waiting` is raised. Another
process has budgets of its own.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from sovereign.clock import Clock
from sovereign.egress.errors import Interrupted, Waiting

Pause = Callable[[float], None]
"""Waits so many seconds; raises Interrupted when asked to stop."""

_POLL = 0.2
_FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


class HostBudget:
    """The budget of one vendor host."""

    def __init__(self, host: str, monotonic: Callable[[], float]) -> None:
        self.host = host
        self._monotonic = monotonic
        self._room = threading.Condition()
        self._limits: dict[int, tuple[float | None, int]] = {}
        self._rate: float | None = None
        self._concurrency = 1
        self._in_flight = 0
        self._tokens = 1.0
        self._refilled = monotonic()
        self._closed_until: datetime | None = None

    @property
    def closed_until(self) -> datetime | None:
        """Until when the vendor asked everyone to stay away; an instant, UTC."""
        return self._closed_until

    def close(self, until: datetime) -> None:
        """Stay away until then; an earlier instant than the present one changes nothing."""
        with self._room:
            if self._closed_until is None or until > self._closed_until:
                self._closed_until = until

    def reopen(self) -> None:
        """Forget what the vendor asked."""
        with self._room:
            self._closed_until = None

    def enter(self, clock: Clock, pause: Pause, stop: threading.Event, patience: float) -> float:
        """Wait for the right to send one request; `leave` gives it back.

        patience: seconds that a closed host may be waited for. Returns the seconds spent on that. Errors: Waiting, Interrupted.
        """
        waited = 0.0
        while True:
            waited += self._open(clock, pause, patience - waited)
            self._pace(pause)
            with self._room:
                while self._in_flight >= self._concurrency:
                    if stop.is_set():
                        raise Interrupted
                    self._room.wait(_POLL)
                if self._closed_until is None:
                    self._in_flight += 1
                    return waited

    def leave(self) -> None:
        """Give back the right to send."""
        with self._room:
            self._in_flight -= 1
            self._room.notify()

    def _open(self, clock: Clock, pause: Pause, patience: float) -> float:
        """Wait until the host is open."""
        until = self._closed_until
        if until is None:
            return 0.0
        seconds = (until - clock()).total_seconds()
        if seconds > patience:
            raise Waiting(host=self.host, until=until)
        if seconds > 0:
            pause(seconds)
        with self._room:
            if self._closed_until == until:
                self._closed_until = None
        return max(seconds, 0.0)

    def _pace(self, pause: Pause) -> None:
        """Take a token, and wait until it is due."""
        with self._room:
            rate = self._rate
            if rate is None:
                return
            present = self._monotonic()
            self._tokens = min(max(1.0, rate / 10), self._tokens + (present - self._refilled) * rate)
            self._refilled = present
            self._tokens -= 1
            due = -self._tokens / rate
        if due > 0:
            try:
                pause(due)
            except Interrupted:
                with self._room:
                    self._tokens += 1
                raise

    def limit(self, holder: int, limits: tuple[float | None, int] | None) -> None:
        """Set a holder's limits (requests a second, requests at once), None once it is gone; the strictest of all hold."""
        with self._room:
            if limits is None:
                self._limits.pop(holder, None)
            else:
                self._limits[holder] = limits
            rates = [rate for rate, _ in self._limits.values() if rate is not None]
            self._rate = min(rates, default=None)
            self._concurrency = min((concurrency for _, concurrency in self._limits.values()), default=1)
            self._room.notify_all()


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


def retry_after(headers: Mapping[str, str], present: datetime) -> datetime | None:
    """Until when a response asks us to wait; None when it does not say, or not legibly.

    headers: names in lower case. present: an instant, UTC. A date is read against the vendor's own `Date`, so that a clock that
    is off does not matter. Source: RFC 9110 section 10.2.3.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return _later(present, int(value[:12]))
    date = _date(value)
    if date is None:
        return None
    sent = _date(headers.get("date", ""))
    return _later(present, max(0.0, (date - (sent or present)).total_seconds()))


def _date(text: str) -> datetime | None:
    try:
        found = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _later(present: datetime, seconds: float) -> datetime:
    """An instant so many seconds later; the end of the calendar when it lies beyond."""
    try:
        return present + timedelta(seconds=seconds)
    except OverflowError:
        return _FOREVER
