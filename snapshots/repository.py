"""The city's own copy of its data: datasets, their snapshots, and how rows are read back.

    snapshots/<connection>/<stream>/parts/<part id>.<class>.parquet     write-once encrypted rows
                                   /keys/<sequence>-<random>.keys       wrapped data keys, one file a manifest
                                   /manifests/<sha256>.manifest         signed, named by its hash, written last
                                   /amendments/<sha256>.amendment       signed: an old manifest's hash, and the new one's
                                   /quarantine/<run>/                   what was pulled and not published, or put aside
             /<connection>/.drafts/<run>/                               a run that is not over
             /<connection>/.raw/<run>/                                  sealed vendor responses
             /<connection>/.documents/<class>/                          sealed documents (`snapshots.documents`)

1. A snapshot exists once its manifest has its name. What a crash left before that is not a snapshot, and is swept.
2. Files are never changed, key files apart. Reading checks signatures, hashes of manifests and the tags of every page it
   decrypts.
3. The folder plus the site's keys rebuild everything; nothing else is needed.

It does not decide who may read: it opens what the caller's clearance names.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa

from snapshots import history, keyfile, reclassed
from snapshots import manifest as manifests
from snapshots.chain import Chain
from snapshots.columns import Json
from snapshots.dataset import CLASSES, DatasetId, DatasetSpec, Shape, stored_name, visible
from snapshots.durable import read_bounded
from snapshots.errors import BadName, Damaged, Forked, NoSnapshot
from snapshots.keyfile import opener
from snapshots.manifest import Block, Counts, Drift, Manifest, Mode, Provenance, Verdict
from snapshots.parts import Opener, Part, Press, key_name
from snapshots.standing import standing
from vault import files
from vault.errors import Fault, Finding, Shredded
from vault.keys import Keys, Scope, Wrapped

__all__ = ["Clock", "Period", "Repository", "opener"]

Clock = Callable[[], datetime]
Period = Literal["year", "month"]


class Repository:
    """All the snapshots of a site, under one folder."""

    def __init__(
        self,
        root: Path,
        keys: Keys,
        clock: Clock,
        *,
        period: Period = "year",
        entropy: Callable[[int], bytes] = os.urandom,
        declared: reclassed.Declared = reclassed.undeclared,
    ) -> None:
        """`declared`: the classes that the settings give fields, for what was stored under lower ones."""
        self.root = root
        self.keys = keys
        self.clock = clock
        self.entropy = entropy
        self.declared = declared
        self._period = period
        self._known: dict[Path, Manifest] = {}

    # Where things are

    @property
    def work(self) -> Path:
        """Where comparisons spill, encrypted."""
        return self.root / ".work"

    def folder(self, dataset: DatasetId) -> Path:
        """Give a dataset's folder."""
        return self.root / dataset.connection / dataset.stream

    def parts_folder(self, dataset: DatasetId) -> Path:
        """Give the folder of a dataset's parts."""
        return self.folder(dataset) / "parts"

    def key_file(self, manifest: Manifest) -> Path:
        """Give the path of a manifest's key file."""
        return self.folder(manifest.id) / "keys" / manifest.keys

    def manifest_file(self, dataset: DatasetId, manifest_hash: str) -> Path:
        """Give the path of a manifest."""
        return self.folder(dataset) / "manifests" / f"{manifest_hash}.manifest"

    def period(self) -> str:
        """Give the key period of this instant: `2026`, or `2026-11` when periods are months."""
        return self.clock().strftime("%Y" if self._period == "year" else "%Y-%m")

    # What there is

    def datasets(self) -> list[DatasetId]:
        """Give the datasets that have snapshots, in order."""
        found = []
        for folder in self.root.glob("*/*/manifests"):
            try:
                found.append(DatasetId(folder.parent.parent.name, folder.parent.name))
            except BadName:
                continue
        return sorted(found)

    def manifests(self, dataset: DatasetId) -> list[Manifest]:
        """Give all the snapshots of a dataset, oldest first.

        A manifest that an amendment replaced is not among them. One that cannot be read is never passed over: Damaged,
        NotSigned or UnknownVersion names it.
        """
        found, faults = self.readable_manifests(dataset)
        for fault in faults.values():
            raise fault
        return found

    def readable_manifests(self, dataset: DatasetId) -> tuple[list[Manifest], dict[str, Fault]]:
        """Give the snapshots that can be read, oldest first, and the fault of each other file; see `snapshots.history`."""
        return history.readable_manifests(self, dataset)

    def after(self, manifest: Manifest) -> list[Manifest]:
        """Give the snapshots that came after one, oldest first. See `snapshots.history`."""
        return history.after(self, manifest)

    def manifest(self, dataset: DatasetId, manifest_hash: str) -> Manifest:
        """Give the manifest of that hash, or the one that an amendment put in its place; raises NoSnapshot.

        Another manifest that cannot be read is in nobody's way: it amends this one if a signed amendment says so.
        """
        replaced = self.amended(dataset)
        current = manifest_hash
        seen: set[str] = set()
        while current in replaced and current not in seen:
            seen.add(current)
            current = replaced[current]
        path = self.manifest_file(dataset, current)
        if not path.is_file():
            raise NoSnapshot(dataset=_dotted(dataset), wanted=manifest_hash[:12])
        return self.read_manifest(path)

    def head(self, dataset: DatasetId, known: str | None = None) -> Manifest | None:
        """Give the current snapshot of a dataset: the one `known` to the audit log if it is there, else the newest.

        None when there is no snapshot at all.
        """
        if known is not None:
            try:
                return self.manifest(dataset, known)
            except NoSnapshot:
                pass  # verify tells a rollback; here the newest that is left is still the best copy
        found = self.manifests(dataset)
        if len(found) > 1 and found[-1].sequence == found[-2].sequence:
            raise Forked(dataset=dataset, sequence=found[-1].sequence)
        return found[-1] if found else None

    def find(self, dataset: DatasetId, as_of: int | datetime | None = None) -> Manifest:
        """Give the snapshot of that sequence, or the last one by then, or the newest; see `snapshots.history`."""
        return history.find(self, dataset, as_of)

    # What a snapshot holds

    def opener(self, manifest: Manifest) -> Opener:
        """Give what opens a manifest's parts and blocks: its key file is read once, each key unwrapped when asked."""
        return opener(self.keys, self.key_file(manifest))

    def cursor(self, manifest: Manifest) -> Json:
        """Give the position that the vendor's data was read up to; None when the stream has none.

        Errors: Shredded when the keys of class `manifest` were destroyed: the stream is then read in full (`needs_full`).
        """
        return msgspec.json.decode(self._block(manifest, "cursor", self.opener(manifest)))

    def shape(self, manifest: Manifest, classes: Sequence[str] = CLASSES) -> Shape:
        """Give the columns of these classes; raises Shredded when the keys of one were destroyed."""
        opening = self.opener(manifest)
        blocks = {
            each: msgspec.json.decode(self._block(manifest, each, opening), type=Block)
            for each in classes
            if each in manifest.sealed and each != "cursor"
        }
        return manifests.shape_of(manifest, blocks)

    def readable(self, manifest: Manifest) -> tuple[str, ...]:
        """Give the classes of a snapshot whose keys were not destroyed; internal is taken to be."""
        opening, found = self.opener(manifest), ["internal"]
        for each in CLASSES[1:]:
            try:
                if each in manifest.sealed:
                    for name in [
                        manifest.block_name(each),
                        *(key_name(manifest.id, p.id, each) for p in manifest.parts if each in p.files),
                    ]:
                        opening(name)
                found.append(each)
            except Shredded:
                continue
        return tuple(found)

    def needs_full(self, spec: DatasetSpec, known: str | None = None) -> bool:
        """Whether a stream has to be read in full, because an incremental run could not stand on the current snapshot.

        The primary key or a class changed, or keys were destroyed, the cursor's among them (`cursor` raises Shredded then).
        False when there is no snapshot. Arguments: known: as for `head`.
        """
        head = self.head(spec.id, known)
        if head is None:
            return False
        found = standing(self, head, spec.shape(self.shape(head, self.readable(head)).schema))
        return found.incomparable or found.reclassed or found.adrift or not found.whole

    def press(self, dataset: DatasetId, folder: Path, wraps: dict[str, Wrapped]) -> Press:
        """Give what writes parts of a dataset into a folder, under keys of this period; their wrapped keys go to `wraps`."""
        return Press(folder, dataset, self.keys, self.period, self.entropy, wraps)

    def pseudonym_key(self, dataset: DatasetId) -> bytes:
        """Give the secret under which a dataset's personal keys are named."""
        return self.keys.derive(f"pseudonym/{dataset}")

    def schema(self, manifest: Manifest, clearance: str) -> pa.Schema:
        """Give the columns that a clearance sees today; each field's metadata has its `class`."""
        return reclassed.shape(self, manifest, clearance).described()

    def drift(self, manifest: Manifest, clearance: str) -> list[Drift]:
        """Give what the vendor changed since the parent, as far as a clearance may know."""
        opening = self.opener(manifest)
        found = list(manifest.drift)
        for each in visible(clearance):
            if each in manifest.sealed:
                found += msgspec.json.decode(self._block(manifest, each, opening), type=Block).drift
        hidden = reclassed.withheld(self, manifest, clearance)
        return [each for each in found if each.field not in hidden]

    def read(
        self, manifest: Manifest, classes: Sequence[str], columns: Sequence[str] | None = None, batch_rows: int = 65_536
    ) -> Iterator[pa.RecordBatch]:
        """Give the rows of a snapshot, base and deltas resolved, in no order.

        Arguments: classes: whose columns to open; columns: the vendor's names to keep, all of those classes when None;
        batch_rows: rows a batch at most. Memory: one part, whatever the size of the snapshot.
        """
        chain = Chain(self, manifest, classes)
        names = chain.shape.schema.names if columns is None else [each for each in columns if each in chain.shape.schema.names]
        schema = pa.schema([chain.shape.schema.field(each) for each in names])
        for piece in chain.pieces(columns=[stored_name(each) for each in names]):
            table = piece.table.rename_columns(names) if names else piece.table
            if names:
                yield from table.cast(schema).to_batches(max_chunksize=batch_rows)
            else:
                yield pa.RecordBatch.from_struct_array(pa.nulls(len(piece.places), pa.struct([])))

    # What changes

    def publish(
        self,
        dataset: DatasetId,
        shape: Shape,
        *,
        parent: Manifest | None,
        parts: Sequence[Part],
        wraps: Mapping[str, Wrapped],
        cursor: Json,
        counts: Counts,
        verdict: Verdict,
        provenance: Provenance,
        mode: Mode,
        drift: Sequence[Drift] = (),
    ) -> Manifest:
        """Make a snapshot of parts that are already durable in the parts folder: key file first, manifest last."""
        sequence = parent.sequence + 1 if parent else 1
        stem = f"{sequence:08d}-{self.entropy(8).hex()}"
        by_class = {each: [d for d in drift if _class_of(shape, d.field) == each] for each in CLASSES}
        contents: dict[str, tuple[str, Any]] = {"cursor": ("manifest", cursor)}
        for each in CLASSES[1:]:
            columns = manifests.columns_of(shape, each)
            if columns or by_class[each]:
                contents[each] = (each, Block(columns, by_class[each]))
        made, sealed = dict(wraps), {}
        for block, (key_class, content) in contents.items():
            name = f"{dataset}/{stem}/{block}"
            data_key, made[name] = self.keys.new_data_key(Scope(dataset.connection, key_class, self.period()), name.encode())
            sealed[block] = manifests.seal_block(data_key, name, content)
        manifest = Manifest(
            dataset=str(dataset),
            parent=parent.hash if parent else None,
            sequence=sequence,
            created=self.clock().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            keys=f"{stem}.keys",
            sealed=sealed,
            schema=manifests.columns_of(shape, "internal"),
            primary_key=[shape.schema.get_field_index(each) for each in shape.primary_key],
            parts=list(parts),
            counts=counts,
            verdict=verdict,
            provenance=provenance,
            mode=mode,
            drift=by_class["internal"],
        )
        return self.write_manifest(manifest, made)

    def write_manifest(self, manifest: Manifest, wraps: Mapping[str, Wrapped]) -> Manifest:
        """Write a key file, then the manifest that names it."""
        files.folder(self.key_file(manifest).parent)
        keyfile.write(self.key_file(manifest), wraps)
        path = self.manifest_file(manifest.id, manifest.hash)
        files.folder(path.parent)
        files.write(path, manifests.signed(manifest, self.keys.signer), new=True)
        return manifest

    def amended(self, dataset: DatasetId) -> dict[str, str]:
        """Give the hashes of manifests that were replaced, each with its replacement; see `snapshots.history`."""
        return history.amended(self, dataset)

    def amend(
        self, old: Manifest, new: Manifest, wraps: Mapping[str, Wrapped], reason: str, certificate: Json = None
    ) -> Manifest:
        """Replace a manifest by another at its place in history, with a signed amendment; see `snapshots.amendments`."""
        from snapshots import amendments

        return amendments.amend(self, old, new, wraps, reason, certificate)

    def verify(self, dataset: DatasetId, *, expected_head: str | None = None, entered: Sequence[str] = ()) -> list[Finding]:
        """Check everything that a dataset's files promise; nothing is raised. See `snapshots.verification`."""
        from snapshots import verification

        return verification.verify(self, dataset, expected_head, entered)

    def drafts(self) -> list[str]:
        """Give the runs that have something unfinished."""
        return sorted(folder.name for folder in self.root.glob("*/.drafts/*") if (folder / "checkpoint").is_file())

    def rewrap(self) -> int:
        """After a rotation: wrap every data key under the newest generation; gives how many entries changed."""
        from snapshots import renewal

        return renewal.rewrap(self.root, self.keys)

    def keks_in_use(self) -> set[str]:
        """Give the key-encryption keys that wrap something here; call it after `rewrap`."""
        from snapshots import renewal

        return renewal.keks_in_use(self.root, self.keys)

    def read_manifest(self, path: Path) -> Manifest:
        """Read a manifest, once: its name is its content."""
        found = self._known.get(path)
        if found is None:
            found = manifests.opened(read_bounded(path, manifests.LIMIT), path.name, self.keys.verifier)
            if (found.id.connection, found.id.stream) != (path.parent.parent.parent.name, path.parent.parent.name):
                raise Damaged(
                    file=path.name, reason_fr="il appartient à un autre flux", reason_en="it belongs to another stream"
                )
            self._known[path] = found
        return found

    def _block(self, manifest: Manifest, block: str, opening: Opener) -> bytes:
        name = manifest.block_name(block)
        return manifests.open_block(opening(name), name, manifest.sealed[block])


def _dotted(dataset: DatasetId) -> str:
    return f"{dataset.connection}.{dataset.stream}"


def _class_of(shape: Shape, column: str) -> str:
    place = shape.schema.get_field_index(column)
    return shape.classes[place] if place >= 0 else "personal"
