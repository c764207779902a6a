"""Whether files are still what was written: one part, what a dataset has in quarantine, the raw archives of its connection.

1. Every file is hashed against what names it, and every page and chunk is decrypted, so that its tag speaks. Memory: one part,
   or a mebibyte of a raw segment.
2. Data whose keys were destroyed is told as erased; a file under a key that rotation retired is told as an old one put back.
3. What a run is writing is not judged: an archive or a quarantine whose run has a draft, nor one that leaves meanwhile.

It tells and changes nothing; the history of snapshots is `verification`'s.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from snapshots import keyfile, parts, quarantine, raw
from snapshots.dataset import CLASSES, DatasetId, digest_of
from snapshots.manifest import Manifest, RawSegment
from snapshots.parts import Part
from snapshots.repository import Repository
from vault.errors import Fault, Finding, Shredded
from vault.keys import Wrapped


def part_file(
    folder: Path, dataset: DatasetId, part: Part, class_name: str, data_key: bytes | None, owners: Mapping[str, str]
) -> Finding | None:
    """Hash a class file of a part and decrypt every page of it; tell what does not hold, None when all does.

    Arguments: data_key: None when its key is unknown, then it is hashed alone; owners: file names by the hash they should have.
    """
    name, expected = parts.file_name(part.id, class_name), part.files[class_name]
    try:
        data = (folder / name).read_bytes()
    except FileNotFoundError:
        return Finding("error", "part.missing", name, "fichier absent", "the file is missing")
    digest = digest_of(data)
    if digest in owners and owners[digest] != name:
        return Finding("error", "part.swapped", name, f"contient {owners[digest]}", f"holds {owners[digest]}")
    if len(data) != expected.bytes:
        cut = "tronqué" if len(data) < expected.bytes else "allongé"
        told = "truncated" if len(data) < expected.bytes else "extended"
        sizes = f"{len(data)} / {expected.bytes}"
        return Finding("error", f"part.{told}", name, f"{cut} : {sizes} octets", f"{told}: {sizes} bytes")
    if digest != expected.sha256:
        return Finding(
            "error", "part.altered", name, "son empreinte n'est pas celle inscrite", "its hash is not the one written down"
        )
    if data_key is not None:
        try:
            for _ in parts.class_batches(folder, dataset, part, class_name, data_key):
                pass
        except Fault as fault:
            return _told("part.undecryptable", name, fault)
    return None


def put_back(repository: Repository, entry: Wrapped) -> bool:
    """Whether a destroyed key was superseded by rotation, not by the destruction of its scope: its file is then old."""
    records = {each.id: each for each in repository.keys.list()}
    mine = records.get(entry.kek)
    if mine is None or mine.destroyed is None:
        return False
    at = mine.destroyed
    return any(each.scope == mine.scope and each.state == "active" and each.created <= at for each in records.values())


# Quarantine


def quarantines(repository: Repository, dataset: DatasetId) -> Iterator[Finding]:
    """Check everything that was put aside of a dataset."""
    runs = quarantine.runs(repository, dataset)
    unfinished = set(repository.drafts())
    for run in runs:
        found: list[Finding] = []
        with suppress(FileNotFoundError):  # it was removed meanwhile
            found += () if run in unfinished else _Aside(repository, dataset, run).findings()
        if quarantine.folder_of(repository, dataset, run).is_dir():
            yield from found


@dataclass(frozen=True, slots=True)
class _Aside:
    """One quarantine being checked."""

    repository: Repository
    dataset: DatasetId
    run: str

    def findings(self) -> Iterator[Finding]:
        folder, subject = quarantine.folder_of(self.repository, self.dataset, self.run), f"quarantine/{self.run}"
        if not (folder / "quarantine").is_file():
            yield Finding(
                "warning", "quarantine.incomplete", subject,
                "rien ne la décrit : reste d'une panne, ou description enlevée ; « snapshot quarantine remove » l'enlève",
                "nothing describes it: left by a crash, or its description was taken; `snapshot quarantine remove` removes it",
            )  # fmt: skip
            return
        try:
            entries = keyfile.read(folder / "quarantine.keys")
        except Fault as fault:
            yield _told("quarantine.unverified", subject, fault)
            return
        opened = _open(self.repository, entries, quarantine.key_name(self.dataset, self.run), "quarantine", subject)
        if isinstance(opened, Finding):
            yield opened
            return
        try:
            told = quarantine.read_description(self.repository, self.dataset, self.run)
        except Fault as fault:
            yield _told("quarantine.unverified", subject, fault)
            return
        listed = [(each.part, at) for each in told.rows for at in CLASSES if at in each.part.files]
        owners = {part.files[at].sha256: parts.file_name(part.id, at) for part, at in listed}
        gone: set[str] = set()
        for part, at in listed:
            key = _open(self.repository, entries, parts.key_name(self.dataset, part.id, at), "quarantine", subject)
            if isinstance(key, Finding) and not (key.code == "quarantine.shredded" and at in gone):
                gone.add(at)
                yield key
            held = part_file(folder, self.dataset, part, at, key if isinstance(key, bytes) else None, owners)
            if held is not None:
                yield Finding(
                    held.severity, held.code.replace("part.", "quarantine."), f"{subject}/{held.subject}", held.fr, held.en
                )
        known = {"quarantine", "quarantine.keys", "lock", *owners.values()}
        for path in sorted(folder.iterdir()):
            if path.name not in known and not path.name.startswith("."):
                yield Finding(
                    "warning", "quarantine.leftover", f"{subject}/{path.name}", "rien ne le nomme", "nothing names it"
                )


# The raw archive


def archives(repository: Repository, dataset: DatasetId, chain: Sequence[Manifest], opened: set[Path]) -> Iterator[Finding]:
    """Check every raw archive of a dataset's connection: the chain that manifests wrote down, and the tags of all.

    Arguments: chain: the dataset's snapshots; opened: segments that need not be decrypted again; those that are, are added.
    """
    listed: dict[str, Sequence[RawSegment]] = {}
    for each in chain:
        if len(each.provenance.raw) > len(listed.get(each.provenance.run, ())):
            listed[each.provenance.run] = each.provenance.raw
    root = repository.root / dataset.connection / ".raw"
    runs = sorted(path.name for path in root.iterdir() if path.is_dir()) if root.is_dir() else []
    unfinished = set(repository.drafts())
    for run in runs:
        archive = _Archive(repository, dataset.connection, run, listed.get(run, ()), run in unfinished)
        found: list[Finding] = []
        with suppress(FileNotFoundError):  # its time came meanwhile
            found += archive.findings(opened)
        if archive.folder.is_dir():
            yield from found


@dataclass(frozen=True, slots=True)
class _Archive:
    """One raw archive being checked; `growing`: its run is not over, so only what is written down is looked at."""

    repository: Repository
    connection: str
    run: str
    listed: Sequence[RawSegment]
    growing: bool

    @property
    def folder(self) -> Path:
        return self.repository.root / self.connection / ".raw" / self.run

    def findings(self, opened: set[Path]) -> Iterator[Finding]:
        if not any(self.folder.iterdir()):
            return  # its time had come, and a crash came before the folder went
        bad = list(self._chain())
        yield from bad
        damaged = {each.subject for each in bad}
        numbers = {each.segment for each in self.listed}
        if not self.growing:
            numbers |= {int(path.stem) for path in self.folder.glob("*.raw") if path.stem.isascii() and path.stem.isdigit()}
            numbers |= set(range(1, max(numbers, default=0)))
        if not numbers:
            return
        key = self._key()
        if isinstance(key, Finding):
            yield key
            return
        for number in sorted(numbers):
            path = raw.segment_file(self.folder, number)
            subject = f"{self.run}/{path.name}"
            if path in opened or subject in damaged:
                continue
            opened.add(path)
            try:
                raw.prove(self.folder, self.connection, self.run, number, key)
            except Fault as fault:
                yield _told("raw.unverified", subject, fault)

    def _chain(self) -> Iterator[Finding]:
        previous: str | None = None
        for segment in self.listed:
            try:
                raw.check(self.folder, segment, previous)
            except Fault as fault:
                yield _told("raw.unverified", f"{self.run}/{raw.segment_file(self.folder, segment.segment).name}", fault)
            previous = segment.chain

    def _key(self) -> bytes | Finding:
        subject = f"{self.run}/raw.keys"
        try:
            entries = keyfile.read(self.folder / "raw.keys")
        except Fault as fault:
            return _told("raw.key", subject, fault)
        return _open(self.repository, entries, raw.key_name(self.connection, self.run), "raw", subject)


def _open(
    repository: Repository, entries: Mapping[str, Wrapped], name: str, kind: Literal["raw", "quarantine"], subject: str
) -> bytes | Finding:
    """Give the data key of an entry, or what prevents it."""
    if name not in entries:
        return Finding("error", f"{kind}.key", subject, f"il manque la clé de {name}", f"the key of {name} is missing")
    try:
        return repository.keys.unwrap(entries[name], name.encode())
    except Shredded:
        if put_back(repository, entries[name]):
            return Finding(
                "error", f"{kind}.replayed", subject,
                f"ancien fichier de clés remis en place : {name} est enveloppé sous une clé retirée par rotation",
                f"an old key file was put back: {name} is wrapped under a key that rotation retired",
            )  # fmt: skip
        return Finding(
            "info",
            f"{kind}.shredded",
            subject,
            "clés détruites : ces données sont effacées",
            "keys destroyed: this data is erased",
        )
    except Fault as fault:
        return _told(f"{kind}.key", subject, fault)


def _told(code: str, subject: str, fault: Fault) -> Finding:
    return Finding("error", code, subject, fault.diagnostics("fr").what, fault.diagnostics("en").what)
