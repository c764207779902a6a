"""Statements of the hot path, compiled once and given to the driver itself: SQLAlchemy around one costs more than running it.

SQL is standard, with values by name (`:name`), so that the same text serves SQLite and PostgreSQL. Values are already in the
form the database keeps (`instant_text`, JSON as text), and rows give them back in that form. What a partial index tests is
written out in the text: the engine does not look behind a bound value. The transaction is SQLAlchemy's, and so is its end.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any, Protocol

from sqlalchemy import Connection, Dialect, text

from sovereign.state.store import State


class Cursor(Protocol):
    """What a statement gives (PEP 249): rows as tuples, in the order of its columns."""

    @property
    def rowcount(self) -> int:
        """How many rows it changed."""
        ...

    def fetchone(self) -> Any:  # noqa: ANN401 - a row, or None
        """The next row; None after the last."""
        ...

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        ...


class Statement:
    """One statement, ready to run."""

    def __init__(self, state: State | Dialect, sql: str) -> None:
        compiled = text(sql).compile(dialect=state if isinstance(state, Dialect) else state.engine.dialect)
        self._sql = str(compiled)
        self._given = _arranged(compiled.positiontup if compiled.positional else None)

    def __call__(self, transaction: Connection, /, **values: object) -> Cursor:
        """Run it with these values; the connection begins a transaction when it has none."""
        found: Cursor = driver(transaction).execute(self._sql, self._given(values))
        return found

    def look(self, connection: Connection, /, **values: object) -> Any:  # noqa: ANN401 - a row, or None
        """The first row as it is committed now, outside any transaction."""
        return direct(connection).execute(self._sql, self._given(values)).fetchone()

    def each(self, transaction: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Run it once a row."""
        driver(transaction).executemany(self._sql, [self._given(row) for row in rows])


def insert(state: State, table: str, *columns: str) -> Statement:
    """Insert rows of these columns."""
    return Statement(state, f"INSERT INTO {table} ({', '.join(columns)}) VALUES (:{', :'.join(columns)})")  # noqa: S608 - names of ours


def run(transaction: Connection, sql: str, /, **values: object) -> Cursor:
    """Run a statement that belongs to no object; it is compiled once a dialect."""
    return _compiled(sql, transaction.dialect)(transaction, **values)


@lru_cache(maxsize=256)
def _compiled(sql: str, dialect: Dialect) -> Statement:
    return Statement(dialect, sql)


def driver(transaction: Connection) -> Any:  # noqa: ANN401 - sqlite3's connection, or psycopg's
    """The driver's own connection, in a transaction."""
    if not transaction.in_transaction():
        transaction.begin()
    return direct(transaction)


def direct(connection: Connection) -> Any:  # noqa: ANN401 - sqlite3's connection, or psycopg's
    """The driver's own connection, as it is."""
    return connection.connection.dbapi_connection


def _arranged(order: list[str] | None) -> Callable[[Mapping[str, object]], Any]:
    """How values by name become what the driver takes."""
    if order is None:
        return dict
    if len(order) == 1:
        return lambda values: (values[order[0]],)
    return itemgetter(*order) if order else lambda _: ()
