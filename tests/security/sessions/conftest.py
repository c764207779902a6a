"""Marts made by hand and sessions on them, without a repository: what is tried here is the session."""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from snapshots.engine import Limits, Session
from snapshots.mart import Mart, MartColumn, stamp, written
from snapshots.statement import Statement

CANARY = "CANARI-Dupont-Zoé"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where marts and spill are."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture(scope="session")
def mart(site: Path) -> Callable[..., Mart]:
    """Make a mart of a table."""

    def make(table: pa.Table, *, stream: str = "visits", clearance: str = "internal") -> Mart:
        path, key = site / "marts" / f"{secrets.token_hex(4)}.mart", secrets.token_hex(32)
        path.parent.mkdir(exist_ok=True)
        with written(path, key, memory=200 << 20) as connection:
            connection.register("rows", table)
            connection.execute("CREATE TABLE mart.main.data AS SELECT * FROM rows")
            columns = [MartColumn(name, name, "internal") for name in table.column_names]
            stamp(connection, columns, manifest="a" * 64, sequence=1, clearance=clearance)
        return Mart(path, key, "town", stream, clearance, "a" * 64, 1)

    return make


@pytest.fixture(scope="session")
def visits(mart: Callable[..., Mart]) -> Mart:
    return mart(pa.table({"id": list(range(1000)), "name": [f"{CANARY}-{n}" for n in range(1000)]}))


@pytest.fixture(scope="module")
def session(site: Path, visits: Mart) -> Iterator[Session]:
    with Session({("town", "visits"): visits}, spill=site / "spill", limits=Limits(memory=200 << 20)) as opened:
        yield opened


@pytest.fixture
def bare(site: Path, visits: Mart, monkeypatch: pytest.MonkeyPatch) -> Iterator[Session]:
    """A session whose first fence lets everything through: the engine's own locks stand alone."""
    monkeypatch.setattr("snapshots.engine.parse", lambda sql: Statement(sql, frozenset()))
    with Session({("town", "visits"): visits}, spill=site / "spill", limits=Limits(memory=200 << 20)) as opened:
        yield opened


@pytest.fixture
def loot(site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of files that no session may read, and the working folder besides."""
    folder = site / "loot"
    if folder.is_dir():
        monkeypatch.chdir(folder)
        return folder
    folder.mkdir()
    (folder / "secret.csv").write_text("name\nCANARY\n")
    (folder / "secret.json").write_text('{"name": "CANARY"}\n')
    (folder / "secret.txt").write_text("CANARY")
    (folder / "extension.duckdb_extension").write_bytes(os.urandom(64))
    monkeypatch.chdir(folder)
    return folder
