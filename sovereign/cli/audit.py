"""`sovereign audit`: the book of all that was done."""

import click

from sovereign.cli.commands import Noun, option
from sovereign.cli.door import Door
from sovereign.cli.naming import instant
from sovereign.cli.output import Column

command = Noun(
    "audit",
    fr="Le registre : chaque tirage, question, export, acte sur les clés ou les réglages y a son entrée.",
    en="The audit log: every pull, query, export, act on keys or settings has its entry.",
)

COLUMNS = (
    Column("seq", "n°", "no.", "number"),
    Column("at", "quand", "when", "time"),
    Column("act", "acte", "act"),
    Column("subject", "sur quoi", "on what"),
    Column("facts", "faits", "facts"),
)


@command.verb("show", fr="Montre les dernières entrées, la plus récente en dernier.", en="Show the latest entries, newest last.")
@option("--act", default=None, metavar="ACT", fr="Seulement cet acte, par exemple query.", en="Only this act, for instance query.")
@option("--since", default=None, metavar="DATE", fr="Depuis ce jour ou cet instant.", en="Since this day or instant.")
@option("--limit", type=click.IntRange(1), default=20, show_default=True, fr="Entrées au plus.", en="Entries at most.")
def show(door: Door, act: str | None, since: str | None, limit: int) -> None:
    """One row an entry."""
    site = door.site()
    start = instant(since, site.settings.site.zone) if since else None
    rows = [
        {"seq": entry.seq, "at": entry.at, "act": entry.act, "subject": entry.subject, "facts": entry.facts}
        for entry in site.audit.entries(act=act, since=start, limit=limit)
    ]
    door.out.table("entry", COLUMNS, rows)
