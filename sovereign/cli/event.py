"""`sovereign event`: the events that came in, and the sources that may send them."""

import json
import sys
from pathlib import Path
from typing import Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.output import Column
from sovereign.cli.secret import read_secret
from sovereign.language import language, say

command = Noun(
    "event",
    fr="Les événements reçus, et les sources qui peuvent en envoyer.",
    en="The events that came in, and the sources that may send them.",
)
SOURCES: Final = (
    Column("source", "source", "source"),
    Column("scheme", "signature", "signing"),
    Column("type", "type", "type"),
    Column("class", "classe", "class"),
    Column("path", "adresse", "address"),
    Column("secrets", "secrets", "secrets"),
    Column("last", "dernier", "last", "time"),
)
EVENTS: Final = (
    Column("event", "événement", "event"),
    Column("source", "source", "source"),
    Column("kind", "type", "type"),
    Column("at", "reçu", "taken", "time"),
    Column("signed_at", "signé", "signed", "time"),
    Column("bytes", "taille", "size", "bytes"),
)


@command.verb("sources", fr="Liste les sources déclarées ([events.NOM]).", en="List the sources declared ([events.NAME]).")
def sources(door: Door) -> None:
    """One row a source."""
    from sovereign.eventing import KEYS, diary

    site = door.site()
    held, kept = site.secrets.names(KEYS), diary(site)
    rows = []
    for name, source in sorted(site.settings.events.items()):
        latest = kept.list(1, name)
        type_ = (
            source.type or ", ".join(source.types) or f"{source.prefix}{{{source.type_field or source.type_header or 'type'}}}"
        )
        stored = [each for each in held if each.removesuffix("-next") == source.secret]
        rows.append(
            {
                "source": name, "scheme": source.scheme, "type": type_, "class": source.class_, "path": f"/v1/events/{name}",
                "secrets": ", ".join(stored) or None, "last": latest[0].at if latest else None,
            }
        )  # fmt: skip
    door.out.table(
        "event.source", SOURCES, rows, empty=("Aucune source : voyez docs/events.md.", "No source: see docs/events.md.")
    )


@command.verb(
    "secret", fr="Scelle le secret qu'une source et ce site partagent.", en="Seal the secret that a source and this site share."
)
@argument("source", fr="La source.", en="The source.")
@option(
    "--file", type=click.Path(path_type=Path, exists=True, dir_okay=False, allow_dash=True), default=None,
    fr="Fichier qui le contient, « - » pour l'entrée standard.", en="A file that holds it, `-` for standard input.",
)  # fmt: skip
@option(
    "--next",
    "next_",
    is_flag=True,
    fr="Le suivant : les deux signent, pour en changer.",
    en="The next one: both sign, to change it.",
)
def secret(door: Door, source: str, file: Path | None, next_: bool) -> None:
    """Under the name that its settings give."""
    from sovereign.eventing import KEYS, source_of

    site = door.site()
    name = source_of(site, source).secret + ("-next" if next_ else "")
    site.set_secret(KEYS, name, read_secret(source, file))
    door.out.done(
        "event.secret", f"Secret scellé pour {source} : {name}", f"Secret sealed for {source}: {name}", source=source, name=name
    )


@command.verb(
    "list", fr="Liste les derniers événements, sans leur contenu.", en="List the latest events, without their content."
)
@option("--source", default=None, metavar="NAME", fr="D'une source seulement.", en="Of one source only.")
@option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, fr="Combien, au plus.", en="How many, at most.")
def list_(door: Door, source: str | None, limit: int) -> None:
    """Newest first."""
    from sovereign.eventing import diary

    rows = [
        {
            "event": each.id,
            "source": each.source,
            "kind": each.type,
            "at": each.at,
            "signed_at": each.signed_at,
            "bytes": each.size,
        }
        for each in diary(door.site()).list(limit, source)
    ]
    door.out.table("event", EVENTS, rows, empty=("Aucun événement.", "No event."))


@command.verb(
    "show", fr="Donne un événement tel qu'il est venu ; le journal le dit.", en="Give an event as it came; the log says so."
)
@argument("event", fr="L'événement.", en="The event.")
def show(door: Door, event: str) -> None:
    """Its very bytes, on standard output."""
    from sovereign.eventing import look

    body = look(door.site(), event)
    if door.out.json:
        door.out.record("event.body", event=event, body=body)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(body + b"\n")
    door.out.remark(
        say("Lu, et inscrit au journal.", "Read, and entered in the log."),
        say("Lu, et inscrit au journal.", "Read, and entered in the log."),
    )


@command.verb(
    "prune",
    fr="Retire les événements, reçus et envoyés, dont la durée est passée (keep_days) ; le service le fait aussi.",
    en="Remove the events, in and out, whose time has passed (keep_days); the service does it too.",
)
def prune(door: Door) -> None:
    """What a flow has still to read, or holds, stays; so does what waits for a subscriber."""
    from sovereign.eventing import prune as removed

    gone = removed(door.site())
    door.out.done(
        "event.pruned", f"Retirés : {gone.events} reçus, {gone.messages} envoyés",
        f"Removed: {gone.events} in, {gone.messages} out", events=gone.events, messages=gone.messages,
    )  # fmt: skip


@command.verb(
    "asyncapi",
    fr="Décrit les événements reçus et envoyés : sources, types, abonnés (AsyncAPI 3.0, JSON).",
    en="Describe the events in and out: sources, types, subscribers (AsyncAPI 3.0, JSON).",
)
def asyncapi(door: Door) -> None:
    """On standard output, on one line with `--json`."""
    from sovereign.eventing import described

    made = described(door.site(), language())
    if door.out.json:
        door.out.record("event.asyncapi", document=made)
    else:
        sys.stdout.write(json.dumps(made, ensure_ascii=False, indent=2) + "\n")
