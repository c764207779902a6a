"""`sovereign backup`: copies of the whole site, data and keys apart."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sovereign.cli import exits
from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.findings import show
from sovereign.cli.marks import number, several, size
from sovereign.cli.output import Column

if TYPE_CHECKING:
    from vault.errors import Fault

command = Noun(
    "backup",
    fr="Les sauvegardes : tout le site, incrémentales, signées ; les clés à part.",
    en="Backups: the whole site, incremental, signed; the keys apart.",
)
TARGET = argument(
    "target", required=False, fr="Une destination des réglages, ou un dossier.", en="A target of the settings, or a folder."
)
COLUMNS = (
    Column("id", "sauvegarde", "backup"),
    Column("created", "faite", "created", "time"),
    Column("files", "fichiers", "files", "number"),
    Column("bytes", "taille", "size", "bytes"),
    Column("entries", "journal", "audit log", "number"),
)


@command.verb(
    "create",
    fr="Sauvegarde le site, pendant que tout tourne. Seul ce qui a changé est copié.",
    en="Back the site up, while everything runs. Only what changed is copied.",
)
@TARGET
@option(
    "--keys-to",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    metavar="DIR",
    fr="Où copier les clés, à part ; sinon celui des réglages.",
    en="Where to copy the keys, apart; else the settings'.",
)
def create(door: Door, target: str | None, keys_to: Path | None) -> None:
    """Copy what changed, then sign."""
    from sovereign.backup import creating, targets

    site = door.site()
    made = creating.create(site, targets.named(site, target), targets.keys_of(site, keys_to))
    of = made.record
    door.out.done(
        "backup.created",
        f"Sauvegarde {of.id} : {number(of.files)} fichiers, {size(of.bytes)}, dont {size(made.added)} copiés",
        f"Backup {of.id}: {number(of.files)} files, {size(of.bytes)}, of which {size(made.added)} copied",
        id=of.id, files=of.files, bytes=of.bytes, objects=made.objects, added=made.added, entries=of.log.size,
        parent=of.parent, shredded=made.shredded,
    )  # fmt: skip
    if made.shredded:
        gone = several(made.shredded, "clé* détruite*", "key* shredded")
        door.out.remark(f"{gone} aussi dans les copies de clés précédentes.", f"{gone} in the former copies of the keys too.")


@command.verb("list", fr="Liste les sauvegardes d'une destination.", en="List the backups of a target.")
@TARGET
def list_(door: Door, target: str | None) -> None:
    """One row a backup whose signature is good."""
    from sovereign.backup import reading, targets
    from sovereign.backup.record import Record

    site = door.site()
    found = reading.records(targets.named(site, target), site.keys.verifier)
    rows = [
        {
            "id": each.id, "created": each.created, "files": each.files, "bytes": each.bytes, "entries": each.log.size,
            "parent": each.parent, "revision": each.revision, "version": each.version,
        }
        for each in found
        if isinstance(each, Record)
    ]  # fmt: skip
    door.out.table("backup", COLUMNS, rows, empty=("Aucune sauvegarde ici.", "No backup here."))
    faults: list[Fault] = [each for each in found if not isinstance(each, Record)]
    for fault in faults:
        door.out.fault(fault)
        door.exit = exits.PARTIAL


@command.verb(
    "verify",
    fr="Vérifie une sauvegarde, la dernière sinon : signature, présence et longueur de chaque objet.",
    en="Check a backup, else the latest: signature, presence and length of each object.",
)
@TARGET
@option("--backup", "id_", default=None, metavar="ID", fr="Laquelle.", en="Which.")
@option("--read-all", is_flag=True, fr="Relit chaque octet.", en="Read every byte again.")
def verify(door: Door, target: str | None, id_: str | None, read_all: bool) -> None:
    """Exit code 20 when something is missing or is not what was written."""
    from sovereign.backup import creating, reading, targets

    site = door.site()
    chosen = targets.named(site, target)
    id_ = reading.latest(chosen, id_)
    key = site.keys.derive(creating.PURPOSE)
    findings = list(reading.verify(chosen, id_, site.keys.verifier, key, read_all=read_all))
    facts = {"backup": id_, "read_all": read_all, "errors": len(findings)}
    site.audit.append("backup.verified", {}, facts, {"target": chosen.name})
    door.exit = show(
        door,
        findings,
        lambda: (
            f"sauvegarde {id_} : chaque octet relu" if read_all else f"sauvegarde {id_} : tout y est",
            f"backup {id_}: every byte read again" if read_all else f"backup {id_}: all of it is there",
        ),
    )
