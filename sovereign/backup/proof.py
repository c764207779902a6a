"""The proof that a restored site is the one that was saved, and what it rests on.

1. Files: each was held to the hash that the list gives, the list to the record, the record to the site's signature.
2. `state.db`: SQLite finds it whole, and each table has as many rows as when it was saved.
3. The audit log: every entry, body and tile is read again, and its root is that of the checkpoint signed in the record.
4. Datasets: each manifest verifies, each part has the hash that its manifest gives, each key opens or was destroyed, the
   newest snapshot is the one the log entered last. With `read_all`, each page is decrypted too (`snapshots.verification`).

1 to 3 raise `Unproved`. What 4 finds is told: a site that was damaged when it was saved is restored as it was.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sovereign.backup.creating import row_counts
from sovereign.backup.errors import Unproved
from sovereign.backup.reading import told
from sovereign.backup.record import Listing, Record
from vault.errors import Fault, Finding, Shredded

if TYPE_CHECKING:
    from snapshots.dataset import DatasetId
    from snapshots.manifest import Manifest
    from sovereign.site import Site


@dataclass(frozen=True, slots=True)
class Held:
    """A dataset that is back: its newest snapshot's sequence, rows and hash; snapshots and parts held to it."""

    dataset: str
    sequence: int
    rows: int
    manifest: str
    snapshots: int
    parts: int
    erased: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What was proved: files and bytes, entries and root (hex) of the log, rows of each table, datasets; and what was found."""

    files: int
    bytes: int
    entries: int
    root: str
    rows: dict[str, int]
    datasets: tuple[Held, ...]
    findings: tuple[Finding, ...]


def prove(site: "Site", of: Record, listing: Listing, *, read_all: bool = False) -> Proof:
    """Prove a site that was restored and in which nothing changed yet; errors: Unproved, Damaged."""
    rows = _state(site.root / "state.db", listing)
    root = _log(site, of)
    hashes = {each.path: each.pieces[0].sha256 for each in listing.files if each.kept == "as_is" and each.pieces}
    found: list[Finding] = []
    datasets = tuple(_datasets(site, hashes, found))
    if read_all:
        found += _read(site)
    return Proof(of.files, of.bytes, of.log.size, root, rows, datasets, tuple(found))


def _state(path: Path, listing: Listing) -> dict[str, int]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as opened:
        try:
            whole = [row for (row,) in opened.execute("PRAGMA integrity_check(1)")] == ["ok"]
            rows = row_counts(opened) if whole else {}
        except sqlite3.DatabaseError:
            whole, rows = False, {}
    if not whole:
        raise Unproved(subject="state.db", reason_fr="SQLite le dit abîmé", reason_en="SQLite finds it damaged")
    if rows != listing.rows:
        fr, en = "ses lignes ne sont pas celles qui ont été comptées", "its rows are not those that were counted"
        raise Unproved(subject="state.db", reason_fr=fr, reason_en=en)
    return rows


def _log(site: "Site", of: Record) -> str:
    from sovereign.audit.checkpoint import Checkpoint

    signed = Checkpoint.verify(of.log.checkpoint, site.audit.checkpoints.verifier)
    entries = site.audit.verify()
    site.audit.checkpoints.continues(signed)
    if (entries, signed.size) != (of.log.size, of.log.size):
        fr, en = "le journal n'a pas la taille signée", "the log is not of the size that was signed"
        raise Unproved(subject="audit", reason_fr=fr, reason_en=en)
    return signed.root.hex()


def _datasets(site: "Site", hashes: dict[str, str], found: list[Finding]) -> Iterator[Held]:
    from sovereign.inspection import known

    for dataset in known(site):
        manifests, faults = site.repository.readable_manifests(dataset)
        found += [told(fault, subject) for subject, fault in faults.items()]
        checked = _Dataset(site, dataset, hashes, found)
        for manifest in manifests:
            checked.parts(manifest)
            checked.keys(manifest)
        last = site.audit.last_commit(dataset.connection, dataset.stream)
        if last is not None and last.manifest not in {each.hash for each in manifests} and not site.repository.amended(dataset):
            fr, en = (
                "le dernier instantané inscrit au journal n'y est pas",
                "the last snapshot that the log entered is not there",
            )
            found.append(Finding("error", "restore.head", str(dataset), fr, en))
        if manifests:
            head = manifests[-1]
            yield Held(
                str(dataset), head.sequence, head.rows, head.hash, len(manifests), len(checked.seen), len(checked.erased)
            )


class _Dataset:
    """A dataset being held to its manifests."""

    def __init__(self, site: "Site", dataset: "DatasetId", hashes: dict[str, str], found: list[Finding]) -> None:
        self.site, self.dataset, self.hashes, self.found = site, dataset, hashes, found
        self.seen: set[str] = set()
        self.erased: set[str] = set()

    def parts(self, manifest: "Manifest") -> None:
        """Hold each part's hash, taken while it was written, to the one that its manifest gives."""
        from snapshots.parts import file_name

        for part in manifest.parts:
            for name, file in part.files.items():
                path = f"snapshots/{self.dataset.connection}/{self.dataset.stream}/parts/{file_name(part.id, name)}"
                if path not in self.seen and self.hashes.get(path) != file.sha256:
                    fr, en = "ce n'est pas la pièce que nomme son manifeste", "it is not the part that its manifest names"
                    self.found.append(Finding("error", "restore.part", path, fr, en))
                self.seen.add(path)

    def keys(self, manifest: "Manifest") -> None:
        """Open each key of a manifest."""
        from snapshots import fixity, keyfile

        path = self.site.repository.key_file(manifest)
        try:
            for name, entry in keyfile.read(path).items():
                try:
                    self.site.keys.unwrap(entry, name.encode())
                except Shredded:
                    if fixity.put_back(self.site.repository, entry):
                        raise
                    self.erased.add(name)
        except Fault as fault:
            self.found.append(told(fault, path.name))


def _read(site: "Site") -> Iterator[Finding]:
    from snapshots import verification
    from sovereign.inspection import known

    witnessed, opened = site.audit.witnessed(), set[Path]()
    for dataset in known(site):
        entered = witnessed.get((dataset.connection, dataset.stream), ())
        found = verification.verify(site.repository, dataset, entered[-1] if entered else None, entered, opened=opened)
        yield from (each for each in found if each.severity == "error")
