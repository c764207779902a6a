"""The raw archive: what the vendor answered, sealed, so that a snapshot can be rebuilt without it.

1. A run's archive is a sequence of segments, one a checkpoint, each a zstd stream of exchanges in an envelope; its keys are of
   the class `raw`, apart from the rows', and opened by replay alone.
2. Segments are chained: chain(n) = SHA-256(chain(n-1) || SHA-256(file n)), from 32 zero bytes. Manifests record the chain, so a
   segment changed, dropped or put in another's place is seen.
3. It keeps no credential: only the headers named in `HEADERS` are written, and addresses without their query's secrets are the
   caller's duty.

Format: docs/formats/raw-segment.md.
"""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa

from snapshots.errors import Damaged
from snapshots.manifest import RawSegment
from vault import envelope, files
from vault.content import Content, blocks
from vault.errors import Corrupt

HEADERS = frozenset(
    {
        "age", "cache-control", "content-crs", "content-encoding", "content-language", "content-length", "content-range",
        "content-type", "date", "etag", "last-modified", "link", "location", "retry-after", "server", "x-ratelimit-limit",
        "x-ratelimit-remaining", "x-ratelimit-reset", "x-total-count",
    }
)  # fmt: skip
LIMIT = 2 << 30
"""The longest exchange that is read back, in bytes."""

_AFTER = ("received", "document")
"""Fields that follow the body."""
_START = bytes(32)
_BLOCK = 1 << 20


class RawExchange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A request and what came back. `received` is an instant in ISO 8601, UTC; `body` as the vendor's text, decompressed.

    `document`: the address of the document that the body is, which is then in the store and not here.
    """

    method: str
    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received: str = ""
    document: str = ""


def encoded(exchange: RawExchange) -> bytes:
    """Write an exchange; `document` is left out of those that have none."""
    told = msgspec.structs.asdict(exchange)
    if not exchange.document:
        del told["document"]
    return msgspec.msgpack.encode(told)


def _around(exchange: RawExchange, size: int) -> tuple[bytes, bytes]:
    """What `encoded` writes before and after a body of so many bytes (MessagePack `bin 32`)."""
    told = msgspec.structs.asdict(exchange)
    if not exchange.document:
        del told["document"]
    parts = [bytes([0x80 | len(told)]), b""]
    for name, value in told.items():
        written = b"\xc6" + size.to_bytes(4, "big") if name == "body" else msgspec.msgpack.encode(value)
        parts[name in _AFTER] += msgspec.msgpack.encode(name) + written
    return parts[0], parts[1]


def key_name(connection: str, run: str) -> str:
    """Name the data key of a run's archive."""
    return f"{connection}/.raw/{run}"


def context(connection: str, run: str, segment: int) -> bytes:
    """Give the context of a segment's envelope."""
    return f"{key_name(connection, run)}/{segment}".encode()


def segment_file(folder: Path, segment: int) -> Path:
    """Give the path of a segment; numbers start at 1."""
    return folder / f"{segment:06d}.raw"


class SegmentWriter:
    """Writes one segment; only `close` makes it whole."""

    def __init__(self, path: Path, data_key: bytes, where: bytes) -> None:
        self.path = path
        self._file = _Hashing(path)
        self._sealer = envelope.Sealer(data_key, where, self._file)
        self._stream = pa.CompressedOutputStream(pa.PythonFile(self._sealer, "w"), "zstd")
        self.exchanges = 0

    def write(self, exchange: RawExchange, content: Content | None = None) -> None:
        """Add an exchange; headers outside `HEADERS` are left out. content: its body, when that is not in `exchange`."""
        kept = tuple((name, value) for name, value in exchange.headers if name.lower() in HEADERS)
        exchange = msgspec.structs.replace(exchange, headers=kept)
        if content is None:
            data = encoded(exchange)
            self._stream.write(len(data).to_bytes(8, "big"))
            self._stream.write(data)
        else:
            before, after = _around(exchange, content.size)
            self._stream.write((len(before) + content.size + len(after)).to_bytes(8, "big"))
            self._stream.write(before)
            for block in blocks(content):
                self._stream.write(block)
            self._stream.write(after)
        self.exchanges += 1

    def close(self, segment: int, previous: str | None) -> RawSegment:
        """Make the segment whole and durable; gives its hash and the chain up to it."""
        self._stream.close()
        self._sealer.close()
        digest = self._file.close()
        return RawSegment(segment, digest.hex(), chained(previous, digest))

    def abandon(self) -> None:
        """Drop what was written; the streams above are closed into nothing, else they complain when they are collected."""
        self._file.discard()
        self._stream.close()


class _Hashing:
    """A new private file that is hashed as it is written."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        path.touch(0o600, exist_ok=False)
        self._path, self._file, self._hash = path, path.open("wb"), hashlib.sha256()

    def write(self, data: memoryview, /) -> None:
        if not self._file.closed:
            self._hash.update(data)
            self._file.write(data)

    def close(self) -> bytes:
        import os

        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        files.flush(self._path.parent)
        return self._hash.digest()

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


def chained(previous: str | None, digest: bytes) -> str:
    """Give the chain after a segment whose file has this SHA-256."""
    return hashlib.sha256((bytes.fromhex(previous) if previous else _START) + digest).hexdigest()


def exchanges(
    folder: Path, connection: str, run: str, segments: Sequence[RawSegment], data_key: bytes
) -> Iterator[RawExchange]:
    """Give back a run's exchanges in the order they were archived; each segment is verified before it is read."""
    previous: str | None = None
    for each in segments:
        check(folder, each, previous)
        previous = each.chain
        path = segment_file(folder, each.segment)
        with path.open("rb") as file:
            opened = envelope.Opener(data_key, context(connection, run, each.segment), file, what=path.name)
            with pa.CompressedInputStream(pa.PythonFile(opened, "r"), "zstd") as stream:
                yield from _decoded(stream, path.name)


def _decoded(stream: BinaryIO, name: str) -> Iterator[RawExchange]:
    while size := stream.read(8):
        length = int.from_bytes(size, "big")
        if len(size) < 8 or length > LIMIT:
            raise Corrupt(what=name)
        data = stream.read(length)
        try:
            yield msgspec.msgpack.decode(data, type=RawExchange)
        except msgspec.DecodeError:
            raise Corrupt(what=name) from None


def prove(folder: Path, connection: str, run: str, segment: int, data_key: bytes) -> int:
    """Decrypt a segment to its end and follow its framing, a mebibyte at a time; gives how many exchanges it holds.

    Errors: Damaged when it is missing, Corrupt or WrongKey when a tag, its end or its framing does not hold.
    """
    path, found = segment_file(folder, segment), 0
    try:
        with path.open("rb") as file:
            opened = envelope.Opener(data_key, context(connection, run, segment), file, what=path.name)
            with pa.CompressedInputStream(pa.PythonFile(opened, "r"), "zstd") as stream:
                while size := stream.read(8):
                    _skip(stream, int.from_bytes(size, "big") if len(size) == 8 else -1, path.name)
                    found += 1
            if opened.read(1):
                raise Corrupt(what=path.name)
    except FileNotFoundError:
        raise Damaged(file=path.name, reason_fr="segment brut absent", reason_en="the raw segment is missing") from None
    except (pa.ArrowException, OSError):  # pyarrow's words may quote what was decrypted: not chained
        raise Corrupt(what=path.name) from None
    return found


def _skip(stream: BinaryIO, length: int, name: str) -> None:
    if not 0 <= length <= LIMIT:
        raise Corrupt(what=name)
    while length:
        block = stream.read(min(length, _BLOCK))
        if not block:
            raise Corrupt(what=name)
        length -= len(block)


def check(folder: Path, segment: RawSegment, previous: str | None) -> None:
    """Raise Damaged unless a segment's file is the one that was chained."""
    path = segment_file(folder, segment.segment)
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
    except FileNotFoundError:
        raise Damaged(file=path.name, reason_fr="segment brut absent", reason_en="the raw segment is missing") from None
    if digest.hexdigest() != segment.sha256:
        raise Damaged(file=path.name, reason_fr="segment brut altéré", reason_en="the raw segment was altered")
    if chained(previous, digest.digest()) != segment.chain:
        raise Damaged(
            file=path.name, reason_fr="chaîne des segments bruts rompue", reason_en="the chain of raw segments is broken"
        )
