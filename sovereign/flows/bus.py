"""The application bus: the flows of a site, as people read, try, enable and settle them, and as the service lets them act.

1. `look` takes occasions (`taking`), `work` asks the gateway for what is due (`asking`). Both are safe to repeat, and to be
   killed at any instant.
2. What is in force is the very text that a person enabled.
3. A trial keeps nothing and writes nothing.
"""

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from saas_connectors.connector import Json
from sovereign.clock import Clock
from sovereign.flows import flow as files
from sovereign.flows.asking import Asking
from sovereign.flows.errors import NotEnabled, NotHeld, Older, UnknownFlow, UnknownOccasion
from sovereign.flows.flow import FlowFile
from sovereign.flows.kept import Taken
from sovereign.flows.ledger import Ledger
from sovereign.flows.mapping import payload
from sovereign.flows.occasion import Occasion, of_change, of_event, of_instant
from sovereign.flows.planning import Plan
from sovereign.flows.ports import Copies, Events, Front, Operations, Write
from sovereign.flows.sequence import Place
from sovereign.flows.taking import Taking
from sovereign.gateway.intent import new_id
from sovereign.sync.errors import UnknownConnection
from vault.errors import Fault

TRIED: Final = 500
"""Writes of a trial that policy is asked about."""


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
        self._copies, self._operations, self._clock, self._entropy = copies, operations, clock, entropy
        self._taking = Taking(folder, ledger, copies, events, clock, zone)
        self._asking = Asking(ledger, clock, entropy)

    # For people

    def names(self) -> tuple[str, ...]:
        """The flow files of the site."""
        return files.names(self.folder)

    def known(self, name: str) -> None:
        """Make sure that there is such a flow, or was. Errors: UnknownFlow."""
        if name not in self.names() and self.ledger.standing(name) is None:
            raise UnknownFlow(flow=name[:64], known=", ".join(self.names()) or "-")

    def check(self, name: str) -> FlowFile:
        """Read a flow and hold it to what the site has: its connections, their operations, the columns it takes, its events.

        Errors: UnknownFlow, BadFlow, EventAbove.
        """
        file = files.read(self.folder, name)
        self._taking.readable(file)
        if file.flow.on.change:
            try:
                self._operations(file.flow.on.change.partition(".")[0])
            except UnknownConnection as refusal:
                here = refusal.fields.get("known", "-")
                fr, en = f"un flux d'une connexion de ce site ({here})", f"a stream of a connection of this site ({here})"
                raise files.bad(name, "on.change", fr, en) from None
        for number, step in enumerate(file.flow.do):
            at = f"do[{number}]"
            try:
                known = self._operations(step.connection)
            except Fault as refusal:
                here = refusal.fields.get("known", "-")
                fr, en = f"une connexion de ce site ({here})", f"a connection of this site ({here})"
                raise files.bad(name, f"{at}.connection", fr, en) from None
            for field, operation in (("operation", step.operation), ("undo", step.undo)):
                if operation is not None and operation not in known:
                    offered = ", ".join(sorted(known)) or "-"
                    raise files.bad(name, f"{at}.{field}", f"une opération parmi : {offered}", f"an operation among: {offered}")
            missing = set(known[step.operation].schema.get("required", ())) - step.payload.keys()
            missing -= {"rows", "columns"} if step.rows is not None else set()
            if missing:
                wanted = ", ".join(sorted(missing))
                raise files.bad(name, f"{at}.payload", f"les champs {wanted}", f"the fields {wanted}")
        return file

    def unseen(self, file: FlowFile) -> bool:
        """Whether a flow waits for changes of a dataset that has no copy yet, or never will."""
        return file.flow.on.change is not None and not self._copies.head(file.flow.on.change)

    def enable(self, name: str, by: str) -> FlowFile:
        """Put the text of a flow in force; it acts on what comes from now on. Errors: UnknownFlow, BadFlow."""
        file = self.check(name)
        due_at = self._taking.next(file) if file.flow.on.every else None
        self.ledger.enable(file, self._taking.position(file), due_at, by)
        return file

    def disable(self, name: str, by: str, reason: str = "") -> None:
        """Let a flow act no more. Errors: NotEnabled."""
        self.known(name)
        standing = self.ledger.standing(name)
        if standing is None or standing.state != "enabled":
            fr, en = "personne ne l'y a mis, ou il est arrêté", "nobody enabled it, or it was stopped"
            raise NotEnabled(flow=name, reason_fr=fr, reason_en=en)
        self.ledger.disable(name, by, reason)

    def occasion(self, name: str, occasion: str) -> Taken:
        """One occasion; errors: UnknownOccasion."""
        found = self.ledger.occasion(name, occasion)
        if found is None:
            raise UnknownOccasion(flow=name, occasion=occasion[:200])
        return found

    def release(self, name: str, occasion: str, by: str, reason: str, *, key: Sequence[str] = (), older: bool = False) -> int:
        """Let the rows of an occasion that are held go; gives how many.

        key: those of one record alone. older: also those about which a later occasion was handled since. Errors:
        UnknownOccasion, NotHeld, Older.
        """
        return self._settle(name, occasion, True, by, reason, key, older=older)

    def drop(self, name: str, occasion: str, by: str, reason: str, *, key: Sequence[str] = ()) -> int:
        """Drop the rows of an occasion that are held, or of one record of it. Errors: UnknownOccasion, NotHeld."""
        return self._settle(name, occasion, False, by, reason, key)

    def in_turn(self, name: str, occasion: str, places: Collection[Place]) -> None:
        """Make sure that no later occasion said anything about these records and steps of one. Errors: Older."""
        over = self.ledger.sequence.later(name, occasion, {record for record, _ in places}) & set(places)
        if over:
            raise Older(flow=name, occasion=occasion[:200], count=len(over))

    def trial(
        self, name: str, front: Front | None, *, since: int | None = None, event: Mapping[str, Json] | None = None
    ) -> Trial:
        """What a flow would do, nothing being kept: of a change since a snapshot, of an event given, or now.

        since: the snapshot to compare the current one with, the one before it when None. front: asked what policy would say of
        the first writes; None asks nobody. Errors: UnknownFlow, BadFlow, those of a question.
        """
        file = self.check(name)
        occasion = self._given(file, since, event)
        made = self._taking.plan(file, occasion)
        effects: dict[str, int] = {}
        sentences: list[tuple[str, str]] = []
        if front is not None:
            ready = [each for each in made.rows if each.why is None][:TRIED]
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
        return self._taking.look(trouble)

    def work(self, front: Front) -> tuple[str, ...]:
        """Ask the gateway for what is due; gives the writes that it took."""
        return self._asking.work(front, self._taking.force())

    # Inside

    def _given(self, file: FlowFile, since: int | None, event: Mapping[str, Json] | None) -> Occasion:
        on = file.flow.on
        if on.change:
            after = self._copies.head(on.change)
            return of_change(on.change, max(after - 1, 0) if since is None else since, after)
        if on.event:
            return of_event("trial", event or {})
        return of_instant(self._clock())

    def _settle(
        self, name: str, occasion: str, goes: bool, by: str, reason: str, key: Sequence[str], *, older: bool = False
    ) -> int:
        found, places = self.occasion(name, occasion), self.ledger.sequence.held(name, occasion)
        record = self.ledger.record(name, key) if key else None
        if record is not None:
            places = {place for place in places if place[0] == record}
        if not places and (found.state != "held" or record is not None):
            raise NotHeld(flow=name, occasion=occasion[:200], state=found.state)
        if goes and not older:
            self.in_turn(name, occasion, places)
        return self.ledger.settle(name, occasion, "taken" if goes else "dropped", by, reason, record)

    def _id(self) -> str:
        return new_id(self._clock(), self._entropy)


def _said(fault: Fault) -> tuple[str, str]:
    return fault.diagnostics("fr").what, fault.diagnostics("en").what
