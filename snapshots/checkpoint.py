"""What a draft remembers: one sealed file, replaced in one step, that alone moves the resume point.

It is written after everything it names is durable: segments, raw segments, their keys. What it does not name does not exist: a
reopened draft removes it.

Format: docs/formats/draft.md.
"""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow as pa

from snapshots.columns import Json, described, understood
from snapshots.durable import read_bounded
from snapshots.errors import Damaged
from snapshots.manifest import Drift, RawSegment
from snapshots.parts import Part
from vault import envelope, files
from vault.errors import UnknownVersion

FORMAT = "sovereign-draft/1"
LIMIT = 256 << 20


class Aside(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows that cannot be published, and why (`keyless`, `contract`)."""

    part: Part
    reason: str


class StreamState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One stream of a draft. Schemas are lists of a name and a type in JSON."""

    stream: str
    primary_key: tuple[str, ...]
    classes: dict[str, str]
    contract: str
    declared: list[tuple[str, Json]]
    expected: list[tuple[str, Json]]
    schema: list[tuple[str, Json]]
    seen: list[str]
    drift: list[Drift]
    segments: list[Part]
    aside: list[Aside]


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A draft at the instant its resume point was moved."""

    format: str
    connection: str
    run: str
    created: str
    plan: Json
    resume: Json
    streams: list[StreamState]
    raw: list[RawSegment]


def key_name(connection: str, run: str) -> str:
    """Name the key of a draft's checkpoint: its place in the draft's key file, and its context."""
    return f"{connection}/.drafts/{run}"


def write(path: Path, checkpoint: Checkpoint, data_key: bytes) -> None:
    """Seal a checkpoint over the former one."""
    name = key_name(checkpoint.connection, checkpoint.run)
    files.write(path, envelope.seal(data_key, name.encode(), msgspec.json.encode(checkpoint)))


def read(path: Path, connection: str, run: str, opener: Callable[[str], bytes]) -> Checkpoint:
    """Open a checkpoint; raises Damaged, Corrupt, WrongKey or UnknownVersion."""
    name = key_name(connection, run)
    data = envelope.open(opener(name), name.encode(), read_bounded(path, LIMIT), what=f"{run}/{path.name}")
    try:
        found = msgspec.json.decode(data, type=Checkpoint)
    except msgspec.DecodeError:
        raise Damaged(
            file=path.name, reason_fr="point de reprise illisible", reason_en="the checkpoint cannot be read"
        ) from None
    if found.format != FORMAT:
        raise UnknownVersion(what=path.name, found=found.format)
    return found


def pairs(schema: pa.Schema) -> list[tuple[str, Json]]:
    """Write a schema down."""
    return [(each.name, described(each.type)) for each in schema]


def schema(pairs: list[tuple[str, Json]]) -> pa.Schema:
    """Read a schema."""
    return pa.schema([pa.field(name, understood(kind)) for name, kind in pairs])
