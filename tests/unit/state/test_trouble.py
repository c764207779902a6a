"""What the disk, the file or another process did to state.db is said as a fault, and what was written before is still there."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select
from sqlalchemy.exc import IntegrityError

from sovereign.state import State, StateBusy, StateDamaged, StateError, StateFull, StateReadOnly, store
from sovereign.state.schema import counters

HOLD = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute(sys.argv[2])
print("held", flush=True)
sys.stdin.read()
"""


def put(state: State, name: str, value: int = 1) -> None:
    with state.begin() as connection:
        connection.execute(insert(counters).values(name=name, value=value))


def names(state: State) -> int:
    with state.read() as reader:
        return int(reader.execute(select(func.count()).select_from(counters)).scalar_one())


@contextmanager
def held_elsewhere(path: Path, statement: str) -> Iterator[None]:
    """Another process holds the file."""
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(path), statement], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        yield
    finally:
        other.communicate(timeout=60)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        assert os.environ.get("CI") != "true", "a small tmpfs cannot be mounted here"
        pytest.skip("a small tmpfs cannot be mounted here")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(place: Path) -> Path:
    filler = place / "filler"
    with filler.open("wb", buffering=0) as sink, suppress(OSError):
        while sink.write(bytes(4096)):
            pass
    return filler


def read_all(path: Path) -> None:
    with State(path) as state, state.read() as reader:
        reader.execute(select(counters)).all()


def flood(state: State, written: list[str]) -> None:
    for number in range(1000):
        put(state, f"{number}-" + "x" * 2000)
        written.append(f"{number}")


def told(fault: StateError) -> None:
    for language in ("fr", "en"):
        said = fault.diagnostics(language)
        assert "state.db" in said.what
        assert said.todo


def test_a_lock_that_another_process_holds_is_said_and_the_write_goes_through_once_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_BUSY", 0.2)
    with State(tmp_path / "state.db") as state:
        with held_elsewhere(state.path, "BEGIN IMMEDIATE"):
            with pytest.raises(StateBusy) as fault:
                put(state, "one")
            told(fault.value)
            assert fault.value.kind == "locked"
            before = names(state)  # a reader waits for nobody
        put(state, "one")
        assert names(state) == before + 1


def test_a_full_disk_is_said_nothing_is_lost_and_work_goes_on_once_there_is_room(small_disk: Path) -> None:
    with State(small_disk / "state.db") as state:
        put(state, "before")
        known, filler = names(state), fill(small_disk)
        written: list[str] = []
        with pytest.raises(StateFull) as fault:
            flood(state, written)
        known += len(written)
        told(fault.value)
        filler.unlink()
        assert names(state) == known
        put(state, "after")
        assert names(state) == known + 1
    with State(small_disk / "state.db") as state:
        assert names(state) == known + 1


def test_a_site_whose_disk_is_full_opens_with_the_same_word(small_disk: Path) -> None:
    State(small_disk / "state.db").close()
    fill(small_disk)
    with pytest.raises(StateFull) as fault, State(small_disk / "state.db") as state:
        flood(state, [])
    told(fault.value)


def test_a_disk_mounted_read_only_is_said(small_disk: Path) -> None:
    State(small_disk / "state.db").close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(StateReadOnly) as fault:
        State(small_disk / "state.db")
    told(fault.value)
    assert "EROFS" in str(fault.value)


@pytest.mark.parametrize("damage", ["at opening", "afterwards"])
def test_a_damaged_database_is_said_to_be_damaged(tmp_path: Path, damage: str) -> None:
    state = State(tmp_path / "state.db")
    with state.begin() as connection:
        connection.execute(insert(counters), [{"name": f"{n}-" + "x" * 500, "value": n} for n in range(500)])
    state.scrub()
    state.close()
    size = state.path.stat().st_size
    with state.path.open("r+b") as file:
        file.seek(0 if damage == "at opening" else size // 2)
        file.write(b"\xff" * (size // 2))
    with pytest.raises(StateDamaged) as fault:
        read_all(state.path)
    told(fault.value)


def test_a_folder_in_the_place_of_the_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    with pytest.raises(StateDamaged) as fault:
        State(tmp_path / "state.db")
    told(fault.value)


def test_a_mistake_of_ours_is_not_taken_for_the_disk_s(tmp_path: Path) -> None:
    with State(tmp_path / "state.db") as state:
        put(state, "twice")
        with pytest.raises(IntegrityError) as error:
            put(state, "twice")
    assert "UNIQUE" in str(error.value)
