"""What one run will read, decided before the first record: streams, modes, cursors, slices.

1. A stream is read incrementally when it can be, when a cursor is known, and when nobody asked for everything; else in full.
   When its primary key or the class of a field changed, nothing is known of it any more, and it is read in full.
2. An incremental stream is read in full again when its last full read is older than `RECONCILE`: that is how deletions
   without a tombstone, and changes that do not move the cursor, come to light.
3. Streams of one group come out of the same responses: asking for one reads them all, in the same mode.
4. A plan is JSON, so that a run stopped on one day is continued on another exactly as it was meant, and replayed years later.

Nothing here reads a clock, a disk or a vendor.
"""

import base64
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
import pyarrow as pa

from saas_connectors.connector import Catalog, Class, Contract, Json, ReadPlan, Slice, Stream, SyncMode
from sovereign.settings import Connection
from sovereign.sync.errors import UnknownStream

RECONCILE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Known:
    """What the last snapshot of a stream says: its cursor, and when the stream was last read in full.

    primary_key, classes (of each field): under which it was stored, None when that does not matter; stale: its rows must be
    stored anew although they may be the same (a new key period, destroyed keys).
    """

    cursor: Json
    last_full: datetime | None
    primary_key: tuple[str, ...] | None = None
    classes: Mapping[str, str] | None = None
    stale: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A read plan, its slices in order, and a fingerprint of the settings it was made under."""

    read: ReadPlan
    slices: tuple[Slice, ...]
    fingerprint: str


def choose(
    catalog: Catalog,
    known: Mapping[str, Known],
    *,
    connection: str,
    wanted: Collection[str] | None,
    mode: SyncMode | None,
    full: bool,
    started_at: datetime,
) -> ReadPlan:
    """Decide what to read; `wanted` None means every stream. Raises UnknownStream."""
    offered = {stream.name: stream for stream in catalog.streams}
    for name in wanted or ():
        if name not in offered:
            raise UnknownStream(connection=connection, stream=name, known=", ".join(sorted(offered)) or "-")
    groups = {offered[name].group for name in wanted or offered} - {None}
    streams = tuple(s for s in catalog.streams if wanted is None or s.name in wanted or s.group in groups)
    known = {s.name: known[s.name] for s in streams if s.name in known and not _reshaped(s, known[s.name])}
    modes = {s.name: _mode(s, known.get(s.name), mode, started_at, full=full) for s in streams}
    for stream in streams:
        if stream.group is not None and any(modes[s.name] == "full_refresh" for s in streams if s.group == stream.group):
            modes[stream.name] = "full_refresh"
    # A connector that reads in full may still find by the cursor that nothing moved; asked for everything, it is given none.
    again = {name for name, each in known.items() if each.stale and modes[name] == "full_refresh"}
    given = {name: each.cursor for name, each in known.items() if not full and name not in again}
    cursors = {name: cursor for name, cursor in given.items() if cursor is not None or modes[name] == "incremental"}
    return ReadPlan(streams, modes, cursors, started_at)


def _mode(stream: Stream, known: Known | None, mode: SyncMode | None, at: datetime, *, full: bool) -> SyncMode:
    if "full_refresh" not in stream.modes:
        return "incremental"
    if full or mode == "full_refresh" or "incremental" not in stream.modes or known is None or known.cursor is None:
        return "full_refresh"
    return "incremental" if known.last_full is not None and at - known.last_full < RECONCILE else "full_refresh"


def _reshaped(stream: Stream, known: Known) -> bool:
    """Whether the stream is stored otherwise than it is described now; a field that nobody classified is personal."""
    if known.primary_key is not None and known.primary_key != stream.primary_key:
        return True
    return any(stream.classes.get(name, "personal") != at for name, at in (known.classes or {}).items())


def fingerprint(connection: Connection, version: str) -> str:
    """Name the settings that give a plan its meaning: when they change, an unfinished run is not continued."""
    meant = [connection.connector, version, connection.url, connection.mode, connection.streams, connection.options]
    return hashlib.sha256(msgspec.json.encode(meant, order="deterministic")).hexdigest()


class _Stream(msgspec.Struct, frozen=True):
    name: str
    primary_key: tuple[str, ...]
    schema: str
    classes: dict[str, Class]
    modes: tuple[SyncMode, ...]
    cursor: str | None
    contract: Contract
    group: str | None
    title: str
    found: tuple[str, ...] = ()
    document: str | None = None
    guarded: bool = True


class _Slice(msgspec.Struct, frozen=True):
    key: str
    streams: tuple[str, ...]
    detail: Json = None


class _Plan(msgspec.Struct, frozen=True):
    streams: tuple[_Stream, ...]
    modes: dict[str, SyncMode]
    cursors: dict[str, Json]
    started_at: datetime
    slices: tuple[_Slice, ...]
    fingerprint: str


def to_json(plan: Plan) -> Json:
    """Write a plan as JSON; schemas as base64 of their Arrow IPC message."""
    streams = tuple(
        _Stream(
            s.name, s.primary_key, base64.b64encode(s.schema.serialize().to_pybytes()).decode(), dict(s.classes), s.modes,
            s.cursor, s.contract, s.group, s.title, tuple(sorted(s.found)), s.document, s.guarded,
        )
        for s in plan.read.streams
    )  # fmt: skip
    slices = tuple(_Slice(s.key, s.streams, s.detail) for s in plan.slices)
    read = plan.read
    return msgspec.to_builtins(_Plan(streams, dict(read.modes), dict(read.cursors), read.started_at, slices, plan.fingerprint))


def from_json(document: Json) -> Plan:
    """Read a plan back; raises msgspec.ValidationError when it is not one."""
    held = msgspec.convert(document, _Plan)
    streams = tuple(
        Stream(
            s.name,
            s.primary_key,
            pa.ipc.read_schema(pa.py_buffer(base64.b64decode(s.schema))),
            s.classes,
            s.modes,
            s.cursor,
            s.contract,
            s.group,
            s.title,
            frozenset(s.found),
            s.document,
            s.guarded,
        )
        for s in held.streams
    )
    read = ReadPlan(streams, held.modes, held.cursors, held.started_at)
    return Plan(read, tuple(Slice(s.key, s.streams, s.detail) for s in held.slices), held.fingerprint)


def merge_cursors(slices: Sequence[Slice], found: Mapping[str, Mapping[str, Json]]) -> dict[str, Json]:
    """Give each stream one cursor out of those its slices ended with.

    The greatest when all are numbers or all text, else that of the last slice in the plan's order.
    """
    cursors: dict[str, list[Json]] = {}
    for part in slices:
        for stream, cursor in found.get(part.key, {}).items():
            if cursor is not None:
                cursors.setdefault(stream, []).append(cursor)
    return {
        stream: max(each) if all(isinstance(c, str) for c in each) or all(type(c) in (int, float) for c in each) else each[-1]
        for stream, each in cursors.items()
    }
