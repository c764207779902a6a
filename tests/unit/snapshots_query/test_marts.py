"""Marts: what each clearance sees, how they follow the snapshots, what stays on disk, and what does not."""

import json
import multiprocessing
import os
import signal
import stat
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pytest

from snapshots import mart as mart_file
from snapshots import serving
from snapshots.dataset import DatasetId, DatasetSpec
from snapshots.engine import Session
from snapshots.mart import Mart
from snapshots.refusals import MartNotMade, MartUnreadable
from snapshots.serving import Marts
from vault.keys import Scope

Town: TypeAlias = Any  # the class is in conftest.py
Visits = Callable[..., pa.Table]


def files(town: Town, pattern: str = "*.mart") -> list[Path]:
    return sorted((town.root / "marts").rglob(pattern))


@pytest.mark.parametrize(
    ("clearance", "columns"),
    [
        ("internal", ["id", "place", "spent", "seen"]),
        ("personal", ["id", "name", "place", "spent", "seen"]),
        ("sensitive", ["id", "name", "place", "illness", "spent", "seen"]),
    ],
)
def test_a_clearance_sees_the_classes_up_to_it_in_the_vendor_s_order(
    town: Town, visits: Visits, clearance: str, columns: list[str]
) -> None:
    landed = town.land(town.VISITS, visits(1, 2))
    assert town.ask("FROM town.visits ORDER BY id", town.VISITS, landed, clearance) == visits(1, 2).select(columns).to_pylist()


def test_a_personal_key_is_a_pseudonym_below_and_itself_above(town: Town) -> None:
    landed = town.land(town.PEOPLE, pa.table({"nir": ["2", "1"], "name": ["B", "A"], "service": ["y", "x"]}))
    below = town.ask("FROM town.people", town.PEOPLE, landed)
    assert [sorted(row) for row in below] == [["_key", "service"]] * 2
    assert len({row["_key"] for row in below}) == 2
    assert town.ask("FROM town.people ORDER BY nir", town.PEOPLE, landed, "personal") == [
        {"nir": "1", "name": "A", "service": "x"},
        {"nir": "2", "name": "B", "service": "y"},
    ]


def test_a_vendor_s_columns_named_as_ours_come_back_under_their_names(town: Town) -> None:
    spec = DatasetSpec(DatasetId("town", "odd"), ("id",), dict.fromkeys(("id", "_key", "_op", "ID"), "internal"))
    landed = town.land(spec, pa.table({"id": [1], "_key": ["k"], "_op": ["o"], "ID": ["other"]}))
    assert town.ask("FROM town.odd", spec, landed) == [{"id": 1, "_key": "k", "_op": "o", "ID_2": "other"}]


def test_a_dataset_all_above_the_clearance_shows_how_many_rows_it_has(town: Town) -> None:
    spec = DatasetSpec(DatasetId("town", "notes"), (), {"text": "personal"})
    landed = town.land(spec, pa.table({"text": ["a", "b", "c"]}))
    assert town.ask("SELECT count(*) AS n FROM town.notes", spec, landed) == [{"n": 3}]
    assert town.ask("SELECT max(text) AS last FROM town.notes", spec, landed, "personal") == [{"last": "c"}]


def test_an_empty_dataset_has_its_columns(town: Town, visits: Visits) -> None:
    landed = town.land(town.VISITS, visits())
    assert town.ask("FROM town.visits", town.VISITS, landed, "personal") == []


def test_a_refresh_shows_what_was_added_changed_and_removed(town: Town, visits: Visits) -> None:
    first = town.land(town.VISITS, visits(*range(1, 9)))
    second = town.land(town.VISITS, visits(2, place="library"), on=first)
    third = town.land(town.VISITS, visits(9), on=second, op="i")
    fourth = town.land(town.VISITS, visits(1), on=third, op="d")
    question = "SELECT id, place FROM town.visits ORDER BY id"
    expected = [{"id": n, "place": "pool"} for n in range(1, 9)]
    assert town.ask(question, town.VISITS, first, "personal") == expected
    expected = [{"id": 2, "place": "library"}] + [{"id": n, "place": "pool"} for n in range(3, 10)]
    assert town.ask(question, town.VISITS, fourth, "personal") == expected
    assert town.ask("SELECT count(name) AS n FROM town.visits", town.VISITS, fourth, "personal") == [{"n": 8}]


def pointer(town: Town, name: str = "internal.json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads((town.root / "marts/town/visits" / name).read_bytes())
    return found


def test_a_refresh_writes_the_change_alone_and_begins_anew_when_much_has_changed(town: Town, visits: Visits) -> None:
    landed = town.land(town.VISITS, visits(*range(6)))
    churn, keys = [], []
    for day in range(6):
        town.ask("SELECT 1", town.VISITS, landed)
        churn.append(pointer(town)["churn"])
        keys.append(pointer(town)["key"]["key"])
        landed = town.land(town.VISITS, visits(day, place="library"), on=landed)
    assert churn == [0, 1, 2, 3, 0, 1]
    assert len(set(keys)) == 2  # a copy keeps its key, a mart made anew has its own


def test_a_column_that_appears_has_the_mart_made_anew_and_is_null_before(town: Town, visits: Visits) -> None:
    first = town.land(town.VISITS, visits(1, 2, 3, 4))
    town.ask("SELECT 1", town.VISITS, first)
    wider = visits(2).append_column("place2", pa.array(["annex"]))
    second = town.land(replace(town.VISITS, classes={**town.VISITS.classes, "place2": "internal"}), wider, on=first)
    assert town.ask("SELECT id, place2 FROM town.visits WHERE id < 3 ORDER BY id", town.VISITS, second) == [
        {"id": 1, "place2": None},
        {"id": 2, "place2": "annex"},
    ]
    assert pointer(town)["churn"] == 0


def test_a_mart_is_made_once_and_found_again_by_another_process_s_marts(town: Town, visits: Visits) -> None:
    landed = town.land(town.VISITS, visits(1))
    first = town.marts.ensure(town.VISITS.id, "internal", landed)
    again = Marts(town.repository, town.root / "marts", town.keys).ensure(town.VISITS.id, "internal", landed)
    assert first == again


def test_an_older_snapshot_is_served_beside_the_current_one_and_kept_a_week_after_its_last_use(
    town: Town, visits: Visits
) -> None:
    first = town.land(town.VISITS, visits(1))
    second = town.land(town.VISITS, visits(1, 2), on=first, anew=True)
    question = "SELECT count(*) AS n FROM town.visits"
    assert town.ask(question, town.VISITS, second) == [{"n": 2}]
    assert town.ask(question, town.VISITS, first) == [{"n": 1}]
    assert (pointer(town)["sequence"], pointer(town)["manifest"]) == (2, second.hash)
    old = town.marts.ensure(town.VISITS.id, "internal", first)
    town.later(days=6)
    assert town.marts.ensure(town.VISITS.id, "internal", first) == old
    town.later(days=6)
    town.marts.sweep()
    assert old.path.exists()
    town.later(days=8)
    assert town.marts.sweep() == 1
    assert not old.path.exists()
    assert town.ask(question, town.VISITS, second) == [{"n": 2}]


def test_a_replaced_generation_stays_a_while_for_whoever_was_about_to_open_it(town: Town, visits: Visits) -> None:
    first = town.land(town.VISITS, visits(1, 2, 3))
    promised = town.marts.ensure(town.VISITS.id, "internal", first)
    second = town.land(town.VISITS, visits(2, place="library"), on=first)
    town.marts.ensure(town.VISITS.id, "internal", second)
    with town.session(promised) as session:
        assert session.execute("SELECT DISTINCT place FROM town.visits").reader.read_all().to_pylist() == [{"place": "pool"}]
        town.later(minutes=11)
        assert town.marts.sweep() == 1
        assert not promised.path.exists()
        count = session.execute("SELECT count(*) AS n FROM town.visits").reader.read_all().to_pylist()
        assert count == [{"n": 3}]  # an open reader keeps what it opened
    with pytest.raises(MartUnreadable):
        town.session(promised)


def test_nothing_of_a_mart_is_legible_on_disk_and_no_personal_column_is_named(town: Town, visits: Visits) -> None:
    town.marts.ensure(town.VISITS.id, "sensitive", town.land(town.VISITS, visits(*range(500))))
    everything = b"".join(path.read_bytes() for path in files(town, "*") if path.is_file())
    assert len(everything) > 100_000
    for canary in (b"Name 1", b"illness", b"pool", b"name", b"spent"):
        assert canary not in everything.replace(b'"file"', b"")
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(town, "*") if path.is_file()} == {0o600}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files(town, "*") if path.is_dir()} == {0o700}


def test_a_build_that_fails_leaves_nothing_and_the_last_mart_still_answers(
    town: Town, visits: Visits, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = town.land(town.VISITS, visits(1, 2, 3))
    town.ask("SELECT 1", town.VISITS, first)
    second = town.land(town.VISITS, visits(2, place="library"), on=first)
    before = files(town, "*")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", str(town.root))

    monkeypatch.setattr(serving, "stamp", full)
    with pytest.raises(MartNotMade) as fault:
        town.marts.ensure(town.VISITS.id, "internal", second)
    assert str(town.root) not in str(fault.value)
    assert files(town, "*") == before
    assert town.ask("SELECT count(*) AS n FROM town.visits", town.VISITS, first) == [{"n": 3}]


def _build_and_die(directory: Path, ready: Path) -> None:
    with mart_file.written(directory / ".dead.building", "ab" * 32, memory=48 << 20) as connection:
        connection.execute("CREATE TABLE mart.main.data AS SELECT 'CANARY-Dupont-' || hash(range) AS name FROM range(1500000)")
        ready.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_a_killed_builder_left_is_unreadable_and_swept(town: Town, visits: Visits) -> None:
    landed = town.land(town.VISITS, visits(1))
    town.ask("SELECT 1", town.VISITS, landed)
    folder = town.root / "marts/town/visits"
    process = multiprocessing.get_context("spawn").Process(target=_build_and_die, args=(folder, town.root / "ready"))
    process.start()
    process.join()
    assert (town.root / "ready").exists()
    left = [path for path in folder.iterdir() if path.name.startswith(".dead")]
    assert sum(path.stat().st_size for path in left if path.is_file()) > 100_000
    assert all(b"CANARY" not in path.read_bytes() for path in left if path.is_file())
    assert town.marts.sweep() == 1
    assert [path for path in folder.iterdir() if path.name.startswith(".dead")] == []


def test_a_pointer_that_is_cut_altered_or_of_another_site_has_the_mart_made_anew(town: Town, visits: Visits) -> None:
    landed = town.land(town.VISITS, visits(1, 2))
    path = town.root / "marts/town/visits/internal.json"
    town.ask("SELECT 1", town.VISITS, landed)
    sound = path.read_bytes()
    foreign = json.loads(sound)
    foreign["key"]["kek"] = "0" * 32
    outside = json.loads(sound) | {"file": "../../../keys/keyring.json"}
    later = json.loads(sound) | {"format": "sovereign-mart/3"}
    for damage in (sound[:50], b"", b"{}", *(json.dumps(each).encode() for each in (foreign, outside, later))):
        path.write_bytes(damage)
        assert town.ask("SELECT count(*) AS n FROM town.visits", town.VISITS, landed) == [{"n": 2}]
    assert pointer(town)["format"] == "sovereign-mart/2"


def test_an_older_file_put_back_under_the_pointer_does_not_open(town: Town, visits: Visits) -> None:
    first = town.land(town.VISITS, visits(*range(10)))
    old = town.marts.ensure(town.VISITS.id, "internal", first)
    second = town.land(town.VISITS, visits(2, place="library"), on=first)
    new = town.marts.ensure(town.VISITS.id, "internal", second)
    assert old.key == new.key
    new.path.write_bytes(old.path.read_bytes())
    with pytest.raises(MartUnreadable):
        town.session(new)
    assert town.marts.forget("town", "visits") >= 1
    assert town.ask("SELECT count(*) AS n FROM town.visits", town.VISITS, second) == [{"n": 10}]


def test_a_destroyed_class_leaves_its_columns_out_with_a_warning_and_its_old_marts_at_once(town: Town, visits: Visits) -> None:
    landed = town.land(town.VISITS, visits(1, 2))
    whole = town.marts.ensure(town.VISITS.id, "sensitive", landed)
    town.marts.ensure(town.VISITS.id, "internal", landed)
    town.keys.destroy("town", "personal", None)
    mart = town.marts.ensure(town.VISITS.id, "sensitive", landed)
    assert mart.missing == ("personal",)
    assert [len(each) for each in mart.warnings()] == [2]
    assert not whole.path.exists()
    assert (
        town.ask("FROM town.visits ORDER BY id LIMIT 1", town.VISITS, landed, "sensitive")
        == visits(1).drop(["name"]).to_pylist()
    )
    assert town.ask("SELECT count(*) AS n FROM town.visits", town.VISITS, landed) == [{"n": 2}]


def test_destroying_the_marts_key_itself_closes_them_and_new_ones_are_made(town: Town, visits: Visits) -> None:
    landed = town.land(town.VISITS, visits(1))
    before = town.marts.ensure(town.VISITS.id, "internal", landed)
    town.keys.destroy("town", "mart", None)
    after = town.marts.ensure(town.VISITS.id, "internal", landed)
    assert before.key != after.key
    assert town.ask("SELECT id FROM town.visits", town.VISITS, landed) == [{"id": 1}]


def test_rotation_rewraps_pointers_and_retires_no_key_that_a_mart_needs(town: Town, visits: Visits) -> None:
    landed = town.land(town.VISITS, visits(1))
    before = town.marts.ensure(town.VISITS.id, "internal", landed)
    old = town.marts.keks_in_use()
    town.keys.rotate(Scope("town", "mart", "2026"))
    assert town.marts.rewrap() == 1
    assert town.marts.rewrap() == 0
    assert old.isdisjoint(town.marts.keks_in_use())
    town.keys.retire(town.repository.keks_in_use() | town.marts.keks_in_use())
    assert town.marts.ensure(town.VISITS.id, "internal", landed) == before


def _ask_again_and_again(mart: Mart, spill: Path, ready: Path, go: Path) -> None:
    """Open the current mart, over and over, while it is replaced; each answer must be one generation's."""
    answers = 0
    while not go.exists() or answers < 5:
        current = json.loads((mart.path.parent / "internal.json").read_bytes())
        promised = replace(mart, path=mart.path.parent / current["file"], manifest=current["manifest"])
        with Session({("town", "visits"): promised}, spill=spill) as session:
            asked = "SELECT count(*) AS rows, min(day) AS low, max(day) AS high FROM town.visits WHERE id < 100"
            (answer,) = session.execute(asked).reader.read_all().to_pylist()
            assert answer["rows"] == 100
            assert answer["low"] == answer["high"], "a mixture of generations"
        answers += 1
        ready.touch()
        time.sleep(0.02)


def test_two_processes_read_while_a_third_swaps_generations_and_never_see_a_mixture(town: Town) -> None:
    spec = DatasetSpec(DatasetId("town", "visits"), ("id",), {"id": "internal", "day": "internal"})

    def state(day: int, rows: int = 100) -> pa.Table:
        return pa.table({"id": list(range(rows)), "day": [day] * rows})

    landed = town.land(spec, state(0, 20_000))
    mart = town.marts.ensure(spec.id, "internal", landed)
    go = town.root / "go"
    readers = []
    for number in range(2):
        arguments = (mart, town.root / f"spill-{number}", town.root / f"ready-{number}", go)
        readers.append(multiprocessing.get_context("spawn").Process(target=_ask_again_and_again, args=arguments))
        readers[-1].start()
    while not all((town.root / f"ready-{number}").exists() for number in range(2)):
        assert all(each.is_alive() for each in readers)
    for day in range(1, 6):
        landed = town.land(spec, state(day), on=landed)
        assert town.marts.ensure(spec.id, "internal", landed).key == mart.key  # a copy, refreshed
    go.touch()
    for each in readers:
        each.join(timeout=60)
    assert [each.exitcode for each in readers] == [0, 0]
