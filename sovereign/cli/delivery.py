"""`sovereign delivery`: where each write stands, and what a person may decide about it."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.output import Column

if TYPE_CHECKING:
    from sovereign.site import Site

command = Noun(
    "delivery",
    fr="Les écritures vers les fournisseurs : où elles en sont, et ce qu'une personne en décide.",
    en="The writes to vendors: where they stand, and what a person decides about them.",
)

COLUMNS: Final = (
    Column("intent", "remise", "delivery"),
    Column("connection", "connexion", "connection"),
    Column("state", "état", "state", "write"),
    Column("why", "pourquoi", "why", "reason"),
    Column("since", "depuis", "since", "time"),
    Column("attempts", "essais", "attempts", "number"),
    Column("next_at", "prochain pas", "next step", "time"),
)
EVENTS: Final = (
    Column("at", "instant", "instant", "time"),
    Column("was", "de", "from", "write"),
    Column("state", "à", "to", "write"),
    Column("why", "pourquoi", "why", "reason"),
    Column("entry", "entrée", "entry"),
)
VERDICTS: Final[Mapping[str, tuple[str, str]]] = {
    "landed": ("landed", "operator.landed"),
    "did-not-happen": ("did_not_happen", "operator.did_not_happen"),
    "probe": ("probing", "operator.probe"),
    "close": ("failed", "operator.close"),
}


@command.verb("list", fr="Liste les remises, les plus récentes d'abord.", en="List the deliveries, the latest first.")
@option("--state", multiple=True, metavar="STATE", fr="Dans cet état seulement.", en="In this state only.")
@option("--connection", metavar="NAME", fr="D'une connexion.", en="Of one connection.")
@option("--dead", is_flag=True, fr="Celles qui attendent une personne.", en="Those that wait for a person.")
@option("--limit", type=click.IntRange(1, 10_000), default=50, fr="Combien au plus.", en="How many at most.")
def list_(door: Door, state: tuple[str, ...], connection: str | None, dead: bool, limit: int) -> None:
    """One row a delivery."""
    from sovereign.gateway.decree import DEAD, desk

    site = door.site()
    wanted = (*state, *(DEAD if dead else ()))
    found = desk(site.state, site.audit, site.clock).list(states=wanted or None, connection=connection, limit=limit)
    door.out.table("delivery", COLUMNS, _rows(site, found), empty=("Aucune remise.", "No delivery."))


@command.verb("show", fr="Montre une remise, pas à pas.", en="Show one delivery, step by step.")
@argument("intent", metavar="ID", fr="La remise.", en="The delivery.")
def show(door: Door, intent: str) -> None:
    """Its facts, then its steps."""
    from sovereign.gateway.decree import desk
    from sovereign.gateway.states import after

    site = door.site()
    delivery, events = desk(site.state, site.audit, site.clock).show(intent)
    row = _rows(site, [delivery])[0] | {"outcome": dict(delivery.outcome), "status": delivery.status}
    door.out.facts(
        "delivery",
        [(column, row[column.key]) for column in (*COLUMNS, Column("status", "réponse", "answer"))],
        outcome=row["outcome"],
        may_become=list(after(delivery.state)),
    )
    door.out.table(
        "event", EVENTS, [{name: getattr(each, name) for name in ("at", "was", "state", "why", "entry")} for each in events]
    )


@command.verb(
    "resolve",
    fr="Tranche une issue que rien n'a pu établir ; la raison va au journal, scellée.",
    en="Decide on an outcome that nothing could establish; the reason goes to the audit log, sealed.",
)
@argument("intent", metavar="ID", fr="La remise.", en="The delivery.")
@argument("verdict", type=click.Choice(sorted(VERDICTS)), fr="Ce qui en est.", en="What is so.")
@option("--reason", required=True, metavar="TEXT", fr="Ce qui vous le fait dire.", en="What makes you say so.")
def resolve(door: Door, intent: str, verdict: str, reason: str) -> None:
    """One step along an edge that belongs to a person."""
    from sovereign.gateway.decree import desk

    becomes, why = VERDICTS[verdict]
    site = door.site()
    moved = desk(site.state, site.audit, site.clock).decide(intent, becomes, why, reason)
    _moved(door, moved)


@command.verb(
    "replay",
    fr="Renvoie une remise rejetée, abandonnée ou qui n'a pas eu lieu ; la politique en décide à nouveau.",
    en="Send again a delivery that was rejected, failed or did not happen; policy decides on it once more.",
)
@argument("intent", metavar="ID", fr="La remise.", en="The delivery.")
@option("--reason", required=True, metavar="TEXT", fr="Pourquoi.", en="Why.")
@option(
    "--older", is_flag=True, fr="Bien que son flux ait traité plus récent sur le même enregistrement.",
    en="Although its flow handled something later about the same record.",
)  # fmt: skip
def replay(door: Door, intent: str, reason: str, older: bool) -> None:
    """Back to where policy decides; the process that sends does the rest."""
    from sovereign.flowing import in_turn
    from sovereign.gateway.decree import desk

    site = door.site()
    if not older:
        in_turn(site, intent)
    moved = desk(site.state, site.audit, site.clock).decide(intent, "approved", "operator.replay", reason)
    door.out.done("delivery", f"{intent} : à juger, puis en file", f"{intent}: to be decided, then queued", **_row(moved))


@command.verb("cancel", fr="Retire une remise qui n'est pas partie.", en="Take back a delivery that has not left.")
@argument("intent", metavar="ID", fr="La remise.", en="The delivery.")
@option("--reason", required=True, metavar="TEXT", fr="Pourquoi.", en="Why.")
def cancel(door: Door, intent: str, reason: str) -> None:
    """Cancelled, or unknown when an earlier attempt may have arrived."""
    from sovereign.gateway.decree import desk

    site = door.site()
    moved = desk(site.state, site.audit, site.clock).cancel(intent, reason)
    _moved(door, moved)
    if moved.state != "cancelled":
        door.out.remark("Un essai a pu arriver : une sonde va regarder.", "An attempt may have arrived: a probe will look.")


def _moved(door: Door, delivery: Any) -> None:  # noqa: ANN401 - a Delivery, whose module loads late
    from sovereign.reports.labels import STATES

    fr, en = STATES[delivery.state]
    door.out.done("delivery", f"{delivery.intent} : {fr}", f"{delivery.intent}: {en}", **_row(delivery))


def _rows(site: "Site", found: Iterable[Any]) -> list[dict[str, Any]]:
    """Deliveries as rows; one that waits because the secret of its connection is refused says so."""
    from sovereign.state import refusals

    with site.state.read() as reader:
        closed = refusals.shut(reader)
    rows = [_row(each) for each in found]
    return [{**row, "why": refusals.because(row["state"], row["why"], row["connection"], closed)} for row in rows]


def _row(delivery: Any) -> dict[str, Any]:  # noqa: ANN401 - a Delivery, whose module loads late
    names = ("intent", "connection", "state", "why", "since", "attempts", "next_at")
    return {name: getattr(delivery, name) for name in names}
