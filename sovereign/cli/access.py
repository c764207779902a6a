"""`sovereign access`: who may do what, until when, and why."""

from typing import Any, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.naming import instant
from sovereign.cli.output import Column
from sovereign.language import say

command = Noun(
    "access",
    fr="Les droits : rôles et habilitations des personnes et des groupes, avec échéance et raison.",
    en="Rights: roles and clearances of people and groups, each with an end and a reason.",
)

GRANTS: Final = (
    Column("grant", "droit", "grant"),
    Column("who", "à", "to"),
    Column("kind", "nature", "kind"),
    Column("value", "valeur", "value"),
    Column("connection", "connexion", "connection"),
    Column("expires_at", "échéance", "until", "time"),
    Column("reason", "raison", "reason"),
    Column("by", "donné par", "given by"),
)
KINDS: Final = {"role": ("rôle", "role"), "clearance": ("habilitation", "clearance")}


def _row(grant: Any) -> dict[str, Any]:  # noqa: ANN401 - a Grant, read late
    return {
        "grant": grant.id,
        "who": grant.subject if grant.subject_kind == "person" else f"@{grant.subject}",
        "kind": say(*KINDS[grant.kind]),
        "value": grant.value,
        "connection": grant.connection or "*",
        "expires_at": grant.expires_at,
        "reason": grant.reason,
        "by": grant.granted_by,
        "revoked_at": grant.revoked_at,
    }


@command.verb(
    "list", fr="Liste les personnes, leurs groupes et les droits en vigueur.", en="List people, groups and rights in force."
)
@option("--all", "all_", is_flag=True, fr="Les droits passés aussi.", en="Past rights too.")
def list_(door: Door, all_: bool) -> None:
    """People first, then rights."""
    outbound = door.site().outbound
    door.out.table(
        "person",
        (Column("person", "personne", "person"), Column("groups", "groupes", "groups")),
        [{"person": each.name, "groups": ", ".join(each.groups)} for each in outbound.people.list()],
        empty=("Personne n'est inscrit.", "Nobody is known."),
    )
    door.out.table(
        "grant",
        GRANTS,
        [_row(grant) for grant in outbound.rights.list(all_=all_)],
        empty=("Aucun droit.", "No right."),
    )


@command.verb("grant", fr="Donne un rôle ou une habilitation.", en="Give a role or a clearance.")
@argument("who", fr="Une personne, ou @groupe.", en="A person, or @group.")
@option("--role", default=None, fr="dsi, analyst, rssi, auditor ou owner.", en="dsi, analyst, rssi, auditor or owner.")
@option("--clearance", default=None, fr="internal, personal ou sensitive.", en="internal, personal or sensitive.")
@option("--group", "groups", multiple=True, fr="Met aussi la personne dans ce groupe.", en="Put the person in this group too.")
@option("--connection", default=None, fr="Pour cette connexion seulement.", en="For this connection only.")
@option("--until", default=None, metavar="DATE", fr="L'échéance.", en="When it ends.")
@option("--reason", required=True, fr="La raison.", en="The reason.")
def grant(
    door: Door,
    who: str,
    role: str | None,
    clearance: str | None,
    groups: tuple[str, ...],
    connection: str | None,
    until: str | None,
    reason: str,
) -> None:
    """Someone who is given a right becomes known by it."""
    if (role is None) == (clearance is None):
        raise click.UsageError(say("Donnez --role ou --clearance, l'un des deux.", "Give --role or --clearance, one of them."))
    site = door.site()
    if connection is not None:
        site.connection(connection)
    outbound, group = site.outbound, who.startswith("@")
    if not group:
        known = outbound.people.find(who)
        outbound.people.put(who, sorted({*(known.groups if known else ()), *groups}))
    made = outbound.rights.grant(
        "group" if group else "person",
        who.removeprefix("@") if group else who,
        "role" if role else "clearance",
        role or clearance or "",
        by=site.actor,
        reason=reason,
        connection=connection,
        expires_at=instant(until, site.settings.site.zone) if until else None,
    )
    door.out.done("grant", f"Droit donné : {made.id}", f"Right granted: {made.id}", **_row(made))


@command.verb(
    "revoke",
    fr="Retire un droit, ou tous les droits d'une personne qui part.",
    en="Take back a right, or all of someone who leaves.",
)
@argument("what", fr="Le numéro du droit (g-…), ou la personne.", en="The grant's id (g-…), or the person.")
def revoke(door: Door, what: str) -> None:
    """A person who leaves loses every right at once."""
    site = door.site()
    if what.startswith("g-"):
        site.outbound.rights.revoke(what, by=site.actor)
        door.out.done("grant.revoked", f"Droit retiré : {what}", f"Right taken back: {what}", grant=what)
    else:
        site.outbound.people.remove(what)
        door.out.done(
            "person.removed", "Cette personne n'a plus aucun droit.", "This person has no right any more.", person=what
        )


@command.verb("explain", fr="Dit pourquoi une personne peut, ou ne peut pas.", en="Say why someone may, or may not.")
@argument("person", fr="La personne.", en="The person.")
@argument("right", fr="Une permission (writes.approve…) ou une classe.", en="A permission (writes.approve…) or a class.")
@option("--connection", default=None, fr="Pour cette connexion.", en="For this connection.")
def explain(door: Door, person: str, right: str, connection: str | None) -> None:
    """Every grant that was looked at, and why it does not count; exit 1 when the answer is no."""
    explained = door.site().outbound.rights.explain(person, right, connection=connection)
    columns = (*GRANTS[:6], Column("counts", "compte", "counts"))
    rows = [_row(each) | {"counts": say("oui", "yes") if why is None else say(*why)} for each, why in explained.grants]
    door.out.table("grant", columns, rows, empty=("Aucun droit ne le permet.", "No right allows it."))
    answer = ("Oui, cette personne peut.", "Yes, this person may.") if explained.allowed else ("Non.", "No.")
    door.out.done("explained", *answer, allowed=explained.allowed)
    door.exit = 0 if explained.allowed else 5
