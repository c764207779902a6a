"""`sovereign fsck`: all that a site stands on, read to its end: database, keys, snapshots, documents, audit log, files.

1. It tells and changes nothing. A check that cannot be made is a finding too, and the next ones are made all the same.
2. `mend` does only what loses nothing: modes of files, marts that do not read (they are made anew), and what crashes left that
   no snapshot names, under the lease of its connection and by the rules of `snapshots.sweeping`.
3. Damage to what cannot be made anew is never mended: a backup is what mends it.
"""

import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from sovereign.inspection import known, missing_heads, of_keys, unentered
from sovereign.state import LeaseHeld
from sovereign.sync.fence import Fenced, lease_of
from sovereign.sync.tidying import tidy
from vault.errors import Fault, Finding

if TYPE_CHECKING:
    from sovereign.site import Site

_TEXTS: Final = 200
"""Characters of what SQLite says that are kept: it names tables and pages, never a value."""


@dataclass(frozen=True, slots=True)
class Mended:
    """What was put right: files whose modes were open, marts forgotten, connections tidied."""

    modes: int = 0
    marts: int = 0
    connections: int = 0


def check(site: "Site") -> Iterator[Finding]:
    """Run every check; one that cannot be run is a finding."""
    for each in _CHECKS:
        try:
            yield from each(site)
        except (Fault, SQLAlchemyError, OSError) as error:
            name = each.__name__.strip("_")
            if isinstance(error, Fault):
                fr, en = error.diagnostics("fr"), error.diagnostics("en")
                yield Finding("error", error.code, name, f"{fr.what} {fr.todo}", f"{en.what} {en.todo}")
            else:
                kind = type(error).__name__
                yield Finding(
                    "error", "fsck.unread", name, f"ne se lit pas ({kind}) : voyez l'état du disque",
                    f"cannot be read ({kind}): look at the disk's health",
                )  # fmt: skip


def mend(site: "Site") -> Mended:
    """Put right what loses nothing, and enter it. Errors: OSError, those of the state."""
    modes = 0
    for path in _open_to_others(site.root):
        path.chmod(stat.S_IMODE(path.stat().st_mode) & 0o700)
        modes += 1
    marts = 0
    for dataset, _ in site.marts.damaged():
        site.marts.forget(dataset.connection, dataset.stream)
        marts += 1
    tidied = 0
    for connection in sorted({dataset.connection for dataset in site.repository.datasets()}):
        with suppress(LeaseHeld), site.leases.hold(lease_of(connection), "fsck") as lease:
            tidy(site.repository, site.audit, Fenced(site.audit, site.runs.runs, site.leases, lease), connection)
            tidied += 1
    site.audit.append("site.mended", {}, {"modes": modes, "marts": marts, "connections": tidied})
    return Mended(modes, marts, tidied)


def _database(site: "Site") -> Iterator[Finding]:
    with site.state.read() as reader:
        told = [str(row[0]) for row in reader.execute(text("PRAGMA integrity_check(20)"))]
        strays = [(str(row[0]), str(row[2])) for row in reader.execute(text("PRAGMA foreign_key_check")).fetchmany(20)]
    for each in told:
        if each != "ok":
            said = each[:_TEXTS]
            yield Finding(
                "error", "fsck.database", "state.db", f"{said} : remettez-la d'une sauvegarde (« sovereign restore »)",
                f"{said}: put it back from a backup (`sovereign restore`)",
            )  # fmt: skip
    for table, parent in strays:
        yield Finding(
            "error", "fsck.stray", table, f"une ligne sans celle de {parent} dont elle dépend",
            f"a row without that of {parent} which it depends on",
        )  # fmt: skip


def _snapshots(site: "Site") -> Iterator[Finding]:
    from snapshots import verification

    opened: set[Path] = set()
    witnessed = site.audit.witnessed()
    for dataset in known(site):
        entered = witnessed.get((dataset.connection, dataset.stream), ())
        yield from verification.verify(site.repository, dataset, entered[-1] if entered else None, entered, opened=opened)


def _audit(site: "Site") -> Iterator[Finding]:
    from sovereign.audit.folder import verify as published

    log = site.audit
    log.verify()
    if log.publication.published() is not None or log.publication.folder.is_dir():
        found = published(log.publication.folder, log.checkpoints.verifier)
        log.checkpoints.continues(found.checkpoint)
    yield from ()


def _uploads(site: "Site") -> Iterator[Finding]:
    from sovereign.gateway.spool import missing

    for intent in missing(site.state, site.root / "spool"):
        yield Finding(
            "error", "fsck.upload", intent, "le fichier de cette écriture manque dans spool/ : remettez-le d'une sauvegarde",
            "the file of this write is not in spool/: put it back from a backup",
        )  # fmt: skip


def _drafts(site: "Site") -> Iterator[Finding]:
    """List what runs that were killed or stopped left; it is of no snapshot, so none of it is damage."""
    from snapshots.unfinished import unfinished

    for each in unfinished(site.repository):
        name, mib = f"{each.connection} {each.run}", each.bytes / 2**20
        place = f"snapshots/{each.connection}/.drafts/{each.run}"
        if each.fault is not None:
            yield Finding(
                "warning", "fsck.draft_unread", name,
                f"brouillon d'une exécution arrêtée, {mib:.1f} Mio, qui ne se lit pas ({each.fault.code}) : la prochaine "
                f"repart de zéro ; une fois examiné, enlevez {place}",
                f"draft of a run that stopped, {mib:.1f} MiB, which cannot be read ({each.fault.code}): the next one begins "
                f"anew; once you looked at it, remove {place}",
            )  # fmt: skip
        elif each.begun:
            yield Finding(
                "info", "fsck.draft", name,
                f"brouillon d'une exécution arrêtée, {mib:.1f} Mio : « sovereign sync run {each.connection} » la continue",
                f"draft of a run that stopped, {mib:.1f} MiB: `sovereign sync run {each.connection}` goes on with it",
            )  # fmt: skip
        else:
            yield Finding(
                "info", "fsck.draft", name,
                f"reste d'une exécution tuée avant son premier point de reprise, {mib:.1f} Mio : la prochaine l'enlève",
                f"leftover of a run killed before its first checkpoint, {mib:.1f} MiB: the next one removes it",
            )  # fmt: skip


def _marts(site: "Site") -> Iterator[Finding]:
    for dataset, clearance in site.marts.damaged():
        yield Finding(
            "warning", "fsck.mart", f"{dataset} ({clearance})", "base de lecture abîmée : --repair l'oublie, elle sera refaite",
            "the mart is damaged: --repair forgets it, it is made anew",
        )  # fmt: skip


def _files(site: "Site") -> Iterator[Finding]:
    for path in _open_to_others(site.root):
        yield Finding(
            "warning", "fsck.mode", str(path.relative_to(site.root)), "lisible par d'autres : --repair ferme les droits",
            "others can read it: --repair closes it",
        )  # fmt: skip
    for path in _walk(site.root):
        if path.is_symlink():
            yield Finding(
                "warning", "fsck.link", str(path.relative_to(site.root)), "un lien : un site n'en fait pas, d'où vient-il ?",
                "a link: a site makes none, where does it come from?",
            )  # fmt: skip


def _walk(root: Path) -> Iterator[Path]:
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        yield folder
        with suppress(FileNotFoundError, NotADirectoryError):
            for path in sorted(folder.iterdir()):
                if path.is_dir() and not path.is_symlink():
                    waiting.append(path)
                else:
                    yield path


def _open_to_others(root: Path) -> list[Path]:
    found = []
    for path in _walk(root):
        with suppress(FileNotFoundError):  # a run replaced it meanwhile
            if not path.is_symlink() and stat.S_IMODE(path.lstat().st_mode) & 0o077:
                found.append(path)
    return found


_CHECKS: Final[tuple[Callable[["Site"], Iterator[Finding]], ...]] = (
    _database, of_keys, _audit, missing_heads, unentered, _snapshots, _drafts, _uploads, _marts, _files,
)  # fmt: skip
