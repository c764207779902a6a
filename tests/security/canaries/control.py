"""The control: what a site would hold if nothing were encrypted, each form in a file of its own."""

import base64
import gzip
import json
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import copytree
from urllib.parse import quote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq


def _parquet(compression: str, *, dictionary: bool) -> Callable[[Path, str], None]:
    def write(folder: Path, canary: str) -> None:
        table = pa.table({"id": list(range(1000)), "name": [f"filler {n}" for n in range(999)] + [canary]})
        pq.write_table(table, folder / "part.parquet", compression=compression, use_dictionary=dictionary)

    return write


def _arrow(folder: Path, canary: str) -> None:
    table = pa.table({"name": [f"filler {n}" for n in range(999)] + [canary]})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.OSFile(str(folder / "spill.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)


def _duckdb(folder: Path, canary: str) -> None:
    with closing(duckdb.connect(str(folder / "mart.duckdb"))) as db:
        db.execute("CREATE TABLE t AS SELECT range AS id, 'filler ' || range AS name FROM range(200000)")
        db.execute("UPDATE t SET name = ? WHERE id = 777", [canary])


def _spill(folder: Path, canary: str) -> None:
    """What DuckDB writes when it sorts more than its memory holds, as it is without `temp_file_encryption`."""
    settings = {"temp_directory": str(folder / "work"), "memory_limit": "48MB", "threads": 1}
    with closing(duckdb.connect(config=settings)) as db:
        question = "SELECT ? || (range * 7919 % 100003) AS s, 'x' || (range * 31 % 1000) AS t FROM range(600000) ORDER BY s, t"
        db.execute(question, [canary]).to_arrow_reader(1000).read_next_batch()
        copytree(folder / "work", folder / "spill")


def _sqlite(folder: Path, canary: str) -> None:
    with closing(sqlite3.connect(folder / "state.db")) as db:
        db.execute("CREATE TABLE entries (body BLOB)")
        db.execute("INSERT INTO entries VALUES (?)", [zlib.compress(canary.encode())])
        db.commit()


def _sqlite_removed(folder: Path, canary: str) -> None:
    with closing(sqlite3.connect(folder / "state.db")) as db:
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("CREATE TABLE entries (body TEXT)")
        db.execute("INSERT INTO entries VALUES (?)", [f"before {canary} after"])
        db.commit()
        db.execute("DELETE FROM entries")
        db.commit()


def _bytes(make: Callable[[str], bytes]) -> Callable[[Path, str], None]:
    def write(folder: Path, canary: str) -> None:
        (folder / "file").write_bytes(make(canary))

    return write


def _zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


FORMS: dict[str, Callable[[Path, str], None]] = {
    "plain": _bytes(lambda c: b"a line of a log: " + c.encode()),
    "utf-16": _bytes(lambda c: c.encode("utf-16")),
    "parquet": _parquet("none", dictionary=False),
    "parquet, zstd": _parquet("zstd", dictionary=True),
    "parquet, gzip": _parquet("gzip", dictionary=True),
    "parquet, snappy": _parquet("snappy", dictionary=True),
    "parquet, brotli": _parquet("brotli", dictionary=False),
    "arrow stream": _arrow,
    "duckdb": _duckdb,
    "duckdb spill": _spill,
    "sqlite": _sqlite,
    "sqlite, removed row": _sqlite_removed,
    "zstd after a header": _bytes(lambda c: b"header\x00\x01" + _zstd((c * 3).encode())),
    "zstd, cut": _bytes(lambda c: _zstd((c + " ").encode() + bytes(range(256)) * 4000)[:-20]),
    "gzip": _bytes(lambda c: gzip.compress(f"x {c} y".encode())),
    "gzip, two members": _bytes(lambda c: gzip.compress(b"first") + gzip.compress(c.encode())),
    "zlib": _bytes(lambda c: b"##" + zlib.compress(c.encode())),
    "base64": _bytes(lambda c: json.dumps({"body": base64.b64encode(f"abc{c}".encode()).decode()}).encode()),
    "base64, off by one": _bytes(lambda c: b"KEYx" + b"A" + base64.b64encode(f"{c}!!".encode())),
    "base64 of gzip": _bytes(lambda c: base64.b64encode(gzip.compress(c.encode()))),
    "hexadecimal": _bytes(lambda c: b"dump: " + c.encode().hex().encode()),
    "percent": _bytes(lambda c: b"GET /?q=" + quote(c, safe="").encode()),
    "escapes": _bytes(lambda c: b'{"name": "' + "".join(f"\\u{ord(each):04x}" for each in c).encode() + b'"}'),
    "file name": lambda folder, c: (folder / f"{c.replace('/', '_')}.csv").write_bytes(b"") and None,
}  # fmt: skip
