"""What waits, made to move: queued deliveries in their turn, retries, probes, read-backs, expiries, approvals.

1. One process a site sends (the lease `gateway`); it holds the lease in the very transaction that puts a delivery in flight.
2. At the start, what a process that is gone left in flight or probing is `unknown`; what it left queued goes on.
3. It is woken inside the process, and otherwise looks at the table every `POLL` seconds, which costs one indexed question: what
   the command line changed is found that way.
4. A delivery is in one hand at a time: `hands`. What fails where it should not rests for `REST` seconds before it is looked at
   again, and holds neither a hand nor a slot meanwhile.

What each instant asks for is done by `attending`.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection

from sovereign.clock import Clock
from sovereign.gateway.attending import DRIFT, Attending, Told
from sovereign.gateway.breaker import Breaker
from sovereign.gateway.deliveries import Deliveries, Delivery
from sovereign.gateway.errors import StateMoved
from sovereign.gateway.lanes import Lanes
from sovereign.gateway.load import Load, load
from sovereign.gateway.sender import Sender, refusals
from sovereign.gateway.slots import Slots
from sovereign.gateway.vendor import fresh
from sovereign.state import Lease, LeaseLost, Leases, State, StateError, StateUnsure
from sovereign.state.group import GroupCommit
from vault.errors import Fault

POLL: Final = 1.0
REST: Final = 30.0
_LOG: Final = logging.getLogger(__name__)
MOST: Final = 64
"""Deliveries looked at in one go."""


class Dispatcher:
    """Moves what waits. reconsider: decides again on what is held or approved."""

    def __init__(
        self,
        *,
        state: State,
        deliveries: Deliveries,
        breaker: Breaker,
        sender: Sender,
        group: GroupCommit,
        leases: Leases,
        lease: Lease,
        clock: Clock,
        slots: Slots,
        told: Told,
        reconsider: Callable[[Delivery], Coroutine[Any, Any, None]],
    ) -> None:
        self._state, self._deliveries, self._breaker, self._sender = state, deliveries, breaker, sender
        self._group, self._leases, self._lease, self._clock = group, leases, lease, clock
        self._told, self._reconsider = told, reconsider
        self.lanes, self.slots = Lanes(state), slots
        self.attending = Attending(
            state=state, deliveries=deliveries, breaker=breaker, sender=sender, group=group, lanes=self.lanes, lease=lease,
            clock=clock, told=told,
        )  # fmt: skip
        self.hands: set[str] = set()
        self._resting: dict[str, float] = {}
        self._seen: datetime | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        slots.wake = self.wake

    # Inside one process

    def wake(self) -> None:
        """Have it look now."""
        self._wake.set()

    def inline(self, transaction: Connection, connection: str, lane: str, turn: int) -> bool:
        """Whether a delivery just accepted may leave at once; errors: LeaseLost."""
        self._leases.check(self._lease, transaction)
        circuit = self._breaker.get(transaction, connection)
        return self._breaker.settled(circuit) and not self._deliveries.blocked(transaction, connection, lane, turn)

    def start(self, delivery: Delivery, carried: Load) -> None:
        """Send a delivery that is in flight and whose slot was taken."""
        self.hands.add(delivery.intent)
        self._spawn(self._send(delivery, carried))

    async def settle(self, seconds: float) -> None:
        """Wait for what is under way, so long at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    # From the table

    async def recover(self) -> int:
        """Take note of what a process that is gone left in hand; gives how many outcomes are unknown."""
        now = self._clock()

        def piece(transaction: Connection) -> int:
            self._leases.check(self._lease, transaction)
            left = [*self.lanes.within(transaction, "in_flight"), *self.lanes.within(transaction, "probing")]
            left = [each for each in left if each.intent not in self.hands]
            for each in left:
                known = {**each.outcome, "maybe": True}
                if each.state == "in_flight":
                    known["tries"] = int(known.get("tries", 0)) + 1
                # The vendor may still be at work on it: a look too early would say that it did not happen.
                looked = self._sender.terms.later(now, self._sender.terms.settle)
                self._deliveries.move(transaction, each, "unknown", "process.gone", now, next_at=looked, outcome=known)
            for each in self.lanes.unread(transaction):
                if each.intent not in self.hands and each.next_at is not None and each.next_at > now:
                    self._deliveries.put_off(transaction, each, now, each.outcome)
            return len(left)

        found = 0
        mark = self._sender.refusing.mark

        def circuits(transaction: Connection) -> None:
            self._breaker.recover(transaction, now)
            self._breaker.recall(transaction, now, mark)

        await self._group.write(circuits)
        while batch := await self._group.write(piece):
            found += batch
        return found

    async def run(self, stop: asyncio.Event) -> None:
        """Look until told to stop."""
        while not stop.is_set():
            self._wake.clear()
            try:
                self._group.check()
                soonest = await self.look()
            except (LeaseLost, StateUnsure):
                raise  # another process sends, or nothing can be written down any more: the service ends, to be started again
            except StateError:
                soonest = None  # a full disk, a busy database: the next turn may be better
            seconds = POLL
            if soonest is not None:
                seconds = min(POLL, max(0.01, (soonest - self._clock()).total_seconds()))
            stopped, woken = asyncio.create_task(stop.wait()), asyncio.create_task(self._wake.wait())
            _, pending = await asyncio.wait({stopped, woken}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()

    async def look(self) -> datetime | None:
        """Begin all that may begin now; gives when something next will."""
        now = self._clock()
        if self._seen is None or now < self._seen - DRIFT:
            await self.attending.set_back(now)
        self._seen = now
        with self._state.read() as reader:
            due = self.lanes.due(reader, now, MOST)
            approved = self.lanes.within(reader, "approved", MOST)
            waiting = self.lanes.waiting(reader)
            soonest = self.lanes.soonest(reader)
        present = asyncio.get_running_loop().time()
        self._resting = {intent: until for intent, until in self._resting.items() if until > present}
        rested = [each for each in (*due, *approved) if each.intent not in self._resting]
        for each in rested:
            if each.intent not in self.hands:
                self.hands.add(each.intent)
                await self._attend(each, now)
        if any(each.state == "to_retry" for each in due):
            with self._state.read() as reader:
                waiting = self.lanes.waiting(reader)
        freed = self.slots.look(set(waiting))
        for connection in waiting:
            await self._dispatch(connection, now)
        self.slots.looked(freed)
        if soonest is None or soonest > now:
            return soonest
        return now + timedelta(seconds=0.05 if rested else POLL)

    async def _dispatch(self, connection: str, now: datetime) -> None:
        """Send what is first in its lane, as far as slots and circuit allow."""
        with self._state.read() as reader:
            circuit = self._breaker.get(reader, connection)
        passes = circuit.passes(now)
        if passes == "none":
            return
        fresh(self._sender.vendors, self._breaker, circuit)
        try:
            limit = self._sender.vendors(connection).concurrency
        except Fault:
            limit = 1  # the connection is gone, or misconfigured: each of its deliveries will say so
        most = 1 if passes == "one" else self.slots.free(connection, limit)
        if most == 0:
            return
        tries = circuit.state == "refused"
        with self._state.read() as reader:
            ready = self.lanes.ready(reader, connection, MOST if tries else most)
        if tries:  # the one that was refused least: a write that is odd itself must not be the only one to try
            ready = sorted(ready, key=refusals)[:1]
        for each in ready:
            if each.intent in self.hands or not self.slots.take(connection, limit):
                continue
            self.hands.add(each.intent)
            try:
                claimed = await self._claim(each)
            except BaseException:
                self._drop(each)
                raise
            if claimed is None:
                self._drop(each)
                continue
            delivery, carried = claimed
            self.start(delivery, carried)

    async def _claim(self, delivery: Delivery) -> tuple[Delivery, Load] | None:
        """Put a queued delivery in flight, durably; None when it may not leave after all."""
        now = self._clock()
        try:
            with self._state.read() as reader:
                carried = load(reader, self._sender.sealing, self._deliveries, delivery, self._sender.terms)
        except Fault as fault:
            await self.attending.close(delivery, fault)
            return None

        def piece(transaction: Connection) -> Delivery | None:
            self._leases.check(self._lease, transaction)
            circuit = self._breaker.get(transaction, delivery.connection)
            passes = circuit.passes(now)
            if passes == "none" or self._deliveries.blocked(transaction, delivery.connection, delivery.lane, delivery.turn):
                return None
            if passes == "one":
                self._breaker.trial(transaction, circuit, now)
            return self._deliveries.move(
                transaction, delivery, "in_flight", "turn", now, attempts=delivery.attempts + 1, holder=self._lease.holder
            )

        with suppress(StateMoved):
            moved = await self._group.write(piece)
            return None if moved is None else (moved, carried)
        return None

    async def _send(self, delivery: Delivery, carried: Load) -> None:
        answer, moved = None, delivery
        try:
            moved, answer = await self._sender.send(delivery, carried)
        except StateMoved:
            pass  # someone else took note of it meanwhile
        finally:
            self.slots.give(delivery.connection)
            self.hands.discard(delivery.intent)
            if moved.next_at is not None:
                self.wake()
        self._told(moved, answer)

    async def _attend(self, delivery: Delivery, now: datetime) -> None:
        """Give a delivery what its instant asks for."""
        if delivery.state in ("held", "approved"):
            self._spawn(self._guarded(delivery, self._reconsider(delivery)))
        elif delivery.state in ("to_retry", "queued"):
            try:
                await (self.attending.requeue if delivery.state == "to_retry" else self.attending.expire)(delivery, now)
            finally:
                self._drop(delivery, slot=False)
        elif delivery.state in ("unknown", "delivered"):
            self._spawn(self._guarded(delivery, self.attending.look_at(delivery)))
        else:
            self._drop(delivery, slot=False)

    async def _guarded(self, delivery: Delivery, work: Coroutine[Any, Any, None]) -> None:
        try:
            with suppress(StateMoved, StateError):
                await work
        except Exception as error:  # noqa: BLE001 - a defect of one delivery must stop no other, nor be retried at once
            self._resting[delivery.intent] = asyncio.get_running_loop().time() + REST
            _LOG.error("delivery %s rests after %s", delivery.intent, type(error).__name__)
        finally:
            self._drop(delivery, slot=False)
            self.wake()

    def _drop(self, delivery: Delivery, *, slot: bool = True) -> None:
        self.hands.discard(delivery.intent)
        if slot:
            self.slots.give(delivery.connection)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
