"""What a delivery's instant asks for: a retry takes its turn, a write that is late ends, an unknown outcome is looked for.

1. What can never leave (its payload is gone, or altered) is closed: failed when it provably never left, else for a person.
2. An outcome that nothing can look for is sent again only where sending twice is sending once.
3. While the vendor's circuit is open nothing is looked for: it comes back later.
4. A clock that was set back keeps no retry, probe or read-back waiting longer than it was to wait.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection

from sovereign.clock import Clock
from sovereign.gateway.breaker import Breaker, Circuit
from sovereign.gateway.deliveries import Deliveries, Delivery, Step
from sovereign.gateway.errors import Altered, StateMoved
from sovereign.gateway.lanes import Lanes
from sovereign.gateway.load import Load, load
from sovereign.gateway.sealing import Answer
from sovereign.gateway.sender import Sender, applied_of, can_probe
from sovereign.gateway.vendor import fresh
from sovereign.state import Lease, State, StateError
from sovereign.state.group import GroupCommit
from vault.errors import Fault

Told = Callable[[Delivery, Answer | None], None]
DRIFT: Final = timedelta(seconds=60)
"""By how much a clock that is kept right may go back without having been set back."""
_SOON: Final = 1.0
"""Seconds, past the time that an outcome takes to settle, after which a vendor that was closed is looked at again."""


class Attending:
    """Gives deliveries what is due to them. told: called with what became of one, and the vendor's answer."""

    def __init__(
        self,
        *,
        state: State,
        deliveries: Deliveries,
        breaker: Breaker,
        sender: Sender,
        group: GroupCommit,
        lanes: Lanes,
        lease: Lease,
        clock: Clock,
        told: Told,
    ) -> None:
        self._state, self._deliveries, self._breaker, self._sender = state, deliveries, breaker, sender
        self._group, self._lanes, self._lease, self._clock, self._told = group, lanes, lease, clock, told

    async def requeue(self, delivery: Delivery, now: datetime) -> None:
        """Have a delivery whose time to try again has come take its turn. Errors: StateError."""
        try:
            with self._state.read() as reader:
                ends = load(reader, self._sender.sealing, self._deliveries, delivery, self._sender.terms).expires_at
        except StateError:
            raise
        except Fault as fault:
            await self.close(delivery, fault)
            return
        with suppress(StateMoved):
            await self._group.write(
                lambda transaction: self._deliveries.move(
                    transaction, delivery, "queued", "retry.due", now, next_at=ends, outcome=delivery.outcome
                )
            )

    async def expire(self, delivery: Delivery, now: datetime) -> None:
        """End a delivery that makes no sense any more; what may have arrived is looked for. Errors: StateError."""
        maybe = bool(delivery.outcome.get("maybe"))
        next_at = self._sender.terms.later(now, self._sender.terms.settle) if maybe else None
        with suppress(StateMoved):
            moved = await self._group.write(
                lambda transaction: self._deliveries.move(
                    transaction, delivery, "unknown" if maybe else "expired", "too_late", now, next_at=next_at
                )
            )
            self._told(moved, None)

    async def look_at(self, delivery: Delivery) -> None:
        """Probe an unknown outcome, or read back an acceptance that nobody read back."""
        why = "no_probe"
        with self._state.read() as reader:
            circuit = self._breaker.get(reader, delivery.connection)
        if circuit.passes(self._clock()) == "none" or not await self._paid(circuit):
            return await self._later(delivery)
        fresh(self._sender.vendors, self._breaker, circuit)
        with self._state.read() as reader:
            try:
                carried: Load | None = load(reader, self._sender.sealing, self._deliveries, delivery, self._sender.terms)
                wrapped = carried.wrapped if carried else ""
            except Fault as fault:
                carried, wrapped, why = None, "", fault.code if isinstance(fault, Altered) else why
        if delivery.state == "delivered" and carried is None:
            # Nothing is left to compare with: the vendor's acceptance is the last word.
            return await self._group.write(lambda t: self._deliveries.put_off(t, delivery, None, delivery.outcome))
        if delivery.state == "delivered" and carried is not None:
            answer = self._sender.sealing.open_answer(delivery.intent, delivery.connection, wrapped, delivery.sealed_outcome)
            moved = await self._sender.read_back(delivery, carried, applied_of(answer, delivery.status))
            return self._told(moved, answer)
        now = self._clock()
        if carried is None or can_probe(self._sender.vendors, carried) is None:
            return self._told(await self._without_probe(delivery, carried, now, why), None)
        claimed = await self._group.write(
            lambda transaction: self._deliveries.move(
                transaction, delivery, "probing", "probe.due", now, holder=self._lease.holder
            )
        )
        return self._told(await self._sender.probe(claimed, carried), None)

    async def close(self, delivery: Delivery, fault: Fault) -> None:
        """Close what can never leave: failed when it provably never did, else for a person to decide."""

        def piece(transaction: Connection) -> None:
            maybe = bool(delivery.outcome.get("maybe"))
            within = (Step("unknown", fault.code),) if maybe else ()
            becomes = "inconclusive" if maybe else "failed"
            self._deliveries.move(transaction, delivery, becomes, fault.code, self._clock(), within=within)

        with suppress(StateMoved):
            await self._group.write(piece)

    async def set_back(self, now: datetime) -> None:
        """Have what waits by an earlier clock wait as long by this one."""

        def piece(transaction: Connection) -> None:
            self._breaker.set_back(transaction, now)
            for each in self._lanes.stranded(transaction, now + DRIFT):
                if each.next_at is not None:
                    self._deliveries.put_off(transaction, each, now + (each.next_at - each.since), each.outcome)

        await self._group.write(piece)

    async def _without_probe(self, delivery: Delivery, carried: Load | None, now: datetime, why: str) -> Delivery:
        """End an outcome that nothing can look for: sent again where twice is once, else a person decides."""
        again = carried is not None and carried.expires_at > now and self._sender.repeats(carried, delivery)
        ends = carried.expires_at if again and carried is not None else None
        becomes, why = ("queued", "retry.safe") if again else ("inconclusive", why)
        return await self._group.write(
            lambda transaction: self._deliveries.move(transaction, delivery, becomes, why, now, next_at=ends)
        )

    async def _paid(self, circuit: Circuit) -> bool:
        """Whether a look may show the credential: one that was refused, only where it is the one that tries."""
        if circuit.state != "refused":
            return True

        def claim(transaction: Connection) -> bool:
            present, now = self._breaker.get(transaction, circuit.connection), self._clock()
            if present.state == "refused" and present.passes(now) == "one":
                self._breaker.trial(transaction, present, now)
                return True
            return False

        return await self._group.write(claim)

    async def _later(self, delivery: Delivery) -> None:
        next_at = self._clock() + timedelta(seconds=self._sender.terms.settle + _SOON)
        await self._group.write(lambda transaction: self._deliveries.put_off(transaction, delivery, next_at, delivery.outcome))
