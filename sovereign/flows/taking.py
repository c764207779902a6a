"""Taking occasions: what changed, came or is due, the rows that a flow is about, kept before anything is asked for.

1. An occasion gives its rows once; it is safe to look again, and to be killed at any instant.
2. The first copy of a dataset changes nothing: a flow acts on what comes after it.
3. A flow whose file changed since it was enabled takes nothing, and it is told.
4. A question that fails, in whatever way, is told, and asked again each minute. A change keeps the flow where it is; an event
   that fails keeps none of the others waiting, and no flow another.
5. What could not be read in its turn does not act on a record about which something later was handled, unless a person says so.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from saas_connectors.connector import Class, Json
from snapshots.dataset import visible
from sovereign.clock import Clock
from sovereign.flows import flow as files
from sovereign.flows.errors import EventAbove, NotEnabled, Unforeseen
from sovereign.flows.flow import FlowFile
from sovereign.flows.kept import Standing
from sovereign.flows.ledger import Ledger
from sovereign.flows.occasion import Occasion, of_change, of_event, of_instant
from sovereign.flows.planning import Plan, plan, set_aside, undone
from sovereign.flows.ports import Copies, Events
from sovereign.sync.cadence import parse as cadence
from vault.errors import Fault

RETRY: Final = timedelta(minutes=1)
"""How long an occasion whose rows could not be found waits for its next try."""
HOUSE: Final = (SQLAlchemyError, OSError, RuntimeError)
"""What the house cannot do now: tried again at the next look, and no fault of a flow."""
AT_ONCE: Final = 500
"""Events looked at together."""


class Taking:
    """Takes the occasions of the flows in force."""

    def __init__(self, folder: Path, ledger: Ledger, copies: Copies, events: Events, clock: Clock, zone: ZoneInfo) -> None:
        self._folder, self._ledger, self._copies, self._events = folder, ledger, copies, events
        self._clock, self._zone = clock, zone

    def look(self, trouble: Callable[[Fault], None] = lambda _: None) -> int:
        """Take what occasions there are; gives how many. trouble: told of flows that cannot act, and why."""
        taken, house = 0, None
        for standing in self._ledger.enabled():
            try:
                file = self._in_force(standing)
                taken += self._take(file, standing)
            except Fault as fault:
                trouble(fault)
            except HOUSE as error:
                house = house or error
            except Exception as error:  # noqa: BLE001 - what one flow meets keeps no other from acting
                trouble(Unforeseen(flow=standing.flow, kind=type(error).__name__))
        if house is not None:
            raise house
        return taken

    def force(self) -> dict[str, FlowFile]:
        """The flows in force whose file is the text that was enabled; `look` tells of the others."""
        found = {}
        for standing in self._ledger.enabled():
            with suppress(Fault):
                found[standing.flow] = self._in_force(standing)
        return found

    def position(self, file: FlowFile) -> dict[str, Json]:
        """Where a flow that is enabled now begins."""
        on = file.flow.on
        if on.change:
            return {on.change: self._copies.head(on.change)}
        return {on.event: self._events.last(on.event)} if on.event else {}

    def next(self, file: FlowFile) -> datetime:
        """When a flow on a cadence is due next."""
        return cadence(f"every {file.flow.on.every}", self._zone.key).after(self._clock(), file.name)

    def plan(self, file: FlowFile, occasion: Occasion) -> Plan:
        """What an occasion would ask for; errors: those of a question, BadFlow when it lacks a column that the flow names."""
        rows = _whole(file, self._copies.rows(file, file.flow.select, occasion))
        recent = self._ledger.sequence.lately(file.name, occasion.name)

        def lately(key: tuple[Json, ...]) -> int:
            return recent.get(self._ledger.record(file.name, key), 0) if recent else 0

        return plan(file.flow, occasion.name, rows, self._clock(), self._zone, lately)

    def readable(self, file: FlowFile) -> None:
        """Make sure that a flow may read the events it waits for. Errors: EventAbove."""
        if file.flow.on.event:
            self._covers(file, self._events.class_of(file.flow.on.event))

    # Inside

    @staticmethod
    def _covers(file: FlowFile, held: Class) -> None:
        if held not in visible(file.flow.clearance):
            raise EventAbove(flow=file.name, type=file.flow.on.event or "", held=held, clearance=file.flow.clearance)

    def _in_force(self, standing: Standing) -> FlowFile:
        file = files.read(self._folder, standing.flow)
        if file.digest != standing.digest:
            raise NotEnabled(flow=standing.flow, reason_fr="son fichier a changé depuis", reason_en="its file changed since")
        return file

    def _take(self, file: FlowFile, standing: Standing) -> int:
        on = file.flow.on
        if on.change:
            before, after = int(standing.position.get(on.change, 0)), self._copies.head(on.change)
            if after <= before:
                return 0
            if not before:
                self._ledger.baseline(file.name, {on.change: after})
                return 0
            return self._acted(file, of_change(on.change, before, after), {on.change: after})
        if on.event:
            return self._told(file, on.event, int(standing.position.get(on.event, 0)))
        if standing.due_at is not None and standing.due_at <= self._clock():
            return self._acted(file, of_instant(standing.due_at), {}, self.next(file))
        return 0

    def _told(self, file: FlowFile, type_: str, position: int) -> int:
        """Act on each event; those that failed before are tried again first. What it may not read keeps it where it is."""
        self.readable(file)
        taken, faults = 0, list[Fault]()
        failing = self._ledger.failing(file.name, self._clock() - RETRY)
        waiting: list[tuple[str, dict[str, Json]]] = [(name.removeprefix("event:"), {}) for name in failing]
        waiting += [(name, {type_: at}) for at, name, _ in self._events.after(type_, position, AT_ONCE)]
        for name, passed in waiting:
            data = self._events.one(name)
            if data is None:
                continue
            self._covers(file, self._events.class_at(name))
            try:
                taken += self._acted(file, of_event(name, data), passed, passing=True)
            except Fault as fault:
                kept = self._ledger.occasion(file.name, of_event(name, data).name)
                if kept is None or kept.state != "failed":
                    raise  # it is not its question: nothing was written down, and nothing may pass it
                faults.append(fault)
        if faults:
            raise faults[0]
        return taken

    def _acted(
        self,
        file: FlowFile,
        occasion: Occasion,
        position: Mapping[str, Json],
        due_at: datetime | None = None,
        *,
        passing: bool = False,
    ) -> int:
        """Take one occasion. passing: a failure is passed, so that what comes after is not kept waiting."""
        known = self._ledger.occasion(file.name, occasion.name)
        if known is not None and known.state == "failed" and self._clock() - known.at < RETRY:
            return 0
        if known is not None and known.state != "failed":
            self._ledger.baseline(file.name, position)
            return 0
        try:
            made = self.plan(file, occasion)
            gone = self._cancelled(file, occasion)
        except (SQLAlchemyError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whoever writes what comes in must not keep the rest waiting with it
            fault = error if isinstance(error, Fault) else Unforeseen(flow=file.name, kind=type(error).__name__)
            self._ledger.failed(file.name, occasion, fault.code, position if passing else {})
            raise fault from None
        back = [each for key, row in gone for each in undone(file.flow, key, row, made.at)]
        made.rows[:0] = back  # of one occasion, what takes back goes before what is done anew
        if known is not None:  # its rows could not be found when it came: what came after it may have been handled since
            records = {self._ledger.record(file.name, each.key) for each in made.rows}
            places = self._ledger.sequence.later(file.name, occasion.name, records)
            made.rows[:] = set_aside(made.rows, places, partial(self._ledger.record, file.name))
        held = made.held or ("too_many" if len(gone) > file.flow.most else None)
        return int(
            self._ledger.take(file, occasion, made.rows, made.found + len(gone), position=position, due_at=due_at, held=held)
        )

    def _cancelled(self, file: FlowFile, occasion: Occasion) -> list[tuple[tuple[Json, ...], Mapping[str, Json]]]:
        """The records that an occasion takes back, with the row that does; only those that something was done for.

        While events that came before could not be read, all are: whatever those would have done is taken back already.
        """
        if file.flow.cancel is None:
            return []
        gone, unread = [], occasion.event is not None and bool(self._ledger.failing(file.name, self._clock()))
        for row in _whole(file, self._copies.rows(file, file.flow.cancel, occasion), cancels=True):
            key = tuple(row.get(name) for name in file.flow.key)
            if unread or self._ledger.rows(file.name, record=self._ledger.record(file.name, key), limit=1):
                gone.append((key, row))
        return gone


def _whole(file: FlowFile, rows: Iterable[Mapping[str, Json]], *, cancels: bool = False) -> Iterator[Mapping[str, Json]]:
    """The rows, once the first has the columns that the flow names: without its date a row would go at once, a step never."""
    flow, first = file.flow, True
    for row in rows:
        if first:
            named = [("key", name) for name in flow.key]
            if not cancels:
                named += [("when", flow.when)] if flow.when else []
                named += [(f"do[{number}].needs", step.needs) for number, step in enumerate(flow.do) if step.needs]
            for field, name in named:
                if name not in row:
                    question = "cancel" if cancels else "select"
                    fr, en = (
                        f"une colonne de « {question} » ; {name} n'en est pas une",
                        f"a column of `{question}`; {name} is none",
                    )
                    raise files.bad(file.name, field, fr, en)
            first = False
        yield row
