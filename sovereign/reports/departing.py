"""The page of one record of a flow, and that of every record that is not over, as dossiers. Pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any, Final

from sovereign.reports.departure import (
    GRACE,
    OCCASIONS,
    OPEN,
    READ_BACK,
    STAGES,
    WHY,
    Entered,
    Seen,
    Step,
    Trace,
    alarm,
    latest,
    to_do,
)
from sovereign.reports.labels import act
from sovereign.reports.model import Alarm, Cell, Code, Column, Dossier, Fact, Section, Table, Words
from sovereign.reports.reasons import reason
from sovereign.reports.showing import lasting

SHOWN: Final = 12
"""Characters shown of a record's pseudonym in a list."""
_STEP: Final = Column("step", Words("étape", "step"))
_WRITE: Final = Column("write", Words("système", "system"))
_STATE: Final = Column("state", Words("état", "state"))
_WHY: Final = Column("why", Words("pourquoi", "why"))
_OCCASION: Final = Column("occasion", Words("occasion", "occasion"))


def of_record(trace: Trace, *, site: str, zone: str, now: datetime, grace: timedelta = GRACE) -> Dossier:
    """The page of one record."""
    steps = latest(trace.steps)
    title = Words(f"{trace.title.fr} : un enregistrement", f"{trace.title.en}: one record")
    facts = (
        Fact("flow", Words("flux", "flow"), trace.flow),
        Fact("owner", Words("qui en répond", "who answers for it"), trace.owner),
        Fact("record", Words("enregistrement (pseudonyme)", "record (pseudonym)"), trace.record),
        *([Fact("key", Words("clé", "key"), trace.key)] if trace.key else []),
        Fact("standing", Words("où cela en est", "where it stands"), _standing(steps, now, grace)),
    )
    sections = (
        Section("asked", Words("Ce qui fut demandé, et quand", "What was asked, and when"), (_occasions(trace.occasions),)),
        Section("systems", Words("Chaque système", "Each system"), (_systems(steps, now, grace),)),
        Section("due", Words("Ce qui reste à faire, et qui décide", "What is left to do, and who decides"),
                (_due(steps, now, grace), _dated(steps, now))),
        Section("undone", Words("Ce qui fut annulé ou défait", "What was cancelled or undone"), (_undone(trace.steps, now),)),
        Section("evidence", Words("Les preuves", "The evidence"), (_evidence(trace.steps), _receipts(trace.steps))),
    )  # fmt: skip
    return Dossier("departure", title, site, now, zone, facts, sections)


def _standing(steps: Sequence[Step], now: datetime, grace: timedelta) -> Cell:
    """One sentence on a record: how many steps stand where, how late, or how long it took."""
    stages = Counter(step.stage(now) for step in steps)
    told = [(f"{stages[each]} {words.fr}", f"{stages[each]} {words.en}") for each, words in STAGES.items() if stages[each]]  # type: ignore[index]
    late = max((step.late(now, grace) or 0.0 for step in steps), default=0.0)
    spent = max((step.seconds or 0.0 for step in steps if step.stage(now) == "done"), default=None)
    if late:
        told.append((alarm(late).label.fr, alarm(late).label.en))
    elif spent is not None and set(stages) == {"done"}:
        took = lasting(spent)
        told.append((f"en {took.fr}", f"in {took.en}"))
    said = Words(" ; ".join(fr for fr, _ in told), "; ".join(en for _, en in told))
    return (
        Alarm("late", said)
        if late or stages["failed"] or any(step.shut for step in steps)
        else Code("open" if set(stages) & OPEN else "over", said)
    )


def _occasions(seen: Sequence[Seen]) -> Table:
    columns = (
        _OCCASION, Column("cause", Words("ce qui l'a fait naître", "what made it")),
        Column("cause_at", Words("su le", "known at"), "time"), Column("at", Words("vue le", "seen at"), "time"),
        Column("rows", Words("lignes", "rows"), "number"), _STATE, _WHY,
        Column("entries", Words("entrées du journal", "entries of the log")),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (
            each.name, _cause(each), each.causes[0].at if each.causes else None, each.at, each.found,
            Code(each.state, OCCASIONS.get(each.state, Words(each.state, each.state))), _why(each),
            tuple(f"{one.seq}" for one in (*each.causes, *each.entries)),
        )
        for each in seen
    ]  # fmt: skip
    return Table("occasions", Words("Les occasions, de la plus ancienne à la plus récente", "The occasions, oldest first"),
                 columns, rows)  # fmt: skip


def _cause(seen: Seen) -> Code:
    kind, _, rest = seen.name.partition(":")
    if kind == "change":
        dataset, _, sequences = rest.rpartition(":")
        before, _, after = sequences.partition("-")
        return Code("change", Words(f"la copie {dataset} change, de n° {before} à n° {after}",
                                    f"the copy {dataset} changes, from no. {before} to no. {after}"))  # fmt: skip
    if kind == "event":
        return Code("event", Words(f"un événement arrive ({rest[:SHOWN]})", f"an event comes in ({rest[:SHOWN]})"))
    if kind == "every":
        return Code("every", Words("l'heure est venue", "its hour came"))
    return Code(kind, Words("une personne l'a demandé", "a person asked for it"))


def _why(seen: Seen) -> Code | None:
    if not seen.why:
        return None
    return Code(seen.why, WHY[seen.why]) if seen.why in WHY else reason(seen.why)


def _systems(steps: Sequence[Step], now: datetime, grace: timedelta) -> Table:
    columns = (
        _STEP, _WRITE, Column("stage", Words("où elle en est", "where it stands")), _STATE,
        Column("wanted_at", Words("voulue le", "wanted at"), "time"), Column("ended_at", Words("faite le", "done at"), "time"),
        Column("seconds", Words("secondes, jusqu'à la relecture", "seconds, to read-back"), "seconds"),
        Column("read_back", Words("relue", "read back")),
        Column("changed", Words("a changé quelque chose", "changed something")), Column("late", Words("retard", "late")),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (
            step.name, step.write, Code(step.stage(now), STAGES[step.stage(now)]), step.standing, step.wanted_at, step.ended_at,
            step.seconds, _yes(step.state in READ_BACK) if step.ended_at else None,
            None if step.changed is None or not step.ended_at else _yes(step.changed), _late(step, now, grace),
        )
        for step in steps
    ]  # fmt: skip
    return Table("systems", Words("Une étape par ligne", "One step a line"), columns, rows)


def _due(steps: Sequence[Step], now: datetime, grace: timedelta) -> Table:
    columns = (
        _STEP, _WRITE, _STATE, _WHY, Column("what", Words("que faire", "what to do")),
        Column("who", Words("qui décide", "who decides")),
        Column("before", Words("avant, ou prochain essai", "before, or next try"), "time"),
        Column("late", Words("retard", "late")),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for step in steps:
        if step.stage(now) in OPEN - {"dated"}:
            what, who = to_do(step, now)
            asked = step.approval
            before = asked.expires_at if asked and asked.state == "open" else step.next_at
            told = (step.name, step.write, step.standing, step.reason, what, who, before)
            rows.append((*told, _late(step, now, grace)))
    return Table("due", Words("Ce qui n'est pas fait", "What is not done"), columns, rows)


def _dated(steps: Sequence[Step], now: datetime) -> Table:
    columns = (_STEP, _WRITE, Column("wanted_at", Words("jusqu'au", "until"), "time"))
    rows = [(step.name, step.write, step.wanted_at) for step in steps if step.stage(now) == "dated"]
    return Table("dated", Words("Ce qui attend une date", "What waits for a date"), columns, rows)


def _undone(steps: Sequence[Step], now: datetime) -> Table:
    columns = (
        _STEP, _WRITE, Column("stage", Words("comment cela finit", "how it ended")), _WHY,
        Column("since", Words("le", "at"), "time"), _OCCASION,
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (
            step.name,
            step.write,
            Code(step.stage(now), STAGES[step.stage(now)]),
            step.reason,
            step.ended_at or step.since,
            step.occasion,
        )
        for step in steps
        if step.stage(now) in ("undone", "gone")
    ]
    return Table("undone", Words("Repris, annulé ou défait", "Taken back, cancelled or undone"), columns, rows)


def _evidence(steps: Sequence[Step]) -> Table:
    columns = (
        _STEP, _WRITE, Column("seq", Words("entrée n°", "entry no."), "number"), Column("act", Words("acte", "act")),
        Column("at", Words("quand", "when"), "time"), Column("digest", Words("empreinte au journal", "digest in the log")),
        Column("check", Words("vérifier", "check")),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (step.name, step.write, entry.seq, act(entry.act), entry.at, _digest(entry), f"sovereign audit prove {entry.seq}")
        for step in steps
        for entry in step.entries
    ]
    return Table("entries", Words("Demande, essais, relecture : les entrées du journal d'audit",
                                  "Intent, attempts, read-back: the entries of the audit log"), columns, rows)  # fmt: skip


def _digest(entry: Entered) -> Cell:
    if not entry.whole:
        return Alarm("altered", Words("l'entrée n'est pas ce qui fut écrit", "the entry is not what was written"))
    return entry.digest


def _receipts(steps: Sequence[Step]) -> Table:
    columns = (_STEP, _WRITE, Column("receipt", Words("preuve (C2SP tlog-proof)", "proof (C2SP tlog-proof)"), "verbatim"))
    rows = [(step.name, step.write, step.receipt) for step in steps if step.receipt]
    return Table("receipts", Words("Le reçu de la dernière entrée de chaque écriture, vérifiable avec la seule clé publique",
                                   "The receipt of each write's last entry, to be checked with the public key alone"),
                 columns, rows)  # fmt: skip


def _late(step: Step, now: datetime, grace: timedelta) -> Alarm | None:
    seconds = step.late(now, grace)
    return None if seconds is None else alarm(seconds)


def _yes(value: bool) -> Code:
    return Code("yes", Words("oui", "yes")) if value else Code("no", Words("non", "no"))


# Every record that is not over

PENDING: Final = (
    Column("record", Words("enregistrement", "record")),
    Column("flow", Words("flux", "flow")),
    Column("late", Words("retard", "late")),
    Column("wanted_at", Words("voulu le", "wanted at"), "time"),
    Column("done", Words("fait", "done")),
    Column("left", Words("reste", "left")),
    Column("what", Words("que faire", "what to do")),
    Column("who", Words("qui décide", "who decides")),
)
"""The columns of what is not over."""
CUT: Final = Alarm("cut", Words("il y a plus d'enregistrements que cette liste n'en tient",
                                "there are more records than this list holds"))  # fmt: skip


def lines(steps: Sequence[Step], now: datetime, grace: timedelta = GRACE) -> list[dict[str, Any]]:
    """One line a record that is not over, the latest first; its cells by column, and `late_seconds`."""
    named = sorted(steps, key=lambda step: (step.flow, step.record))
    told = [_line(list(mine), now, grace) for _, mine in groupby(named, key=lambda step: (step.flow, step.record))]
    return sorted(told, key=lambda line: (-(line["late_seconds"] or 0.0), line["wanted_at"], line["record"]))


def _line(steps: Sequence[Step], now: datetime, grace: timedelta) -> dict[str, Any]:
    left = [step for step in steps if step.open(now)]
    late = max((step.late(now, grace) or 0.0 for step in left), default=0.0)
    advice = list(dict.fromkeys(to_do(step, now) for step in left))
    first = steps[0]
    return {
        "record": first.key or first.record[:SHOWN],
        "flow": first.flow,
        "late": alarm(late) if late else None,
        "wanted_at": min(step.wanted_at for step in left),
        "done": f"{sum(step.stage(now) == 'done' for step in steps)}/{len(steps)}",
        "left": tuple(_left(step, now) for step in left),
        "what": tuple(dict.fromkeys(what for what, _ in advice)),
        "who": tuple(dict.fromkeys(who for _, who in advice)),
        "late_seconds": round(late, 1) if late else None,
    }


def _left(step: Step, now: datetime) -> Code:
    stage, told = STAGES[step.stage(now)], step.standing.label
    if step.stage(now) == "dated":
        return Code("dated", Words(f"{step.name} : {stage.fr}", f"{step.name}: {stage.en}"))
    said = Words(f"{step.name} : {told.fr}", f"{step.name}: {told.en}")
    return Alarm(step.state, said) if step.shut or step.stage(now) == "failed" else Code(step.state, said)


def of_all(
    steps: Sequence[Step],
    troubled: Sequence[Seen],
    *,
    site: str,
    zone: str,
    now: datetime,
    grace: timedelta = GRACE,
    whole: bool = True,
) -> Dossier:
    """The page of every record that is not over: what is late first, then what is under way, then what waits for its date.

    whole: whether every record was looked at; if not, the page says so.
    """
    found = lines(steps, now, grace)
    late, dated = [line for line in found if line["late"]], [line for line in found if _waits(line)]
    going = [line for line in found if not line["late"] and not _waits(line)]
    counted: Cell = len(late)
    if late:
        told = lasting(late[0]["late_seconds"])
        counted = Alarm("late", Words(f"{len(late)}, jusqu'à {told.fr}", f"{len(late)}, up to {told.en}"))
    facts = (
        Fact("late", Words("en retard", "late"), counted, "number"),
        Fact("going", Words("en cours", "under way"), len(going), "number"),
        Fact("dated", Words("attendent leur date", "waiting for their date"), len(dated), "number"),
        Fact("troubled", Words("occasions à regarder", "occasions to look at"), len(troubled), "number"),
        *([] if whole else [Fact("cut", Words("attention", "beware"), CUT)]),
    )
    sections = (
        Section("late", Words("En retard", "Late"),
                (_table("late", Words("Ce qui est le plus en retard d'abord", "What is latest first"), late),)),
        Section("going", Words("En cours", "Under way"),
                (_table("going", Words("Ce qui n'est pas encore en retard", "What is not late yet"), going),)),
        Section("dated", Words("À leur date", "At their date"),
                (_table("dated", Words("Ce qui attend une date", "What waits for a date"), dated),)),
        Section("troubled", Words("Occasions à regarder", "Occasions to look at"), (_troubled(troubled),)),
    )  # fmt: skip
    title = Words("Ce que les flux ont encore à faire", "What flows still have to do")
    return Dossier("pending", title, site, now, zone, facts, sections)


def _waits(line: Mapping[str, Any]) -> bool:
    return all(each.code == "dated" for each in line["left"])


def _table(key: str, title: Words, found: Sequence[Mapping[str, Any]]) -> Table:
    return Table(key, title, PENDING, list(_cells(found)))


def _cells(found: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Cell, ...]]:
    for line in found:
        yield tuple(line[column.key] for column in PENDING)


def _troubled(troubled: Sequence[Seen]) -> Table:
    columns = (
        Column("flow", Words("flux", "flow")), _OCCASION, Column("at", Words("vue le", "seen at"), "time"),
        Column("rows", Words("lignes", "rows"), "number"), _STATE, _WHY,
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (each.flow, each.name, each.at, each.found, Alarm(each.state, OCCASIONS[each.state]), _why(each)) for each in troubled
    ]
    title = Words("Retenues, ou dont les lignes n'ont pu être trouvées", "Held, or whose rows could not be found")
    return Table("troubled", title, columns, rows)
