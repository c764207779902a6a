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
from sovereign.language import say

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
FATES = (
    Column("id", "sauvegarde", "backup"),
    Column("state", "sort", "fate"),
    Column("why", "règles", "rules"),
)
_FATE = {"kept": ("gardée", "kept"), "removed": ("enlevée", "removed")}


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
@option(
    "--anew",
    is_flag=True,
    fr="Commence là où il y a eu des sauvegardes et où il n'y en a plus : un disque vidé, ou remplacé.",
    en="Begin where backups were made and none is left: a disk that was emptied, or replaced.",
)
@option(
    "--read-all",
    is_flag=True,
    fr="Relit ce que la destination a déjà, et y remet ce qui n'est plus ce qui a été écrit.",
    en="Read what the target has already, and put again what is no longer what was written.",
)
def create(door: Door, target: str | None, keys_to: Path | None, anew: bool, read_all: bool) -> None:
    """Copy what changed, then sign."""
    from sovereign.backup import creating, targets

    site = door.site()
    chosen, keys = targets.named(site, target), targets.keys_of(site, keys_to)
    made = creating.create(site, chosen, keys, anew=anew, read_all=read_all)
    of = made.record
    door.out.done(
        "backup.created",
        f"Sauvegarde {of.id} : {number(of.files)} fichiers, {size(of.bytes)} ; {size(made.added)} écrits dans la destination",
        f"Backup {of.id}: {number(of.files)} files, {size(of.bytes)}; {size(made.added)} written at the target",
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


_MANY = click.IntRange(0, 10_000)


@command.verb(
    "prune",
    fr="Enlève les sauvegardes qu'aucune règle ne garde, et ce qu'elles seules utilisent. Jamais la dernière qui soit entière.",
    en="Remove backups that no rule keeps, and what only they use. Never the last sound one.",
)
@TARGET
@option("--keep-last", "last", type=_MANY, metavar="N", fr="Garde les N dernières.", en="Keep the latest N.")
@option("--keep-daily", "daily", type=_MANY, metavar="N", fr="La dernière de N jours.", en="The newest of N days.")
@option("--keep-weekly", "weekly", type=_MANY, metavar="N", fr="La dernière de N semaines.", en="The newest of N weeks.")
@option("--keep-monthly", "monthly", type=_MANY, metavar="N", fr="La dernière de N mois.", en="The newest of N months.")
@option(
    "--keys",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    metavar="DIR",
    fr="Où sont les copies des clés, enlevées avec leur sauvegarde ; sinon celui des réglages.",
    en="Where the copies of the keys are, which go with their backup; else the settings'.",
)
@option(
    "--drop-unreadable",
    is_flag=True,
    fr="Abandonne aussi les sauvegardes qui ne se lisent pas ; sinon elles arrêtent tout.",
    en="Give up backups that cannot be read too; else they stop everything.",
)
@option("--dry-run", is_flag=True, fr="Montre, n'enlève rien.", en="Show, remove nothing.")
def prune(door: Door, target: str | None, keys: Path | None, drop_unreadable: bool, dry_run: bool, **many: int | None) -> None:
    """Show what each rule keeps and what goes."""
    from sovereign.backup import pruning, targets

    site = door.site()
    wanted = targets.policy_of(site, many)
    apart = keys or targets.keys_if_any(site)
    chosen = targets.named(site, target)
    done = pruning.prune(site, chosen, wanted, keys=apart, drop_unreadable=drop_unreadable, dry_run=dry_run)
    rows = [{"id": id_, "state": "kept", "why": list(rules)} for id_, rules in done.kept.items()]
    rows += [{"id": id_, "state": "removed", "why": ["unreadable"] if id_ in done.damaged else []} for id_ in done.gone]
    if door.out.json:
        for row in rows:
            door.out.record("backup", dry_run=dry_run, **row)
    else:
        shown = [{**row, "state": say(*_FATE[str(row["state"])]), "why": ", ".join(row["why"]) or "—"} for row in rows]
        door.out.table("backup", FATES, shown)
    some = f"{several(len(done.gone), 'sauvegarde*', 'backup*')}, {several(len(done.objects), 'objet*', 'object*')}"
    tail = f"{some}, {size(done.bytes)}"
    door.out.done(
        "backup.pruned",
        f"À enlever : {tail} (rien n'a été fait)" if dry_run else f"Enlevé : {tail}",
        f"To remove: {tail} (nothing was done)" if dry_run else f"Removed: {tail}",
        kept=len(done.kept), removed=len(done.gone), damaged=len(done.damaged), objects=len(done.objects), bytes=done.bytes,
        dry_run=dry_run,
    )  # fmt: skip
    if apart is None and done.gone and not dry_run:
        door.out.remark(
            "Leurs copies des clés restent : --keys DOSSIER les enlève.",
            "Their copies of the keys stay: --keys DIR removes them.",
        )
