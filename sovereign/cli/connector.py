"""`sovereign connector`: for those who write a connector. Only `dry-run` opens a site, and `list` reads its settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sovereign.cli import exits
from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.naming import CONNECTION
from sovereign.cli.output import Column
from sovereign.errors import NoSite
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.authoring.laws import Verdict
    from sovereign.authoring.target import Case

command = Noun(
    "connector",
    fr="Écrire un connecteur : partir d'un paquet, l'éprouver, enregistrer un fournisseur sans rien de personnel.",
    en="Write a connector: start from a package, try it, record a vendor with nothing personal in it.",
)
FOLDER = click.Path(path_type=Path, file_okay=False)
DOCS = {"rest": "docs/connectors.md", "ogc-features": "docs/connectors-ogc.md", "graph-users": "docs/connectors-graph.md"}
"""Pages that are not called `connectors-KIND.md`."""


@command.verb("new", fr="Écrit un paquet de départ, qui marche déjà.", en="Write a package to start from; it works at once.")
@argument("name", fr="Le nom du connecteur.", en="The connector's name.")
@argument("folder", type=FOLDER, fr="Un dossier absent ou vide.", en="An absent or empty folder.")
@option(
    "--kind",
    type=click.Choice(["read", "write"]),
    default="read",
    show_default=True,
    fr="Lire seulement, ou écrire aussi.",
    en="Read only, or write as well.",
)
def new(door: Door, name: str, folder: Path, kind: Any) -> None:  # noqa: ANN401 - one of the choices
    """Then `connector test`."""
    from sovereign.authoring.scaffold import scaffold

    written = scaffold(name, kind, folder)
    door.out.done(
        "connector",
        f"Paquet écrit : {folder}",
        f"Package written: {folder}",
        name=name,
        path=str(folder),
        files=[*map(str, written)],
    )
    door.out.remark(f"À présent : sovereign connector test {folder}", f"Now: sovereign connector test {folder}")


@command.verb(
    "test",
    fr="Éprouve un connecteur, loi par loi. Son code s'exécute ; aucun site n'est ouvert.",
    en="Try a connector, law by law. Its code runs; no site is opened.",
)
@argument(
    "target",
    fr="Le dossier d'un paquet, un dossier de fixtures, ou un connecteur.",
    en="The folder of a package, a fixtures folder, or a kind.",
)
def test(door: Door, target: str) -> None:
    """Exit code 20 when a law is broken, 3 when one could not be tried."""
    from sovereign.authoring.target import cases

    outcomes: list[str] = []
    for case in cases(target):
        verdicts, rows = _tried(case)
        outcomes += [verdict.outcome for verdict in verdicts]
        door.out.table("law", _COLUMNS, [_row(case, verdict, spoken=not door.out.json) for verdict in verdicts])
        for stream, records in rows.items():
            door.out.record("stream", case=case.name, stream=stream, records=records)
            door.out.say(f"  {stream} : {records} enregistrements", f"  {stream}: {records} records")
    broken, untried = outcomes.count("broken"), outcomes.count("untried")
    facts = {"laws": len(outcomes), "broken": broken, "untried": untried}
    if broken:
        door.exit = exits.UNVERIFIED
        door.out.record("tested", **facts)
        door.out.say(f"✗ {broken} sur {len(outcomes)} rompues", f"✗ {broken} of {len(outcomes)} broken", style="bold red")
    elif untried:
        door.exit = exits.PARTIAL
        door.out.record("tested", **facts)
        door.out.say(
            f"! {untried} sur {len(outcomes)} non éprouvées", f"! {untried} of {len(outcomes)} untried", style="yellow"
        )
    else:
        door.out.done("tested", f"{len(outcomes)} lois tenues", f"{len(outcomes)} laws kept", **facts)


_COLUMNS = (
    Column("case", "cas", "case"),
    Column("law", "loi", "law"),
    Column("outcome", "verdict", "verdict"),
    Column("says", "ce qu'elle dit", "what it says"),
    Column("detail", "vu", "seen"),
)
_MARKS = {"kept": ("✓ tenue", "✓ kept"), "broken": ("✗ rompue", "✗ broken"), "untried": ("! non éprouvée", "! untried")}


def _tried(case: "Case") -> "tuple[list[Verdict], dict[str, int]]":
    from sovereign.authoring.laws import try_misbehaviour, try_reading, try_writing

    whole = case.fixtures is None or case.fixtures.manifest.whole
    verdicts, rows = try_reading(case.connector, case.send, started_at=case.started_at, whole=whole)
    if case.lists:
        verdicts += try_misbehaviour(case.connector, case.send, case.lists, started_at=case.started_at, closed=case.closed)
    if case.writer is not None:
        verdicts += try_writing(case.writer, case.writes or {}, case.send)
    return verdicts, rows


def _row(case: "Case", verdict: "Verdict", *, spoken: bool) -> dict[str, Any]:
    from sovereign.authoring.laws import LAWS

    return {
        "case": case.name,
        "law": f"{verdict.operation}.{verdict.law}" if verdict.operation else verdict.law,
        "outcome": say(*_MARKS[verdict.outcome]) if spoken else verdict.outcome,
        "says": say(*LAWS[verdict.law]),
        "detail": verdict.detail or None,
    }


@command.verb(
    "dry-run",
    fr="Lit un fournisseur sans rien garder ; --record enregistre ses réponses, nettoyées.\n\n"
    "Rien de réel ne reste : valeurs personnelles, hôte et secrets sont remplacés, ou l'essai est refusé.",
    en="Read a vendor and keep nothing; --record records its answers, scrubbed.\n\n"
    "Nothing real remains: personal values, host and secrets are replaced, or the dry run is refused.",
)
@argument("name", type=CONNECTION, fr="La connexion.", en="The connection.")
@option("--stream", "streams", multiple=True, metavar="STREAM", fr="Un flux ; plusieurs fois.", en="A stream; several times.")
@option("--pages", type=click.IntRange(1, 1000), default=None, fr="Pages par tranche, au plus ; toutes sans cela.",
        en="Pages of each slice, at most; all without it.")  # fmt: skip
@option("--record", "folder", type=FOLDER, default=None, fr="Où enregistrer : un dossier absent ou vide.",
        en="Where to record: an absent or empty folder.")  # fmt: skip
def dry_run(door: Door, name: str, streams: tuple[str, ...], pages: int | None, folder: Path | None) -> None:
    """Then `connector test FOLDER`."""
    recorded = door.site().dry_run(name, folder, streams=streams, pages=pages)
    told = recorded.fixtures.manifest
    rows = [{"stream": stream, "pages": each.pages, "records": each.records} for stream, each in told.streams.items()]
    door.out.table(
        "stream",
        (
            Column("stream", "flux", "stream"),
            Column("pages", "pages", "pages", "number"),
            Column("records", "enregistrements", "records", "number"),
        ),
        rows,
    )
    exchanges, replaced, where = len(recorded.fixtures.exchanges), recorded.replaced, str(folder) if folder else None
    door.out.done(
        "recorded",
        f"{exchanges} échanges, {replaced} valeurs remplacées" + (f" : {where}" if where else ", rien d'écrit"),
        f"{exchanges} exchanges, {replaced} values replaced" + (f": {where}" if where else ", nothing written"),
        path=where,
        exchanges=exchanges,
        replaced=replaced,
        whole=told.whole,
    )


@command.verb(
    "list",
    fr="Liste les connecteurs : d'où ils viennent, s'ils sont autorisés ici. Rien n'est chargé.",
    en="List connectors: where they come from, whether they are allowed here. Nothing is loaded.",
)
def list_(door: Door) -> None:
    """One row a kind; `allowed` is null where there is no site."""
    from saas_connectors.installed import installed
    from saas_connectors.registry import KINDS, WRITERS
    from sovereign import __version__
    from sovereign.settings import load

    try:
        allow: tuple[str, ...] | None = load(door.path() / "sovereign.toml").connectors.allow
    except NoSite:
        if door.folder is not None:
            raise
        allow = None
    rows: list[dict[str, Any]] = [
        {"kind": kind, "package": "sovereign", "version": __version__, "allowed": True, "writes": kind in WRITERS}
        | {"doc": DOCS.get(kind, f"docs/connectors-{kind}.md")}
        for kind in KINDS
    ]
    found = installed()
    counts = [each.kind for each in found]
    for each in found:
        taken = each.kind in KINDS or counts.count(each.kind) > 1
        may = False if taken else None if allow is None else each.kind in allow
        rows.append(
            {"kind": each.kind, "package": each.package, "version": each.version, "allowed": may}
            | {"writes": each.writer is not None, "doc": each.doc or None, "shadowed": taken}
        )
    absent = sorted(set(allow or ()) - set(counts) - set(KINDS))
    rows += [dict.fromkeys(("package", "version", "writes", "doc")) | {"kind": kind, "allowed": True} for kind in absent]
    door.out.table(
        "connector",
        (
            Column("kind", "connecteur", "kind"),
            Column("package", "paquet", "package"),
            Column("version", "version", "version"),
            Column("allowed", "autorisé", "allowed"),
            Column("writes", "écrit", "writes"),
            Column("doc", "documentation", "documentation"),
        ),
        rows,
    )
