"""The marts of a site: what analysts query, made from the snapshots, refreshed by what changed, thrown away at will.

1. A mart is one file (`snapshots.mart`) that a pointer names and opens (`snapshots.generations`), its key wrapped in key class
   `mart`. A reader keeps the generation it opened; a replaced one stays `GRACE` seconds for whoever was about to open it.
2. A generation holds the classes of its clearance and no other. Its keys are its own: rotating or destroying keys of the
   snapshots does not close it, so a mart that outlives a destroyed key, an amendment, or the class that a column had, is not
   served again, and is removed when the next one is made, or swept.
3. A refresh applies the deltas that came to a copy of the last generation; when too much has changed since that one was made
   whole, or its base is another, it is made anew.
4. One process makes a dataset's marts at a time. Marts are a cache: nothing is lost with them, and no backup needs them.

It does not decide who may read what: whoever calls `ensure` answers for the clearance.

Format: docs/formats/mart.md.
"""

import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import msgspec

from snapshots import generations
from snapshots.chain import distinct, extends, load
from snapshots.dataset import KEY, DatasetId, Shape, visible
from snapshots.errors import Damaged, NoSnapshot
from snapshots.generations import Pointer
from snapshots.manifest import Manifest
from snapshots.mart import DATA, Mart, MartColumn, reads, row_group, stamp, written
from snapshots.reclassed import withheld
from snapshots.refusals import MartNotMade
from snapshots.repository import Repository
from vault import files
from vault.errors import Corrupt, NoKey, Shredded, WrongKey
from vault.keys import Keys, Scope

KEY_CLASS = "mart"
MIB = 1 << 20
MEMORY = 64 * MIB
GRACE = 600.0
KEPT_DAYS = 7.0


class Marts:
    """The marts of a site.

    Arguments: directory: their folder; memory: bytes that the engine may hold while it makes one (a wide table is given more);
    grace: seconds a replaced generation stays; kept_days: days that the mart of an older snapshot stays after its last use.
    """

    def __init__(
        self,
        repository: Repository,
        directory: Path,
        keys: Keys,
        *,
        memory: int = MEMORY,
        grace: float = GRACE,
        kept_days: float = KEPT_DAYS,
    ) -> None:
        self._repository = repository
        self._directory = directory
        self._keys = keys
        self._memory = memory
        self._grace = grace
        self._kept = kept_days * 86_400

    def ensure(self, dataset: DatasetId, clearance: str, manifest: Manifest) -> Mart:
        """Give the mart of a snapshot at a clearance, making or refreshing it first when it must be.

        Raises MartNotMade, Damaged, Shredded (of the internal class), Sealed.
        """
        if mart := self._ready(dataset, clearance, manifest):
            return mart
        with self._writing(dataset):
            if mart := self._ready(dataset, clearance, manifest):  # another process made it meanwhile
                return mart
            return self._make(dataset, clearance, manifest)

    def damaged(self) -> list[tuple[DatasetId, str]]:
        """Read every mart that a pointer names to its end; gives the dataset and clearance of those that do not read."""
        found = []
        for path in sorted(self._directory.glob("*/*/*.json")):
            pointer, dataset = generations.read(path), DatasetId(path.parent.parent.name, path.parent.name)
            key = self._key(dataset, pointer) if pointer is not None else None
            if pointer is None or key is None or reads(path.with_name(pointer.file), key, memory=self._memory):
                continue
            if generations.read(path) == pointer:  # else it was replaced meanwhile
                found.append((dataset, pointer.clearance))
        return found

    def sweep(self) -> int:
        """Remove what nothing needs: replaced generations past their grace, old marts past their days, crashes' rubbish."""
        swept = 0
        for folder in self._directory.glob("*/*/"):
            with self._writing(DatasetId(folder.parent.name, folder.name)):
                swept += self._sweep(folder)
        return swept

    def forget(self, connection: str, stream: str = "*") -> int:
        """Remove the marts of a stream, or of a whole connection, at once: they are made anew when someone asks."""
        removed = 0
        for folder in self._directory.glob(f"{connection}/{stream}/"):
            with self._writing(DatasetId(connection, folder.name)):
                for path in [*folder.glob("*.json"), *folder.glob("*.mart"), *folder.glob(".*.building")]:
                    removed += path.suffix == ".mart"
                    generations.remove(path)
        return removed

    def rewrap(self) -> int:
        """After a rotation: wrap every mart's key under the newest generation; gives how many changed."""
        changed = 0
        for path in self._directory.glob("*/*/*.json"):
            dataset = DatasetId(path.parent.parent.name, path.parent.name)
            with self._writing(dataset):
                pointer = generations.read(path)
                if pointer is not None and not self._keys.is_current(pointer.key):
                    key = self._keys.rewrap(pointer.key, _context(dataset, pointer.clearance))
                    generations.write(path, msgspec.structs.replace(pointer, key=key))
                    changed += 1
        return changed

    def keks_in_use(self) -> set[str]:
        """Give the ids of the key-encryption keys that wrap a mart's key."""
        return {found.key.kek for path in self._directory.glob("*/*/*.json") if (found := generations.read(path)) is not None}

    # Inside

    def _folder(self, dataset: DatasetId) -> Path:
        return self._directory / dataset.connection / dataset.stream

    @contextmanager
    def _writing(self, dataset: DatasetId) -> Iterator[None]:
        with files.locked(self._folder(dataset) / ".lock"):
            yield

    def _ready(self, dataset: DatasetId, clearance: str, manifest: Manifest) -> Mart | None:
        for path in (self._current(dataset, clearance), self._older(dataset, clearance, manifest)):
            pointer = generations.read(path)
            if pointer is None or pointer.manifest != manifest.hash or not self._in_force(manifest, pointer):
                continue
            key = self._key(dataset, pointer)
            file = path.with_name(pointer.file)
            if key is None or not file.is_file():
                continue
            generations.touch(path, self._now())
            return _mart(dataset, clearance, manifest, file, key, pointer)
        return None

    def _make(self, dataset: DatasetId, clearance: str, manifest: Manifest) -> Mart:
        folder, missing = self._folder(dataset), self._missing(manifest, clearance)
        hidden = withheld(self._repository, manifest, clearance)
        self._sweep(folder)
        current = generations.read(self._current(dataset, clearance))
        classes = [each for each in visible(clearance) if each not in missing]
        since, key = (None, None) if hidden else self._base(dataset, manifest, current, missing, classes)
        if since is None or key is None:
            plain, wrapped = self._keys.new_data_key(self._scope(dataset), _context(dataset, clearance))
            key, churn = plain.hex(), 0
        else:
            assert current is not None  # noqa: S101 - `since` came from it
            wrapped, churn = current.key, current.churn + _rows_after(manifest, since)
        token = secrets.token_hex(16)
        building, file = folder / f".{token}.building", folder / f"{token}.mart"
        try:
            if since is not None and current is not None:
                shutil.copyfile(folder / current.file, building)
            self._fill(building, key, clearance, manifest, classes, since, hidden)
            generations.settle(building, file)
        except (duckdb.Error, OSError):
            raise MartNotMade(dataset=f"{dataset.connection}.{dataset.stream}") from None  # its text may hold the key
        finally:
            generations.remove(building)
        files.flush(folder)
        pointer = Pointer(
            file=file.name,
            key=wrapped,
            manifest=manifest.hash,
            sequence=manifest.sequence,
            clearance=clearance,
            missing=missing,
            withheld=_places(self._shape(manifest, classes), hidden),
            churn=churn,
        )
        self._publish(dataset, clearance, manifest, pointer, current)
        return _mart(dataset, clearance, manifest, file, key, pointer)

    def _base(
        self, dataset: DatasetId, manifest: Manifest, current: Pointer | None, missing: list[str], classes: Sequence[str]
    ) -> tuple[Manifest | None, str | None]:
        """Give the snapshot that the current generation holds, and its key, if deltas lead from it to the wanted one."""
        if (
            current is None
            or current.missing != missing
            or current.withheld
            or not (self._folder(dataset) / current.file).is_file()
        ):
            return None, None
        try:
            since = self._repository.manifest(dataset, current.manifest)
        except (NoSnapshot, Damaged):
            return None, None
        # An amended manifest comes back under another hash: its rows are not those of the file.
        reachable = since.hash == current.manifest and since.sequence < manifest.sequence and extends(manifest, since)
        if not reachable or not self._shape(since, classes).schema.equals(self._shape(manifest, classes).schema):
            return None, None
        if 2 * (current.churn + _rows_after(manifest, since)) > manifest.rows:
            return None, None
        return since, self._key(dataset, current)

    def _fill(
        self,
        path: Path,
        key: str,
        clearance: str,
        manifest: Manifest,
        classes: Sequence[str],
        since: Manifest | None,
        hidden: frozenset[str],
    ) -> None:
        shape, table = self._shape(manifest, classes).without(hidden), f"mart.main.{DATA}"
        width = len(shape.schema)
        # DuckDB holds at least a block of each column that it writes.
        memory, group = self._memory + max(0, width - 32) * MIB, row_group(width)
        with written(path, key, memory=memory, group=group) as connection:
            internal = {column.place for column in manifest.schema}
            if shape.schema.names or not internal.issuperset(manifest.primary_key):
                loaded = load(connection, table, self._repository, manifest, classes, since, group, hidden)
                own = len(loaded.columns) - len(shape.schema)
                keyed = bool(shape.primary_key)  # whoever sees the key itself needs no pseudonym of it
                shown = distinct([*([KEY] * own), *shape.schema.names] if not keyed else shape.schema.names)
                shown = [KEY] * own + shown if keyed else shown
                columns = [
                    MartColumn(stored, name, class_name, keyed and place < own)
                    for place, ((stored, class_name), name) in enumerate(zip(loaded.columns, shown, strict=True))
                ]
            else:  # nothing that this clearance may see, but that there are rows
                numbered = f"CREATE OR REPLACE TABLE {table} AS SELECT range AS _row FROM range(1, $1)"  # noqa: S608 - our name
                connection.execute(numbered, [manifest.rows + 1])
                columns = [MartColumn("_row", "_row", "internal")]
            stamp(connection, columns, manifest=manifest.hash, sequence=manifest.sequence, clearance=clearance)

    def _publish(
        self, dataset: DatasetId, clearance: str, manifest: Manifest, pointer: Pointer, current: Pointer | None
    ) -> None:
        folder = self._folder(dataset)
        older = current is not None and current.manifest != manifest.hash and current.sequence > manifest.sequence
        path = self._older(dataset, clearance, manifest) if older else self._current(dataset, clearance)
        replaced = generations.read(path)
        generations.write(path, pointer)
        generations.touch(path, self._now())
        if replaced is not None and replaced.file != pointer.file:
            generations.touch(folder / replaced.file, self._now())  # its grace begins

    def _shape(self, manifest: Manifest, classes: Sequence[str]) -> Shape:
        return self._repository.shape(manifest, classes)

    def _missing(self, manifest: Manifest, clearance: str) -> list[str]:
        """Give the classes within a clearance of which a key was destroyed."""
        readable = self._repository.readable(manifest)
        return [each for each in visible(clearance) if each not in readable]

    def _outlived(self, dataset: DatasetId, pointer: Pointer) -> bool:
        """Whether a mart holds what an amendment or the destruction of a key took away."""
        try:
            manifest = self._repository.manifest(dataset, pointer.manifest)
        except (NoSnapshot, Damaged):
            return False
        return manifest.hash != pointer.manifest or not self._in_force(manifest, pointer)

    def _in_force(self, manifest: Manifest, pointer: Pointer) -> bool:
        """Whether a mart leaves out what cannot be read, and what may not be read, as of now."""
        missing = self._missing(manifest, pointer.clearance)
        classes = [each for each in visible(pointer.clearance) if each not in missing]
        hidden = withheld(self._repository, manifest, pointer.clearance)
        return (pointer.missing, pointer.withheld) == (missing, _places(self._shape(manifest, classes), hidden))

    def _key(self, dataset: DatasetId, pointer: Pointer) -> str | None:
        """Open a mart's key; None when nothing will: the mart is then made anew."""
        try:
            return self._keys.unwrap(pointer.key, _context(dataset, pointer.clearance)).hex()
        except (Shredded, NoKey, WrongKey, Corrupt):
            return None

    def _scope(self, dataset: DatasetId) -> Scope:
        return Scope(dataset.connection, KEY_CLASS, self._repository.period())

    def _current(self, dataset: DatasetId, clearance: str) -> Path:
        return self._folder(dataset) / f"{clearance}.json"

    def _older(self, dataset: DatasetId, clearance: str, manifest: Manifest) -> Path:
        return self._folder(dataset) / f"{clearance}@{manifest.hash[:32]}.json"

    def _sweep(self, folder: Path) -> int:
        dataset = DatasetId(folder.parent.name, folder.name)
        return generations.sweep(
            folder,
            now=self._now(),
            grace=self._grace,
            kept=self._kept,
            outlived=lambda pointer: self._outlived(dataset, pointer),
        )

    def _now(self) -> float:
        return self._repository.clock().timestamp()


def _mart(dataset: DatasetId, clearance: str, manifest: Manifest, file: Path, key: str, pointer: Pointer) -> Mart:
    return Mart(
        path=file,
        key=key,
        connection=dataset.connection,
        stream=dataset.stream,
        clearance=clearance,
        manifest=manifest.hash,
        sequence=manifest.sequence,
        missing=tuple(pointer.missing),
        withheld=len(pointer.withheld),
    )


def _context(dataset: DatasetId, clearance: str) -> bytes:
    return f"sovereign-mart/1/{dataset}/{clearance}".encode()


def _places(shape: Shape, names: frozenset[str]) -> list[int]:
    return [place for place, name in enumerate(shape.schema.names) if name in names]


def _rows_after(manifest: Manifest, since: Manifest) -> int:
    return sum(part.rows for part in manifest.parts[len(since.parts) :])
