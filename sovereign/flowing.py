"""The bus of a site, put together: its copies, the gateway's front door as a thread knocks at it, what may be written.

A flow's questions are entered like any other, at the clearance that its file says. Whoever answers for it must hold that
clearance for each connection it reads, when it is enabled and each time it acts.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlalchemy import select

from saas_connectors import registry
from saas_connectors.connector import Class, Json, Operation
from saas_connectors.payloads import encode
from snapshots.dataset import DatasetId, visible
from snapshots.statement import parse
from sovereign.flows.bus import Bus
from sovereign.flows.errors import NotCleared, NothingFailed, UnknownRecord
from sovereign.flows.flow import CHANGES, EVENT, FlowFile, readable
from sovereign.flows.ledger import Ledger
from sovereign.flows.mapping import Beyond
from sovereign.flows.occasion import Occasion
from sovereign.flows.ports import Events, Outcome, Write
from sovereign.flows.undoing import WITHOUT_EFFECT
from sovereign.gateway.intent import FIRST, USUAL, WriteIntent
from sovereign.state import refusals
from sovereign.state.flowing import flow_rows
from sovereign.state.outbound import deliveries, delivery_events
from vault.errors import Fault, Finding

if TYPE_CHECKING:
    from sovereign.gateway.gateway import Gateway
    from sovereign.gateway.vendor import Vendors
    from sovereign.site import Site
    from sovereign.state import State

FOLDER: Final = "flows"
PATIENCE: Final = 60.0
"""Seconds that the gateway may take to make writes durable."""


def bus(site: "Site", events: Events | None = None) -> Bus:
    """The bus of a site. events: where events come in; none come when None."""
    ledger = Ledger(site.state, site.audit, site.keys, site.clock)
    zone, offered = ZoneInfo(site.settings.site.zone), partial(operations, site)
    return Bus(site.root / FOLDER, ledger, SiteCopies(site), events or Silence(), offered, site.clock, zone)


def enable(site: "Site", name: str) -> FlowFile:
    """Put a flow in force, as an application of the gateway without a credential. Errors: UnknownFlow, BadFlow, NotCleared."""
    from sovereign.eventing import diary

    made = bus(site, diary(site))
    file = made.check(name)
    for sql in (file.flow.select, file.flow.cancel):
        cleared(site, file, sql or "SELECT 1")
    reaches = sorted({step.connection for step in file.flow.do})
    site.outbound.clients.house(file.client, owner=file.flow.owner, purpose=file.flow.title, connections=reaches)
    return made.enable(name, site.actor)


def findings(site: "Site") -> "Iterator[Finding]":
    """Say which flows that a person put in force act no more, and why."""
    from sovereign.eventing import diary

    made = bus(site, diary(site))
    for standing in made.ledger.enabled():
        try:
            made.check(standing.flow)
        except Fault as fault:
            fr, en = (f"{each.what} {each.todo}" for each in (fault.diagnostics("fr"), fault.diagnostics("en")))
            yield Finding("error", "doctor.flow", standing.flow, fr, en)


def settle(site: "Site", name: str, key: Sequence[str], step: str | None, reason: str) -> tuple[str, ...]:
    """Note that a person dealt with the steps of a record that failed for good; gives them.

    step: that one alone; None: each that failed. Errors: UnknownRecord, NothingFailed.
    """
    ledger = bus(site).ledger
    rows = ledger.rows(name, record=ledger.record(name, key))
    if not rows:
        raise UnknownRecord(flow=name)
    known = outcomes(site.state, [row.intent for row in rows if row.intent])
    last = {row.step: row for row in reversed(rows) if step in (None, row.step)}
    failed = [row for row in last.values() if row.state == "stopped" or (row.state == "asked" and _failed(row.intent, known))]
    if not failed:
        raise NothingFailed(flow=name)
    for row in failed:
        ledger.close(row, site.actor, reason)
    return tuple(sorted(row.step for row in failed))


def in_turn(site: "Site", intent: str) -> None:
    """Make sure that a write which is to be sent again, if a flow asked for it, is no older word than what was handled since.

    Errors: Older.
    """
    c = flow_rows.c
    with site.state.read() as reader:
        row = reader.execute(select(c.flow, c.occasion, c.record, c.step).where(c.intent == intent)).first()
    if row is not None:
        bus(site).in_turn(row.flow, row.occasion, {(row.record, row.step)})


def _failed(intent: str | None, known: Mapping[str, Outcome]) -> bool:
    return intent is not None and intent in known and known[intent].state in WITHOUT_EFFECT - {"cancelled"}


def cleared(site: "Site", file: FlowFile, sql: str) -> None:
    """Make sure that whoever answers for a flow may read what a question of it reads; errors: NotCleared."""
    tables = parse(readable(sql)).tables
    reads = {schema for schema, _ in tables if schema in site.settings.connections}
    reads |= {dataset.partition(".")[0] for schema, dataset in tables if schema == CHANGES}
    wanted, owner = file.flow.clearance, file.flow.owner
    for connection in sorted(reads):
        held = site.outbound.rights.clearance(owner, connection=connection)
        if held is None or wanted not in visible(held):
            raise NotCleared(flow=file.name, connection=connection, clearance=wanted, owner=owner)


def operations(site: "Site", connection: str) -> Mapping[str, Operation]:
    """The operations of a connection, by name; errors: UnknownConnection, SettingsError."""
    settings = site.connection(connection)
    writer = registry.writer(settings.connector, connection, settings.options)
    return {operation.name: operation for operation in writer.operations()}


class Silence:
    """A site where no event comes in."""

    def class_of(self, *_: object) -> Class:
        """Nothing is told."""
        return "internal"

    def class_at(self, *_: object) -> Class:
        """Nothing is told."""
        return "internal"

    def after(self, *_: object) -> Sequence[tuple[int, str, Mapping[str, Json]]]:
        """None."""
        return ()

    def one(self, *_: object) -> None:
        """None."""
        return

    def last(self, *_: object) -> int:
        """None."""
        return 0


class SiteCopies:
    """The local copies of a site, as flows ask them."""

    def __init__(self, site: "Site") -> None:
        self._site = site

    def head(self, dataset: str, /) -> int:
        """The sequence of the snapshot that is served, 0 when there is none."""
        last = self._site.audit.last_commit(*dataset.split("."))
        return last.sequence if last else 0

    def rows(self, file: FlowFile, sql: str, occasion: Occasion, /) -> Iterator[Mapping[str, Json]]:
        """The rows of a question; errors: those of a question, NoSnapshot."""
        cleared(self._site, file, sql)
        given: dict[tuple[str, str], pa.Table] = {}
        clearance = file.flow.clearance
        if occasion.dataset is not None:
            dataset = DatasetId(*occasion.dataset.split("."))
            before, after = (self._site.snapshot(dataset, each) for each in (occasion.before, occasion.after))
            batches = list(self._site.changes(dataset, before, after, clearance=clearance))
            if not batches:
                return
            given[CHANGES, occasion.dataset] = pa.Table.from_batches(batches)
        if occasion.event is not None:
            given["", EVENT] = _table(occasion.event)
        with self._site.query(readable(sql), clearance=clearance, given=given) as answer:
            for batch in answer.reader:
                yield from _rows(batch)


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Json]]:
    """The rows of an answer. A date that no calendar of ours holds spoils its own value, and no other row."""
    try:
        yield from batch.to_pylist()
    except (OverflowError, ValueError):  # before the first row is given
        for number in range(batch.num_rows):
            yield {name: _value(batch.column(name)[number]) for name in batch.schema.names}


def _value(held: pa.Scalar) -> Json:
    try:
        return held.as_py()
    except (OverflowError, ValueError):
        return Beyond("?")


def _table(event: Mapping[str, Json]) -> pa.Table:
    """An event as one row. A value that no column can hold (a list of several kinds, a number too long) is its JSON text."""
    row = dict(event) or {"event": None}
    return pa.table({name: _column(value) for name, value in row.items()})


def _column(value: Json) -> pa.Array:
    try:
        made = pa.array([value])
    except (pa.ArrowException, OverflowError):
        made = None
    return pa.array([encode(value).decode()]) if made is None or _hollow(made.type) else made


def _hollow(kind: pa.DataType) -> bool:
    """Whether an object without a field is somewhere in it, which no column can hold."""
    if pa.types.is_struct(kind):
        return kind.num_fields == 0 or any(_hollow(each.type) for each in kind)
    return pa.types.is_list(kind) and _hollow(kind.value_type)


class Door:
    """The gateway's front door, for threads beside its loop. Writes of one call are submitted together."""

    def __init__(self, gateway: "Gateway", vendors: "Vendors", site: "Site", loop: asyncio.AbstractEventLoop) -> None:
        self._gateway, self._vendors, self._loop = gateway, vendors, loop
        self._state, self._clock = site.state, site.clock

    def ask(self, writes: Sequence[Write], /) -> Sequence[Fault | None]:
        """Submit writes; a fault for each that was not taken."""
        return [each if isinstance(each, Fault) else None for each in self._all(writes, dry_run=False)]

    def decide(self, writes: Sequence[Write], /) -> Sequence[tuple[str, tuple[str, str]] | Fault]:
        """What policy would decide."""
        told: list[tuple[str, tuple[str, str]] | Fault] = []
        for each in self._all(writes, dry_run=True):
            decision = None if isinstance(each, Fault) else each.decision
            told.append(each if isinstance(each, Fault) or decision is None else (decision.effect, (decision.fr, decision.en)))
        return told

    def known(self, intents: Sequence[str], /) -> Mapping[str, Outcome]:
        """Where writes stand."""
        return outcomes(self._state, intents)

    def take_back(self, intent: str, by: str, /) -> None:
        """Take back a write that has not left."""
        going = self._gateway.cancel(intent, actor=by)
        asyncio.run_coroutine_threadsafe(going, self._loop).result(PATIENCE)

    def _all(self, writes: Sequence[Write], *, dry_run: bool) -> list[Any]:
        async def submit() -> list[Any]:
            return await asyncio.gather(*(self._submit(write, dry_run) for write in writes), return_exceptions=True)

        found = asyncio.run_coroutine_threadsafe(submit(), self._loop).result(PATIENCE + len(writes) / 50)
        for each in found:
            if isinstance(each, BaseException) and not isinstance(each, Fault):
                raise each
        return found

    async def _submit(self, write: Write, dry_run: bool) -> Any:  # noqa: ANN401 - a receipt, or what kept it from being made
        writer, operation = self._vendors(write.connection).operation(write.operation)
        entity = writer.entity(write.operation, write.payload)
        priority = FIRST if operation.departure else USUAL
        intent = WriteIntent(
            write.intent, write.client, write.connection, "flow", write.operation, encode(write.payload), "application/json",
            entity, self._clock(), priority=priority, idempotency_key=write.key,
        )  # fmt: skip
        return await self._gateway.submit(intent, wait=None, dry_run=dry_run)


def outcomes(state: "State", intents: Sequence[str]) -> Mapping[str, Outcome]:
    """Where writes stand, by intent, with the instants of their steps."""
    found: dict[str, Outcome] = {}
    with state.read() as reader:
        closed = refusals.shut(reader)
        for start in range(0, len(intents), 500):
            some = list(intents[start : start + 500])
            steps: dict[str, list[tuple[str, Any]]] = {}
            events = select(delivery_events.c.intent, delivery_events.c.state, delivery_events.c.at)
            asked = events.where(delivery_events.c.intent.in_(some)).order_by(delivery_events.c.number)
            for row in reader.execute(asked):
                steps.setdefault(row.intent, []).append((row.state, row.at))
            c = deliveries.c
            rows = reader.execute(select(c.intent, c.state, c.why, c.connection, c.outcome).where(c.intent.in_(some)))
            for intent, state_, why, connection, known in rows:
                because = refusals.because(state_, why, connection, closed)
                found[intent] = Outcome(state_, because, tuple(steps.get(intent, ())), known.get("changed"))
    return found
