"""What entered, and who asked the copies: pulls by stream, drift, quarantines, questions and exports."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import select

from sovereign.audit import AuditEntry
from sovereign.reports.labels import CLASSES, DRIFTS, GUARDS, RUNS, VERDICTS, act, coded
from sovereign.reports.model import Cell, Code, Column, Section, Table, Words
from sovereign.reports.outbound import CONNECTION, COUNT
from sovereign.reports.reasons import reason
from sovereign.state import State
from sovereign.state.schema import runs

COUNTED: Final = ("rows", "inserted", "updated", "deleted")
ASKED: Final = frozenset({"query.ran", "query.refused", "snapshot.exported", "snapshot.compared"})
STREAM: Final = Column("stream", Words("flux", "stream"))


@dataclass(slots=True)
class Pulled:
    """What became of one stream: snapshots by act, records by kind of change, verdicts; rows: those of the last snapshot."""

    acts: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    rows: int = 0


class Inbound:
    """Takes entries in order, and tells what entered."""

    def __init__(self, state: State, since: datetime, until: datetime) -> None:
        """Nothing is counted yet."""
        self._state, self._since, self._until = state, since, until
        self._streams: dict[tuple[str, str], Pulled] = {}
        self._ends: Counter[tuple[str, str, str]] = Counter()
        self._moved: dict[str, Counter[str]] = {}
        self._held: list[tuple[Cell, ...]] = []
        self._asked: Counter[tuple[str, str, str]] = Counter()

    def take(self, entry: AuditEntry) -> None:
        """Count one entry."""
        connection, stream = str(entry.subject.get("connection", "")), str(entry.subject.get("stream", ""))
        if entry.act in ASKED:
            self._question(entry, f"{connection}.{stream}" if stream else "")
        elif stream and entry.act in ("sync.committed", "sync.unchanged", "sync.quarantined"):
            pulled = self._streams.setdefault((connection, stream), Pulled())
            pulled.acts[entry.act] += 1
            if entry.act == "sync.quarantined":
                self._held.append((entry.at, connection, stream, coded(entry.facts.get("rule", ""), GUARDS)))
            else:
                pulled.verdicts[str(entry.facts.get("verdict", ""))] += 1
                pulled.rows = int(entry.facts.get("rows", 0))
                pulled.counts.update({name: int(entry.facts.get(name, 0)) for name in COUNTED})
        elif "bytes_in" in entry.facts:
            self._ends[connection, str(entry.facts.get("state", "")), str(entry.facts.get("fault", ""))] += 1
            moved = self._moved.setdefault(connection, Counter())
            moved.update({name: int(entry.facts.get(name, 0)) for name in ("requests", "pages", "rows", "bytes_in")})

    def _question(self, entry: AuditEntry, dataset: str) -> None:
        read: Iterable[str] = (dataset,) if dataset else entry.facts.get("datasets", {}) or ("",)
        for name in read:
            self._asked[entry.act, name, str(entry.facts.get("clearance", ""))] += 1

    def sections(self) -> tuple[Section, ...]:
        """What was counted, as tables."""
        pulls = Section("pulls", Words("Synchronisations", "Pulls"), (self._runs(), self._volumes(), self._datasets()))
        drift = Section("drift", Words("Dérive et quarantaine", "Drift and quarantine"), (self._drift(), self._quarantine()))
        return pulls, drift, Section("questions", Words("Questions et exports", "Questions and exports"), (self._questions(),))

    def _runs(self) -> Table:
        columns = (CONNECTION, Column("state", Words("état", "state")), Column("fault", Words("faute", "fault")), COUNT)
        rows = [
            (connection, coded(state, RUNS), reason(fault) if fault else None, count)
            for (connection, state, fault), count in sorted(self._ends.items())
        ]
        return Table("runs", Words("Exécutions, par état final", "Runs, by final state"), columns, rows)

    def _volumes(self) -> Table:
        columns = (
            CONNECTION,
            Column("requests", Words("requêtes", "requests"), "number"), Column("pages", Words("pages", "pages"), "number"),
            Column("records", Words("enregistrements lus", "records read"), "number"),
            Column("bytes", Words("octets reçus", "bytes received"), "bytes"),
        )  # fmt: skip
        rows = [
            (name, moved["requests"], moved["pages"], moved["rows"], moved["bytes_in"])
            for name, moved in sorted(self._moved.items())
        ]
        return Table("volumes", Words("Volumes, par fournisseur", "Volumes, by vendor"), columns, rows)

    def _datasets(self) -> Table:
        number: list[tuple[str, Words]] = [
            ("rows", Words("lignes de la dernière copie", "rows of the last snapshot")),
            ("inserted", Words("ajouts", "inserted")),
            ("updated", Words("changements", "updated")), ("deleted", Words("retraits", "deleted")),
            ("committed", Words("copies publiées", "snapshots")), ("unchanged", Words("sans nouveauté", "unchanged")),
            ("quarantined", Words("en quarantaine", "quarantined")),
        ]  # fmt: skip
        columns = (CONNECTION, STREAM, *(Column(key, title, "number") for key, title in number),
                   Column("verdicts", Words("verdicts", "verdicts")))  # fmt: skip
        rows: list[tuple[Cell, ...]] = [
            (
                connection, stream, each.rows, *(each.counts[name] for name in COUNTED[1:]), each.acts["sync.committed"],
                each.acts["sync.unchanged"], each.acts["sync.quarantined"],
                tuple(_counted(name, count) for name, count in sorted(each.verdicts.items())),
            )
            for (connection, stream), each in sorted(self._streams.items())
        ]  # fmt: skip
        return Table("datasets", Words("Copies, par flux", "Snapshots, by stream"), columns, rows)

    def _drift(self) -> Table:
        found: Counter[tuple[str, str, str, str, str]] = Counter()
        started = runs.c.started_at
        with self._state.read() as reader:
            query = select(runs.c.connection, runs.c.outcome).where(started >= self._since, started < self._until)
            for connection, outcome in reader.execute(query):
                for stream, each in _drifts(outcome):
                    key = (str(each.get(name, "")) for name in ("action", "class", "field"))
                    found[connection, stream, *key] += int(each.get("values", 0))
        columns = (
            CONNECTION, STREAM, Column("action", Words("ce qui fut fait", "what was done")),
            Column("class", Words("classe", "class")),
            Column("field", Words("champ (interne seulement)", "field (internal only)")),
            Column("values", Words("valeurs", "values"), "number"),
        )  # fmt: skip
        rows = [
            (connection, stream, coded(action, DRIFTS), coded(class_, CLASSES), name, count)
            for (connection, stream, action, class_, name), count in sorted(found.items())
        ]
        return Table(
            "drift",
            Words("Champs nouveaux ou changés chez le fournisseur", "Fields new or changed at the vendor"),
            columns,
            rows,
        )

    def _quarantine(self) -> Table:
        columns = (
            Column("at", Words("quand", "when"), "time"),
            CONNECTION,
            STREAM,
            Column("rule", Words("garde-fou", "guard")),
        )
        return Table("quarantine", Words("Copies retenues", "Snapshots held back"), columns, self._held)

    def _questions(self) -> Table:
        columns = (
            Column("act", Words("acte", "act")), Column("dataset", Words("copie", "dataset")),
            Column("clearance", Words("habilitation", "clearance")), COUNT,
        )  # fmt: skip
        rows = [
            (act(name), dataset, coded(clearance, CLASSES) if clearance else None, count)
            for (name, dataset, clearance), count in sorted(self._asked.items())
        ]
        return Table("questions", Words("Par copie lue", "By dataset read"), columns, rows)


def _counted(verdict: str, count: int) -> Code:
    said = coded(verdict, VERDICTS).label
    return Code(f"{verdict}: {count}", Words(f"{said.fr} : {count}", f"{said.en}: {count}"))


def _drifts(outcome: Mapping[str, Any] | None) -> Iterable[tuple[str, Mapping[str, Any]]]:
    for stream in (outcome or {}).get("streams", ()):
        for each in stream.get("drift", ()):
            yield str(stream["stream"]), each
