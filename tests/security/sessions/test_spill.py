"""What does not fit in memory goes to disk: nobody reads it there, and nothing of it stays."""

import multiprocessing
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from snapshots.engine import Limits, Session, sweep
from snapshots.mart import Mart
from snapshots.refusals import TooLarge

CANARY = "CANARI-Zoe-Dupont"
ROWS = 400_000
QUESTION = "SELECT name, id FROM town.people ORDER BY hash(id), name"  # the name is both a sort key and a payload
SMALL = Limits(memory=48 << 20, threads=1)


@pytest.fixture(scope="module")
def people(mart: Callable[..., Mart]) -> Mart:
    ids = pa.array(range(ROWS), pa.int64())
    names = pa.array([f"{CANARY}-{n:0200d}" for n in range(ROWS)])
    return mart(pa.table({"id": ids, "name": names}), stream="people")


def spilled(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]


def found(paths: list[Path], canary: str) -> int:
    """Count a canary in files and in whatever Zstandard frames stand in them (RFC 8878), as it is and as DuckDB's sort keys
    hold it: each byte one more."""
    forms = canary.encode(), bytes(each + 1 for each in canary.encode())
    count = 0
    for path in paths:
        data = path.read_bytes()
        pieces, at = [data], data.find(b"\x28\xb5\x2f\xfd")
        while at >= 0:
            with suppress(OSError):
                pieces.append(pa.CompressedInputStream(pa.BufferReader(data[at:]), "zstd").read(1 << 18))
            at = data.find(b"\x28\xb5\x2f\xfd", at + 1)
        count += sum(piece.count(form) for piece in pieces for form in forms)
    return count


def test_spill_is_encrypted_private_and_gone_with_the_session(tmp_path: Path, people: Mart) -> None:
    spill = tmp_path / "spill"
    with Session({("town", "people"): people}, spill=spill, limits=SMALL) as session:
        reader = session.execute(QUESTION).reader
        rows = next(reader).num_rows
        files = spilled(spill)
        assert sum(path.stat().st_size for path in files) > 1 << 20
        assert found(files, CANARY) == 0
        folders = [spill, *(path for path in spill.rglob("*") if path.is_dir())]
        assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
        assert rows + sum(batch.num_rows for batch in reader) == ROWS
    assert list(spill.iterdir()) == []


def test_the_search_finds_the_same_rows_where_spill_is_not_encrypted(tmp_path: Path) -> None:
    """The control: the same sort, in DuckDB as it comes."""
    plain = duckdb.connect(":memory:")
    for setting in (
        f"temp_directory='{tmp_path}'",
        f"memory_limit='{SMALL.memory}B'",
        "threads=1",
        "python_enable_replacements=false",
    ):
        plain.execute(f"SET {setting}")
    rows = f"(SELECT range AS id, '{CANARY}-' || lpad(range::VARCHAR, 200, '0') AS name FROM range({ROWS}))"  # noqa: S608 - constants
    reader = plain.execute(QUESTION.replace("town.people", rows)).to_arrow_reader(10_000)
    next(reader)
    assert found(spilled(tmp_path), CANARY) > 100
    plain.close()


def test_spill_has_a_limit_and_passing_it_is_a_fault(tmp_path: Path, people: Mart) -> None:
    limits = Limits(memory=48 << 20, threads=1, spill=1 << 20)
    with Session({("town", "people"): people}, spill=tmp_path, limits=limits) as session:
        with pytest.raises(TooLarge) as fault:
            session.execute(QUESTION).reader.read_all()
        assert fault.value.fields == {"memory": 48, "spill": 1}
        assert session.execute("SELECT count(*) AS n FROM town.people").reader.read_all().to_pylist() == [{"n": ROWS}]


def test_a_few_rows_given_spill_encrypted_once_they_grow_too_many(tmp_path: Path) -> None:
    spill, few = tmp_path / "spill", pa.table({"n": pa.array(range(700), pa.int64())})
    names = f"'{CANARY}-' || lpad(concat(a.n, '-', b.n), 200, '0')"
    grown = f"SELECT {names} AS name, a.n AS id FROM event a, event b ORDER BY hash(id), name"  # noqa: S608 - constants
    with Session({}, given={("", "event"): few}, spill=spill, limits=SMALL) as session:
        assert session.execute("SELECT sum(n) AS n FROM event").reader.read_all().to_pylist() == [{"n": 244_650}]
        reader = session.execute(grown).reader
        rows = next(reader).num_rows
        files = spilled(spill)
        assert sum(path.stat().st_size for path in files) > 1 << 20
        assert found(files, CANARY) == 0
        assert rows + sum(batch.num_rows for batch in reader) == 490_000
        assert session.execute("SELECT count(*) AS n FROM event").reader.read_all().to_pylist() == [{"n": 700}]
    assert list(spill.iterdir()) == []


def _die_while_spilling(mart: Mart, spill: Path, ready: str) -> None:
    session = Session({("town", "people"): mart}, spill=spill, limits=SMALL)
    next(session.execute(QUESTION).reader)
    Path(ready).touch()
    time.sleep(300)


def test_what_a_killed_session_left_is_unreadable_and_swept_by_the_next_one_but_not_a_living_one(
    tmp_path: Path, people: Mart
) -> None:
    spill, ready = tmp_path / "spill", tmp_path / "ready"
    process = multiprocessing.get_context("spawn").Process(target=_die_while_spilling, args=(people, spill, str(ready)))
    process.start()
    while not ready.exists():
        assert process.is_alive()
        time.sleep(0.05)
    assert sweep(spill) == 0
    assert len(spilled(spill)) >= 1
    process.kill()
    process.join()
    left = spilled(spill)
    assert sum(path.stat().st_size for path in left) > 1 << 20
    assert found(left, CANARY) == 0
    with Session({("town", "people"): people}, spill=spill) as session:
        assert spilled(spill) == []
        assert len(list(spill.iterdir())) == 1
        assert session.execute("SELECT 1 AS one").reader.read_all().to_pylist() == [{"one": 1}]


def test_a_folder_that_a_session_is_making_is_not_swept_by_another(tmp_path: Path) -> None:
    sessions = [Session({}, spill=tmp_path) for _ in range(5)]
    assert len(list(tmp_path.iterdir())) == 5
    for session in sessions:
        session.close()
    assert list(tmp_path.iterdir()) == []
