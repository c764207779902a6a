"""Search a folder for data that someone could read without a key.

What was planted (canaries: short, unmistakable texts) is looked for in every file's name and bytes, and again in all that
those bytes decode to: Parquet without encryption, SQLite tables, DuckDB files, zstd, LZ4 and gzip frames at any offset, zlib
streams, base64, hexadecimal, percent and `\\u` escapes, UTF-16; each decoding is decoded in turn, a few levels deep. What
needs a key is opaque, and is meant to be.

    python tests/security/canaries/search.py FOLDER... -- CANARY...     exits 1 when one is found
"""

import base64
import binascii
import re
import sqlite3
import sys
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

DEEP = 4
LARGEST = 64 * 2**20
"""Bytes that one decoding may give at most."""
WINDOW = 4 * 2**20
"""Bytes of a gzip or zlib stream that are read: random bytes look like the beginning of one every few kilobytes."""

_FRAMES = {"zstd": b"\x28\xb5\x2f\xfd", "lz4": b"\x04\x22\x4d\x18", "gzip": b"\x1f\x8b\x08"}
_ZLIB = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_\-]{16,}")
_HEX = re.compile(rb"[0-9a-fA-F]{16,}")
_PERCENT = re.compile(rb"%[0-9a-fA-F]{2}")
_ESCAPED = re.compile(rb"\\u[0-9a-fA-F]{4}")
_SQLITE, _PARQUET, _DUCKDB = b"SQLite format 3\x00", b"PAR1", b"DUCK"


@dataclass(frozen=True, slots=True)
class Found:
    """A canary that could be read: where, and by which decodings."""

    path: Path
    how: tuple[str, ...]
    canary: str


@dataclass(slots=True)
class Report:
    """What was found, and how much was looked at, so that an empty search cannot pass for a clean one."""

    found: list[Found] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    decoded: dict[str, int] = field(default_factory=dict)


def search(folders: Iterable[Path], canaries: Sequence[str]) -> Report:
    """Look for `canaries` (at least 8 characters each) in every file below `folders`."""
    if not canaries or any(len(each) < 8 for each in canaries):
        raise ValueError("canaries of 8 characters at least")
    needles = [(each, forms(each)) for each in canaries]
    report = Report()
    for folder in folders:
        for path in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            _look(str(path.name).encode(), ("name",), path, needles, report)
            if not path.is_file() or path.is_symlink():
                continue
            data = path.read_bytes()
            report.files += 1
            report.bytes += len(data)
            _dig(data, (), path, needles, report)
    return report


def forms(canary: str) -> list[bytes]:
    """Give the ways a text stands in memory: UTF-8, UTF-16, and each byte plus one, as DuckDB's sort keys have it."""
    plain = canary.encode()
    return [plain, canary.encode("utf-16-le"), canary.encode("utf-16-be"), bytes((each + 1) % 256 for each in plain)]


def _dig(data: bytes, how: tuple[str, ...], path: Path, needles: list[tuple[str, list[bytes]]], report: Report) -> None:
    _look(data, how, path, needles, report)
    if len(how) >= DEEP:
        return
    for name, decoded in decodings(data):
        report.decoded[name] = report.decoded.get(name, 0) + 1
        _dig(decoded, (*how, name), path, needles, report)


def _look(data: bytes, how: tuple[str, ...], path: Path, needles: list[tuple[str, list[bytes]]], report: Report) -> None:
    for canary, written in needles:
        if any(form in data for form in written):
            report.found.append(Found(path, how, canary))


def decodings(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Give everything that `data` decodes to, each with the name of its decoding."""
    for name, read in (("parquet", _parquet), ("sqlite", _sqlite), ("duckdb", _duckdb)):
        if text := read(data):
            yield name, text
    view = memoryview(data)
    for name, magic in _FRAMES.items():
        for at in _offsets(data, magic):
            if text := _inflated(view[at:]) if name == "gzip" else _frame(view[at:], name):
                yield name, text
    for magic in _ZLIB:
        for at in _offsets(data, magic):
            if len(text := _inflated(view[at:])) >= 8:
                yield "zlib", text
    yield from _texts(data)


def _texts(data: bytes) -> Iterator[tuple[str, bytes]]:
    # Runs are joined by line breaks, so that one pass over the needles covers them all; each alignment is a run of its own.
    runs = [match[0] for match in _BASE64.finditer(data)]
    if runs:
        yield "base64", b"\n".join(_unbase64(run[shift:]) for run in runs for shift in range(4))
    if hexes := [match[0] for match in _HEX.finditer(data)]:
        yield "hex", b"\n".join(_unhex(run[shift:]) for run in hexes for shift in range(2))
    if _PERCENT.search(data):
        yield "percent", unquote_to_bytes(data)
    if b"\\u" in data and _ESCAPED.search(data):
        yield "escape", _ESCAPED.sub(lambda run: run[0].decode("unicode_escape").encode("utf-8", "replace"), data)


def _offsets(data: bytes, magic: bytes) -> Iterator[int]:
    at = data.find(magic)
    while at >= 0:
        yield at
        at = data.find(magic, at + 1)


def _frame(data: memoryview, codec: str) -> bytes:
    """Decompress as much as can be: a frame that was cut, or that something else follows, still gives all it holds."""
    whole = bytearray()
    for step in (2**20, 4096, 64, 1):
        with suppress(OSError, pa.ArrowException), pa.CompressedInputStream(pa.BufferReader(data), codec) as stream:
            if whole:
                stream.read(len(whole))
            while len(whole) < LARGEST and (piece := stream.read(step)):
                whole += piece
            break
    return bytes(whole)


def _inflated(data: memoryview) -> bytes:
    with suppress(zlib.error):
        return zlib.decompressobj(47).decompress(data[:WINDOW], LARGEST)  # 47: gzip or zlib, whichever the header says
    return b""


def _unbase64(run: bytes) -> bytes:
    whole = run[: len(run) // 4 * 4].translate(bytes.maketrans(b"-_", b"+/"))
    rest = run[len(whole) :]
    with suppress(binascii.Error):
        return base64.b64decode(whole) + (base64.b64decode(rest + b"=" * (4 - len(rest))) if len(rest) > 1 else b"")
    return b""


def _unhex(run: bytes) -> bytes:
    return bytes.fromhex(run[: len(run) // 2 * 2].decode())


def _parquet(data: bytes) -> bytes:
    if not data.startswith(_PARQUET):
        return b""
    try:
        table = pq.ParquetFile(pa.BufferReader(data)).read()
    except (OSError, pa.ArrowException):
        return b""
    return _lines([*table.column_names, *(value for column in table.columns for value in column.to_pylist())])


def _sqlite(data: bytes) -> bytes:
    if not data.startswith(_SQLITE):
        return b""
    with (
        _copy(data) as copy,
        suppress(sqlite3.DatabaseError),
        closing(sqlite3.connect(f"file:{copy}?immutable=1", uri=True)) as db,
    ):
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return _lines(
            value
            for name in tables
            for row in db.execute(f'SELECT * FROM "{name}"')  # noqa: S608 — the file's own table names
            for value in row
        )
    return b""


def _duckdb(data: bytes) -> bytes:
    if data[8:12] != _DUCKDB:
        return b""
    with _copy(data) as copy, suppress(duckdb.Error), closing(duckdb.connect(str(copy), read_only=True)) as db:
        tables = db.execute("SELECT schema_name, table_name FROM duckdb_tables()").fetchall()
        return _lines(
            value for schema, name in tables for row in db.execute(f'FROM "{schema}"."{name}"').fetchall() for value in row
        )
    return b""


class _copy:  # noqa: N801 — reads as a function
    """The bytes as a file of their own, since engines open files."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __enter__(self) -> Path:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "copy"
        path.write_bytes(self._data)
        return path

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _lines(values: Iterable[Any]) -> bytes:
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)


def main(arguments: list[str]) -> int:
    """Search from the command line."""
    cut = arguments.index("--")
    report = search([Path(each) for each in arguments[:cut]], arguments[cut + 1 :])
    for found in report.found:
        print(f"{found.path}: {'/'.join(found.how) or 'plain'}: {found.canary}")  # noqa: T201 — a command
    print(f"{report.files} files, {report.bytes} bytes, decoded {report.decoded}")  # noqa: T201 — a command
    return 1 if report.found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
