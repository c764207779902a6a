"""How a run is told: what became of each stream, what it cost, what a person should look at, and why it failed."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sovereign.cli.door import Door
from sovereign.cli.marks import lasting, mark, several, size, when
from sovereign.cli.output import Column, shown
from sovereign.language import say
from vault.errors import Diagnostics

if TYPE_CHECKING:
    from sovereign.sync.outcome import RunOutcome

STREAMS: Final = (
    Column("stream", "flux", "stream"),
    Column("rows", "lignes", "rows", "number"),
    Column("inserted", "+", "+", "number"),
    Column("updated", "~", "~", "number"),
    Column("deleted", "\u2212", "\u2212", "number"),
    Column("sequence", "instantané", "snapshot", "number"),
    Column("state", "état", "state", "state"),
    Column("verdict", "verdict", "verdict", "state"),
)
DRIFTS: Final[dict[str, tuple[str, str]]] = {
    "added": ("champs nouveaux", "new fields"),
    "absent": ("champs absents", "absent fields"),
    "widened": ("type élargi", "wider type"),
    "text": ("devenus texte", "became text"),
    "row_discarded": ("lignes écartées par le contrat", "rows discarded by the contract"),
    "value_discarded": ("valeurs écartées par le contrat", "values discarded by the contract"),
}
UNPROVEN: Final = (
    "non vérifié : la source ne dit pas combien elle a de lignes, et rien ne dit qu'il en manque",
    "unverified: the source does not say how many rows it has, and nothing says that any is missing",
)
COUNTED: Final[dict[str, tuple[str, str]]] = {
    "personal": ("champ* personnel*", "personal field*"),
    "sensitive": ("champ* sensible*", "sensitive field*"),
}


def evidence(check: object, holds: bool | None, detail: Mapping[str, Any] | None) -> str:
    """One piece of evidence on a line: whether it holds, what was checked, and its facts as `name=value`."""
    glyph = {True: "✓", False: "✗", None: "·"}[holds]
    return " ".join([glyph, str(check), *(f"{name}={shown(value)}" for name, value in (detail or {}).items())])


def tell(door: Door, outcome: "RunOutcome") -> None:
    """Sum up one run: what became of each stream, what it cost, and what a person should look at."""
    door.out.record("run", **as_record(outcome))
    if door.out.json:
        return
    took = lasted(outcome)
    read = several(outcome.rows, "ligne* lue*", "row* read")
    cost = f"{read}, {size(outcome.bytes_in)}, {several(outcome.requests, 'requête*', 'request*')}, {took}"
    head = f"{mark(outcome.state)}  {outcome.connection} · {cost}"
    door.out.say(head, head, style="bold")
    if outcome.streams:
        door.out.table(
            "stream",
            STREAMS,
            [
                {"stream": each.stream, **each.counts, "sequence": each.sequence, "state": each.state, "verdict": each.verdict}
                for each in outcome.streams
            ],
        )
    for each in outcome.streams:
        if each.reason is not None:
            door.out.say(f"! {each.stream} : {each.reason.fr}", f"! {each.stream}: {each.reason.en}", style="yellow")
        for action, what in _drifts(each.drift).items():
            fr, en = DRIFTS.get(action, (action, action))
            door.out.say(f"! {each.stream} · dérive · {fr} : {what}", f"! {each.stream} · drift · {en}: {what}", style="yellow")
    for remark in outcome.remarks:
        door.out.say(f"! {remark.fr}", f"! {remark.en}", style="yellow")
    if outcome.waiting_until is not None:
        until = when(outcome.waiting_until)
        door.out.say(f"… attend le fournisseur jusqu'à {until}", f"… waiting for the vendor until {until}", style="cyan")


def blame(door: Door, outcome: "RunOutcome") -> None:
    """Say on standard error why a run failed."""
    if outcome.fault is not None:
        fault = outcome.fault
        door.out.error(
            Diagnostics(fault.code, say(fault.fr, fault.en), say(fault.todo_fr, fault.todo_en)), {"run": outcome.run}
        )


def as_record(outcome: "RunOutcome") -> dict[str, Any]:
    """A run as JSON."""
    import msgspec

    record: dict[str, Any] = msgspec.to_builtins(outcome)
    return record


def lasted(outcome: "RunOutcome") -> str:
    """How long a run took; a dot while it goes on."""
    return lasting((outcome.finished_at - outcome.started_at).total_seconds()) if outcome.finished_at else "·"


def _drifts(drift: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Say what drifted, an action: internal fields by name, the others as a number; `snapshot show` names them."""
    fields: dict[str, list[str]] = {}
    values: dict[str, int] = {}
    for each in sorted(drift, key=lambda each: "field" not in each):  # the names first
        named, count = each.get("field"), int(each.get("fields", 1))
        what = str(named) if named else several(count, *COUNTED.get(each.get("class", ""), ("champ*", "field*")))
        fields.setdefault(each["action"], []).append(what)
        values[each["action"]] = values.get(each["action"], 0) + int(each.get("values", 0))
    touched = {action: f" ({several(count, 'valeur*', 'value*')})" if count else "" for action, count in values.items()}
    return {action: ", ".join(what) + touched[action] for action, what in fields.items()}
