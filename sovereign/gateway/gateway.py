"""The front door of every write: decided, kept, sent when it may, and answered with a receipt.

1. One transaction makes an intent durable with its decision, its delivery and their audit entries; nobody is told before. When
   its lane is free and its vendor open, the same transaction puts it in flight.
2. An idempotency key given again gives the same receipt, or is refused: never a second delivery.
3. A dry run gives the decision alone, and is entered.
4. What cannot be written down is refused: no byte leaves for it.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import orjson
from sqlalchemy import Connection, select

from sovereign.gateway.again import again
from sovereign.gateway.beside import beside
from sovereign.gateway.breaker import Breaker
from sovereign.gateway.decision import Decision, Question
from sovereign.gateway.deliveries import Deliveries, Delivery, Step
from sovereign.gateway.dispatch import Dispatcher
from sovereign.gateway.errors import KeyBusy, NotAsked, Stopping
from sovereign.gateway.examining import Examining
from sovereign.gateway.idempotency import IdempotencyKeys, Key
from sovereign.gateway.intent import BY_HTTP, WriteIntent
from sovereign.gateway.load import load_of
from sovereign.gateway.ports import Parts, Standing
from sovereign.gateway.questions import Questions
from sovereign.gateway.reading import Reads
from sovereign.gateway.receipt import Receipt, heard, receipt_of, withdraw
from sovereign.gateway.rulings import Rulings, arrival, first, said
from sovereign.gateway.sealing import Answer, Sealing
from sovereign.gateway.sender import Sender
from sovereign.gateway.slots import Slots
from sovereign.gateway.vendor import Vendor
from sovereign.gateway.volumes import Volumes
from sovereign.state.group import GroupCommit
from sovereign.state.identity import new_id
from sovereign.state.outbound import intents

LEASE: Final = "gateway"
TERM: Final = timedelta(seconds=30)
GRACE: Final = 30.0
"""Seconds that what is in flight is waited for at the end."""


class Gateway:
    """The gateway of a site, for one event loop. `open` it, `run` it beside the doors that `submit`, `close` it."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        state = parts.state
        self.sealing = Sealing(parts.keys, parts.period, entropy=parts.entropy)
        self.deliveries = Deliveries(state, parts.audit)
        self.breaker = Breaker(state, parts.audit)
        self._questions, self._volumes, self._examining = Questions(parts.keys), Volumes(), Examining(parts)
        self.spool = parts.spool
        self._group = GroupCommit(state)
        self._slots = Slots()
        self.reads = Reads(parts, self.breaker, self._group, self._slots)
        self._sender = Sender(
            self.deliveries,
            self.breaker,
            self._group,
            self.sealing,
            parts.vendors,
            parts.terms,
            parts.clock,
            parts.chance,
            parts.spool,
            parts.refusing,
        )
        self._rulings = Rulings(state)
        self._keys = IdempotencyKeys(state, self.deliveries, self.sealing, parts.clock, parts.monotonic)
        self._waiters: dict[str, list[asyncio.Future[tuple[Delivery, Answer | None]]]] = {}
        self._busy: set[Key] = set()
        self._open = ExitStack()
        self._dispatcher: Dispatcher | None = None
        self._closing = False

    # Its life

    async def open(self) -> int:
        """Take the lease and take up what was left; gives how many outcomes that made unknown. Errors: LeaseHeld."""
        parts = self._parts
        lease = self._open.enter_context(parts.leases.hold(LEASE, new_id(parts.clock, parts.entropy), TERM))
        self._dispatcher = Dispatcher(
            state=parts.state, deliveries=self.deliveries, breaker=self.breaker, sender=self._sender, group=self._group,
            leases=parts.leases, lease=lease, clock=parts.clock, slots=self._slots, told=self._told,
            reconsider=self._reconsider,
        )  # fmt: skip
        with parts.state.read() as reader:
            self._volumes.rebuild(reader, parts.clock())
        if self.spool is not None:
            self.spool.sweep(parts.audit)  # under the lease, before the door opens: nothing is on its way in
        return await self._dispatcher.recover()

    async def run(self, stop: asyncio.Event) -> None:
        """Move what waits until told to stop; errors: LeaseHeld when another process does."""
        if self._dispatcher is None:
            await self.open()
        await self._at_work.run(stop)

    async def close(self) -> None:
        """Take nothing more, wait a while for what is in flight, and give the lease back."""
        self._closing = True
        if self._dispatcher is not None:
            await self._dispatcher.settle(GRACE)
        await self._group.close()
        self._open.close()

    @property
    def _at_work(self) -> Dispatcher:
        if self._dispatcher is None or self._closing:
            raise Stopping
        return self._dispatcher

    # The front door

    async def submit(self, intent: WriteIntent, *, wait: float | None, dry_run: bool = False) -> Receipt:
        """Decide on an intent, keep it, and send it when it may leave.

        wait: seconds that the vendor's answer is waited for; None answers as soon as the intent is durable. Errors: KeyReused,
        KeyBusy, Stopping, NotWritable, BadPayload, those of the state (nothing left; nothing kept but after StateUnsure).
        """
        work, vendor = self._at_work, self._parts.vendors(intent.connection)
        if dry_run:
            return await self._try(intent, vendor)
        key = self._keys.of(intent)
        if key is not None:
            if key in self._busy:
                raise KeyBusy(intent="")
            known = self._keys.began(self._group, intent, key)
            if known is not None:
                return replace(self.receipt(known), replayed=True)
            self._busy.add(key)
        try:
            return await self._accept(work, vendor, intent, key, wait)
        finally:
            if key is not None:
                self._busy.discard(key)

    async def cancel(self, intent: str, *, actor: str | None = None, reason: str = "") -> Receipt:
        """Take back what has not left. Errors: NoSuchStep when it is too late, UnknownDelivery, StateMoved."""
        await self._group.write(lambda t: withdraw(self.deliveries, t, intent, self._parts.clock(), actor, reason))
        self._at_work.wake()
        return self.receipt(intent)

    def receipt(self, intent: str) -> Receipt:
        """The receipt of an intent as it stands; errors: UnknownDelivery."""
        with self._parts.state.read() as reader:
            delivery = self.deliveries.get(reader, intent)
            events = self.deliveries.events(reader, intent)
            row = reader.execute(select(intents.c.wrapped, intents.c.received_at).where(intents.c.id == intent)).one()
            decision = self._rulings.read(reader, intent)
        wrapped = orjson.dumps(row.wrapped, option=orjson.OPT_SORT_KEYS).decode()
        answer = self.sealing.open_answer(intent, delivery.connection, wrapped, delivery.sealed_outcome)
        return receipt_of(replace(delivery, entry=events[-1].entry), decision, answer, row.received_at)

    # Inside

    async def _accept(
        self, work: Dispatcher, vendor: Vendor, intent: WriteIntent, key: Key | None, wait: float | None
    ) -> Receipt:
        parts, asked = self._parts, self._keys.asked(intent)
        decision, question, standing = await self._decide(intent, vendor)
        intent, decision = await self._examining.masked(intent, decision)
        sealed = await beside(len(intent.body), self.sealing.seal, intent)
        lane, kept = self.sealing.lane(intent.connection, intent.entity), self._questions.pack(question)
        now, expires = parts.clock(), parts.terms.expiry(intent.received_at, intent.expires_at)
        slot = decision.effect == "allow" and work.slots.take(intent.connection, vendor.concurrency)
        facts, body = arrival(intent, question)

        def piece(transaction: Connection) -> Delivery:
            steps, next_at = [first(decision)], None
            if decision.effect == "allow":
                next_at = expires
                if slot and work.inline(transaction, intent.connection, lane, 2**62):
                    steps.append(Step("in_flight", "turn"))
                    next_at = None
            made = self.deliveries.new(transaction, intent, sealed, lane, steps, now, next_at=next_at, facts=facts, body=body)
            masks = parts.pseudonymise is not None
            self._rulings.keep(transaction, intent.id, decision, kept, now, masks=masks)
            if key is not None:
                self._keys.keep(transaction, key, intent.id, asked, now)
            if decision.effect == "hold":
                ends = parts.approvals.ask(transaction, intent, decision, owner=standing.owner)
                self.deliveries.put_off(transaction, made, ends, made.outcome)
            return made

        waiter: asyncio.Future[tuple[Delivery, Answer | None]] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(intent.id, []).append(waiter)
        try:
            counted = None if decision.effect == "deny" else question.at
            delivery = await self._kept(work, piece, slot, intent, sealed.wrapped, counted)
            answer = None
            if decision.effect == "allow" and wait:
                done, _ = await asyncio.wait({waiter}, timeout=wait)
                if done:
                    delivery, answer = waiter.result()
            return receipt_of(delivery, decision, answer, intent.received_at)
        finally:
            self._waiters.pop(intent.id, None)

    async def _kept(
        self,
        work: Dispatcher,
        piece: Callable[[Connection], Delivery],
        slot: bool,
        intent: WriteIntent,
        wrapped: str,
        counted: datetime | None,
    ) -> Delivery:
        """Make an intent durable and begin what may begin; not undone when whoever asked goes away meanwhile."""

        async def keep() -> Delivery:
            work.hands.add(intent.id)
            try:
                delivery = await self._group.write(piece)
            except BaseException:
                work.hands.discard(intent.id)
                if slot:
                    work.slots.give(intent.connection)
                if counted is not None:
                    self._volumes.remove(intent.client, intent.connection, counted)
                raise
            if delivery.state == "in_flight":
                work.start(delivery, load_of(intent, wrapped, self._parts.terms))
                return delivery
            work.hands.discard(intent.id)
            if slot:
                work.slots.give(intent.connection)
            if delivery.state == "queued":
                work.slots.backlog.add(intent.connection)
                work.wake()
            return delivery

        keeping = keep() if intent.upload is None or self.spool is None else self.spool.keeping(intent.id, keep())
        return await asyncio.shield(asyncio.ensure_future(keeping))

    async def _decide(
        self, intent: WriteIntent, vendor: Vendor, *, dry_run: bool = False
    ) -> tuple[Decision, Question, Standing]:
        parts = self._parts
        offered = None if intent.operation == BY_HTTP else vendor.operation(intent.operation)

        def held() -> frozenset[str]:
            known = {"personal"} if offered is None else offered[0].classes(intent.operation, intent.payload)
            return frozenset(known)

        scanned, classes = await self._examining.seen(intent, held)
        departure = offered is not None and offered[1].departure
        standing, now = parts.standing(intent.client, intent.person), parts.clock()
        hour, day = self._volumes.count(intent.client, intent.connection, now)
        question = Question(
            intent.client, intent.connection, vendor.host, intent.door, intent.operation, intent.method,
            intent.path.partition("?")[0], now.astimezone(parts.zone), standing.owner, intent.person, standing.roles,
            standing.groups, classes, tuple(scanned.findings), intent.size, scanned.records, hour, day, departure,
            dry_run=dry_run,
        )  # fmt: skip
        decision = parts.policy.decide(question)
        if decision.effect != "deny" and not dry_run:  # at once: whatever is decided next counts this one
            self._volumes.add(intent.client, intent.connection, now)
        if not decision.findings:
            decision = replace(decision, findings=tuple(scanned.findings))
        return decision, question, standing

    async def _try(self, intent: WriteIntent, vendor: Vendor) -> Receipt:
        decision, _, _ = await self._decide(intent, vendor, dry_run=True)
        facts = {"client": intent.client, "operation": intent.operation, **said(decision)}
        subject = {"connection": intent.connection}

        def piece(transaction: Connection) -> int:
            return self._parts.audit.append(
                "intent.tried", subject, facts, {"person": intent.person}, actor=intent.client, within=transaction
            )

        entry = await self._group.write(piece)
        return Receipt(
            intent.id, "received", decision, intent.received_at, why=f"policy.{decision.effect}", entry=entry, dry_run=True
        )

    async def _reconsider(self, delivery: Delivery) -> None:
        """A held delivery whose time is up, or an approved or replayed one that is to take its turn."""
        parts, now = self._parts, self._parts.clock()
        with parts.state.read() as reader:
            try:
                asked, outcome = parts.approvals.find(reader, delivery.intent), parts.approvals.outcome(reader, delivery.intent)
            except NotAsked:
                asked, outcome = None, "open"
        if delivery.state == "held":

            def settle(transaction: Connection) -> None:
                moved = heard(self.deliveries, transaction, delivery.intent, outcome, now)
                if moved is not None and moved.state == "expired":
                    parts.approvals.settle(transaction, delivery.intent, "expired")

            await self._group.write(settle)
            return
        with parts.state.read() as reader:
            found, ends = again(parts, self.sealing, self._questions, reader, delivery, asked, outcome, now)
        if ends is not None and delivery.next_at is not None:
            ends = max(ends, delivery.next_at)  # a person wants it until then
        await self._group.write(
            lambda t: self.deliveries.move(
                t, delivery, "queued" if found.stands else "denied", found.why, now,
                next_at=ends if found.stands else None, facts=found.facts,
            )
        )  # fmt: skip

    def _told(self, delivery: Delivery, answer: Answer | None) -> None:
        """Give the answer to whoever waits for it, unless more is to come soon."""
        for waiter in self._waiters.get(delivery.intent, ()):
            if not waiter.done():
                waiter.set_result((delivery, answer))
