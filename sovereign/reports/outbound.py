"""What left: writes and their outcomes, refusals and findings by policy, unknown outcomes and who closed them, reads passed on.

Figures count the writes received in the period, in the state that they had at its end. Memory is bounded by the writes that are
not over: one that nothing can move any more is counted and let go.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import func, select

from sovereign.audit import AuditEntry
from sovereign.reports.labels import CLASSES, EFFECTS, FINDINGS, STATES, act, coded
from sovereign.reports.model import Cell, Column, Section, Table, Words
from sovereign.reports.names import Names
from sovereign.reports.reasons import reason
from sovereign.state import State
from sovereign.state.outbound import delivery_events, intents

OVER: Final = frozenset({"denied", "refused", "expired", "cancelled", "confirmed", "landed"})
"""No edge leaves these states."""
OPEN: Final = frozenset({"unknown", "probing", "inconclusive"})
"""Nobody knows yet what became of the write."""

CONNECTION: Final = Column("connection", Words("fournisseur", "vendor"))
CLIENT: Final = Column("client", Words("application", "application"))
OPERATION: Final = Column("operation", Words("opération", "operation"))
POLICY: Final = Column("policy", Words("politique", "policy"))
COUNT: Final = Column("count", Words("nombre", "count"), "number")


class Flow(NamedTuple):
    """Whose write it is, to where, and the classes of data it says to carry."""

    connection: str
    client: str
    operation: str
    classes: tuple[str, ...]


class Doubt(NamedTuple):
    """A write whose outcome was not known: since when, and how and by whom that ended, None while it has not."""

    intent: str
    connection: str
    client: str
    operation: str
    since: datetime | None
    outcome: str | None = None
    why: str = ""
    at: datetime | None = None
    by: str = ""


class Outbound:
    """Takes entries in order, and tells what left."""

    def __init__(self, state: State, names: Names) -> None:
        """Nothing is counted yet."""
        self._state, self._names = state, names
        self._going: dict[str, tuple[Flow, str]] = {}
        self._writes: Counter[tuple[Flow, str]] = Counter()
        self._bytes: Counter[tuple[Flow, str]] = Counter()
        self._sizes: dict[str, int] = {}
        self._refusals: Counter[tuple[str, str, str, str, str]] = Counter()
        self._findings: Counter[tuple[str, str, str, str, str]] = Counter()
        self._doubts: dict[str, Doubt] = {}
        self._others: Counter[tuple[str, str, str]] = Counter()

    def take(self, entry: AuditEntry) -> None:
        """Count one entry."""
        noun = entry.act.partition(".")[0]
        if noun in ("intent", "delivery") and "intent" in entry.subject:
            self._decided(entry)
            self._moved(entry)
        elif noun == "read" or entry.act == "intent.tried":
            facts, connection = entry.facts, str(entry.subject.get("connection", ""))
            self._others[connection, str(facts.get("client", "")), entry.act] += 1
            if entry.act == "read.denied":
                self._refused(facts, connection, str(facts.get("client", "")), str(facts.get("method", "")))

    def _moved(self, entry: AuditEntry) -> None:
        facts, intent, state = entry.facts, str(entry.subject["intent"]), str(entry.facts.get("state", ""))
        if entry.act == "intent.received":
            classes = tuple(sorted(str(each) for each in facts.get("classes", ())))
            flow = Flow(str(entry.subject["connection"]), str(facts["client"]), str(facts["operation"]), classes)
            self._sizes[intent] = int(facts.get("bytes", 0))
        elif intent in self._going:
            flow, was = self._going[intent]
            self._put(flow, was, intent, -1)
        else:
            return self._doubted(entry, intent, state)
        self._put(flow, state, intent, 1)
        self._going[intent] = flow, state
        self._doubted(entry, intent, state)
        if state in OVER:
            del self._going[intent], self._sizes[intent]
        return None

    def _put(self, flow: Flow, state: str, intent: str, by: int) -> None:
        self._writes[flow, state] += by
        self._bytes[flow, state] += by * self._sizes[intent]

    def _decided(self, entry: AuditEntry) -> None:
        facts, intent = entry.facts, str(entry.subject["intent"])
        if "effect" not in facts:
            return
        connection, client, operation = self._whose(entry, intent)
        if facts["effect"] == "deny":
            self._refused(facts, connection, client, operation)
        for policy in facts.get("policies") or ("",):
            for kind, count in facts.get("findings", {}).items():
                self._findings[str(policy), str(facts["effect"]), connection, client, str(kind)] += int(count)

    def _refused(self, facts: Mapping[str, Any], connection: str, client: str, operation: str) -> None:
        for policy in facts.get("policies") or ("",):
            self._refusals[str(policy), connection, client, operation, str(facts.get("why", "policy.denied"))] += 1

    def _doubted(self, entry: AuditEntry, intent: str, state: str) -> None:
        was = str(entry.facts.get("was", ""))
        if state in OPEN:
            known = self._doubts.get(intent) or self._doubt(entry, intent, entry.at if state == "unknown" else None)
            self._doubts[intent] = known._replace(outcome=None, why="", at=None, by="")
        elif intent in self._doubts and was not in OPEN:
            self._doubts[intent] = self._doubts[intent]._replace(outcome=state)
        elif was in OPEN:
            known = self._doubts.get(intent) or self._doubt(entry, intent, None)
            self._doubts[intent] = known._replace(
                outcome=state, why=str(entry.facts.get("why", "")), at=entry.at, by=self._names.who(entry)
            )

    def _doubt(self, entry: AuditEntry, intent: str, since: datetime | None) -> Doubt:
        events = delivery_events.c
        if since is None:  # before the period
            with self._state.read() as reader:
                found = reader.execute(select(func.min(events.at)).where(events.intent == intent, events.state == "unknown"))
                since = found.scalar()
        return Doubt(intent, *self._whose(entry, intent), since)

    def _whose(self, entry: AuditEntry, intent: str) -> tuple[str, str, str]:
        if intent in self._going:
            return self._going[intent][0][:3]
        with self._state.read() as reader:
            row = reader.execute(select(intents.c.client, intents.c.operation).where(intents.c.id == intent)).first()
        client, operation = (row.client, row.operation) if row else ("", "")
        return str(entry.subject.get("connection", "")), client, operation

    def sections(self) -> tuple[Section, ...]:
        """What was counted, as tables."""
        return (
            Section("writes", Words("Écritures", "Writes"), (self._written(), self._read())),
            Section("refusals", Words("Refus et constats", "Refusals and findings"), (self._denied(), self._found())),
            Section("unknown", Words("Issues inconnues", "Unknown outcomes"), (self._unknown(),)),
        )

    def _written(self) -> Table:
        rows: list[tuple[Cell, ...]] = [
            (
                flow.connection, flow.client, flow.operation, coded(state, STATES),
                tuple(coded(each, CLASSES) for each in flow.classes), count, self._bytes[flow, state],
            )
            for (flow, state), count in sorted(self._writes.items())
            if count
        ]  # fmt: skip
        outcome, classes = Column("outcome", Words("issue", "outcome")), Column("classes", Words("classes", "classes"))
        size = Column("bytes", Words("octets", "bytes"), "bytes")
        title = Words("Écritures reçues, par issue à la fin de la période", "Writes received, by outcome at the period's end")
        return Table("writes", title, (CONNECTION, CLIENT, OPERATION, outcome, classes, COUNT, size), rows)

    def _read(self) -> Table:
        rows = [(where, client, act(name), count) for (where, client, name), count in sorted(self._others.items())]
        title = Words("Lectures passées par la passerelle, essais à blanc", "Reads through the gateway, dry runs")
        return Table("reads", title, (CONNECTION, CLIENT, Column("act", Words("acte", "act")), COUNT), rows)

    def _denied(self) -> Table:
        rows: list[tuple[Cell, ...]] = [(*key, reason(code), count) for (*key, code), count in sorted(self._refusals.items())]
        why = Column("why", Words("motif", "reason"))
        title = Words("Refus, par politique", "Refusals, by policy")
        return Table("refusals", title, (POLICY, CONNECTION, CLIENT, OPERATION, why, COUNT), rows)

    def _found(self) -> Table:
        rows = [
            (policy, coded(effect, EFFECTS), where, client, coded(kind, FINDINGS), count)
            for (policy, effect, where, client, kind), count in sorted(self._findings.items())
        ]
        columns = (POLICY, Column("effect", Words("décision", "decision")), CONNECTION, CLIENT,
                   Column("kind", Words("constat", "finding")), COUNT)  # fmt: skip
        title = Words("Données reconnues dans ce qui devait partir", "Data recognised in what was to leave")
        return Table("findings", title, columns, rows)

    def _unknown(self) -> Table:
        rows = [
            (each.intent, each.connection, each.client, each.operation, each.since,
             coded(each.outcome or "unknown", STATES), reason(each.why) if each.why else None, each.at, each.by)
            for each in self._doubts.values()
        ]  # fmt: skip
        columns = (
            Column("intent", Words("écriture", "write")), CONNECTION, CLIENT, OPERATION,
            Column("since", Words("inconnue depuis", "unknown since"), "time"),
            Column("outcome", Words("close comme", "closed as")), Column("why", Words("par quoi", "by what")),
            Column("closed_at", Words("le", "at"), "time"), Column("by", Words("par", "by")),
        )  # fmt: skip
        title = Words(
            "Écritures dont l'issue fut inconnue, et comment cela finit", "Writes whose outcome was unknown, and the end"
        )
        return Table("unknown", title, columns, rows)
