"""The application bus: it sees what changed, finds the rows that a flow is about, and asks the gateway for their writes.

1. `look` takes occasions: a copy that moved, an event that came, an instant that is due. `work` asks for what is due. Both are
   safe to repeat, and to be killed at any instant: an occasion gives its rows once, a row its write once.
2. A flow in force whose file changed writes nothing until a person enables the new text.
3. What fails stops its own row, told with why; what the house cannot do now (a gateway that stops, a disk that is full) is
   tried again.
4. The first copy of a dataset changes nothing: a flow acts on what comes after it.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from saas_connectors.connector import Json
from saas_connectors.errors import ConnectorError
from sovereign.clock import Clock
from sovereign.flows import flow as files
from sovereign.flows.errors import NotEnabled, NotHeld, UnknownFlow, UnknownOccasion, Unmapped
from sovereign.flows.flow import FlowFile
from sovereign.flows.ledger import Kept, Ledger, Standing, Taken
from sovereign.flows.mapping import payload
from sovereign.flows.occasion import Occasion, of_change, of_event, of_instant
from sovereign.flows.planning import Plan, plan, undone
from sovereign.flows.ports import Copies, Events, Front, Operations, Write
from sovereign.gateway.errors import NotWritable
from sovereign.gateway.intent import new_id
from sovereign.sync.cadence import parse as cadence
from sovereign.sync.errors import UnknownConnection
from vault.errors import Fault

RETRY: Final = timedelta(minutes=1)
"""How long an occasion whose rows could not be found waits for its next try."""
_LASTING: Final = (ConnectorError, NotWritable, UnknownConnection)
"""Faults that a write meets again however often it is asked for."""
AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Trial:
    """What a flow would do: its plan, and what policy would decide of the writes that are due, by effect."""

    occasion: Occasion
    plan: Plan
    effects: Mapping[str, int]
    sentences: tuple[tuple[str, str], ...]


class Bus:
    """The flows of a site."""

    def __init__(
        self,
        folder: Path,
        ledger: Ledger,
        copies: Copies,
        events: Events,
        operations: Operations,
        clock: Clock,
        zone: ZoneInfo,
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.folder, self.ledger = folder, ledger
        self._copies, self._events, self._operations = copies, events, operations
        self._clock, self._zone, self._entropy = clock, zone, entropy

    # For people

    def names(self) -> tuple[str, ...]:
        """The flow files of the site."""
        return files.names(self.folder)

    def check(self, name: str) -> FlowFile:
        """Read a flow and hold it to what the site has: its connections, their operations, the columns it takes.

        Errors: UnknownFlow, BadFlow.
        """
        file = files.read(self.folder, name)
        for number, step in enumerate(file.flow.do):
            at = f"do[{number}]"
            try:
                known = self._operations(step.connection)
            except Fault:
                raise files.bad(name, f"{at}.connection", "une connexion de ce site", "a connection of this site") from None
            for field, operation in (("operation", step.operation), ("undo", step.undo)):
                if operation is not None and operation not in known:
                    offered = ", ".join(sorted(known)) or "-"
                    raise files.bad(name, f"{at}.{field}", f"une opération parmi : {offered}", f"an operation among: {offered}")
            missing = set(known[step.operation].schema.get("required", ())) - step.payload.keys()
            if missing:
                wanted = ", ".join(sorted(missing))
                raise files.bad(name, f"{at}.payload", f"les champs {wanted}", f"the fields {wanted}")
        return file

    def enable(self, name: str, by: str) -> FlowFile:
        """Put the text of a flow in force; it acts on what comes from now on. Errors: UnknownFlow, BadFlow."""
        file = self.check(name)
        due_at = self._next(file) if file.flow.on.every else None
        self.ledger.enable(file, self._position(file), due_at, by)
        return file

    def disable(self, name: str, by: str, reason: str = "") -> None:
        """Let a flow act no more. Errors: NotEnabled."""
        standing = self.ledger.standing(name)
        if standing is None or standing.state != "enabled":
            raise NotEnabled(flow=name, reason_fr="il ne l'est pas", reason_en="it is not")
        self.ledger.disable(name, by, reason)

    def occasion(self, name: str, occasion: str) -> Taken:
        """One occasion; errors: UnknownOccasion."""
        found = self.ledger.occasion(name, occasion)
        if found is None:
            raise UnknownOccasion(flow=name, occasion=occasion[:200])
        return found

    def release(self, name: str, occasion: str, by: str, reason: str) -> int:
        """Let the rows of a held occasion go; gives how many. Errors: UnknownOccasion, NotHeld."""
        return self._settle(name, occasion, True, by, reason)

    def drop(self, name: str, occasion: str, by: str, reason: str) -> int:
        """Drop the rows of a held occasion; gives how many. Errors: UnknownOccasion, NotHeld."""
        return self._settle(name, occasion, False, by, reason)

    def trial(
        self, name: str, front: Front | None, *, since: int | None = None, event: Mapping[str, Json] | None = None
    ) -> Trial:
        """What a flow would do, nothing being kept: of a change since a snapshot, of an event given, or now.

        since: the snapshot to compare the current one with, the one before it when None. front: asked what policy would say of
        the first writes; None asks nobody. Errors: UnknownFlow, BadFlow, those of a question.
        """
        file = self.check(name)
        occasion = self._given(file, since, event)
        made = self._plan(file, occasion)
        effects: dict[str, int] = {}
        sentences: list[tuple[str, str]] = []
        if front is not None:
            ready = [each for each in made.rows if each.why is None][:AT_ONCE]
            steps = {step.name: step for step in file.flow.do}
            asked = [
                Write(self._id(), file.client, steps[each.step].connection, steps[each.step].operation,
                      payload(steps[each.step], each.row), f"trial-{self._entropy(8).hex()}")
                for each in ready
            ]  # fmt: skip
            for told in front.decide(asked):
                effect, said = (told.code, _said(told)) if isinstance(told, Fault) else told
                effects[effect] = effects.get(effect, 0) + 1
                if said not in sentences:
                    sentences.append(said)
        return Trial(occasion, made, effects, tuple(sentences[:20]))

    # For the service

    def look(self, trouble: Callable[[Fault], None] = lambda _: None) -> int:
        """Take what occasions there are; gives how many. trouble: told of flows that cannot act, and why."""
        taken = 0
        for standing in self.ledger.enabled():
            try:
                file = self._in_force(standing)
                taken += self._take(file, standing)
            except Fault as fault:
                trouble(fault)
        return taken

    def work(self, front: Front) -> tuple[str, ...]:
        """Ask the gateway for what is due; gives the writes that it took."""
        rows = self.ledger.due(self._clock(), AT_ONCE)
        named = {row.intent: row for row in rows if row.intent}
        known = front.known(list(named)) if named else {}
        self.ledger.move([named[intent] for intent in known], "asked")
        fresh = [row for row in rows if row.intent not in known]
        writes, asked = [], []
        steps: dict[str, FlowFile | Fault] = {}
        for row in fresh:
            made = self._write(row, steps)
            if isinstance(made, Fault):
                self.ledger.move([row], "stopped", made.code)
            elif made is not None:
                writes.append(made)
                asked.append(row)
        if not writes:
            return ()
        self.ledger.name({write.intent: row for write, row in zip(writes, asked, strict=True)})
        return self._asked(front, writes, asked)

    def _asked(self, front: Front, writes: Sequence[Write], rows: Sequence[Kept]) -> tuple[str, ...]:
        taken: dict[str, Kept] = {}
        for fault, write, row in zip(front.ask(writes), writes, rows, strict=True):
            if fault is None:
                taken[write.intent] = row
            elif isinstance(fault, _LASTING):
                self.ledger.move([row], "stopped", fault.code)
        self.ledger.move(taken.values(), "asked")
        return tuple(taken)

    def _write(self, row: Kept, known: dict[str, FlowFile | Fault]) -> Write | Fault | None:
        """The write of a row; None while its flow is not as it was enabled."""
        if row.flow not in known:
            standing = self.ledger.standing(row.flow)
            try:
                known[row.flow] = self._in_force(standing) if standing else UnknownFlow(flow=row.flow, known="-")
            except Fault as fault:
                known[row.flow] = fault
        file = known[row.flow]
        if isinstance(file, Fault):
            return None
        found = [step for step in file.flow.do if step.name == row.step]
        if not found:
            return Unmapped(step=row.step, pointer="/", expected_fr="attendu : une étape", expected_en="expected a step")
        step = found[0]
        try:
            _, values = self.ledger.open(row)
            made = payload(step, values, undo=row.undo)
        except Fault as fault:
            return fault
        operation = step.undo if row.undo and step.undo else step.operation
        return Write(row.intent or self._id(), file.client, step.connection, operation, made, row.name)

    # Inside

    def _in_force(self, standing: Standing) -> FlowFile:
        file = files.read(self.folder, standing.flow)
        if file.digest != standing.digest:
            raise NotEnabled(flow=standing.flow, reason_fr="son fichier a changé depuis", reason_en="its file changed since")
        return file

    def _position(self, file: FlowFile) -> dict[str, Json]:
        on = file.flow.on
        if on.change:
            return {on.change: self._copies.head(on.change)}
        return {on.event: self._events.last(on.event)} if on.event else {}

    def _next(self, file: FlowFile) -> datetime:
        return cadence(f"every {file.flow.on.every}", self._zone.key).after(self._clock(), file.name)

    def _take(self, file: FlowFile, standing: Standing) -> int:
        on = file.flow.on
        if on.change:
            before, after = int(standing.position.get(on.change, 0)), self._copies.head(on.change)
            if after <= before:
                return 0
            if not before:
                self.ledger.baseline(file.name, {on.change: after})
                return 0
            return self._acted(file, of_change(on.change, before, after), {on.change: after})
        if on.event:
            taken, position = 0, int(standing.position.get(on.event, 0))
            for at, name, data in self._events.after(on.event, position, AT_ONCE):
                taken += self._acted(file, of_event(name, data), {on.event: at})
            return taken
        if standing.due_at is not None and standing.due_at <= self._clock():
            return self._acted(file, of_instant(standing.due_at), {}, self._next(file))
        return 0

    def _acted(self, file: FlowFile, occasion: Occasion, position: Mapping[str, Json], due_at: datetime | None = None) -> int:
        known = self.ledger.occasion(file.name, occasion.name)
        if known is not None and known.state == "failed" and self._clock() - known.at < RETRY:
            return 0
        if known is not None and known.state != "failed":
            self.ledger.baseline(file.name, position)
            return 0
        try:
            made = self._plan(file, occasion)
            gone = self._cancelled(file, occasion)
        except Fault as fault:
            self.ledger.failed(file.name, occasion, fault.code)
            raise
        for key, row in gone:
            made.rows += undone(file.flow, key, row, self._clock())
        return int(
            self.ledger.take(
                file, occasion, made.rows, made.found, position=position, due_at=due_at, held=made.held,
                cancelled=[key for key, _ in gone],
            )
        )  # fmt: skip

    def _plan(self, file: FlowFile, occasion: Occasion) -> Plan:
        rows = self._copies.rows(file, file.flow.select, occasion)
        lately: Callable[[tuple[Json, ...]], int] = lambda key: self.ledger.lately(file.name, key, occasion.name)  # noqa: E731
        return plan(file.flow, rows, self._clock(), self._zone, lately)

    def _cancelled(self, file: FlowFile, occasion: Occasion) -> list[tuple[tuple[Json, ...], Mapping[str, Json]]]:
        """The records that an occasion takes back, with the row that does; only those that something was done for."""
        if file.flow.cancel is None:
            return []
        gone = []
        for row in self._copies.rows(file, file.flow.cancel, occasion):
            key = tuple(row.get(name) for name in file.flow.key)
            if self.ledger.rows(file.name, record=self.ledger.record(file.name, key), limit=1):
                gone.append((key, row))
        return gone

    def _given(self, file: FlowFile, since: int | None, event: Mapping[str, Json] | None) -> Occasion:
        on = file.flow.on
        if on.change:
            after = self._copies.head(on.change)
            return of_change(on.change, max(after - 1, 0) if since is None else since, after)
        if on.event:
            return of_event("trial", event or {})
        return of_instant(self._clock())

    def _settle(self, name: str, occasion: str, goes: bool, by: str, reason: str) -> int:
        found = self.occasion(name, occasion)
        if found.state != "held":
            raise NotHeld(flow=name, occasion=occasion[:200], state=found.state)
        return self.ledger.settle(name, occasion, "taken" if goes else "dropped", by, reason)

    def _id(self) -> str:
        return new_id(self._clock(), self._entropy)


def _said(fault: Fault) -> tuple[str, str]:
    return fault.diagnostics("fr").what, fault.diagnostics("en").what
