"""`sovereign audit`: the book of all that was done."""

from collections.abc import Mapping
from typing import Any

import click

from sovereign.cli.commands import Noun, option
from sovereign.cli.door import Door
from sovereign.cli.marks import number
from sovereign.cli.naming import since_instant
from sovereign.cli.output import Column, shown
from sovereign.language import say

command = Noun(
    "audit",
    fr="Le journal d'audit : chaque synchronisation, question, export, acte sur les clés ou les réglages y a son entrée.",
    en="The audit log: every pull, query, export, act on keys or settings has its entry.",
)

COLUMNS = (
    Column("seq", "n°", "no.", "number"),
    Column("at", "quand", "when", "time"),
    Column("who", "qui", "who"),
    Column("said", "acte", "act"),
    Column("on", "sur quoi", "on what"),
    Column("how", "faits", "facts"),
)
UNTOLD = {"datasets", "manifest", "unchanged"}
"""Facts that a person reads elsewhere; machines are given all of them."""
SHORT = 16
"""Characters shown of a hash."""


@command.verb(
    "show", fr="Montre les dernières entrées, la plus récente en dernier.", en="Show the latest entries, newest last."
)
@option(
    "--act",
    default=None,
    metavar="ACT",
    fr="Cet acte, ou ce nom : sync, query.ran…",
    en="This act, or this noun: sync, query.ran…",
)
@option("--since", default=None, metavar="DATE", fr="Depuis ce jour ou cet instant.", en="Since this day or instant.")
@option("--limit", type=click.IntRange(1), default=20, show_default=True, fr="Entrées au plus.", en="Entries at most.")
def show(door: Door, act: str | None, since: str | None, limit: int) -> None:
    """One row an entry; machines are given all of it."""
    from sovereign.audit import ACTS

    site = door.site()
    start = since_instant(since, site.settings.site.zone) if since else None
    rows = []
    for entry in site.audit.entries(act=act, since=start, limit=limit):
        body = entry.body or {}
        rows.append(
            {
                "seq": entry.seq,
                "at": entry.at,
                "act": entry.act,
                "actor": entry.actor,
                "subject": entry.subject,
                "facts": entry.facts,
                "body": entry.body,
                "erased": entry.erased,
                "leaf": entry.leaf.hex(),
            }
            if door.out.json
            else {
                "seq": entry.seq,
                "at": entry.at,
                "who": say("effacé", "erased") if entry.erased else body.get("actor"),
                "said": say(ACTS[entry.act].fr, ACTS[entry.act].en),
                "on": _on(entry.subject, entry.facts),
                "how": _facts(entry.facts),
            }
        )
    door.out.table("entry", COLUMNS, rows)


def _on(subject: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if "connection" in subject and "stream" in subject:
        return f"{subject['connection']}.{subject['stream']}"
    if isinstance(read := facts.get("datasets"), dict):
        return ", ".join(f"{name}@{sequence}" for name, sequence in read.items()) or "·"
    return ", ".join(_short(value) for key, value in subject.items() if key != "run") or "·"


def _facts(facts: Mapping[str, Any]) -> str:
    told = {key: value for key, value in facts.items() if key not in UNTOLD and value not in (None, "", 0, [], {})}
    return " ".join(f"{key}={_short(value)}" for key, value in told.items())


def _short(value: Any) -> str:  # noqa: ANN401 - any value that JSON can carry
    if isinstance(value, str) and len(value) >= 2 * SHORT and all(each in "0123456789abcdef" for each in value):
        return f"{value[:SHORT]}…"
    return shown(value)


@command.verb(
    "verify",
    fr="Relit tout le journal : chaque entrée, son empreinte, son corps scellé, leur ordre.",
    en="Read the whole log again: each entry, its hash, its sealed body, their order.",
)
def verify(door: Door) -> None:
    """Exit code 20 when an entry is not what was written."""
    count = door.site().audit.verify()
    door.site().audit.append("audit.verified", {}, {"entries": count})
    door.out.done("audit", f"{number(count)} entrées intactes", f"{number(count)} entries intact", entries=count)
