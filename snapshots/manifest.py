"""A manifest: what one snapshot is, in a signed text named by its hash.

1. The text is canonical JSON (RFC 8785) in a signed note (C2SP signed-note); the file is named by the SHA-256 of that JSON.
2. It tells nothing personal: columns of the personal and sensitive classes, their drift and the cursor are sealed blocks, each
   under a data key that the manifest's key file wraps. The primary key is given by places of columns, not by names.
3. It holds no key and no key's name, so rotation never touches it.
4. Parts are listed in the order in which they apply: the base, then deltas. A `d` or `u` of a later part outdates earlier rows
   of that key.

Format: docs/formats/manifest.md.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Literal

import msgspec
import pyarrow as pa
import rfc8785

from snapshots.columns import Json, described, understood
from snapshots.dataset import CLASSES, ClassName, DatasetId, Shape
from snapshots.errors import Damaged
from snapshots.parts import Part
from vault import envelope, notes
from vault.errors import UnknownVersion

FORMAT = "sovereign-manifest/1"
LIMIT = 64 << 20

State = Literal["complete", "partial", "unverified"]
Mode = Literal["full_refresh", "incremental"]


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column: its name, its Arrow type in JSON, its place among all columns of the dataset (from 0)."""

    name: str
    type: Json
    place: int


class Counts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of the snapshot, and what happened to rows since its parent."""

    rows: int
    inserted: int
    updated: int
    deleted: int
    unchanged: int


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How complete the pull was, and on what evidence (JSON without any personal value)."""

    state: State
    evidence: list[dict[str, Json]] = []


class RawSegment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One sealed segment of the run's raw archive: its number, the SHA-256 of its file, the hash chain up to it."""

    segment: int
    sha256: str
    chain: str


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the rows came from."""

    run: str
    connector: str
    connector_version: str
    host: str
    raw: list[RawSegment] = []


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a vendor changed in a field: its type before and now (None: absent), what was done, how many values it touched."""

    field: str
    was: Json
    now: Json
    action: str
    values: int = 0


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, kw_only=True):
    """A snapshot of a dataset. `keys` names its key file; `sealed` holds blocks in base64.

    `amends` is the hash of the manifest that this one replaces: same place in history, see `snapshots.amendments`.
    """

    format: str = FORMAT
    dataset: str
    parent: str | None
    amends: str | None = None
    sequence: int
    created: str
    keys: str
    sealed: dict[str, str]
    schema: list[Column]
    primary_key: list[int]
    parts: list[Part]
    counts: Counts
    verdict: Verdict
    provenance: Provenance
    mode: Mode
    drift: list[Drift]

    @cached_property
    def text(self) -> str:
        """Its canonical JSON."""
        return rfc8785.dumps(msgspec.to_builtins(self)).decode()

    @cached_property
    def hash(self) -> str:
        """The SHA-256 of its canonical JSON, in hexadecimal: its name."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def id(self) -> DatasetId:
        """The dataset it is a snapshot of."""
        return DatasetId.parse(self.dataset)

    @property
    def rows(self) -> int:
        """Rows of the snapshot."""
        return self.counts.rows

    @property
    def bytes(self) -> int:
        """The size of all its parts, in bytes; parts are shared between snapshots."""
        return sum(part.bytes for part in self.parts)

    def block_name(self, block: str) -> str:
        """Name a sealed block: its place in the key file, and its context."""
        return f"{self.dataset}/{self.keys.removesuffix('.keys')}/{block}"


def signed(manifest: Manifest, signer: notes.Signer) -> bytes:
    """Give the bytes of a manifest's file."""
    return notes.sign(manifest.text + "\n", signer).encode()


def opened(data: bytes, name: str, verifier: notes.Verifier) -> Manifest:
    """Read a manifest's file; raises Damaged, NotSigned or UnknownVersion, naming it.

    Arguments: name: the file's name, which must be the hash of what it holds.
    """
    try:
        text = notes.verify(data.decode(), [verifier], what=name).removesuffix("\n")
    except UnicodeDecodeError:
        raise _unreadable(name) from None
    found = hashlib.sha256(text.encode()).hexdigest()
    if found != name.partition(".")[0]:
        raise Damaged(
            file=name,
            reason_fr="son nom n'est pas l'empreinte de son contenu",
            reason_en="its name is not the hash of its content",
        )
    manifest = parsed(text, name)
    manifest.__dict__.update(text=text, hash=found)  # as signed: a field added since would change what is written anew
    return manifest


def parsed(text: str, name: str) -> Manifest:
    """Read a manifest's canonical JSON."""
    try:
        version = msgspec.json.decode(text, type=_Versioned).format
        if version != FORMAT:
            raise UnknownVersion(what=name, found=version)
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.DecodeError:
        raise _unreadable(name) from None
    return manifest


class _Versioned(msgspec.Struct):
    format: str


def _unreadable(name: str) -> Damaged:
    return Damaged(file=name, reason_fr="ce n'est pas un manifeste", reason_en="it is not a manifest")


def columns_of(shape: Shape, class_name: str) -> list[Column]:
    """Describe the columns of one class."""
    return [
        Column(each.name, described(each.type), place)
        for place, (each, at) in enumerate(zip(shape.schema, shape.classes, strict=True))
        if at == class_name
    ]


def shape_of(manifest: Manifest, blocks: Mapping[str, "Block"]) -> Shape:
    """Put the columns of several classes back in the vendor's order.

    Arguments: blocks: the opened blocks of the classes beyond internal that the reader may see. A primary key whose columns are
    not all visible is left empty.
    """
    placed: dict[int, tuple[pa.Field, ClassName]] = {}
    for class_name in CLASSES:
        block = blocks.get(class_name)
        for column in manifest.schema if class_name == "internal" else block.schema if block else []:
            placed[column.place] = (pa.field(column.name, understood(column.type)), class_name)
    order = sorted(placed)
    key = tuple(placed[at][0].name for at in manifest.primary_key if at in placed)
    whole = key if len(key) == len(manifest.primary_key) else ()
    return Shape(pa.schema([placed[at][0] for at in order]), tuple(placed[at][1] for at in order), whole)


class Block(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a manifest seals of one class: its columns and what drifted among them."""

    schema: list[Column]
    drift: list[Drift] = []


def seal_block(data_key: bytes, name: str, content: Any) -> str:  # noqa: ANN401  # any JSON
    """Seal JSON as a manifest's block, in base64."""
    return base64.b64encode(envelope.seal(data_key, name.encode(), msgspec.json.encode(content))).decode()


def open_block(data_key: bytes, name: str, sealed: str) -> bytes:
    """Open a manifest's block; gives its JSON."""
    try:
        data = base64.b64decode(sealed, validate=True)
    except ValueError:
        raise Damaged(file=name, reason_fr="bloc scellé illisible", reason_en="the sealed block cannot be read") from None
    return envelope.open(data_key, name.encode(), data, what=name)
