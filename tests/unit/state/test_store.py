"""What `state.db` promises."""

import importlib.resources
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_mock_engine, func, insert, inspect, select
from sqlalchemy.exc import DBAPIError

from sovereign.clock import now
from sovereign.state import (
    State,
    StateBusy,
    StateError,
    StateTooNew,
    flowing,  # noqa: F401 — its tables join the metadata
    outbound,  # noqa: F401 — its tables join the metadata
    store,
    telling,  # noqa: F401 — its tables join the metadata
)
from sovereign.state.migrate import statements
from sovereign.state.runs import Runs
from sovereign.state.schema import counters, metadata, runs

MIGRATIONS = importlib.resources.files("sovereign.state") / "migrations"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def test_the_file_and_its_journal_are_readable_by_their_owner_alone(path: Path) -> None:
    old = os.umask(0)
    try:
        with State(path) as state:
            Runs(state, now).start("ville", "cli")
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}


def test_a_write_is_durable_and_its_failure_leaves_nothing(path: Path) -> None:
    with State(path) as state:

        def fails() -> None:
            with state.begin() as connection:
                connection.execute(insert(counters).values(name="x", value=1))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fails()
        with state.read() as reader:
            names = ("journal_mode", "synchronous", "secure_delete")
            assert [reader.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names] == ["wal", 2, 1]
            assert reader.execute(select(func.count()).select_from(counters)).scalar() == 1


def test_what_was_committed_survives_a_kill(path: Path) -> None:
    script = """if True:
        import os, signal, sys
        from pathlib import Path
        from sovereign.clock import now
        from sovereign.state import Runs, State
        runs = Runs(State(Path(sys.argv[1])), now)
        for number in range(5):
            runs.start("ville", "cli", run=f"run-{number}")
        os.kill(os.getpid(), signal.SIGKILL)
    """
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    with State(path) as state:
        assert [run.id for run in Runs(state, now).list()] == [f"run-{number}" for number in (4, 3, 2, 1, 0)]


def test_writers_of_several_threads_wait_for_each_other(path: Path) -> None:
    with State(path) as state:

        def work() -> None:
            for _ in range(20):
                with state.begin() as connection:
                    value = connection.execute(select(counters.c.value).where(counters.c.name == "audit")).scalar_one()
                    connection.execute(counters.update().where(counters.c.name == "audit").values(value=value + 1))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with state.read() as reader:
            assert reader.execute(select(counters.c.value).where(counters.c.name == "audit")).scalar_one() == 80


def test_the_migrations_make_exactly_the_tables_that_queries_expect(path: Path) -> None:
    with State(path) as state, state.read() as reader:
        found = inspect(reader)
        assert set(found.get_table_names()) == set(metadata.tables)
        for name, table in metadata.tables.items():
            made = {column["name"]: column["nullable"] for column in found.get_columns(name)}
            assert made == {column.name: bool(column.nullable) for column in table.columns}, name
            assert found.get_pk_constraint(name)["constrained_columns"] == [column.name for column in table.primary_key], name


def test_an_old_database_is_brought_forward_and_keeps_its_rows(path: Path, tmp_path: Path) -> None:
    with State(path) as state:
        Runs(state, now).start("ville", "cli", run="old")
    newer = tmp_path / "newer"
    newer.mkdir()
    for file in MIGRATIONS.iterdir():
        if file.name.endswith(".sql"):
            (newer / file.name).write_text(file.read_text("utf-8"))
    last = max(int(file.name[:4]) for file in newer.iterdir())
    (newer / f"{last + 1:04d}_more.sql").write_text(
        "-- more\nALTER TABLE runs ADD COLUMN note TEXT;\nCREATE TABLE more (data {BYTES});\n"
    )
    with State(path, migrations=newer) as state, state.read() as reader:
        assert inspect(reader).has_table("more")
        assert reader.exec_driver_sql("SELECT id, note FROM runs").all() == [("old", None)]
    with pytest.raises(StateTooNew) as fault:
        State(path)
    assert fault.value.fields["number"] == last + 1


def test_each_migration_applies_on_the_ones_before_it(path: Path, tmp_path: Path) -> None:
    step = tmp_path / "step"
    step.mkdir()
    for file in sorted((file for file in MIGRATIONS.iterdir() if file.name.endswith(".sql")), key=lambda file: file.name):
        (step / file.name).write_text(file.read_text("utf-8"))
        State(path, migrations=step).close()


def test_a_migration_that_fails_leaves_the_database_as_it_was(path: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad"
    bad.mkdir()
    (bad / "0001_initial.sql").write_text("CREATE TABLE one (x TEXT);\nCREATE TABLE one (x TEXT);\n")
    with pytest.raises(StateError):
        State(path, migrations=bad)
    with State(path) as state, state.read() as reader:
        assert not inspect(reader).has_table("one")
        assert inspect(reader).has_table("runs")


def test_an_edited_migration_and_a_file_that_is_no_database_are_said(path: Path, tmp_path: Path) -> None:
    State(path).close()
    edited = tmp_path / "edited"
    edited.mkdir()
    for file in MIGRATIONS.iterdir():
        if file.name.endswith(".sql"):
            (edited / file.name).write_text(file.read_text("utf-8") + "-- edited\n")
    with pytest.raises(StateError):
        State(path, migrations=edited)
    other = tmp_path / "other.db"
    other.write_bytes(b"not a database" * 1000)
    with pytest.raises(StateError):
        State(other)


def test_the_schema_and_the_queries_are_postgresqls_too() -> None:
    said: list[str] = []
    engine = create_mock_engine(
        "postgresql+psycopg://", lambda sql, *_, **__: said.append(str(sql.compile(dialect=engine.dialect)))
    )
    metadata.create_all(engine, checkfirst=False)
    assert len(said) == len(metadata.tables)
    query = select(runs).where(runs.c.id == "x").with_for_update()
    assert "FOR UPDATE" in str(query.compile(dialect=engine.dialect))


def test_no_statement_of_a_migration_is_lost_to_the_cut() -> None:
    script = (MIGRATIONS / "0001_initial.sql").read_text("utf-8")
    assert sum(script.count(word) for word in ("CREATE ", "INSERT ")) == len(statements(script))


def test_deleted_bytes_are_gone_from_the_files(path: Path) -> None:
    canary = "canari-" + "x" * 40
    with State(path) as state:
        with state.begin() as connection:
            connection.execute(insert(counters).values(name=canary, value=1))
        assert any(canary.encode() in file.read_bytes() for file in path.parent.iterdir())
        with state.begin() as connection:
            connection.execute(counters.delete().where(counters.c.name == canary))
        state.scrub()
        assert not any(canary.encode() in file.read_bytes() for file in path.parent.iterdir())


def test_a_plain_sqlite_tool_can_read_it(path: Path) -> None:
    with State(path) as state:
        Runs(state, now).start("ville", "cli", run="one")
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT id, state FROM runs").fetchall() == [("one", "running")]
    connection.close()


def test_an_error_of_the_database_quotes_no_value(path: Path) -> None:
    put = insert(counters).values(name="canari", value=1)
    with State(path) as state, state.begin() as connection:
        connection.execute(put)
        with pytest.raises(DBAPIError) as error:
            connection.execute(put)
    assert "UNIQUE" in str(error.value)
    assert "canari" not in str(error.value)


def test_a_database_that_another_holds_is_busy_and_not_damaged(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BUSY", 0.1)
    with State(path) as state, state.begin(), pytest.raises(StateBusy) as fault:
        State(path)
    assert fault.value.kind == "locked"


def test_deleted_bytes_that_a_long_reader_keeps_are_not_said_to_be_gone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "_BUSY", 0.1)
    with State(path) as state:
        with state.read() as reader:
            reader.execute(select(counters)).all()
            with state.begin() as connection:
                connection.execute(insert(counters).values(name="canari", value=1))
            with pytest.raises(StateBusy):
                state.scrub()
        state.scrub()
    assert Path(f"{path}-wal").exists() is False or Path(f"{path}-wal").stat().st_size == 0
