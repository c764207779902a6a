"""Asking the gateway for what is due, and for nothing else; and finding out what became of what a crash left half asked.

1. A row names its write before it is asked for, so that it is found again: it is never asked for twice.
2. What fails for good stops its own row, told with why; what the house cannot do now (a gateway that stops, a disk that is
   full) is tried again.
3. A row that undoes waits until what it undoes is known (`undoing`). It is looked at before the rows that it may take back, and
   the last word about a record holds (`ordering`). What nothing tells to have changed is undone on a person's word alone.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from saas_connectors.errors import ConnectorError
from sovereign.clock import Clock
from sovereign.flows.errors import Unmapped
from sovereign.flows.flow import FlowFile
from sovereign.flows.kept import RELEASED, Kept
from sovereign.flows.ledger import Ledger
from sovereign.flows.mapping import payload
from sovereign.flows.ordering import about, ended, replaced
from sovereign.flows.ports import Front, Write
from sovereign.flows.undoing import WITHOUT_EFFECT, to_cancel, to_take_back, undoing
from sovereign.gateway.errors import GatewayError, NotWritable
from sovereign.gateway.intent import new_id
from sovereign.sync.errors import UnknownConnection
from vault.errors import Fault

_LASTING: Final = (ConnectorError, NotWritable, UnknownConnection)
"""Faults that a write meets again however often it is asked for."""
AT_ONCE: Final = 500
LATER: Final = timedelta(seconds=5)
"""How long a row that undoes waits for the next look at what it undoes."""


class Asking:
    """Asks for the rows of a ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, entropy: Callable[[int], bytes]) -> None:
        self._ledger, self._clock, self._entropy = ledger, clock, entropy

    def work(self, front: Front, force: Mapping[str, FlowFile]) -> tuple[str, ...]:
        """Ask the gateway for what is due of the flows in force; gives the writes that it took."""
        rows = self._ledger.due(force, self._clock(), AT_ONCE)
        named = {row.intent: row for row in rows if row.intent}
        known = front.known(list(named)) if named else {}
        self._ledger.move([named[intent] for intent in known], "asked")
        fresh = [row for row in rows if row.intent not in known]
        writes, asked = [], []
        for row in self._going(front, fresh, force):
            made = self._write(row, force[row.flow])
            if isinstance(made, Fault):
                self._ledger.move([row], "stopped", made.code)
            else:
                writes.append(made)
                asked.append(row)
        if not writes:
            return ()
        self._ledger.name({write.intent: row for write, row in zip(writes, asked, strict=True)})
        return self._asked(front, writes, asked)

    def _going(self, front: Front, fresh: Sequence[Kept], force: Mapping[str, FlowFile]) -> list[Kept]:
        """The rows of those that are due which are to be asked for now."""
        undoing = {row.name for row in fresh if row.undo and self._undoes(front, row, force[row.flow])}
        over = self._replaced([row for row in fresh if not row.undo and force[row.flow].flow.when is not None])
        self._ledger.move(over, "cancelled", "replaced")
        gone = {row.name for row in over}
        if any(row.undo for row in fresh):
            gone |= {row.name for row in fresh if not row.undo and not self._ledger.waits(row)}  # taken back just now
        going = [row for row in fresh if row.name in undoing or not (row.undo or row.name in gone)]
        waiting = [row for row in self._ledger.undoing(force) if row.name not in undoing]
        if waiting:
            order = self._order([*waiting, *going])
            self._ledger.move(ended(going, waiting, order), "cancelled", "replaced")
        return going

    def _replaced(self, rows: Sequence[Kept]) -> list[Kept]:
        """The rows of dated flows, among those that are due, that a later one replaced."""
        over: list[Kept] = []
        for flow in {row.flow for row in rows}:
            mine = [row for row in rows if row.flow == flow and row.why != RELEASED]
            held: dict[tuple[bytes, str], list[Kept]] = {}
            for each in self._ledger.of(flow, list({row.record for row in mine})):
                held.setdefault((each.record, each.step), []).append(each)
            several = [row for row in mine if len(held[row.record, row.step]) > 1]
            order = self._order([each for row in several for each in held[row.record, row.step]])
            over += [row for row in several if replaced(row, held[row.record, row.step], order)]
        return over

    def _order(self, rows: Sequence[Kept]) -> dict[tuple[str, str], datetime]:
        return self._ledger.sequence.order({(row.flow, row.occasion) for row in rows})

    def _asked(self, front: Front, writes: Sequence[Write], rows: Sequence[Kept]) -> tuple[str, ...]:
        taken: dict[str, Kept] = {}
        for fault, write, row in zip(front.ask(writes), writes, rows, strict=True):
            if fault is None:
                taken[write.intent] = row
            elif isinstance(fault, _LASTING):
                self._ledger.move([row], "stopped", fault.code)
        self._ledger.move(taken.values(), "asked")
        return tuple(taken)

    def _undoes(self, front: Front, row: Kept, file: FlowFile) -> bool:
        """Whether a row that undoes is to be asked for now; what has not left yet is taken back first."""
        every = self._ledger.rows(row.flow, record=row.record)
        standing = front.known([each.intent for each in every if each.intent])
        failed = {intent for intent, told in standing.items() if told.state in WITHOUT_EFFECT}
        rows = about(row, every, self._order(every), failed)
        self._ledger.move(to_cancel(rows), "cancelled", "cancelled")
        if any(each.state == "settled" for each in rows):  # a person did it, in a way that nobody told
            self._ledger.move([row], "stopped", "undo.settled")
            return False
        intents = [each.intent for each in rows if each.intent]
        for intent in to_take_back(rows, front.known(intents)):
            with suppress(GatewayError):  # it has just left: what became of it is looked at below
                front.take_back(intent, f"flow {row.flow}")
        then = undoing(rows, front.known(intents))
        if then == "unknown" and row.why == RELEASED:
            then = "ask"
        if then in ("ask", "unknown") and not any(step.undo for step in file.flow.do if step.name == row.step):
            self._ledger.move([row], "stopped", "undo.none")
            return False
        if then == "wait":
            self._ledger.put_off([row], self._clock() + LATER)
        elif then in ("nothing", "unchanged"):
            self._ledger.move([row], "cancelled", f"undo.{then}")
        elif then == "unknown":
            self._ledger.move([row], "held", "undo.unknown")
        return then == "ask"

    def _write(self, row: Kept, file: FlowFile) -> Write | Fault:
        """The write of a row, or what keeps it from being one."""
        found = [step for step in file.flow.do if step.name == row.step]
        if not found:
            return Unmapped(step=row.step, pointer="/", expected_fr="attendu : une étape", expected_en="expected a step")
        step = found[0]
        try:
            _, values = self._ledger.open(row)
            made = payload(step, values, undo=row.undo)
        except Fault as fault:
            return fault
        operation = step.undo if row.undo and step.undo else step.operation
        intent = row.intent or new_id(self._clock(), self._entropy)
        return Write(intent, file.client, step.connection, operation, made, row.name)
