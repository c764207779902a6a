"""`sovereign document`: the vendors' files: which ones records name, and one of them in clear."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.files import refuse_a_lost_folder, refuse_to_replace, written_privately
from sovereign.cli.marks import size
from sovereign.cli.naming import CONNECTION, DATASET, NAME, dotted, snapshot
from sovereign.cli.output import Column
from sovereign.cli.query import CLEARANCE
from sovereign.errors import SovereignError
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.documents import Listed

command = Noun(
    "document",
    fr="Les fichiers que des enregistrements nomment. Leurs lignes s'interrogent en SQL ; ici, on les ouvre.",
    en="The files that records name. Their rows are asked for in SQL; here, one is opened.",
)

COLUMNS: Final = (
    Column("dataset", "jeu de données", "dataset"),
    Column("document", "document", "document"),
    Column("bytes", "taille", "size", "bytes"),
    Column("media_type", "nature", "kind"),
    Column("records", "enregistrements", "records", "number"),
    Column("state", "état", "state", "state"),
)

AS_OF: Final = option(
    "--as-of",
    default=None,
    metavar="DATE|SEQ",
    fr="Ce que nommait un instantané : numéro, jour ou instant.",
    en="What a snapshot named: a number, a day or an instant.",
)

_ADDRESS: Final = re.compile(r"d[0-9a-f]{32}")


class NeedsFile(SovereignError):
    """A document has no place on a terminal."""

    code = "document.binary"
    kind = "usage"
    fr = "Un document ne s'affiche pas dans un terminal."
    en = "A terminal cannot show a document."
    todo_fr = "Ajoutez --output FICHIER, ou envoyez la sortie dans un fichier."
    todo_en = "Add --output FILE, or send the output to a file."


class Address(click.ParamType[str]):
    """The address of a document, as records and `document list` write it."""

    name = "document"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - click's
        """Check its form."""
        if _ADDRESS.fullmatch(str(value)) is None:
            self.fail(
                say("attendu l'adresse d'un document : « d » et 32 chiffres hexadécimaux",
                    "expected the address of a document: `d` and 32 hexadecimal digits"),
                param, ctx,
            )  # fmt: skip
        return str(value)


@command.verb(
    "list",
    fr="Liste les documents que nomment les enregistrements d'une connexion, autant que l'habilitation en voit.",
    en="List the documents that records of a connection name, as far as the clearance sees.",
)
@argument("connection", type=CONNECTION, fr="La connexion.", en="The connection.")
@option("--stream", default=None, metavar="NAME", fr="Un flux ; tous sinon.", en="A stream; all otherwise.")
@CLEARANCE
@AS_OF
def list_(door: Door, connection: str, stream: str | None, clearance: str, as_of: str | None) -> None:
    """One row a document."""
    if stream is not None and NAME.fullmatch(stream) is None:
        raise click.BadParameter(say("ce n'est pas un nom de flux", "it is not the name of a stream"), param_hint="--stream")
    site = door.site()
    if not any(each.connection == connection for each in site.repository.datasets()):
        site.connection(connection)  # copies outlive their connection's settings; a name that is neither is a mistake
    moment = snapshot(as_of, site.settings.site.zone) if as_of is not None else None

    def row(each: "Listed") -> dict[str, Any]:
        return {
            "dataset": dotted(each.dataset),
            "document": each.document,
            "bytes": each.size,
            "media_type": each.media_type,
            "records": each.records,
            "state": each.state,
            "destroyed": each.destroyed or None,
        }

    door.out.table(
        "document",
        COLUMNS,
        (row(each) for each in site.documents(connection, stream, clearance=clearance, as_of=moment)),
        empty=("Aucun document que cette habilitation voie.", "No document that this clearance sees."),
    )


@command.verb(
    "get",
    fr="Ouvre un document qu'un enregistrement nomme, sous les clés de l'habilitation. L'acte est inscrit au journal.",
    en="Open a document that a record names, under the keys of the clearance. The act is entered in the audit log.",
)
@argument("dataset", type=DATASET, fr="Le jeu de données : connexion.flux.", en="The dataset: connection.stream.")
@argument("document", type=Address(), fr="Son adresse, comme dans l'enregistrement.", en="Its address, as in the record.")
@option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    fr="Où l'écrire ; sinon la sortie standard. Rien n'est remplacé.",
    en="Where to write it; else standard output. Nothing is replaced.",
)
@CLEARANCE
@AS_OF
def get(door: Door, dataset: tuple[str, str], document: str, output: Path | None, clearance: str, as_of: str | None) -> None:
    """Write it whole, for this account alone, or not at all."""
    from snapshots.dataset import DatasetId

    if output is None and door.out.stdout.isatty():
        raise NeedsFile
    if output is not None:
        refuse_a_lost_folder(output)
        refuse_to_replace(output)
    site = door.site()
    moment = snapshot(as_of, site.settings.site.zone) if as_of is not None else None
    content = site.document(DatasetId(*dataset), document, clearance=clearance, as_of=moment)
    if output is None:
        door.out.stdout.flush()
        door.out.stdout.buffer.write(content)
        door.out.stdout.flush()
        return
    with written_privately(output, replace=False) as sink:
        sink.write(content)
    door.out.done(
        "document.opened", f"{size(len(content))} : {output}", f"{size(len(content))}: {output}",
        dataset=".".join(dataset), document=document, bytes=len(content), output=str(output), clearance=clearance,
    )  # fmt: skip
    door.out.remark(
        "! Ce fichier est en clair : il sort de la protection du site.",
        "! This file is in clear: the site no longer protects it.",
        style="yellow",
    )
