"""What flows did and have to do, durable: one row a flow, an occasion, a record and a step, whatever happens to the process.

1. An occasion is taken in one transaction: its rows, the flow's new position and the audit entry; so each occasion gives its
   rows once, and none is lost.
2. A row names its write before it is asked for (`intent`): found again after a crash, the gateway is asked what became of it.
3. What a person would recognise of a row is sealed; its key is a keyed pseudonym.
"""

import hmac
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from sqlalchemy import Connection, insert, select, update

from saas_connectors.connector import Json
from saas_connectors.payloads import decode, encode
from sovereign.audit import AuditLog
from sovereign.audit.entry import NewEntry
from sovereign.clock import Clock
from sovereign.flows import sequence
from sovereign.flows.flow import FlowFile
from sovereign.flows.kept import (
    DROPPED,
    RELEASED,
    Kept,
    Standing,
    Taken,
    Wanted,
    context,
    held,
    kept_of,
    put,
    same,
    standing_of,
    stopped,
    taken_of,
)
from sovereign.flows.mapping import plain
from sovereign.flows.occasion import Occasion, States
from sovereign.state import State
from sovereign.state.flowing import flow_occasions, flow_rows, flows
from vault import envelope
from vault.keys import Keys

_ROWS, _RECORDS = "flows/rows", "flows/records"


class Ledger:
    """The rows of a site's flows. Safe to use from several threads."""

    def __init__(self, state: State, audit: AuditLog, keys: Keys, clock: Clock) -> None:
        self.sequence = sequence.Sequence(state, clock)
        self._state, self._audit, self._clock = state, audit, clock
        self._sealing, self._naming = keys.derive(_ROWS), keys.derive(_RECORDS)
        self._latest: dict[str, datetime] = {}

    # Which flows act

    def standing(self, flow: str) -> Standing | None:
        """Whether a flow was enabled, and how far it has seen; None when it never was."""
        with self._state.read() as reader:
            row = reader.execute(select(flows).where(flows.c.flow == flow)).one_or_none()
        return None if row is None else standing_of(row)

    def enabled(self) -> tuple[Standing, ...]:
        """The flows in force."""
        with self._state.read() as reader:
            rows = reader.execute(select(flows).where(flows.c.state == "enabled").order_by(flows.c.flow))
            return tuple(standing_of(row) for row in rows)

    def enable(self, file: FlowFile, position: Mapping[str, Json], due_at: datetime | None, by: str) -> None:
        """Put a flow's very text in force; one that was enabled before goes on from where it was."""
        with self._state.begin() as transaction:
            known = transaction.execute(select(flows).where(flows.c.flow == file.name)).one_or_none()
            values: dict[str, Any] = {"digest": file.digest, "state": "enabled", "since": self._clock(), "by_whom": by}
            if known is None:
                row = {"flow": file.name, "position": dict(position), "due_at": due_at, **values}
                transaction.execute(insert(flows).values(**row))
            else:
                values |= {"position": {**position, **known.position}, "due_at": known.due_at or due_at}
                transaction.execute(update(flows).where(flows.c.flow == file.name).values(**values))
            self._audit.append("flow.enabled", {"flow": file.name}, {"digest": file.digest}, {"by": by}, within=transaction)

    def disable(self, flow: str, by: str, reason: str) -> None:
        """Let a flow act no more; what waits stays, and goes on when it is enabled again."""
        with self._state.begin() as transaction:
            values = {"state": "disabled", "since": self._clock(), "by_whom": by}
            transaction.execute(update(flows).where(flows.c.flow == flow).values(**values))
            self._audit.append("flow.disabled", {"flow": flow}, {}, {"by": by, "reason": reason}, within=transaction)

    # Occasions

    def take(
        self,
        file: FlowFile,
        occasion: Occasion,
        rows: Sequence[Wanted],
        found: int,
        *,
        position: Mapping[str, Json],
        due_at: datetime | None = None,
        held: str | None = None,
    ) -> bool:
        """Keep what an occasion asks for, once; False when it was taken already. held: why a person must look first."""
        name = file.name
        with self._state.begin() as transaction:
            now = self._after(transaction, name)
            if not sequence.enter(transaction, name, occasion.name, "held" if held else "taken", found, held, now):
                return False
            values = [self._row(name, occasion.name, each, held, now) for each in rows]
            if values:
                transaction.execute(insert(flow_rows), values)
            self.seen(transaction, name, position, due_at)
            facts = {"occasion": occasion.name, "rows": found, "writes": len(rows), "held": held}
            self._audit.append("flow.held" if held else "flow.acted", {"flow": name}, facts, within=transaction)
            self._audit.append_many(self._set_aside(name, occasion.name, values), within=transaction)
        self._latest[name] = now
        return True

    @staticmethod
    def _set_aside(flow: str, occasion: str, values: Sequence[dict[str, Any]]) -> list[NewEntry]:
        """What the log is told of the rows of an occasion that do not go by themselves."""
        waits = Counter(each["why"] for each in values if each["state"] == "held" and each["why"])
        return [
            *(stopped(**each) for each in values if each["state"] == "stopped"),
            *(held(flow, occasion, count, why) for why, count in sorted(waits.items())),
        ]

    def _after(self, transaction: Connection, flow: str) -> datetime:
        """The present, later than any occasion of a flow was taken, whatever became of the clock."""
        if flow not in self._latest:
            self._latest[flow] = sequence.latest(transaction, flow) or datetime.min.replace(tzinfo=UTC)
        return max(self._clock(), self._latest[flow] + timedelta(microseconds=1))

    def _row(self, flow: str, occasion: str, wanted: Wanted, held: str | None, now: datetime) -> dict[str, Any]:
        record = self.record(flow, wanted.key)
        state = "stopped" if wanted.why else "held" if held or wanted.held else "waiting"
        return {
            "flow": flow, "occasion": occasion, "record": record, "step": wanted.step, "undo": int(wanted.undo), "state": state,
            "due_at": wanted.due_at, "since": now, "why": wanted.why or wanted.held, "sealed": self._seal(flow, record, wanted),
        }  # fmt: skip

    def failed(self, flow: str, occasion: Occasion, why: str, position: Mapping[str, Json]) -> None:
        """Note that the rows of an occasion could not be found; it will be tried again. position: what is passed by now."""
        with self._state.begin() as transaction:
            seen = self._latest[flow] = self._after(transaction, flow)
            sequence.enter(transaction, flow, occasion.name, "failed", 0, why, self._clock(), seen)
            self.seen(transaction, flow, position)

    def failing(self, flow: str, before: datetime) -> tuple[str, ...]:
        """The occasions of a flow that failed, and were last tried before an instant; the first seen first."""
        c = flow_occasions.c
        mine = (c.flow == flow) & (c.state == "failed") & (c.at <= before)
        with self._state.read() as reader:
            return tuple(reader.execute(select(c.occasion).where(mine).order_by(sequence.SEEN).limit(100)).scalars())

    def seen(self, transaction: Connection, flow: str, position: Mapping[str, Json], due_at: datetime | None = None) -> None:
        """Note how far a flow has seen."""
        row = transaction.execute(select(flows.c.position, flows.c.due_at).where(flows.c.flow == flow)).one_or_none()
        if row is not None:
            values = {"position": {**row.position, **position}, "due_at": due_at or row.due_at}
            transaction.execute(update(flows).where(flows.c.flow == flow).values(**values))

    def baseline(self, flow: str, position: Mapping[str, Json]) -> None:
        """Note how far a flow has seen, when there was nothing to do."""
        with self._state.begin() as transaction:
            self.seen(transaction, flow, position)

    def occasion(self, flow: str, occasion: str) -> Taken | None:
        """One occasion."""
        wanted = (flow_occasions.c.flow == flow) & (flow_occasions.c.occasion == occasion)
        with self._state.read() as reader:
            row = reader.execute(select(flow_occasions).where(wanted)).one_or_none()
        return None if row is None else taken_of(row)

    def occasions(self, flow: str, limit: int = 20) -> tuple[Taken, ...]:
        """The latest occasions of a flow, newest first."""
        query = select(flow_occasions).where(flow_occasions.c.flow == flow)
        with self._state.read() as reader:
            rows = reader.execute(query.order_by(flow_occasions.c.at.desc(), flow_occasions.c.occasion.desc()).limit(limit))
            return tuple(taken_of(row) for row in rows)

    def settle(self, flow: str, occasion: str, state: States, by: str, reason: str, record: bytes | None = None) -> int:
        """Let the rows of an occasion that are held go (`taken`), or drop them (`dropped`); gives how many.

        record: those of that one alone. An occasion that is not held itself stays what it is: others of its rows went.
        """
        goes, c = state == "taken", flow_occasions.c
        with self._state.begin() as transaction:
            wanted = (c.flow == flow) & (c.occasion == occasion) & (c.state == "held")
            if record is None:
                transaction.execute(update(flow_occasions).where(wanted).values(state=state))
            mine = (flow_rows.c.flow == flow) & (flow_rows.c.occasion == occasion) & (flow_rows.c.state == "held")
            mine = mine if record is None else mine & (flow_rows.c.record == record)
            values = {"state": "waiting" if goes else "cancelled", "why": RELEASED if goes else DROPPED, "since": self._clock()}
            moved = transaction.execute(update(flow_rows).where(mine).values(**values)).rowcount
            act = "flow.released" if goes else "flow.dropped"
            facts = {"occasion": occasion, "writes": moved, **({} if record is None else {"record": record.hex()})}
            self._audit.append(act, {"flow": flow}, facts, {"by": by, "reason": reason}, within=transaction)
        return int(moved)

    # Rows

    def due(self, force: Iterable[str], now: datetime, limit: int) -> tuple[Kept, ...]:
        """Rows that may be asked for: waiting, their instant come, of the flows in force; the oldest first."""
        ready = (flow_rows.c.state == "waiting") & (flow_rows.c.due_at <= now) & flow_rows.c.flow.in_(sorted(force))
        with self._state.read() as reader:
            order = (flow_rows.c.due_at, flow_rows.c.since, flow_rows.c.undo.desc())
            rows = reader.execute(select(flow_rows).where(ready).order_by(*order).limit(limit))
            return tuple(kept_of(row) for row in rows)

    def undoing(self, force: Iterable[str]) -> tuple[Kept, ...]:
        """Rows of the flows in force that undo, and wait, be it for a person; the oldest first, at most 1,000."""
        wanted = flow_rows.c.state.in_(("waiting", "held")) & (flow_rows.c.undo == 1) & flow_rows.c.flow.in_(sorted(force))
        with self._state.read() as reader:
            rows = reader.execute(select(flow_rows).where(wanted).order_by(flow_rows.c.since).limit(1000))
            return tuple(kept_of(row) for row in rows)

    def waits(self, row: Kept) -> bool:
        """Whether a row still waits."""
        with self._state.read() as reader:
            return reader.execute(select(flow_rows.c.state).where(same(row))).scalar() == "waiting"

    def rows(self, flow: str, occasion: str | None = None, record: bytes | None = None, limit: int = 1000) -> tuple[Kept, ...]:
        """The rows of a flow, newest first."""
        query = select(flow_rows).where(flow_rows.c.flow == flow)
        if occasion is not None:
            query = query.where(flow_rows.c.occasion == occasion)
        if record is not None:
            query = query.where(flow_rows.c.record == record)
        with self._state.read() as reader:
            ordered = query.order_by(flow_rows.c.since.desc(), flow_rows.c.record, flow_rows.c.step).limit(limit)
            return tuple(kept_of(row) for row in reader.execute(ordered))

    def of(self, flow: str, records: Sequence[bytes]) -> tuple[Kept, ...]:
        """The rows of some records of a flow, at most 500 of them, oldest first."""
        query = select(flow_rows).where((flow_rows.c.flow == flow) & flow_rows.c.record.in_(records))
        with self._state.read() as reader:
            return tuple(kept_of(row) for row in reader.execute(query.order_by(flow_rows.c.since, flow_rows.c.step)))

    def move(self, rows: Iterable[Kept], state: str, why: str | None = None) -> None:
        """Note where rows stand."""
        moved = list(rows)
        if not moved:
            return
        values = {"state": state, "why": why, "since": self._clock()}
        with self._state.begin() as transaction:
            put(transaction, [(row, values) for row in moved])
            told = []
            if state == "stopped":
                told = [stopped(row.flow, row.occasion, row.record, row.step, why, undo=row.undo) for row in moved]
            elif state == "held" and why:
                told = [held(row.flow, row.occasion, 1, why) for row in moved]
            if told:
                self._audit.append_many(told, within=transaction)

    def close(self, row: Kept, by: str, reason: str) -> None:
        """Note that a person dealt with a row that failed; what became of its write stays known."""
        facts = {"occasion": row.occasion, "record": row.record.hex(), "step": row.step, "undo": row.undo}
        with self._state.begin() as transaction:
            values = {"state": "settled", "why": "settled", "since": self._clock()}
            transaction.execute(update(flow_rows).where(same(row)).values(**values))
            self._audit.append("flow.settled", {"flow": row.flow}, facts, {"by": by, "reason": reason}, within=transaction)

    def put_off(self, rows: Iterable[Kept], due_at: datetime) -> None:
        """Look at rows again no sooner than an instant."""
        with self._state.begin() as transaction:
            put(transaction, [(row, {"due_at": due_at}) for row in rows])

    def name(self, named: Mapping[str, Kept]) -> None:
        """Name the writes that are about to be asked for: by intent, the row."""
        with self._state.begin() as transaction:
            put(transaction, [(row, {"intent": intent}) for intent, row in named.items()])

    def record(self, flow: str, key: Sequence[Json]) -> bytes:
        """The pseudonym of a record, 16 bytes."""
        said = msgspec.json.encode([flow, [str(plain(each)) for each in key]])  # as text: so a person names it
        return hmac.digest(self._naming, said, "sha256")[:16]

    def open(self, row: Kept) -> tuple[tuple[Json, ...], Mapping[str, Json]]:
        """A record's key and its row; errors: those of the vault."""
        said = decode(envelope.open(self._sealing, context(row.flow, row.record), row.sealed, what=row.flow))
        return tuple(said["key"]), said["row"]

    def _seal(self, flow: str, record: bytes, wanted: Wanted) -> bytes:
        said = {"key": [plain(each) for each in wanted.key], "row": plain(dict(wanted.row))}
        return envelope.seal(self._sealing, context(flow, record), encode(said))
