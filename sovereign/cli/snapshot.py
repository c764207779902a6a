"""`sovereign snapshot`: the encrypted copies: what there is, what changed, whether all of it is still what was written."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.exits import PARTIAL
from sovereign.cli.files import refuse_a_lost_folder, written_privately
from sovereign.cli.findings import show as show_findings
from sovereign.cli.marks import rows, several, size
from sovereign.cli.naming import DATASET, dotted, snapshot
from sovereign.cli.quarantine import command as quarantine
from sovereign.cli.query import CLEARANCE
from sovereign.errors import SovereignError
from sovereign.language import say

if TYPE_CHECKING:
    from snapshots.dataset import DatasetId
    from sovereign.site import Site
    from vault.errors import Fault


class UnknownDataset(SovereignError):
    """A dataset that the site has no snapshot of, and never had."""

    code = "snapshot.unknown"
    kind = "usage"
    fr = "Ce site n'a pas de jeu de données {dataset}."
    en = "This site has no dataset {dataset}."
    todo_fr = "Jeux qui ont un instantané : {known}."
    todo_en = "Datasets that have a snapshot: {known}."


command = Noun(
    "snapshot",
    fr="Les instantanés : des jeux de données chiffrés, signés, datés. Un jeu s'écrit connexion.flux, comme en SQL.",
    en="Snapshots: encrypted, signed, dated datasets. A dataset is written connection.stream, as in SQL.",
)

command.add_command(quarantine)

SHOWN: Final = 30
"""Changes that `diff` shows when --limit does not say."""

AS_OF: Final = option(
    "--as-of",
    default=None,
    metavar="DATE|SEQ",
    fr="Lequel : numéro, jour ou instant.",
    en="Which: a number, a day or an instant.",
)


@command.verb(
    "list",
    fr="Liste le dernier instantané de chaque jeu de données, ou tous ceux d'un jeu.",
    en="List the latest snapshot of each dataset, or all those of one.",
)
@argument("dataset", type=DATASET, required=False, fr="Un jeu de données.", en="A dataset.")
def list_(door: Door, dataset: tuple[str, str] | None) -> None:
    """One row a snapshot."""
    from sovereign.cli.description import LINE, line

    site = door.site()
    damaged: dict[DatasetId, Fault] = {}
    if dataset is None:
        found = list(site.heads(damaged).items())
        told = [(dotted(each), dotted(each), fault) for each, fault in damaged.items()]
    else:
        [id_] = _held(site, (dataset,))
        held, faults = site.repository.readable_manifests(id_)
        found = [(id_, each) for each in held]
        told = [(dotted(id_), file, fault) for file, fault in faults.items()]
    door.out.table(
        "snapshot",
        LINE,
        [line(each, manifest) for each, manifest in found],
        empty=("Aucun instantané encore : « sovereign sync run ».", "No snapshot yet: `sovereign sync run`."),
    )
    for name, subject, fault in told:
        fr, en = fault.diagnostics("fr"), fault.diagnostics("en")
        door.out.record("snapshot.damaged", dataset=name, subject=subject, code=fault.code, what=say(fr.what, en.what))
        door.out.remark(f"✗ {name} : {fr.what}", f"✗ {name}: {en.what}", style="bold red")
    if told:
        door.exit = PARTIAL


def _held(site: "Site", named: "tuple[tuple[str, str], ...]") -> "list[DatasetId]":
    """Give the datasets of these names; raises UnknownDataset for one that has no snapshot, on disk or in the audit log."""
    from sovereign.inspection import known

    held = known(site)
    for each in map(_id, named):
        if each not in held:
            raise UnknownDataset(dataset=dotted(each), known=", ".join(map(dotted, held)) or "-")
    return [_id(each) for each in named]


def _id(dataset: tuple[str, str]) -> "DatasetId":
    from snapshots.dataset import DatasetId

    return DatasetId(*dataset)


@command.verb(
    "show",
    fr="Montre un instantané : d'où il vient, ce qu'il contient, ce qui prouve qu'il est complet.",
    en="Show a snapshot: where it comes from, what it holds, what proves it complete.",
)
@argument("dataset", type=DATASET, fr="Le jeu de données.", en="The dataset.")
@AS_OF
@CLEARANCE
def show(door: Door, dataset: tuple[str, str], as_of: str | None, clearance: str) -> None:
    """Facts, then columns, then evidence and drift."""
    from sovereign.cli.description import describe

    site = door.site()
    _held(site, (dataset,))
    manifest = site.snapshot(_id(dataset), snapshot(as_of, site.settings.site.zone) if as_of is not None else None)
    describe(door, _id(dataset), manifest, clearance)


@command.verb(
    "diff",
    fr="Compare deux instantanés ligne à ligne : ajouts, changements, retraits.",
    en="Compare two snapshots row by row: inserted, updated, deleted.",
)
@argument("dataset", type=DATASET, fr="Le jeu de données.", en="The dataset.")
@argument("before", metavar="A", fr="Le premier : numéro, jour ou instant.", en="The first: a number, a day or an instant.")
@argument("after", metavar="B", required=False, fr="Le second ; le dernier sinon.", en="The second; the latest otherwise.")
@CLEARANCE
@option(
    "--limit",
    type=click.IntRange(min=0),
    default=None,
    metavar="N",
    fr=f"Changements montrés au plus ; {SHOWN} dans un terminal, 0 pour tous. Tous sont comptés.",
    en=f"Changes shown at most; {SHOWN} to a person, 0 for all. All are counted.",
)
def diff(door: Door, dataset: tuple[str, str], before: str, after: str | None, clearance: str, limit: int | None) -> None:
    """Show changes, and count them."""
    from sovereign.cli.difference import compare

    site, zone = door.site(), door.site().settings.site.zone
    first = site.snapshot(_id(dataset), snapshot(before, zone))
    second = site.snapshot(_id(dataset), snapshot(after, zone) if after else None)
    compare(door, _id(dataset), first, second, clearance, (0 if door.out.json else SHOWN) if limit is None else limit)


@command.verb(
    "verify",
    fr="Vérifie empreintes, signatures et scellés, archive brute, quarantaine et documents compris, et que rien ne manque.",
    en="Check every hash, signature and seal, raw archive, quarantine and documents included, and that nothing was taken away.",
)
@argument(
    "datasets", type=DATASET, nargs=-1, required=False, fr="Les jeux de données ; tous sinon.", en="Datasets; all otherwise."
)
def verify(door: Door, datasets: tuple[tuple[str, str], ...]) -> None:
    """Check them one by one; exit code 20 when something is wrong."""
    from snapshots import verification
    from sovereign.inspection import known, unentered

    site = door.site()
    opened: set[Path] = set()  # the streams of a connection share its raw archives and packs: each is decrypted once
    chosen = _held(site, datasets) or known(site)
    count = 0

    def findings() -> Iterator[Any]:
        nonlocal count
        witnessed = site.audit.witnessed()
        for dataset in chosen:
            entered = witnessed.get((dataset.connection, dataset.stream), ())
            head = entered[-1] if entered else None
            yield from verification.verify(site.repository, dataset, head, entered, opened=opened)
            count += len(site.repository.readable_manifests(dataset)[0])
        names = {str(dataset) for dataset in chosen}
        yield from (each for each in unentered(site) if each.subject in names)
        site.audit.append("snapshot.verified", {}, {"datasets": len(chosen), "snapshots": count})

    def verified() -> str:
        return several(count, "instantané* vérifié*", "snapshot* verified")

    def of_datasets() -> str:
        return several(len(chosen), "jeu* de données".replace("jeu*", "jeux" if len(chosen) > 1 else "jeu"), "dataset*")

    door.exit = show_findings(
        door,
        findings(),
        lambda: (
            f"{verified()}, {of_datasets()} : rien n'a été changé, rien n'a été retiré.",
            f"{verified()}, {of_datasets()}: nothing was altered, nothing was taken away.",
        ),
    )


@command.verb(
    "export",
    fr="Remet un instantané dans un nouveau dossier : les lignes en Parquet, le schéma, les empreintes, un mode d'emploi.",
    en="Hand over a snapshot in a new folder: rows in Parquet, the schema, hashes, how to read them.",
)
@argument("dataset", type=DATASET, fr="Le jeu de données.", en="The dataset.")
@option(
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="DIR",
    fr="Le dossier, qui ne doit pas exister.",
    en="The folder, which must not exist.",
)
@AS_OF
@CLEARANCE
@option(
    "--sealed",
    is_flag=True,
    fr="Chiffré : seul ce site l'ouvre (snapshot open).",
    en="Encrypted: only this site opens it (snapshot open).",
)
def export(door: Door, dataset: tuple[str, str], output: Path, as_of: str | None, clearance: str, sealed: bool) -> None:
    """Whole or not at all; entered in the audit log."""
    from sovereign.withheld import notes

    site = door.site()
    moment = snapshot(as_of, site.settings.site.zone) if as_of is not None else None
    warnings = notes(site, [site.snapshot(_id(dataset), moment)], clearance)
    done = site.export(_id(dataset), output, clearance=clearance, as_of=moment, sealed=sealed)
    door.out.done(
        "export",
        f"{rows(done.rows)}, {size(done.bytes)} : {output}/",
        f"{rows(done.rows)}, {size(done.bytes)}: {output}/",
        dataset=".".join(dataset),
        rows=done.rows,
        bytes=done.bytes,
        output=str(output),
        clearance=clearance,
        sealed=sealed,
        warnings=[say(*each) for each in warnings],
    )
    for fr, en in warnings:
        door.out.remark(f"! {fr}", f"! {en}", style="yellow")
    if not sealed:
        door.out.remark(
            "! Ces fichiers sont en clair : ils sortent de la protection du site.",
            "! These files are in clear: the site no longer protects them.",
            style="yellow",
        )


@command.verb("open", fr="Ouvre un fichier d'un export scellé.", en="Open a file of a sealed export.")
@argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False, exists=True), fr="L'export.", en="The export."
)
@argument("name", metavar="NAME", fr="Le fichier, sans « .sealed ».", en="The file, without `.sealed`.")
@option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    fr="Où l'écrire.",
    en="Where to write it.",
)
def open_(door: Door, folder: Path, name: str, output: Path) -> None:
    """It appears once it was read and verified to its end."""
    from snapshots.export import open_sealed, sealed_files

    refuse_a_lost_folder(output)
    if name not in (names := sealed_files(folder)):
        shown = ", ".join(names) or "-"
        raise click.BadParameter(
            say(f"{name} n'est pas dans cet export, qui a : {shown}", f"{name} is not in this export, which has: {shown}"),
            param_hint="NAME",
        )
    with written_privately(output) as sink:
        opened = open_sealed(folder, name, door.site().keys, sink)
    door.out.done(
        "opened", f"{size(opened)} : {output}", f"{size(opened)}: {output}", name=name, bytes=opened, output=str(output)
    )
