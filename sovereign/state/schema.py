"""The tables, as queries see them; `migrations/` makes them, and a test holds the two together."""

from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, TypeDecorator
from sqlalchemy.engine import Dialect

from sovereign.state.errors import StateDamaged


def instant_text(value: datetime) -> str:
    """An instant as text of fixed width, so that text order is time order. value: aware."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as UTC text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else instant_text(value)

    def process_result_value(self, value: str | None, _dialect: Dialect) -> datetime | None:
        """From text; errors: StateDamaged."""
        try:
            return None if value is None else datetime.fromisoformat(value)
        except ValueError:
            raise StateDamaged(path="state.db", reason="instant") from None


class JsonText(TypeDecorator[Any]):
    """A JSON value, kept as text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: object, _dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()

    def process_result_value(self, value: str | None, _dialect: Dialect) -> object:
        """From text; errors: StateDamaged."""
        try:
            return None if value is None else orjson.loads(value)
        except ValueError:
            raise StateDamaged(path="state.db", reason="json") from None


metadata = MetaData()

migrations = Table(
    "migrations",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("sha256", String, nullable=False),
    Column("applied_at", Instant, nullable=False),
)
counters = Table("counters", metadata, Column("name", String, primary_key=True), Column("value", BigInteger, nullable=False))
runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("connection", String, nullable=False),
    Column("trigger", String, nullable=False),
    Column("state", String, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("waiting_until", Instant),
    Column("attempts", Integer, nullable=False),
    Column("verdict", String),
    Column("error", String),
    Column("counts", JsonText, nullable=False),
    Column("outcome", JsonText),
)
attempts = Table(
    "attempts",
    metadata,
    Column("run", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("started_at", Instant, nullable=False),
    Column("finished_at", Instant),
    Column("state", String, nullable=False),
    Column("error", String),
)
leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("token", BigInteger, nullable=False),
    Column("holder", String),
    Column("place", String, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("born", BigInteger, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
jobs = Table(
    "jobs",
    metadata,
    Column("connection", String, primary_key=True),
    Column("cadence", String, nullable=False),
    Column("due_at", Instant),
    Column("last_due_at", Instant),
    Column("last_run", String),
    Column("last_state", String),
)
occurrences = Table(
    "occurrences",
    metadata,
    Column("id", String, primary_key=True),
    Column("connection", String, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("finished_at", Instant),
    Column("state", String, nullable=False),
    Column("run", String),
    Column("error", String),
)
audit_entries = Table(
    "audit_entries",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", String, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("at", Instant, nullable=False),
    Column("act", String, nullable=False),
    Column("connection", String),
    Column("stream", String),
)
audit_bodies = Table(
    "audit_bodies",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("sealed", LargeBinary, nullable=False),
)
audit_tiles = Table(
    "audit_tiles",
    metadata,
    Column("level", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hashes", LargeBinary, nullable=False),
)
audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("note", String, nullable=False),
)
