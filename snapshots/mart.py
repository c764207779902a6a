"""One mart: an encrypted DuckDB file that holds one dataset at one clearance.

1. The file is DuckDB's own format, encrypted by DuckDB (AES-256-GCM) under a random 256-bit key of its own.
2. It holds the table `data` and the one-row table `origin`, which says which manifest the rows are. A reader checks `origin`
   against what it was promised: a pointer edited by hand, or an older file put back, does not open.
3. DuckDB writes encrypted files only with OpenSSL, which comes in the extension httpfs: it is loaded from the installed wheel,
   by its path, without any network.

It does not know where marts are kept, nor who may open which: see `snapshots.serving` and `snapshots.engine`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pyarrow as pa

from snapshots.refusals import MartUnreadable

DATA = "data"
ORIGIN = "origin"


@dataclass(frozen=True, slots=True)
class MartColumn:
    """A column of a mart: its name, and the class of what it holds."""

    name: str
    class_name: str


@dataclass(frozen=True, slots=True)
class Mart:
    """What it takes to read one dataset at one clearance.

    `key` is 64 hexadecimal digits and never shown; `manifest` is the hash of the manifest whose rows these are; `missing` names
    the classes that the clearance covers and whose keys were destroyed: their columns are not there.
    """

    path: Path
    key: str = field(repr=False)
    connection: str
    stream: str
    clearance: str
    manifest: str
    sequence: int
    columns: tuple[MartColumn, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The dataset as SQL names it: `connection.stream`."""
        return f"{self.connection}.{self.stream}"

    def warnings(self) -> tuple[tuple[str, str], ...]:
        """What a reader must know about the rows (French, English)."""
        return tuple(
            (
                f"{self.name} : les clés de la classe « {gone} » ont été détruites, ses colonnes ne sont plus lisibles.",
                f"{self.name}: the keys of class {gone} were destroyed, its columns can no longer be read.",
            )
            for gone in self.missing
        )


def quote(name: str) -> str:
    """A SQL identifier in quotes."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A SQL string in quotes."""
    return "'" + text.replace("'", "''") + "'"


@cache
def extension() -> Path:
    """Where the wheel `duckdb-extension-httpfs` put the extension that fits this DuckDB."""
    spec = find_spec("duckdb_extension_httpfs")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("duckdb-extension-httpfs")
    return Path(spec.origin).parent / "extensions" / f"v{duckdb.__version__}" / "httpfs.duckdb_extension"


def connect() -> duckdb.DuckDBPyConnection:
    """A DuckDB instance of its own, in memory, able to read and write encrypted files, that fetches nothing by itself."""
    connection = duckdb.connect(":memory:")
    for setting in (
        "autoinstall_known_extensions=false",
        "autoload_known_extensions=false",
        "allow_community_extensions=false",
        "allow_persistent_secrets=false",
        "python_enable_replacements=false",
        "enable_progress_bar=false",
    ):
        connection.execute(f"SET {setting}")
    connection.execute(f"LOAD {literal(str(extension()))}")
    connection.execute("SET temp_file_encryption=true")
    return connection


def attach(connection: duckdb.DuckDBPyConnection, path: Path, key: str, alias: str, *, read_only: bool) -> None:
    """Open an encrypted file under `alias`; the caller turns what DuckDB raises into a fault without its text."""
    mode = "READ_ONLY, " if read_only else ""
    connection.execute(
        f"ATTACH {literal(str(path))} AS {quote(alias)} ({mode}ENCRYPTION_KEY {literal(key)}, ENCRYPTION_CIPHER 'GCM')"
    )


def open_mart(connection: duckdb.DuckDBPyConnection, mart: Mart, alias: str) -> None:
    """Attach a mart to read, and make sure that it is the one that was promised.

    Raises MartUnreadable: the file is gone, another key closed it, its bytes changed, or it holds another manifest.
    """
    try:
        attach(connection, mart.path, mart.key, alias, read_only=True)
        found = connection.execute(f"SELECT manifest, clearance FROM {quote(alias)}.main.{ORIGIN}").fetchall()  # noqa: S608 - our names
    except duckdb.Error:
        raise MartUnreadable(dataset=mart.name) from None  # the text may hold the path or the key
    if found != [(mart.manifest, mart.clearance)]:
        raise MartUnreadable(dataset=mart.name)


@contextmanager
def written(path: Path, key: str, *, memory: int, spill: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a mart to write, under the name `mart`; leave it whole on disk, without a write-ahead log, when the block ends well.

    Arguments: memory: bytes the engine may hold; spill: a private folder for what does not fit, which is encrypted there.
    """
    connection = connect()
    try:
        for setting in (f"memory_limit='{memory}B'", "threads=2", f"temp_directory={literal(str(spill))}", "TimeZone='UTC'"):
            connection.execute(f"SET {setting}")
        attach(connection, path, key, "mart", read_only=False)
        yield connection
        connection.execute("CHECKPOINT mart")
        connection.execute("DETACH mart")
    finally:
        connection.close()


def fill(connection: duckdb.DuckDBPyConnection, rows: pa.RecordBatchReader) -> None:
    """Make the table `data` of a new mart out of a stream of batches."""
    connection.register("rows", rows)
    columns = ", ".join(_column(field) for field in rows.schema)
    connection.execute(f"CREATE TABLE mart.main.{DATA} AS SELECT {columns} FROM rows")  # noqa: S608 - quoted names
    connection.unregister("rows")


def stamp(connection: duckdb.DuckDBPyConnection, manifest: str, sequence: int, clearance: str) -> None:
    """Write which manifest the rows are."""
    connection.execute(
        f"CREATE OR REPLACE TABLE mart.main.{ORIGIN} AS "
        "SELECT $1::VARCHAR AS manifest, $2::BIGINT AS sequence, $3::VARCHAR AS clearance",
        [manifest, sequence, clearance],
    )


def _column(field: pa.Field) -> str:
    """Types that DuckDB does not store as they are become text."""
    name = quote(field.name)
    return f"{name}::VARCHAR AS {name}" if pa.types.is_null(field.type) or pa.types.is_decimal256(field.type) else name
