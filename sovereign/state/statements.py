"""Statements of the hot path, compiled once: building one costs more than running it.

SQL is standard, with values by name (`:name`), so that the same text serves SQLite and PostgreSQL. Values are already in the
form the database keeps (`instant_text`, JSON as text), and rows give them back in that form. What a partial index tests is
written out in the text: the engine does not look behind a bound value.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, CursorResult, text

from sovereign.state import State


class Statement:
    """One statement, ready to run."""

    def __init__(self, state: State, sql: str) -> None:
        compiled = text(sql).compile(dialect=state.engine.dialect)
        self._sql = str(compiled)
        self._order: list[str] | None = compiled.positiontup if compiled.positional else None

    def __call__(self, transaction: Connection, /, **values: object) -> CursorResult[Any]:
        """Run it with these values."""
        return transaction.exec_driver_sql(self._sql, self._given(values))

    def each(self, transaction: Connection, rows: Iterable[Mapping[str, object]]) -> None:
        """Run it once a row."""
        given: list[Any] = [self._given(row) for row in rows]
        if given:
            transaction.exec_driver_sql(self._sql, given)

    def _given(self, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a tuple or a mapping, as the driver wants
        return dict(values) if self._order is None else tuple(values[name] for name in self._order)


def insert(state: State, table: str, *columns: str) -> Statement:
    """Insert rows of these columns."""
    return Statement(state, f"INSERT INTO {table} ({', '.join(columns)}) VALUES (:{', :'.join(columns)})")  # noqa: S608 - names of ours
