"""Everything that a dataset's files promise, checked; what does not hold is told, never raised.

What is checked, and under which code it is told:

    snapshot.rollback          the snapshot last published, as the audit log knows it, is not there
    snapshot.unrecorded        (warning) a newer snapshot than the audit log knows: a crash between the two
    manifest.*                 unreadable, unsigned, edited, of another dataset, forked, missing in the sequence, child of
    another parent amendment.*                unreadable, or missing for a manifest that replaces another
    counts.*                   rows that do not add up from parent to child, or that are not those really there
    key_file.*                 missing, unreadable, lacking a key, holding one that does not open (wrong or swapped), outdated
    (put back) key.destroyed              (warning) a class whose keys were destroyed: erased on purpose
    part.*                     missing, truncated, swapped with another, altered, or of other rows than listed (every page is
    decrypted) block.*                    a sealed block that does not open
    quarantine.*               what was put aside, held to the same: key file, description, hash and tags of every part
    raw.*                      a raw segment missing or altered, its chain broken, its key or a tag wrong (each is decrypted to
    its end); nothing when the archive was removed; raw.shredded (info) when its keys were destroyed
    document.*                 a pack of documents, its index or its keys altered, missing or put back; a document that a record
    names and that no pack holds; document.shredded (info) when its keys were destroyed
    leftover                   (warning) files that no snapshot and no draft names: what a crash leaves, or a deleted manifest's

Files are read again each time: nothing remembered is trusted.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from snapshots import amendments, document_checks, fixity, keyfile, parts
from snapshots import manifest as manifests
from snapshots.chain import Chain
from snapshots.dataset import CLASSES, DatasetId
from snapshots.durable import read_bounded
from snapshots.manifest import Manifest
from snapshots.parts import Part
from snapshots.repository import Repository
from vault.errors import Corrupt, Fault, Finding, NoKey, Shredded, WrongKey
from vault.keys import Wrapped


def verify(
    repository: Repository,
    dataset: DatasetId,
    expected_head: str | None = None,
    entered: Sequence[str] = (),
    *,
    opened: set[Path] | None = None,
) -> list[Finding]:
    """Check a dataset whole; gives what does not hold, errors first.

    Arguments: expected_head: the hash of the manifest that the audit log says was published last; entered: those of
    all that it entered. Each that is not there, nor an amendment of it, is a rollback, even when no file is left.
    opened: raw segments and packs of documents that the verification of another stream decrypted already; those decrypted
    here are added.
    """
    check = _Check(repository, dataset, set() if opened is None else opened)
    for step in (check.history, check.keys, check.parts, check.live_rows, check.around, check.leftovers):
        step()
    check.head(expected_head)
    check.entered([each for each in entered if each != expected_head])
    return sorted(check.found, key=lambda each: (each.severity != "error", each.code, each.subject))


@dataclass(slots=True)
class _Check:
    """One verification in progress."""

    repository: Repository
    dataset: DatasetId
    opened: set[Path]
    found: list[Finding] = field(default_factory=list)
    chain: list[Manifest] = field(default_factory=list)
    replaced: dict[str, str] = field(default_factory=dict)
    data_keys: dict[str, bytes] = field(default_factory=dict)
    damaged: bool = False

    def error(self, code: str, subject: str, fr: str, en: str) -> None:
        self.damaged = True
        self.found.append(Finding("error", code, subject, fr, en))

    def warn(self, code: str, subject: str, fr: str, en: str) -> None:
        self.found.append(Finding("warning", code, subject, fr, en))

    def fault(self, code: str, subject: str, fault: Fault) -> None:
        self.error(code, subject, fault.diagnostics("fr").what, fault.diagnostics("en").what)

    # Manifests

    def history(self) -> None:
        """Read every manifest, then follow the line from the first to the newest."""
        folder = self.repository.folder(self.dataset)
        read: list[Manifest] = []
        for path in sorted((folder / "manifests").glob("*.manifest")):
            try:
                each = manifests.opened(read_bounded(path, manifests.LIMIT), path.name, self.repository.keys.verifier)
            except Fault as fault:
                self.fault("manifest.unverified", path.name, fault)
                continue
            if each.dataset != str(self.dataset):
                self.error("manifest.foreign", path.name, f"il appartient à {each.dataset}", f"it belongs to {each.dataset}")
            else:
                read.append(each)
        self._amendments(read)
        self.chain = sorted((each for each in read if each.hash not in self.replaced), key=lambda each: each.sequence)
        previous: Manifest | None = None
        for each in self.chain:
            self._link(previous, each)
            previous = each

    def _amendments(self, read: list[Manifest]) -> None:
        declared = {each.amends: each for each in read if each.amends}
        self.replaced = {old: each.hash for old, each in declared.items()}
        published = set()
        for path in sorted((self.repository.folder(self.dataset) / "amendments").glob("*.amendment")):
            try:
                each = amendments.read(self.repository, path.name, self.dataset)
            except Fault as fault:
                self.fault("amendment.unverified", path.name, fault)
                continue
            published.add((each.old, each.new))
            self.replaced.setdefault(each.old, each.new)
        for old, new in declared.items():
            if (old, new.hash) not in published:
                self.error(
                    "amendment.missing",
                    new.hash,
                    f"il remplace {old[:12]} sans amendement signé",
                    f"it replaces {old[:12]} without a signed amendment",
                )

    def current(self, manifest_hash: str) -> str:
        """Follow amendments from a hash to the one in its place now."""
        seen: set[str] = set()
        while manifest_hash in self.replaced and manifest_hash not in seen:
            seen.add(manifest_hash)
            manifest_hash = self.replaced[manifest_hash]
        return manifest_hash

    def _link(self, previous: Manifest | None, each: Manifest) -> None:
        expected = previous.sequence + 1 if previous else 1
        if previous and each.sequence == previous.sequence:
            self.error(
                "manifest.forked",
                each.hash,
                f"un autre manifeste porte aussi le numéro {each.sequence} : {previous.hash[:12]}",
                f"another manifest also carries sequence {each.sequence}: {previous.hash[:12]}",
            )
            return
        if each.sequence != expected:
            gap = f"{expected}" if each.sequence == expected + 1 else f"{expected} … {each.sequence - 1}"
            self.error("manifest.missing", each.hash, f"il manque avant lui : {gap}", f"missing before it: {gap}")
            return
        parent = self.current(each.parent) if each.parent else None
        if parent != (previous.hash if previous else None):
            self.error(
                "manifest.parent",
                each.hash,
                f"le numéro {each.sequence} ne suit pas celui qui le précède",
                f"sequence {each.sequence} does not follow the one before it",
            )
        self._counts(previous, each)

    def _counts(self, previous: Manifest | None, each: Manifest) -> None:
        before, counts = previous.rows if previous else 0, each.counts
        sums = counts.rows == before + counts.inserted - counts.deleted
        sums = sums and before == counts.unchanged + counts.updated + counts.deleted
        known = {part.id for part in previous.parts} if previous else set()
        new = sum(part.rows for part in each.parts if part.id not in known and part.kind == "delta")
        if all(part.kind == "base" for part in each.parts):
            sums = sums and sum(part.rows for part in each.parts) == counts.rows
        elif known:
            sums = sums and new == counts.inserted + counts.updated + counts.deleted
        if not sums:
            self.error("counts.sum", each.hash, "ses comptes de lignes ne tombent pas juste", "its row counts do not add up")

    def head(self, expected: str | None) -> None:
        """Compare the newest snapshot with the one the audit log knows."""
        if expected is None:
            return
        wanted = self.current(expected)
        if wanted not in {each.hash for each in self.chain}:
            self.error(
                "snapshot.rollback",
                expected,
                "le dernier instantané publié, d'après le journal d'audit, n'est plus là",
                "the snapshot last published, as the audit log says, is no longer there",
            )
        elif self.chain[-1].hash != wanted:
            self.warn(
                "snapshot.unrecorded",
                self.chain[-1].hash,
                "plus récent que ce que sait le journal d'audit",
                "newer than what the audit log knows",
            )

    def entered(self, hashes: Sequence[str]) -> None:
        """Ask for every snapshot that the audit log entered."""
        there = {each.hash for each in self.chain}
        for each in dict.fromkeys(hashes):
            if self.current(each) not in there:
                self.error(
                    "snapshot.rollback",
                    each,
                    "un instantané inscrit au journal d'audit n'est plus là",
                    "a snapshot that the audit log entered is no longer there",
                )

    # Keys

    def keys(self) -> None:
        """Open every key of every manifest, and its sealed blocks, newest first: parts are checked under the newest keys."""
        gone: set[str] = set()
        for each in reversed(self.chain):
            path = self.repository.key_file(each)
            try:
                entries = keyfile.read(path)
            except Fault as fault:
                self.fault("key_file.unverified", path.name, fault)
                continue
            blocks = [each.block_name(block) for block in each.sealed]
            names = [parts.key_name(self.dataset, part.id, at) for part in each.parts for at in part.files]
            lacking = [name for name in blocks + names if name not in entries]
            if lacking:
                self.error(
                    "key_file.lacking",
                    path.name,
                    f"{len(lacking)} clés manquent, dont {lacking[0]} : fichier altéré, ou d'un autre manifeste",
                    f"{len(lacking)} keys are missing, {lacking[0]} among them: altered, or another manifest's file",
                )
            for name in (name for name in blocks + names if name in entries):
                self._open(path, name, entries[name], gone)
            self._blocks(each)
        for name in sorted(gone):
            self.warn(
                "key.destroyed", name, "clés détruites : ces données sont effacées", "keys destroyed: this data is erased"
            )

    def _open(self, path: Path, name: str, entry: Wrapped, gone: set[str]) -> None:
        known = self.data_keys.get(name)
        try:
            data_key = self.repository.keys.unwrap(entry, name.encode())
        except Shredded:
            if fixity.put_back(self.repository, entry):
                self._outdated(path, name)
            else:
                gone.add(f"{self.dataset.connection}/{name.rpartition('/')[2]}")
        except NoKey as fault:
            self.fault("key_file.foreign", path.name, fault)
        except (WrongKey, Corrupt) as fault:
            self.error(
                "key_file.wrong_key",
                path.name,
                f"{name} : {fault.diagnostics('fr').what}",
                f"{name}: {fault.diagnostics('en').what}",
            )
        else:
            if known is not None and known != data_key:
                self.error(
                    "key_file.swapped", path.name, f"deux clés différentes pour {name}", f"two different keys for {name}"
                )
            self.data_keys.setdefault(name, data_key)
            if not self.repository.keys.is_current(entry):
                self.warn(
                    "key_file.outdated",
                    path.name,
                    "enveloppé sous une génération retirée : rotation inachevée, ou ancien fichier remis",
                    "wrapped under a retired generation: an unfinished rotation, or an old file put back",
                )

    def _outdated(self, path: Path, name: str) -> None:
        self.error(
            "key_file.replayed",
            path.name,
            f"ancien fichier de clés remis en place : {name} est enveloppé sous une clé retirée par rotation",
            f"an old key file was put back: {name} is wrapped under a key that rotation retired",
        )

    def _blocks(self, each: Manifest) -> None:
        for block, sealed in each.sealed.items():
            name = each.block_name(block)
            if name in self.data_keys:
                try:
                    manifests.open_block(self.data_keys[name], name, sealed)
                except Fault as fault:
                    self.fault("block.unverified", each.hash, fault)

    # Parts

    def parts(self) -> None:
        """Hash and decrypt every file of every part, once."""
        listed = {part.id: part for each in self.chain for part in each.parts}
        owners = {file.sha256: parts.file_name(part.id, at) for part in listed.values() for at, file in part.files.items()}
        for part in listed.values():
            for class_name in (at for at in CLASSES if at in part.files):
                self._file(part, class_name, owners)

    def _file(self, part: Part, class_name: str, owners: dict[str, str]) -> None:
        folder = self.repository.parts_folder(self.dataset)
        data_key = self.data_keys.get(parts.key_name(self.dataset, part.id, class_name))
        told = fixity.part_file(folder, self.dataset, part, class_name, data_key, owners)
        if told is not None:
            self.damaged = True
            self.found.append(told)

    def live_rows(self) -> None:
        """Count the rows really there in the newest snapshot, deltas applied."""
        if self.damaged or not self.chain:
            return
        newest = self.chain[-1]
        try:
            rows = sum(len(piece.places) for piece in Chain(self.repository, newest, ("internal",)).pieces(columns=[]))
        except Fault as fault:
            if not isinstance(fault, Shredded):
                self.fault("counts.unreadable", newest.hash, fault)
            return
        if rows != newest.rows:
            self.error(
                "counts.live", newest.hash, f"{rows} lignes au lieu de {newest.rows}", f"{rows} rows instead of {newest.rows}"
            )

    # Around

    def around(self) -> None:
        """Check what was put aside, and the raw archives and the documents of the connection that are still there."""
        self.found += fixity.quarantines(self.repository, self.dataset)
        self.found += fixity.archives(self.repository, self.dataset, self.chain, self.opened)
        self.found += document_checks.findings(self.repository, self.dataset, self.chain, self.data_keys, self.opened)

    def leftovers(self) -> None:
        """Name files that nothing names."""
        folder = self.repository.folder(self.dataset)
        known = {parts.file_name(part.id, at) for each in self.chain for part in each.parts for at in part.files}
        known |= {each.keys for each in self.chain}
        for path in self._stray(folder, known):
            self.warn(
                "leftover",
                path.name,
                "aucun instantané ne le nomme : reste d'une panne, ou d'un manifeste disparu",
                "no snapshot names it: left by a crash, or by a manifest that is gone",
            )

    def _stray(self, folder: Path, known: set[str]) -> Iterator[Path]:
        for name in ("parts", "keys"):
            if (folder / name).is_dir():
                yield from (path for path in sorted((folder / name).iterdir()) if path.name not in known)
