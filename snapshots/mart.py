"""One mart: an encrypted DuckDB file that holds one dataset at one clearance.

1. The file is DuckDB's own format, encrypted by DuckDB (AES-256-GCM) under a random 256-bit key of its own.
2. It holds the table `data`; the table `columns`, which names and classes them; and the one-row table `origin`, which says
   which manifest the rows are. A reader checks `origin` against what it was promised: an older file put back does not open.
3. DuckDB writes encrypted files only with OpenSSL, which comes in the extension httpfs: it is loaded from the installed wheel,
   by its path, without any network.

It does not know where marts are kept, nor who may open which: see `snapshots.serving` and `snapshots.engine`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import duckdb

from snapshots.dataset import DatasetId
from snapshots.parts import ROWS
from snapshots.reclassed import told
from snapshots.refusals import MartUnreadable

DATA = "data"
ORIGIN = "origin"
COLUMNS = "columns"


@dataclass(frozen=True, slots=True)
class MartColumn:
    """A column of a mart: its name in the table, the name people see, the class of what it holds; hidden ones are ours."""

    stored: str
    shown: str
    class_name: str
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Mart:
    """What it takes to read one dataset at one clearance.

    `key` is 64 hexadecimal digits and never shown; `manifest` is the hash of the manifest whose rows these are; `missing` names
    the classes that the clearance covers and whose keys were destroyed: their columns are not there; `withheld` counts those
    that are not there because their class was raised since (`snapshots.reclassed`).
    """

    path: Path
    key: str = field(repr=False)
    connection: str
    stream: str
    clearance: str
    manifest: str
    sequence: int
    missing: tuple[str, ...] = ()
    withheld: int = 0

    @property
    def name(self) -> str:
        """The dataset as SQL names it: `connection.stream`."""
        return f"{self.connection}.{self.stream}"

    def warnings(self) -> tuple[tuple[str, str], ...]:
        """What a reader must know about the rows (French, English)."""
        risen = [told(DatasetId(self.connection, self.stream), self.sequence, self.withheld)] if self.withheld else []
        gone = [
            (
                f"{self.name} : des clés de la classe « {each} » ont été détruites, ses colonnes ne sont plus lisibles.",
                f"{self.name}: keys of class {each} were destroyed, its columns can no longer be read.",
            )
            for each in self.missing
        ]
        return (*gone, *risen)


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


def connect(*, writes: bool = True) -> duckdb.DuckDBPyConnection:
    """A DuckDB instance of its own, in memory, able to read and write encrypted files, that fetches nothing by itself.

    writes: without them it is made in a tenth of the time, and refuses to write any file.
    """
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
    if writes:
        connection.execute(f"LOAD {literal(str(extension()))}")
    connection.execute("SET temp_file_encryption=true")
    return connection


def attach(
    connection: duckdb.DuckDBPyConnection, path: Path, key: str, alias: str, *, read_only: bool, group: int = ROWS
) -> None:
    """Open an encrypted file under `alias`; the caller turns what DuckDB raises into a fault without its text.

    `group`: rows in a row group of the tables that are made in it, a multiple of 2,048.
    """
    mode = "READ_ONLY, " if read_only else f"ROW_GROUP_SIZE {group}, "
    connection.execute(
        f"ATTACH {literal(str(path))} AS {quote(alias)} ({mode}ENCRYPTION_KEY {literal(key)}, ENCRYPTION_CIPHER 'GCM')"
    )


def open_mart(connection: duckdb.DuckDBPyConnection, mart: Mart, alias: str) -> list[MartColumn]:
    """Attach a mart to read, make sure that it is the one that was promised, and give its columns in order.

    Raises MartUnreadable: the file is gone, another key closed it, its bytes changed, or it holds another manifest.
    """
    at = f"{quote(alias)}.main"
    try:
        attach(connection, mart.path, mart.key, alias, read_only=True)
        found = connection.execute(f"SELECT manifest, clearance FROM {at}.{ORIGIN}").fetchall()  # noqa: S608 - our names
        columns = connection.execute(f"SELECT stored, shown, class, hidden FROM {at}.{COLUMNS} ORDER BY place").fetchall()  # noqa: S608
    except duckdb.Error:
        raise MartUnreadable(dataset=mart.name) from None  # the text may hold the path or the key
    if found != [(mart.manifest, mart.clearance)]:
        raise MartUnreadable(dataset=mart.name)
    return [MartColumn(*column) for column in columns]


def reads(path: Path, key: str, *, memory: int) -> bool:
    """Tell whether a mart reads to its end, every block of every column; `memory` in bytes."""
    connection = connect()
    try:
        connection.execute(f"SET memory_limit='{memory}B'")
        connection.execute("SET temp_directory=''")
        attach(connection, path, key, "mart", read_only=True)
        connection.execute(f"SELECT bit_xor(hash({DATA})) FROM mart.main.{DATA}").fetchall()  # noqa: S608 - our name
    except duckdb.OutOfMemoryException:
        return True  # too little memory to tell is no damage
    except duckdb.Error:
        return False
    finally:
        connection.close()
    return True


def row_group(columns: int) -> int:
    """Give how many rows a row group of so many columns has: a part's, fewer where the table is wide (about 64 MiB)."""
    return max(4_096, min(ROWS, 32 * ROWS // max(1, columns) // 2_048 * 2_048))


@contextmanager
def written(path: Path, key: str, *, memory: int, group: int = ROWS, threads: int = 2) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a mart to write, under the name `mart`; on leaving it is whole on disk, without a log beside it.

    No transaction is around it: one would keep every Arrow table that it read, and nobody reads the file before it is whole.

    Arguments: memory: bytes the engine may hold; what does not fit spills encrypted beside the file; group: see `attach`.
    Rows that come a whole row group at a time go straight to their place, without passing through the write-ahead log.
    """
    connection = connect()
    try:
        spill = path.with_name(f"{path.name}.spill")
        for setting in (
            f"memory_limit='{memory}B'",
            f"threads={threads}",
            f"temp_directory={literal(str(spill))}",
            "TimeZone='UTC'",
        ):
            connection.execute(f"SET {setting}")
        attach(connection, path, key, "mart", read_only=False, group=group)
        path.chmod(0o600)
        yield connection
        connection.execute("CHECKPOINT mart")
        connection.execute("DETACH mart")
    finally:
        connection.close()


def stamp(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[MartColumn], *, manifest: str, sequence: int, clearance: str
) -> None:
    """Write which manifest the rows are, and what the columns are."""
    connection.execute(
        f"CREATE OR REPLACE TABLE mart.main.{ORIGIN} AS "
        "SELECT $1::VARCHAR AS manifest, $2::BIGINT AS sequence, $3::VARCHAR AS clearance",
        [manifest, sequence, clearance],
    )
    connection.execute(
        f"CREATE OR REPLACE TABLE mart.main.{COLUMNS} "
        "(place INTEGER, stored VARCHAR, shown VARCHAR, class VARCHAR, hidden BOOLEAN)"
    )
    rows = [(place, each.stored, each.shown, each.class_name, each.hidden) for place, each in enumerate(columns)]
    connection.executemany(f"INSERT INTO mart.main.{COLUMNS} VALUES (?, ?, ?, ?, ?)", rows)  # noqa: S608 - our names
