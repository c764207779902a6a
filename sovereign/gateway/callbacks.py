"""Applications told what became of their writes: each message (`messages`) is sent until it is taken, or given up.

1. It is sent until the application answers 2xx, by `Schedule`, then given up; 410 gives it up at once. It may come twice (its
   `webhook-id` is then the same), and in another order than the steps.
2. It goes to an address that the operator gave and still allows, through egress: guarded as it is dialled, no redirection.
3. A receiver that is slow or down costs its own messages time: each application has `AT_ONCE` sends, and rests when one fails.
4. `delivered` is told once nothing is left to read back; else what the reading back finds is told.

One process a site does it: the one that holds the gateway's lease.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from saas_connectors.request import Request
from sovereign.access.callbacks import Callback, Callbacks
from sovereign.clock import Clock
from sovereign.egress.channel import Channel, open_channel
from sovereign.egress.errors import Waiting
from sovereign.egress.policy import EgressPolicy
from sovereign.gateway.messages import PIECE, Message, Messages
from sovereign.gateway.webhooks import body_of, headers_of
from sovereign.state import StateError
from vault.errors import Fault

POLL: Final = 1.0
AT_ONCE: Final = 2
MOST: Final = 64
"""Sends at once, of all applications together."""
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


class Announcer:
    """Tells applications. Belongs to one event loop; `running` keeps it at work."""

    def __init__(
        self,
        known: Callbacks,
        messages: Messages,
        clock: Clock,
        chance: Callable[[], float],
        schedule: Schedule | None = None,
    ) -> None:
        self._known, self._messages, self._clock, self._chance = known, messages, clock, chance
        self._schedule = schedule or Schedule()
        self._channels: dict[EgressPolicy, Channel] = {}
        self._hands: dict[str, Message] = {}
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
        """Begin all that may be told now: each application its share, those that have least in hand first."""
        known = await asyncio.to_thread(self._known.all)
        if not known:
            return
        while await asyncio.to_thread(self._messages.gather, known) == PIECE:
            pass
        busy, now = Counter(message.client for message in self._hands.values()), self._clock()
        for client in sorted(known, key=lambda name: busy[name]):
            room = min(AT_ONCE - busy[client], MOST - len(self._hands))
            if room > 0 and self._resting.get(client, (0, now))[1] <= now:
                for message in await self._next(client, room):
                    task = asyncio.create_task(self._tell(message, known))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)

    async def _tell(self, message: Message, known: Mapping[str, Callback]) -> None:
        """Tell one, and the next of its application as long as they are taken."""
        following: Message | None = message
        while following is not None:
            told = await self._told(following, known.get(message.client))
            self._hands.pop(following.name, None)
            following = next(iter(await self._next(message.client, 1)), None) if told else None

    async def _next(self, client: str, most: int) -> list[Message]:
        """Take what may be told now in hand."""
        due = await asyncio.to_thread(self._messages.due, client, most, frozenset(self._hands))
        taken = [each for each in due if each.name not in self._hands]
        self._hands |= {each.name: each for each in taken}
        return taken

    async def _told(self, message: Message, callback: Callback | None) -> bool:
        """Tell one; gives whether it was taken."""
        try:
            stands = await asyncio.to_thread(self._messages.stands, message, callback)
            if stands == "tell" and callback is not None:
                return await asyncio.to_thread(self._note, message, await self._send(message, callback))
            if stands == "later":
                await asyncio.to_thread(self._messages.put_off, message)
            elif stands in ("moved", "gone"):
                await asyncio.to_thread(self._messages.end, message, "dropped", f"callback.{stands}")
        except StateError:
            pass  # the row is as it was: it is looked at again
        except Exception as error:  # noqa: BLE001 - one message that cannot be told stops no other
            _LOG.error("a callback rests after %s", type(error).__name__)
            self._rest(message.client)
        return False

    async def _send(self, message: Message, callback: Callback) -> _Taken:
        """Send it once."""
        body, now = body_of(message.intent, message.state, message.at), self._clock()
        try:
            keys = await asyncio.to_thread(self._known.keys, message.client)
            channel = self._channel(callback.way(message.url))
            request = Request("POST", message.url, headers=headers_of(message.name, now, body, keys), body=body)
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

    def _note(self, message: Message, taken: _Taken) -> bool:
        """Write down what came of a sending; gives whether it was taken."""
        if taken.why is None:
            self._resting.pop(message.client, None)
            self._messages.end(message, "told", None, 1, taken.status)
            return True
        self._rest(message.client)
        next_at = self._schedule.next(self._clock(), message.attempts + 1, self._chance(), taken.until)
        if next_at is None or taken.status == _GONE:
            self._messages.end(message, "given_up", taken.why, 1, taken.status)
        else:
            self._messages.put_off(message, next_at, taken.why, 1)
        return False

    def _rest(self, client: str) -> None:
        """Leave a receiver that fails alone for a while, longer each time."""
        failures = self._resting.get(client, (0, None))[0] + 1
        self._resting[client] = failures, self._clock() + self._schedule.pause(failures)
