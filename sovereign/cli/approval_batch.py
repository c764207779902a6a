"""Batches of requests: what they change together, and one signed act over all of one."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli import exits
from sovereign.cli.approval_shown import counted
from sovereign.cli.door import Door
from sovereign.cli.marks import number
from sovereign.cli.output import Column
from sovereign.language import language, say

if TYPE_CHECKING:
    from sovereign.gateway.approvals import Asked
    from sovereign.gateway.ballot import Verdict
    from vault.notes import Signer

BATCHES: Final = (
    Column("batch", "lot", "batch"),
    Column("requests", "demandes", "requests", "number"),
    Column("changes", "ce qui change", "what changes"),
    Column("asked_at", "depuis", "since", "time"),
    Column("expires_at", "première échéance", "first until", "time"),
)
DECIDED: Final = (
    Column("intent", "remise", "delivery"),
    Column("outcome", "issue", "outcome"),
    Column("why", "parce que", "because"),
)


def batches(door: Door) -> None:
    """One row a batch, the oldest first."""
    held: dict[str, list[Asked]] = {}
    for each in door.site().outbound.approvals.list():
        held.setdefault(each.together, []).append(each)
    rows = [_row(door, name, requests) for name, requests in held.items()]
    door.out.table("batch", BATCHES, rows, empty=("Rien n'attend de décision.", "Nothing awaits a decision."))


def decide_all(
    door: Door, name: str, count: int | None, verdict: "Verdict", person: str, unlock: "Callable[[], Signer]", reason: str
) -> None:
    """Show what a batch changes, sign once, and say of each request what came of it."""
    from sovereign import deciding

    site = door.site()
    asked = deciding.together(site, name)
    if count is not None and len(asked) != count:
        raise click.UsageError(
            say(f"Le lot compte {len(asked)} demandes, pas {count}.", f"The batch holds {len(asked)} requests, not {count}.")
        )
    row = _row(door, name, asked)
    door.out.record("batch", **row)
    door.out.say(
        f"{name} : {row['requests']} demandes, {row['changes']}", f"{name}: {row['requests']} requests, {row['changes']}"
    )
    decided = deciding.decide_all(site, asked, verdict, person, unlock(), reason)
    rows = [
        {
            "intent": each.intent, "outcome": each.outcome,
            "code": None if each.fault is None else each.fault.code,
            "why": None if each.fault is None else each.fault.diagnostics(language()).what,
        }
        for each in decided
    ]  # fmt: skip
    failed = [each.fault for each in decided if each.fault is not None]
    if len(failed) == len(decided):
        raise failed[0]
    door.out.table("decided", DECIDED, [row for row in rows if door.out.json or row["why"] is not None])
    done = len(decided) - len(failed)
    fr = f"Voix comptée sur {number(done)} demandes" + (f", refusée sur {number(len(failed))}." if failed else ".")
    en = f"Voice counted on {number(done)} requests" + (f", not on {number(len(failed))}." if failed else ".")
    outcomes = Counter(each.outcome for each in decided if each.outcome is not None)
    door.out.done("batch.decided", fr, en, batch=name, counted=done, failed=len(failed), outcomes=dict(outcomes))
    if failed:
        door.exit = exits.PARTIAL


def _row(door: Door, name: str, requests: "Sequence[Asked]") -> dict[str, Any]:
    counts = _counts(door, requests)
    unknown = counts.pop("unknown")
    said = counted({kind: counts[kind] for kind in ("create", "update", "delete", "unchanged")})
    if unknown:
        said += say(f", {number(unknown)} non comparées", f", {number(unknown)} not compared")
    return {
        "batch": name, "requests": len(requests), "changes": said, "counts": {**counts, "unknown": unknown},
        "asked_at": min(each.asked_at for each in requests), "expires_at": min(each.expires_at for each in requests),
    }  # fmt: skip


def _counts(door: Door, requests: "Sequence[Asked]") -> Counter[str]:
    """What the requests change together, record by record; `unknown`: requests that nothing can be compared with."""
    from sovereign.comparing import Comparison
    from sovereign.deciding import sent

    site = door.site()
    compare, found = Comparison(site), Counter({"unknown": 0})
    for each in requests:
        intent = sent(site, each.intent)
        effect = None if intent is None else compare(intent, "internal")
        if effect is None or effect.absent is not None:
            found["unknown"] += 1
        else:
            found.update(effect.counts)
    return found
