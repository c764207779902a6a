"""`sovereign connection`: the vendors this site is connected to."""

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from saas_connectors.kinds import KINDS
from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.marks import cadence
from sovereign.cli.naming import CONNECTION
from sovereign.cli.output import Column
from sovereign.cli.secret import read_secret
from sovereign.language import say

command = Noun(
    "connection",
    fr="Les connexions : un fournisseur, son adresse, son rythme. Elles vivent dans sovereign.toml.",
    en="Connections: a vendor, its address, its cadence. They live in sovereign.toml.",
)


@command.verb(
    "add",
    fr="Ajoute une connexion à sovereign.toml, réglages vérifiés d'abord.\n\n"
    "--set vise un champ par son nom, avec des points : --set streams.arbres.path=/arbres --set network.private=true",
    en="Add a connection to sovereign.toml, its settings checked first.\n\n"
    "--set names a field, with dots: --set streams.trees.path=/trees --set network.private=true",
)
@argument("name", type=CONNECTION, fr="Son nom : le schéma de ses tables.", en="Its name: the schema of its tables.")
@option(
    "--connector",
    required=True,
    metavar="KIND",
    fr=f"{', '.join(KINDS)}, ou le connecteur d'un paquet («\N{NO-BREAK SPACE}connector list\N{NO-BREAK SPACE}»).",
    en=f"{', '.join(KINDS)}, or a package's connector (`connector list`).",
)
@option("--url", required=True, fr="https://… ou folder:DOSSIER.", en="https://… or folder:DIR.")
@option(
    "--set", "values", multiple=True, metavar="KEY=VALUE", fr="Un réglage ; plusieurs fois.", en="A setting; several times."
)
@option("--every", default=None, metavar="TEXT", fr="Cadence : « 15 minutes ».", en="Cadence: `15 minutes`.")
@option("--schedule", default=None, metavar="TEXT", fr="Horaire : « chaque jour à 03:30 ».", en="Time: `every day at 03:30`.")
@option(
    "--secret-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=None,
    fr="Fichier du secret, scellé sous le nom de la connexion.",
    en="The secret's file; sealed under the connection's name.",
)
@option("--prompt", is_flag=True, fr="Demande le secret au terminal.", en="Ask for the secret on the terminal.")
def add(
    door: Door,
    name: str,
    connector: str,
    url: str,
    values: tuple[str, ...],
    every: str | None,
    schedule: str | None,
    secret_file: Path | None,
    prompt: bool,
) -> None:
    """Check, write, seal the secret."""
    table: dict[str, Any] = {"connector": connector, "url": url, "every": every, "schedule": schedule}
    for pair in values:
        put(table, pair)
    secret = read_secret(name, secret_file) if secret_file or prompt else None
    if secret is not None:
        table.setdefault("secret", name)
    site = door.site()
    site.add_connection(name, {key: value for key, value in table.items() if value is not None})
    if secret is not None:
        site.set_secret(name, table["secret"], secret)
    door.out.done(
        "connection", f"Connexion ajoutée : {name}", f"Connection added: {name}", name=name, connector=connector, url=url
    )
    door.out.remark(f"À présent : sovereign connection check {name}", f"Now: sovereign connection check {name}")


def put(table: dict[str, Any], pair: str) -> None:
    """Put `a.b=VALUE` in a table; the value is read as TOML when it is TOML, else it is text."""
    from sovereign.settings.load import MAX_DEPTH

    path, equals, text = pair.partition("=")
    *outer, last = path.split(".")
    if len(outer) >= MAX_DEPTH:
        raise click.BadParameter(
            say(f"au plus {MAX_DEPTH} noms séparés par des points", f"at most {MAX_DEPTH} names separated by dots"),
            param_hint="--set",
        )
    if not equals or not all([*outer, last]):
        raise click.BadParameter(say(f"{pair!r} : attendu clé=valeur", f"{pair!r}: expected key=value"), param_hint="--set")
    inner = table
    for step in outer:
        inner = inner.setdefault(step, {})
        if not isinstance(inner, dict):
            raise click.BadParameter(
                say(f"{path} : {step} n'est pas une table", f"{path}: {step} is not a table"), param_hint="--set"
            )
    inner[last] = _value(text)


def _value(text: str) -> Any:  # noqa: ANN401 - any value that TOML can carry
    for candidate in (text, json.dumps(text)):
        try:
            return tomllib.loads(f"value = {candidate}")["value"]
        except (ValueError, KeyError, RecursionError):  # not TOML, a number of 4,301 digits, brackets without end
            continue
    return text


@command.verb("list", fr="Liste les connexions et leur fraîcheur.", en="List connections and how fresh they are.")
def list_(door: Door) -> None:
    """One row a connection."""
    from sovereign.credentials import refused

    site = door.site()
    shut = refused(site)
    last = {name: next(iter(site.runs.latest(name, 1)), None) for name in site.settings.connections}
    rows = []
    for name, connection in sorted(site.settings.connections.items()):
        run = last[name]
        rows.append(
            {
                "name": name,
                "connector": connection.connector,
                "url": connection.url,
                "when": _when(connection.schedule or connection.every, spoken=not door.out.json),
                "last_run": run.started_at if run else None,
                "state": run.state if run else "never",
                "secret": ("refused" if door.out.json else say("✗ refusé", "✗ refused")) if name in shut else None,
            }
        )
    door.out.table(
        "connection",
        (
            Column("name", "connexion", "connection"),
            Column("connector", "connecteur", "connector"),
            Column("url", "adresse", "address"),
            Column("when", "rythme", "cadence"),
            Column("last_run", "dernière exécution", "last run", "time"),
            Column("state", "état", "state", "state"),
            *((Column("secret", "secret", "secret"),) if shut else ()),
        ),
        rows,
        empty=(
            "Aucune connexion ; « sovereign connection add » en ajoute une.",
            "No connection; `sovereign connection add` adds one.",
        ),
    )


@command.verb(
    "check",
    fr="Appelle le fournisseur : répond-il, accepte-t-il le secret ?",
    en="Call the vendor: does it answer, does it accept the secret?",
)
@argument("name", type=CONNECTION, fr="La connexion.", en="The connection.")
@option(
    "--confirm",
    is_flag=True,
    fr="Écrit dans sovereign.toml les réglages que la vérification propose, une fois que vous les avez lus.",
    en="Write in sovereign.toml the settings that the check proposes, once you have read them.",
)
def check(door: Door, name: str, confirm: bool) -> None:
    """Show what the vendor says it is, and what is worth attention."""
    site = door.site()
    checked = site.check(name)
    remarks = [say(*remark) for remark in checked.remarks]
    found = proposed(name, [remark for _, remark in checked.remarks])
    door.out.done(
        "checked", f"{name} répond : {checked.vendor}", f"{name} answers: {checked.vendor}",
        name=name, remarks=remarks, proposed=found, confirmed=bool(found) and confirm,
    )  # fmt: skip
    for remark in remarks:
        door.out.say(f"! {remark}", f"! {remark}", style="yellow")
    copied = {each.stream for each in site.repository.datasets() if each.connection == name}
    for stream in sorted(each for each, said in found.get("streams", {}).items() if "types" in said and each in copied):
        door.out.remark(
            f"! {stream} a déjà une copie, où ces colonnes restent du texte : un flux d'un autre nom les aura typées.",
            f"! {stream} has a copy already, where these columns stay text: a stream of another name has them typed.",
            style="yellow",
        )
    if found and confirm:
        _change(door, name, found)
    elif found:
        line = f"sovereign connection check {name} --confirm"
        door.out.remark(f"Si c'est juste : {line}", f"If that is right: {line}")


def proposed(name: str, remarks: Iterable[str]) -> dict[str, Any]:
    """The settings that a check proposes, by stream: what its remarks say from a `[connections.NAME.streams.STREAM]` on."""
    found: dict[str, Any] = {}
    for remark in remarks:
        _, bracket, shown = remark.partition(f"\n[connections.{name}.streams.")
        if bracket:
            found |= tomllib.loads(f"[streams.{shown}")["streams"]
    return {"streams": found} if found else {}


@command.verb(
    "set",
    fr="Change des réglages d'une connexion dans sovereign.toml, vérifiés d'abord.\n\n"
    'Par exemple : sovereign connection set rh every="15 minutes" streams.agents.dates=dd/mm/yyyy',
    en="Change settings of a connection in sovereign.toml, checked first.\n\n"
    'For instance: sovereign connection set hr every="15 minutes" streams.agents.dates=dd/mm/yyyy',
)
@argument("name", type=CONNECTION, fr="La connexion.", en="The connection.")
@argument("values", nargs=-1, required=True, metavar="KEY=VALUE…", fr="Les réglages.", en="The settings.")
def set_(door: Door, name: str, values: tuple[str, ...]) -> None:
    """What is not named stays as it is, comments too."""
    table: dict[str, Any] = {}
    for pair in values:
        put(table, pair)
    _change(door, name, table)


def _change(door: Door, name: str, table: dict[str, Any]) -> None:
    from sovereign.connecting import change

    change(door.site(), name, table)
    door.out.done(
        "connection.changed", f"Réglages écrits dans sovereign.toml : {name}", f"Settings written in sovereign.toml: {name}",
        name=name, settings=table,
    )  # fmt: skip


@command.verb(
    "remove",
    fr="Retire une connexion de sovereign.toml ; ses instantanés restent.",
    en="Take a connection out of sovereign.toml; its snapshots stay.",
)
@argument("name", type=CONNECTION, fr="La connexion.", en="The connection.")
def remove(door: Door, name: str) -> None:
    """Nothing that was pulled is lost."""
    door.site().remove_connection(name)
    door.out.done("connection.removed", f"Connexion retirée : {name}", f"Connection removed: {name}", name=name)


@command.verb("discover", fr="Liste les flux que le fournisseur offre.", en="List the streams the vendor offers.")
@argument("name", type=CONNECTION, fr="La connexion.", en="The connection.")
@option(
    "--fields",
    is_flag=True,
    fr="Montre chaque champ, son type et sa classe : qui le lit.",
    en="Show each field, its type and its class: who reads it.",
)
def discover(door: Door, name: str, fields: bool) -> None:
    """One row a stream, or one a field."""
    streams = door.site().discover(name).streams
    if fields:
        _fields(door, streams)
        return
    rows = [
        {
            "stream": stream.name,
            "title": stream.title or None if door.out.json else _title(stream),
            "primary_key": list(stream.primary_key),
            "modes": list(stream.modes),
            "cursor": stream.cursor,
            "fields": len(stream.schema) or None,
            "classes": _classes(stream.classes),
        }
        for stream in streams
    ]
    door.out.table(
        "stream",
        (
            Column("stream", "flux", "stream"),
            Column("title", "titre", "title"),
            Column("primary_key", "clé", "key"),
            Column("modes", "modes", "modes"),
            Column("fields", "champs", "fields", "number"),
            Column("classes", "classes", "classes"),
        ),
        rows,
    )


def _fields(door: Door, streams: Iterable[Any]) -> None:
    rows = [
        {
            "stream": stream.name,
            "field": field.name,
            "data_type": str(field.type),
            "class": stream.classes.get(field.name, "personal"),
        }
        for stream in streams
        for field in stream.schema
    ]
    door.out.table(
        "field",
        (
            Column("stream", "flux", "stream"),
            Column("field", "champ", "field"),
            Column("data_type", "type", "type"),
            Column("class", "classe", "class"),
        ),
        rows,
        empty=("Aucun champ n'est encore connu.", "No field is known yet."),
    )


def _title(stream: Any) -> str | None:  # noqa: ANN401 - a stream of a catalog
    """Its title; that of rows set aside is ours, French first, then English after a dot."""
    title = str(stream.title)
    return (title if stream.guarded or title.count(" · ") != 1 else say(*title.split(" · "))) or None


def _when(written: str | None, *, spoken: bool) -> str | None:
    if written is None:
        return None
    whole = written if written.lower().lstrip().startswith(("every", "tou", "chaque")) else f"every {written}"
    return cadence(whole) if spoken else whole


def _classes(classes: Any) -> str:  # noqa: ANN401 - a mapping of field to class
    counts: dict[str, int] = {}
    for name in classes.values():
        counts[name] = counts.get(name, 0) + 1
    return ", ".join(f"{name} {counts[name]}" for name in ("internal", "personal", "sensitive") if name in counts)
