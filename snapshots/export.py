"""A snapshot handed over: a folder that anyone can read with ordinary tools, or that only this site opens.

    README.md         what it is, in French and English: snapshot, verdict, provenance, how to check and to open it
    schema.json       columns in order: name, Arrow type, class, whether in the primary key
    <stream>.parquet  the rows, zstd
    SHA256SUMS        of all the others, for `sha256sum -c`

1. Sealed, `schema.json` and the rows are envelopes (`.sealed`), under data keys wrapped in `export.keys`: columns of the
   personal classes are then named nowhere in clear. In clear, the folder is out of the site's protection; its README says so.
2. The folder appears whole or not at all, and never replaces one. Memory: one part, whatever the size of the snapshot.

It does not decide who may export, nor enter it in the audit log: its caller does both.
"""

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from snapshots import keyfile
from snapshots.columns import described
from snapshots.dataset import visible
from snapshots.errors import AlreadyExported, Damaged, NotExported
from snapshots.formats import FORMATS, Sink, Written, write
from snapshots.manifest import Manifest
from snapshots.reclassed import withheld
from snapshots.repository import Repository
from vault import envelope, files
from vault.keys import Keys, Scope, Wrapped

__all__ = ["FORMATS", "Written", "export_dataset", "open_sealed", "write"]

KEY_CLASS = "export"
"""The key class of sealed exports. They lie outside the site, so whoever retires keys keeps all those of this class."""
SUFFIX = ".sealed"


def export_dataset(
    repository: Repository, manifest: Manifest, clearance: str, folder: Path, *, sealed: bool = False
) -> Written:
    """Write a snapshot to a new folder, as far as a clearance sees it.

    Classes whose keys were destroyed are left out, and columns of which the class was raised since; the README says so.
    Raises AlreadyExported when the folder exists; NotExported when it cannot be written; Damaged, Shredded and Sealed from the
    snapshot.
    """
    if folder.exists():
        raise AlreadyExported(folder=folder.name)
    readable = repository.readable(manifest)
    classes = [each for each in visible(clearance) if each in readable]
    hidden = withheld(repository, manifest, clearance)
    schema = repository.shape(manifest, classes).without(hidden).described()
    work = folder.with_name(f".{folder.name}.{secrets.token_hex(6)}")
    try:
        files.folder(work)
        target = _Folder(work, repository, manifest, sealed)
        with target.file("schema.json") as sink:
            sink.write(json.dumps(_columns(schema), indent=2, ensure_ascii=False).encode() + b"\n")
        with target.file(f"{manifest.id.stream}.parquet") as sink:
            batches = (batch.cast(schema) for batch in repository.read(manifest, classes, schema.names))
            written = write(pa.RecordBatchReader.from_batches(schema, batches), "parquet", sink)
        missing = [each for each in visible(clearance) if each not in classes]
        target.close(_readme(manifest, clearance, written, missing, len(hidden), sealed))
        work.rename(folder)
    except OSError as refused:
        shutil.rmtree(work, ignore_errors=True)
        reason = os.strerror(refused.errno) if refused.errno else "?"
        raise NotExported(folder=folder.name, reason=reason) from None  # a reader's text may hold what it read
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    files.flush(folder.parent)
    return written


def open_sealed(folder: Path, name: str, keys: Keys, sink: Sink) -> int:
    """Open one file of a sealed export into `sink`; gives its bytes. Rely on them only once it returns.

    Raises Damaged, Corrupt, WrongKey, Shredded.
    """
    wraps = keyfile.read(folder / "export.keys")
    context = next((each for each in wraps if each.endswith(f"/{name}")), None)
    if context is None:
        raise Damaged(file=name, reason_fr="absent de cet export", reason_en="it is not in this export")
    try:
        source = (folder / f"{name}{SUFFIX}").open("rb")
    except FileNotFoundError:
        raise Damaged(file=name, reason_fr="fichier absent", reason_en="the file is missing") from None
    size = 0
    with source:
        opener = envelope.Opener(keys.unwrap(wraps[context], context.encode()), context.encode(), source, what=name)
        while piece := opener.read(1 << 20):
            sink.write(piece)
            size += len(piece)
    return size


def sealed_files(folder: Path) -> list[str]:
    """Give the names of the files that a sealed export was made with."""
    return sorted(context.rpartition("/")[2] for context in keyfile.read(folder / "export.keys"))


class _Folder:
    """An export being written: its files, their hashes, their keys."""

    def __init__(self, path: Path, repository: Repository, manifest: Manifest, sealed: bool) -> None:
        self._path = path
        self._keys = repository.keys
        self._scope = Scope(manifest.id.connection, KEY_CLASS, repository.period())
        self._prefix = f"{manifest.id}/export/{secrets.token_hex(8)}"
        self._sealed = sealed
        self._wraps: dict[str, Wrapped] = {}

    @contextmanager
    def file(self, name: str) -> Iterator[Sink]:
        path = self._path / (f"{name}{SUFFIX}" if self._sealed else name)
        with _private(path) as file:
            if not self._sealed:
                yield file
                return
            context = f"{self._prefix}/{name}"
            key, self._wraps[context] = self._keys.new_data_key(self._scope, context.encode())
            with envelope.Sealer(key, context.encode(), file) as sealer:
                yield sealer

    def close(self, readme: str) -> None:
        """Write what describes the others, last."""
        if self._sealed:
            keyfile.write(self._path / "export.keys", self._wraps)
        files.write(self._path / "README.md", readme.encode())
        sums = "".join(f"{_sha256(each)}  {each.name}\n" for each in sorted(self._path.iterdir()))
        files.write(self._path / "SHA256SUMS", sums.encode())


@contextmanager
def _private(path: Path) -> Iterator[BinaryIO]:
    path.touch(mode=0o600, exist_ok=False)
    with path.open("wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _columns(schema: pa.Schema) -> list[dict[str, object]]:
    return [
        {
            "name": field.name,
            "type": described(field.type),
            "class": (field.metadata or {}).get(b"class", b"").decode(),
            "primary_key": b"key" in (field.metadata or {}),
        }
        for field in schema
    ]


def _readme(manifest: Manifest, clearance: str, written: Written, missing: Sequence[str], hidden: int, sealed: bool) -> str:
    origin = manifest.provenance
    facts = [
        ("jeu de données / dataset", f"`{manifest.id.connection}.{manifest.id.stream}`"),
        ("instantané / snapshot", f"{manifest.sequence}, {manifest.created}, `{manifest.hash}`"),
        ("habilitation / clearance", clearance),
        ("lignes / rows", f"{written.rows}"),
        ("verdict", manifest.verdict.state),
        ("source", f"{origin.host}, {origin.connector} {origin.connector_version}, run {origin.run}"),
    ]
    if missing:
        facts.append(("classes détruites / destroyed classes", ", ".join(missing)))
    if hidden:
        facts.append(("colonnes masquées, de classe relevée depuis / columns withheld, their class raised since", f"{hidden}"))
    state = (
        (
            "Scellé : seul le site dont il vient l'ouvre, avec ses clés.",
            "Sealed: only the site it comes from opens it, with its keys.",
        )
        if sealed
        else (
            "En clair : ce dossier n'est plus sous la protection du site.",
            "In clear: the site no longer protects this folder.",
        )
    )
    table = "\n".join(f"| {name} | {value} |" for name, value in facts)
    return f"""# {manifest.id.connection}.{manifest.id.stream}

{state[0]}
{state[1]}

| | |
|---|---|
{table}

`schema.json` : colonnes, types Arrow et classes. `sha256sum -c SHA256SUMS` vérifie les fichiers.
`schema.json`: columns, Arrow types and classes. `sha256sum -c SHA256SUMS` checks the files.
"""
