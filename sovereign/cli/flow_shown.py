"""How occasions of a flow and their rows are shown: each system, its state, its seconds, and what to do."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli.output import Column
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.cli.output import Output
    from sovereign.flows.bus import Bus
    from sovereign.flows.kept import Kept, Taken
    from sovereign.flows.ports import Outcome
    from sovereign.site import Site

OCCASIONS: Final = (
    Column("occasion", "occasion", "occasion"),
    Column("at", "vue", "seen", "time"),
    Column("found", "lignes", "rows", "number"),
    Column("standing", "état", "state"),
    Column("why", "pourquoi", "why"),
)
ROWS: Final = (
    Column("key", "enregistrement", "record"),
    Column("step", "étape", "step"),
    Column("write", "écriture", "write"),
    Column("due_at", "à faire", "due", "time"),
    Column("seconds", "secondes", "seconds"),
    Column("payload", "contenu", "payload"),
    Column("delivery", "remise", "delivery"),
    Column("standing", "état", "state"),
    Column("why", "pourquoi", "why"),
)
_DONE: Final = ("confirmed", "landed", "delivered")


def given(body: bytes) -> dict[str, Any]:
    """The data of an event, as a person gives it; raises a usage error."""
    from saas_connectors.errors import BadPayload
    from saas_connectors.payloads import decode

    try:
        value = decode(body)
    except BadPayload:
        value = None
    if not isinstance(value, dict):
        raise click.UsageError(
            say(
                "--event : un objet JSON, entier et en UTF-8, était attendu.",
                "--event: a whole JSON object in UTF-8 was expected.",
            )
        )
    return value


def unseen(out: "Output", dataset: str) -> None:
    """Say that a flow waits for a dataset that has no copy: it may be to come, or misspelt."""
    out.remark(
        f"Pas encore de copie de {dataset} : vérifiez ce nom. La première ne déclenchera rien, les suivantes oui.",
        f"No copy of {dataset} yet: check that name. The first will start nothing, those after it will.",
    )


def told(why: str) -> tuple[str, str]:
    """Why something waits or stopped, in French and in English."""
    from sovereign.reports.departure import WHY

    return WHY.get(why, (why, why))


def occasion_row(each: "Taken", *, json_: bool) -> dict[str, Any]:
    """One occasion."""
    row = {"occasion": each.occasion, "at": each.at, "found": each.found, "standing": each.state, "why": each.why}
    if json_:
        return row
    from sovereign.reports.departure import OCCASIONS as STATES

    return {**row, "standing": say(*STATES[each.state]), "why": say(*told(each.why)) if each.why else None}


def rows_of(site: "Site", bus: "Bus", kept: Sequence["Kept"], *, json_: bool, names: bool) -> list[dict[str, Any]]:
    """Rows, with where their writes stand at the gateway. names: under their keys, else under their pseudonym."""
    from sovereign.flowing import outcomes
    from sovereign.flows.errors import FlowError

    found = outcomes(site.state, [each.intent for each in kept if each.intent])
    steps: dict[tuple[str, str], str] = {}
    for name in {each.flow for each in kept}:
        try:
            steps |= {(name, step.name): f"{step.connection}.{step.operation}" for step in bus.check(name).flow.do}
        except FlowError:
            continue  # its file is gone or refused: rows are shown all the same
    return [_row(bus, each, found.get(each.intent or ""), steps.get((each.flow, each.step), ""), json_, names) for each in kept]


def _row(bus: "Bus", kept: "Kept", outcome: "Outcome | None", write: str, json_: bool, names: bool) -> dict[str, Any]:
    from sovereign.flows.planning import ALL
    from sovereign.reports.departure import ROWS as WAITING
    from sovereign.reports.labels import STATES
    from sovereign.reports.reasons import reason
    from sovereign.reports.showing import decimal

    opened, _ = bus.ledger.open(kept)
    key = " ".join(str(each) for each in opened) if names or opened == ALL else kept.record.hex()[:12]
    ended = next((at for state, at in (outcome.steps if outcome else ()) if state in _DONE), None)
    outcome = None if kept.state == "settled" else outcome
    state = outcome.state if outcome else kept.state
    why = outcome.why if outcome else kept.why
    row: dict[str, Any] = {
        "key": key, "step": kept.step, "write": write, "due_at": kept.due_at, "undo": kept.undo,
        "seconds": _seconds(kept, ended), "delivery": kept.intent, "standing": state, "why": why,
    }  # fmt: skip
    if json_:
        return {**row, "occasion": kept.occasion, "changed": outcome.changed if outcome else None}
    said = tuple(STATES[state]) if outcome else WAITING[kept.state]
    reasons = (tuple(reason(why).label) if outcome else told(why)) if why else None
    seconds = None if row["seconds"] is None else decimal(row["seconds"])
    return {**row, "seconds": seconds, "standing": say(*said), "why": say(*reasons) if reasons else None}


def _seconds(kept: "Kept", ended: datetime | None) -> float | None:
    return None if ended is None else round((ended - kept.due_at).total_seconds(), 2)
