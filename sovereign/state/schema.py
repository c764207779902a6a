"""The tables, as queries see them; `migrations/` makes them, and a test holds the two together."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table, TypeDecorator
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from sovereign.state.errors import StateDamaged


def instant_text(value: datetime) -> str:
    """An instant as text of fixed width, so that text order is time order. value: aware."""
    return value.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z"


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
Kind = type[TypeEngine[Any]]


def table(name: str, keys: Mapping[str, Kind], given: Mapping[str, Kind], maybe: Mapping[str, Kind] | None = None) -> Table:
    """Declare a table: the columns of its primary key, those that are always given, and those that may be NULL."""
    key = [Column(each, kind, primary_key=True, autoincrement=False) for each, kind in keys.items()]
    rest = [Column(each, kind, nullable=False) for each, kind in given.items()]
    return Table(name, metadata, *key, *rest, *(Column(each, kind) for each, kind in (maybe or {}).items()))


migrations = table("migrations", {"number": Integer}, {"name": String, "sha256": String, "applied_at": Instant})
counters = table("counters", {"name": String}, {"value": BigInteger})
runs = table(
    "runs",
    {"id": String},
    {"connection": String, "trigger": String, "state": String, "started_at": Instant, "attempts": Integer, "counts": JsonText},
    maybe={"finished_at": Instant, "waiting_until": Instant, "verdict": String, "error": String, "outcome": JsonText},
)
attempts = table(
    "attempts",
    {"run": String, "number": Integer},
    {"started_at": Instant, "state": String},
    maybe={"finished_at": Instant, "error": String},
)
leases = table(
    "leases",
    {"name": String},
    {"token": BigInteger, "place": String, "pid": BigInteger, "born": BigInteger, "expires_at": Instant},
    maybe={"holder": String},
)
jobs = table(
    "jobs",
    {"connection": String},
    {"cadence": String},
    maybe={"due_at": Instant, "last_due_at": Instant, "last_run": String, "last_state": String},
)
occurrences = table(
    "occurrences",
    {"id": String},
    {"connection": String, "due_at": Instant, "state": String},
    maybe={"started_at": Instant, "finished_at": Instant, "run": String, "error": String},
)
audit_entries = table(
    "audit_entries",
    {"seq": BigInteger},
    {"entry": String, "leaf": LargeBinary, "at": Instant, "act": String},
    maybe={"connection": String, "stream": String},
)
audit_bodies = table("audit_bodies", {"seq": BigInteger}, {"sealed": LargeBinary})
audit_tiles = table("audit_tiles", {"level": Integer, "number": BigInteger}, {"hashes": LargeBinary})
audit_checkpoints = table("audit_checkpoints", {"size": BigInteger}, {"note": String})
audit_witnesses = table(
    "audit_witnesses",
    {"name": String},
    {"key": String, "state": String, "since": Instant, "asked_at": Instant, "told": Integer},
    maybe={"note": String, "seen_at": Instant, "reason": String},
)
