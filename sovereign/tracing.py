"""What flows did and have to do, traced: rows, the writes they asked for, who decides on them, their entries in the audit log.

1. Looking changes nothing. That a page was made, or names shown, is an act, and is entered (`made`).
2. An entry is told with whether it is what was written: one that was altered is shown as such, never as evidence.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import ColumnElement, Row, or_, select

from sovereign import governing
from sovereign.audit.errors import AuditError, Damaged
from sovereign.eventing import diary
from sovereign.flowing import FOLDER, bus
from sovereign.flows import flow as files
from sovereign.flows.errors import FlowError, UnknownRecord
from sovereign.flows.flow import FlowFile
from sovereign.flows.kept import Kept, Taken
from sovereign.flows.ledger import Ledger
from sovereign.gateway.policy import CedarPolicy, read_folder
from sovereign.reports.departure import DONE, GONE, Asked, Entered, Seen, Step, Trace, latest
from sovereign.reports.model import Words
from sovereign.state import refusals
from sovereign.state.flowing import flow_occasions, flow_rows
from sovereign.state.outbound import approval_requests, decisions, deliveries, delivery_events
from sovereign.state.schema import audit_entries
from vault.errors import Fault

if TYPE_CHECKING:
    from datetime import datetime

    from sovereign.site import Site

AT_ONCE: Final = 500
"""Names given to one question of the state."""
MOST: Final = 10_000
"""Rows that are looked at for what is open."""


class Tracing:
    """Traces the flows of a site. names: whether keys of records are told, beside their pseudonyms.

    whole: whether the last look at what is pending saw every record.
    """

    def __init__(self, site: "Site", *, names: bool = False) -> None:
        self._site, self._names = site, names
        self._ledger: Ledger = bus(site, diary(site)).ledger
        self._files = dict(self._read())
        self._force = {each.flow: each.digest for each in self._ledger.enabled()}
        self._owners = dict(self._policies())
        self._shut: frozenset[str] = frozenset()
        self.whole = True

    def record(self, flow: str, key: Sequence[str]) -> Trace:
        """All that a flow did for one record. Errors: UnknownRecord."""
        record = self._ledger.record(flow, key)
        kept = self._ledger.rows(flow, record=record)
        if not kept:
            raise UnknownRecord(flow=flow)
        steps = self._steps(kept, entries=True)
        seen = {each: self._ledger.occasion(flow, each) for each in dict.fromkeys(row.occasion for row in kept)}
        occasions = sorted((each for each in seen.values() if each), key=lambda each: each.at)
        file = self._files.get(flow)
        told = tuple(_seen(each, self._causes(each), self._taken(each)) for each in occasions)
        title, shown = Words(*file.title()) if file else Words(flow, flow), " ".join(key) if self._names else ""
        return Trace(flow, title, self._owner(flow), record.hex(), shown, tuple(steps), told)

    def pending(self, flow: str | None = None) -> list[Step]:
        """The steps of every record that are still to come, or that failed; those of one flow when it is named."""
        mine = [] if flow is None else [flow_rows.c.flow == flow]
        over = flow_rows.c.state.in_(["cancelled", "settled"]) | (
            (flow_rows.c.state == "asked") & deliveries.c.state.in_([*DONE, *GONE])
        )
        joined = flow_rows.outerjoin(deliveries, deliveries.c.intent == flow_rows.c.intent)
        query = select(flow_rows.c.flow, flow_rows.c.record).select_from(joined).where(*mine, ~over | over.is_(None))
        with self._site.state.read() as reader:
            found = reader.execute(query.distinct().order_by(flow_rows.c.flow, flow_rows.c.record).limit(MOST)).all()
        self.whole = len(found) < MOST
        kept: list[Kept] = []
        for name in dict.fromkeys(row.flow for row in found):
            records = [row.record for row in found if row.flow == name]
            kept += [each for some in _some(records) for each in self._ledger.of(name, some)]
        now = self._site.clock()
        steps = latest(self._steps(kept, entries=False))
        unfinished = {(step.flow, step.record) for step in steps if step.open(now)}
        return [step for step in steps if (step.flow, step.record) in unfinished]

    def troubled(self, flow: str | None = None) -> list[Seen]:
        """The occasions whose rows could not be found, or that a person must look at."""
        c = flow_occasions.c
        mine = [] if flow is None else [c.flow == flow]
        query = select(flow_occasions).where(c.state.in_(["failed", "held"]), *mine).order_by(c.at).limit(MOST)
        with self._site.state.read() as reader:
            return [_seen(row) for row in reader.execute(query)]

    # Inside

    def _read(self) -> Iterator[tuple[str, FlowFile]]:
        folder = self._site.root / FOLDER
        for name in files.names(folder):
            with suppress(FlowError):  # its rows are told all the same
                yield name, files.read(folder, name)

    def _policies(self) -> Iterator[tuple[str, str]]:
        with suppress(Fault, OSError):  # a broken set: writes are told all the same
            for rule in CedarPolicy(read_folder(governing.folder(self._site))).rules:
                yield rule.id, rule.owner

    def _owner(self, flow: str) -> str:
        return self._files[flow].flow.owner if flow in self._files else "?"

    def _steps(self, kept: Sequence[Kept], *, entries: bool) -> list[Step]:
        at = self._instants(kept)
        with self._site.state.read() as reader:
            self._shut = refusals.shut(reader)
        intents = [row.intent for row in kept if row.intent]
        moved = {row.intent: row for row in self._all(deliveries, deliveries.c.intent, intents)}
        asked = {row.intent: row for row in self._all(approval_requests, approval_requests.c.intent, intents)}
        decided = {row.intent: row for row in self._all(decisions, decisions.c.intent, intents)}
        events: dict[str, list[Row[Any]]] = {}
        for told in self._all(delivery_events, delivery_events.c.intent, intents):
            events.setdefault(told.intent, []).append(told)
        made = []
        for row in kept:
            mine = sorted(events.get(row.intent or "", ()), key=lambda each: each.number)
            given = (moved.get(row.intent), asked.get(row.intent), decided.get(row.intent))
            made.append(self._step(row, at.get((row.flow, row.occasion), row.since), mine, *given, entries=entries))
        return made

    def _step(
        self,
        row: Kept,
        seen: "datetime",
        events: Sequence[Row[Any]],
        moved: Row[Any] | None,
        asked: Row[Any] | None,
        decided: Row[Any] | None,
        *,
        entries: bool,
    ) -> Step:
        file = self._files.get(row.flow)
        made = next((step for step in file.flow.do if step.name == row.step), None) if file else None
        operation = "" if made is None else made.undo or made.operation if row.undo else made.operation
        key = " ".join(str(part) for part in self._ledger.open(row)[0]) if self._names else ""
        told = tuple(self._entries([each.entry for each in events if each.entry is not None])) if entries else ()
        moved = None if row.state == "settled" else moved
        done = next((each.at for each in reversed(events) if each.state in DONE), None)
        approval = None if asked is None else Asked(tuple(asked.groups), asked.quorum, asked.expires_at, asked.state)
        policies = () if decided is None else tuple((name, self._owners.get(name, "")) for name in decided.policies)
        why = refusals.because(moved.state, moved.why, moved.connection, self._shut) if moved else row.why
        return Step(
            row.flow, row.record.hex(), key, row.occasion, seen, row.step, f"{made.connection}.{operation}" if made else "",
            row.undo, moved is not None, moved.state if moved else row.state, why,
            seen if row.undo else max(row.due_at, seen), row.since, self._owner(row.flow),
            done if moved is not None and moved.state in DONE else None, moved.next_at if moved else None, row.intent, approval,
            policies, bool(file) and self._force.get(row.flow) == (file.digest if file else ""), told,
            self._receipt(told) if entries else "", None if moved is None else moved.outcome.get("changed"),
        )  # fmt: skip

    def _instants(self, kept: Iterable[Kept]) -> "Mapping[tuple[str, str], datetime]":
        """When each occasion was taken."""
        wanted = sorted({row.occasion for row in kept})
        found = self._all(flow_occasions, flow_occasions.c.occasion, wanted)
        return {(row.flow, row.occasion): row.first_at or row.at for row in found}

    def _all(self, table: Any, column: ColumnElement[Any], names: Sequence[Any]) -> list[Row[Any]]:  # noqa: ANN401 - a table
        with self._site.state.read() as reader:
            return [row for some in _some(names) for row in reader.execute(select(table).where(column.in_(some)))]

    # Evidence

    def _entries(self, seqs: Iterable[int]) -> Iterator[Entered]:
        """Entries by number, each held against its hash."""
        for seq in seqs:
            with self._site.state.read() as reader:
                row = reader.execute(select(audit_entries).where(audit_entries.c.seq == seq)).one_or_none()
            if row is None:
                continue  # pruned
            try:
                ((_, found, leaf),) = self._site.audit.bare(seq, limit=1)
            except Damaged:
                yield Entered(seq, row.act, row.at, None, whole=False)
            else:
                yield Entered(seq, found.act, found.at, leaf.hex())

    def _receipt(self, entries: Sequence[Entered]) -> str:
        """The proof that the last step of a write is in the log, under a signed checkpoint."""
        if not entries or not entries[-1].whole:
            return ""
        try:
            return self._site.audit.prove(entries[-1].seq).encode()
        except AuditError:
            return ""

    def _causes(self, taken: Taken) -> tuple[Entered, ...]:
        """The entries of what made a flow act: the snapshot that changed, the event that came."""
        kept, (kind, _, rest) = audit_entries.c, taken.occasion.partition(":")
        if kind == "event":
            return self._found(kept.act == "event.taken", kept.entry.contains(rest, autoescape=True))
        if kind != "change":
            return ()
        dataset, _, sequences = rest.rpartition(":")
        connection, _, stream = dataset.partition(".")
        mine = (kept.connection == connection) & (kept.stream == stream) & (kept.act == "sync.committed")
        said = f'"sequence":{sequences.partition("-")[2]}'
        return self._found(mine, or_(*(kept.entry.contains(f"{said}{end}", autoescape=True) for end in ",}")))

    def _taken(self, taken: Taken) -> tuple[Entered, ...]:
        """The entries of the occasion itself: taken or held, then released or dropped."""
        kept = audit_entries.c
        acts = or_(*(kept.act == f"flow.{each}" for each in ("acted", "held", "released", "dropped")))
        return self._found(
            acts, kept.entry.contains(f'"occasion":"{taken.occasion}"', autoescape=True),
            kept.entry.contains(f'"flow":"{taken.flow}"', autoescape=True),
        )  # fmt: skip

    def _found(self, *where: ColumnElement[bool]) -> tuple[Entered, ...]:
        query = select(audit_entries.c.seq).where(*where).order_by(audit_entries.c.seq).limit(AT_ONCE)
        with self._site.state.read() as reader:
            seqs = list(reader.execute(query).scalars())
        return tuple(self._entries(seqs))


def _seen(taken: "Taken | Row[Any]", causes: tuple[Entered, ...] = (), entries: tuple[Entered, ...] = ()) -> Seen:
    return Seen(taken.flow, taken.occasion, taken.at, taken.state, taken.found, taken.why, causes, entries)


def made(site: "Site", kind: str, *, names: bool, **facts: object) -> None:
    """Enter that a page was made, or that names were shown."""
    site.audit.append("report.made", {}, {"kind": kind, "names": names, **facts})


def _some(names: Sequence[Any]) -> Iterator[list[Any]]:
    yield from (list(names[start : start + AT_ONCE]) for start in range(0, len(names), AT_ONCE))
