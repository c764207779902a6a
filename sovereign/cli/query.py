"""`sovereign query`: one SQL question to the local copies, in a locked session that holds the keys of one clearance."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli.commands import argument, option, verb
from sovereign.cli.door import Door
from sovereign.cli.files import refuse_a_lost_folder, written_privately
from sovereign.cli.marks import number, when
from sovereign.cli.marks import rows as counted
from sovereign.cli.naming import dotted, snapshot
from sovereign.cli.output import shown
from sovereign.errors import SovereignError
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.answers import Answer

CLEARANCES: Final = ("internal", "personal", "sensitive")
FORMATS: Final = ("table", "csv", "json", "jsonl", "arrow", "parquet")
TABLE_ROWS: Final = 50
"""Rows shown in a table when --limit does not say."""


class NeedsFile(SovereignError):
    """A binary format has no place on a terminal."""

    code = "query.binary"
    kind = "usage"
    fr = "Le format {format} est binaire : il ne s'affiche pas dans un terminal."
    en = "Format {format} is binary: a terminal cannot show it."
    todo_fr = "Ajoutez --output FICHIER."
    todo_en = "Add --output FILE."


CLEARANCE: Final = option(
    "--clearance",
    type=click.Choice(CLEARANCES),
    default="internal",
    show_default=True,
    fr="Plus haute classe lue : interne, personnelle, sensible.",
    en="Highest class read.",
)


@verb(
    "query",
    fr="Pose une question en SQL. Une connexion est un schéma, un flux une table : decp.marches.\n\n"
    "--clearance choisit les clés ouvertes : les colonnes des classes au-dessus n'existent pas pour la session.",
    en="Ask a question in SQL. A connection is a schema, a stream is a table: decp.marches.\n\n"
    "--clearance chooses which keys are opened: columns of the classes above do not exist for the session.",
)
@argument("sql", fr="La question ; « - » la lit sur l'entrée standard.", en="The question; `-` reads it from standard input.")
@CLEARANCE
@option(
    "--as-of",
    default=None,
    metavar="DATE|SEQ",
    fr="Les copies telles qu'elles étaient : numéro, jour ou instant.",
    en="The copies as they were: a number, a day or an instant.",
)
@option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    fr="Forme. En CSV avec --output, un texte qu'un tableur exécuterait (= + - @) reçoit une apostrophe ; jamais un nombre.",
    en="Shape. In CSV with --output, a text that a spreadsheet would run (= + - @) gets an apostrophe; a number never does.",
)
@option("--output", type=click.Path(path_type=Path, dir_okay=False), default=None, fr="Fichier de sortie.", en="Output file.")
@option(
    "--limit",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    fr=f"Lignes au plus ; {TABLE_ROWS} pour une table, 0 pour toutes. Une coupure est toujours annoncée.",
    en=f"Rows at most; {TABLE_ROWS} for a table, 0 for all. A cut is always announced.",
)
def command(
    door: Door, sql: str, clearance: str, as_of: str | None, format_: str, output: Path | None, limit: int | None
) -> None:
    """Ask, then write the answer in the shape asked for."""
    if format_ in {"arrow", "parquet"} and output is None and door.out.stdout.isatty():
        raise NeedsFile(format=format_)
    question = sys.stdin.read() if sql == "-" else sql
    if not question.strip():
        raise click.UsageError(say("la question est vide", "the question is empty"))
    if output is not None:
        refuse_a_lost_folder(output)
    site = door.site()
    moment = snapshot(as_of, site.settings.site.zone) if as_of is not None else None
    with site.query(question, clearance=clearance, as_of=moment) as answer:
        if format_ == "table" and output is None:
            rows, cut = _show(door, answer, (0 if door.out.json else TABLE_ROWS) if limit is None else limit)
        else:
            rows, cut = _write(door, answer, "csv" if format_ == "table" else format_, output, limit or 0)
        inside = format_ == "table" or output is not None
        _close(door, answer, rows=rows, cut=cut, output=output, clearance=clearance, inside=inside)


def _show(door: Door, answer: "Answer", limit: int) -> tuple[int, bool]:
    """Show rows to a person, or one record a row to a machine; gives how many, and whether some were left out."""
    import orjson

    from snapshots.formats import plain, unique

    names = unique(list(answer.columns))
    held: list[list[str]] = []
    rows, cut = 0, False
    for values in _rows(answer):
        if limit and rows == limit:
            cut = True
            break
        rows += 1
        if door.out.json:
            row = orjson.dumps({"type": "row", "values": dict(zip(names, values, strict=True))}, default=plain)
            print(row.decode(), file=door.out.stdout)
        else:
            held.append([shown(value) for value in values])
    if not door.out.json:
        door.out.grid([(name, _is_number(answer, at)) for at, name in enumerate(answer.columns)], held)
    return rows, cut


def _rows(answer: "Answer") -> Iterator[tuple[Any, ...]]:
    for batch in answer.reader:
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _is_number(answer: "Answer", at: int) -> bool:
    import pyarrow.types as kinds

    kind = answer.reader.schema.field(at).type
    return bool(kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind))


def _write(door: Door, answer: "Answer", kind: str, output: Path | None, limit: int) -> tuple[int, bool]:
    """Stream rows to a file, whole or not at all, or to standard output."""
    from snapshots.formats import write

    if output is None:
        door.out.stdout.flush()
        done = write(answer.reader, kind, door.out.stdout.buffer, limit=limit)
        door.out.stdout.flush()
    else:
        with written_privately(output) as sink:
            done = write(answer.reader, kind, sink, limit=limit, formula_safe=kind == "csv")
    return done.rows, done.cut


def _key_above(answer: "Answer", clearance: str) -> str | None:
    """The next clearance at which something more is open, when the answer holds the pseudonym of a key that is sealed."""
    from snapshots.dataset import KEY

    beyond = CLEARANCES[CLEARANCES.index(clearance) + 1 :] if KEY in answer.columns else ()
    return next((each for each in beyond if any(each in one.sealed for one in answer.datasets.values())), None)


def _close(door: Door, answer: "Answer", *, rows: int, cut: bool, output: Path | None, clearance: str, inside: bool) -> None:
    """Say, beside the answer, how much it is, what it comes from, and whether it was cut."""
    held = sorted(answer.datasets.items())
    tell = door.out.record if inside else door.out.beside
    tell(
        "answer",
        rows=rows,
        cut=cut,
        clearance=clearance,
        datasets=[{"dataset": dotted(each), "sequence": one.sequence, "created": one.created} for each, one in held],
        output=output and str(output),
        warnings=[say(*each) for each in answer.warnings],
    )
    for fr, en in answer.warnings:
        door.out.remark(f"! {fr}", f"! {en}", style="yellow")
    if inside and (above := _key_above(answer, clearance)):
        door.out.remark(
            f"! _key tient lieu de la clé, qui est scellée à cette habilitation avec d'autres colonnes : --clearance {above}",
            f"! _key stands for the key, which is sealed at this clearance with other columns: --clearance {above}",
            style="yellow",
        )
    if cut:
        door.out.remark(
            f"! coupé à {number(rows)} lignes ; --limit 0 les donne toutes",
            f"! cut at {number(rows)} rows; --limit 0 gives them all",
            style="yellow",
        )
    sources = ", ".join(f"{dotted(each)}@{one.sequence} ({when(one.created)})" for each, one in held)
    more = [each for each in (sources, f"→ {output}" if output else "") if each]
    door.out.remark(
        " · ".join([counted(rows), f"habilitation {clearance}", *more]),
        " · ".join([counted(rows), f"clearance {clearance}", *more]),
    )
