"""Receivers told: applications of their writes (`messages`), subscribers of events; until each message is taken, or given up.

1. It is sent until the receiver answers 2xx, by `Schedule`, then given up; 410 gives it up at once. It may come twice (its
   `webhook-id` is then the same), and in another order than the steps.
2. It goes to an address that the operator gave and still allows, through egress: guarded as it is dialled, no redirection.
3. A receiver that is slow or down costs its own messages time: each has `AT_ONCE` sends, and rests when one fails.

One process a site does it: the one that holds the gateway's lease.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Generic

from saas_connectors.request import Request
from sovereign.clock import Clock
from sovereign.egress.channel import Channel, open_channel
from sovereign.egress.errors import Waiting
from sovereign.egress.policy import EgressPolicy
from sovereign.gateway.receivers import M, Outbox, R, Receivers
from sovereign.gateway.webhooks import headers_of
from sovereign.state import StateError
from vault.errors import Fault

POLL: Final = 1.0
AT_ONCE: Final = 2
MOST: Final = 64
"""Sends at once, of all receivers together."""
_LOG: Final = logging.getLogger(__name__)
_GONE: Final = 410


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a message that was not taken is sent again.

    waits: seconds, one a failure; then it is given up (three days). rest: the longest that a receiver is left alone, seconds.
    """

    waits: tuple[float, ...] = (2, 10, 60, 300, 1800, 7200, 21_600, 43_200, 86_400, 86_400)
    rest: float = 30.0

    def next(self, now: datetime, failures: int, chance: float, until: datetime | None = None) -> datetime | None:
        """When to send again after so many failures (from 1), None for never. until: what the receiver asked, a day at most."""
        if failures > len(self.waits):
            return None
        own = now + timedelta(seconds=self.waits[failures - 1] * (0.5 + chance / 2))
        return own if until is None else max(own, min(until, now + timedelta(days=1)))

    def pause(self, failures: int) -> timedelta:
        """How long a receiver is left alone after so many failures in a row."""
        return timedelta(seconds=min(self.rest, self.waits[0] / 2 * 2 ** min(failures - 1, 20)))


@dataclass(frozen=True, slots=True)
class _Taken:
    """What came of one sending. why: a code, None when it was taken. until: what the receiver asked."""

    status: int | None
    why: str | None
    until: datetime | None = None


class Announcer(Generic[R, M]):
    """Tells receivers. Belongs to one event loop; `running` keeps it at work."""

    def __init__(
        self,
        known: Receivers[R],
        messages: Outbox[R, M],
        clock: Clock,
        chance: Callable[[], float],
        schedule: Schedule | None = None,
    ) -> None:
        self._known, self._messages, self._clock, self._chance = known, messages, clock, chance
        self._schedule = schedule or Schedule()
        self._channels: dict[EgressPolicy, Channel] = {}
        self._hands: dict[tuple[str, str], M] = {}
        self._resting: dict[str, tuple[int, datetime]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Tell, until the context is left; what was not told by then is told by the next process."""
        stop = asyncio.Event()
        work = asyncio.create_task(self._run(stop))
        try:
            yield
        finally:
            stop.set()
            await work
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for channel in self._channels.values():
                await channel.close()

    async def _run(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await self.look()
            except StateError:
                pass  # a full disk, a busy database: the next turn may be better
            except Exception as error:  # noqa: BLE001 - a defect here stops no write, nor the next turn
                _LOG.error("callbacks rest after %s", type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), POLL)

    async def look(self) -> None:
        """Begin all that may be told now: each receiver its share, those that have least in hand first."""
        known = await asyncio.to_thread(self._known.all)
        if not known:
            return
        while await asyncio.to_thread(self._messages.gather, known):
            pass
        busy, now = Counter(message.receiver for message in self._hands.values()), self._clock()
        for name in sorted(known, key=lambda name: busy[name]):
            room = min(AT_ONCE - busy[name], MOST - len(self._hands))
            if room > 0 and self._resting.get(name, (0, now))[1] <= now:
                for message in await self._next(name, room):
                    task = asyncio.create_task(self._tell(message, known))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _tell(self, message: M, known: Mapping[str, R]) -> None:
        """Tell one, and the next of its receiver as long as they are taken."""
        following: M | None = message
        while following is not None:
            told = await self._told(following, known.get(message.receiver))
            self._hands.pop((following.receiver, following.name), None)
            following = next(iter(await self._next(message.receiver, 1)), None) if told else None

    async def _next(self, receiver: str, most: int) -> list[M]:
        """Take what may be told now in hand."""
        held = frozenset(name for whose, name in self._hands if whose == receiver)
        due = await asyncio.to_thread(self._messages.due, receiver, most, held)
        taken = [each for each in due if (receiver, each.name) not in self._hands]
        self._hands |= {(receiver, each.name): each for each in taken}
        return taken

    async def _told(self, message: M, receiver: R | None) -> bool:
        """Tell one; gives whether it was taken."""
        try:
            stands = await asyncio.to_thread(self._messages.stands, message, receiver)
            if stands == "tell" and receiver is not None:
                return await asyncio.to_thread(self._note, message, await self._send(message, receiver))
            if stands == "later":
                await asyncio.to_thread(self._messages.put_off, message)
            elif stands in ("moved", "gone"):
                await asyncio.to_thread(self._messages.end, message, "dropped", f"callback.{stands}")
        except StateError:
            pass  # the row is as it was: it is looked at again
        except Exception as error:  # noqa: BLE001 - one message that cannot be told stops no other
            _LOG.error("a callback rests after %s", type(error).__name__)
            self._rest(message.receiver)
        return False

    async def _send(self, message: M, receiver: R) -> _Taken:
        """Send it once."""
        now = self._clock()
        try:
            body = await asyncio.to_thread(message.body)
            keys = await asyncio.to_thread(self._known.keys, message.receiver)
            channel = self._channel(receiver.way(message.url))
            request = Request("POST", message.url, headers=headers_of(message.name, now, body, keys, message.media), body=body)
            async with channel.stream(request) as answer:  # its body says nothing, and is not read
                status = answer.status
        except Waiting as wait:
            until = wait.fields.get("until")
            return _Taken(None, wait.code, until if isinstance(until, datetime) else None)
        except Fault as fault:
            return _Taken(None, fault.code)
        return _Taken(status, None if 200 <= status < 300 else f"http.{status}")

    def _channel(self, way: EgressPolicy) -> Channel:
        if way not in self._channels:
            self._channels[way] = open_channel(way, None, self._clock)
        return self._channels[way]

    def _note(self, message: M, taken: _Taken) -> bool:
        """Write down what came of a sending; gives whether it was taken."""
        if taken.why is None:
            self._resting.pop(message.receiver, None)
            self._messages.end(message, "told", None, 1, taken.status)
            return True
        self._rest(message.receiver)
        next_at = self._schedule.next(self._clock(), message.attempts + 1, self._chance(), taken.until)
        if next_at is None or taken.status == _GONE:
            self._messages.end(message, "given_up", taken.why, 1, taken.status)
        else:
            self._messages.put_off(message, next_at, taken.why, 1)
        return False

    def _rest(self, receiver: str) -> None:
        """Leave a receiver that fails alone for a while, longer each time."""
        failures = self._resting.get(receiver, (0, None))[0] + 1
        self._resting[receiver] = failures, self._clock() + self._schedule.pause(failures)
