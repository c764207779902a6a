"""`sovereign opening`: the flows that applications ask to have opened, once policy denied them for want of a policy."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.output import Column
from sovereign.cli.question import here
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.gateway.openings import Opening

command = Noun(
    "opening",
    fr="Les flux que des applications demandent d'ouvrir : voir, accorder, refuser.",
    en="The flows that applications ask to have opened: look, accept, refuse.",
)
COLUMNS: Final = (
    Column("opening", "demande", "request"),
    Column("client", "application", "client"),
    Column("connection", "connexion", "connection"),
    Column("operation", "opération", "operation"),
    Column("what", "pour", "to"),
    Column("owner", "responsable", "owner"),
    Column("asked_at", "demandée", "asked", "time"),
    Column("times", "fois", "times", "number"),
    Column("state", "état", "state"),
)
MORE: Final = (
    Column("entity", "écrit à", "written to"),
    Column("reason", "raison", "reason"),
    Column("decided_at", "tranchée", "decided", "time"),
    Column("decided_by", "par", "by"),
    Column("policy", "politique", "policy"),
    Column("answer", "réponse", "answer"),
)
_STATES: Final = {
    "open": ("attend", "waits"), "accepted": ("accordée", "accepted"), "refused": ("refusée", "refused"),
}  # fmt: skip
ID: Final = argument("opening", metavar="ID", fr="La demande.", en="The request.")


@command.verb("list", fr="Liste les demandes qui attendent.", en="List the requests that wait.")
@option("--all", "all_", is_flag=True, fr="Celles qui sont tranchées aussi.", en="Those that are decided too.")
def list_(door: Door, all_: bool) -> None:
    """One row a request, the oldest first."""
    rows = [_row(each, door) for each in door.site().outbound.openings.list(open_only=not all_)]
    door.out.table("opening", COLUMNS, rows, empty=("Aucune demande n'attend.", "No request waits."))


@command.verb(
    "show", fr="Montre une demande, et la politique qui l'ouvrirait.", en="Show one, and the policy that would open it."
)
@ID
def show(door: Door, opening: str) -> None:
    """Its facts, then the text to review."""
    from sovereign.opening import flow

    site = door.site()
    found = site.outbound.openings.get(opening)
    text = flow(found.wanted, (here(site) + timedelta(days=365)).date()).text()
    row = _row(found, door)
    pairs = [(column, row[column.key]) for column in (*COLUMNS, *MORE) if row[column.key] not in (None, "")]
    door.out.facts("opening", pairs, text=text)
    if found.state == "open":
        door.out.say()
        door.out.say(text.rstrip(), text.rstrip())


@command.verb("file", fr="Demande l'ouverture d'un flux, pour une application.", en="Ask for a flow, for an application.")
@argument("connection", fr="La connexion.", en="The connection.")
@argument("operation", fr="L'opération, ou « http » pour le relais.", en="The operation, or `http` for the pass-through.")
@option("--client", required=True, metavar="CLIENT", fr="L'application qui écrira.", en="The application that will write.")
@option("--reads", is_flag=True, fr="La lecture, pas l'écriture.", en="Reading, not writing.")
@option("--reason", required=True, metavar="TEXT", fr="Pourquoi ; scellée dans le journal.", en="Why; sealed in the audit log.")
def file(door: Door, connection: str, operation: str, client: str, reads: bool, reason: str) -> None:
    """The same as the application does by `POST /v1/openings`; asking again for what waits changes nothing."""
    from sovereign.gateway.openings import Wanted

    site = door.site()
    site.connection(connection)
    wanted = Wanted(client, connection, operation, site.outbound.clients.get(client).owner, reads)
    made = site.outbound.openings.file(wanted, reason, by=site.actor)
    door.out.done("opening", f"Demande : {made.id}", f"Request: {made.id}", **_row(made, door))


@command.verb(
    "accept", fr="Accorde : écrit la politique relue, et le dit.", en="Accept: write the reviewed policy, and say so."
)
@ID
@option("--owner", default=None, metavar="NAME", fr="Qui répond de la politique.", en="Who answers for the policy.")
@option(
    "--days", default=365, show_default=True, type=click.IntRange(1, 3650), fr="Sa durée, en jours.", en="Its life, in days."
)
@option(
    "--hold", default=None, metavar="TERMS", fr="Par approbation : « quorum=2;groups=rssi,dsi;within=24h ».",
    en="By approval: `quorum=2;groups=rssi,dsi;within=24h`.",
)  # fmt: skip
@option("--fr", "fr", default=None, metavar="TEXT", fr="Sa phrase en français.", en="Its sentence in French.")
@option("--en", "en", default=None, metavar="TEXT", fr="Sa phrase en anglais.", en="Its sentence in English.")
def accept(door: Door, opening: str, owner: str | None, days: int, hold: str | None, fr: str | None, en: str | None) -> None:
    """As `policy open --add`: the file is checked with the whole set before it is there."""
    from dataclasses import replace

    from sovereign import opening as room

    if (fr is None) != (en is None):
        raise click.UsageError(say("Donnez --fr et --en ensemble.", "Give --fr and --en together."))
    site = door.site()
    found = site.outbound.openings.get(opening)
    flow = room.flow(found.wanted, (here(site) + timedelta(days=days)).date(), owner=owner, hold=hold)
    flow = replace(flow, said=None if fr is None or en is None else (fr, en))
    made = room.accept(site, opening, flow)
    door.out.done("opening", f"Ouvert : policies/{flow.file}", f"Opened: policies/{flow.file}", **_row(made, door))
    if site.settings.gateway.signed_policies:
        door.out.remark(
            "Ce site veut des politiques signées : signez l'ensemble (policy sign).",
            "This site wants signed policies: sign the set.",
        )


@command.verb(
    "refuse", fr="Refuse, pour une raison que l'application verra.", en="Refuse, for a reason the application will see."
)
@ID
@option("--reason", required=True, metavar="TEXT", fr="Pourquoi.", en="Why.")
def refuse(door: Door, opening: str, reason: str) -> None:
    """It may be asked for again."""
    site = door.site()
    made = site.outbound.openings.refused(opening, reason, by=site.actor)
    door.out.done("opening", "Refusée.", "Refused.", **_row(made, door))


def _row(each: "Opening", door: Door) -> dict[str, Any]:
    wanted = each.wanted
    shown = {
        "what": "read" if wanted.reads else "write",
        "state": each.state,
    }
    if not door.out.json:
        shown = {"what": say("lire", "read") if wanted.reads else say("écrire", "write"), "state": say(*_STATES[each.state])}
    return {
        "opening": each.id, "client": wanted.client, "connection": wanted.connection, "operation": wanted.operation,
        "owner": wanted.owner, "asked_at": each.asked_at, "times": each.times, "entity": wanted.entity,
        "reason": each.reason, "decided_at": each.decided_at, "decided_by": each.decided_by, "policy": each.policy,
        "answer": each.answer, **shown,
    }  # fmt: skip
