"""Bring a database to the present schema: numbered SQL files, each applied once, all in one transaction.

A file that was applied is never edited: its digest is kept and compared. A database with a number we do not have is left alone.
"""

import hashlib
import re
from importlib.resources.abc import Traversable

from sqlalchemy import Connection, inspect, select, text

from sovereign.clock import Clock
from sovereign.state.errors import StateDamaged, StateTooNew
from sovereign.state.schema import migrations

_BYTES = {"sqlite": "BLOB", "postgresql": "BYTEA"}


def migrate(connection: Connection, folder: Traversable, clock: Clock) -> list[int]:
    """Apply what is missing; returns the numbers applied. Errors: StateTooNew, StateDamaged."""
    if not inspect(connection).has_table("migrations"):
        migrations.create(connection)
    known = {row.number: row.sha256 for row in connection.execute(select(migrations))}
    ours = sorted((int(file.name[:4]), file) for file in folder.iterdir() if re.fullmatch(r"\d{4}_\w+\.sql", file.name))
    if unknown := known.keys() - {number for number, _ in ours}:
        raise StateTooNew(number=max(unknown))
    applied = []
    for number, file in ours:
        script = file.read_text("utf-8")
        digest = hashlib.sha256(script.encode()).hexdigest()
        if number in known:
            if known[number] != digest:
                raise StateDamaged(path="state.db", reason=f"migration {number}")
            continue
        for statement in statements(script.replace("{BYTES}", _BYTES[connection.dialect.name])):
            connection.execute(text(statement))
        connection.execute(migrations.insert().values(number=number, name=file.name, sha256=digest, applied_at=clock()))
        applied.append(number)
    return applied


def statements(script: str) -> list[str]:
    """Cut a script into its statements: one ends where a line ends with a semicolon; comments are whole lines."""
    lines = [line for line in script.splitlines() if not line.lstrip().startswith("--")]
    return [statement.strip() for statement in re.split(r";\s*(?:\n|\Z)", "\n".join(lines)) if statement.strip()]
