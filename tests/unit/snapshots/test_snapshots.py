"""Pulled rows become snapshots that read back as they were, at the cost of what changed."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from snapshots import parts
from snapshots.dataset import DatasetId, DatasetSpec
from snapshots.errors import BadName, NoSnapshot, NotCommitted
from tests.servers.library import MAIL, Library, people


def test_a_first_snapshot_reads_back_as_pulled(library: Library) -> None:
    made = library.land(people(1000), cursor={"since": "2026-11-23"})
    assert people(1000).to_pylist() == sorted(library.rows(made), key=lambda row: row["id"])
    assert (made.sequence, made.rows, library.repository.cursor(made)) == (1, 1000, {"since": "2026-11-23"})


def test_the_segments_of_a_first_pull_become_its_parts_unwritten(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snapshots.gathered.ROWS", 100)
    monkeypatch.setattr("snapshots.commit.ROWS", 100)
    draft = library.begin()
    draft.append("mail", people(300))
    draft.checkpoint(None)
    segments = {path.name: path.stat().st_ino for path in draft.segments_folder.iterdir()}
    made = library.publish(draft)
    assert segments == {name: path.stat().st_ino for name, path in library.parts().items()}
    assert [part.rows for part in made.parts] == [100, 100, 100]


def test_small_segments_are_gathered_into_one_part(library: Library) -> None:
    draft = library.begin()
    for start in range(0, 500, 10):
        draft.append("mail", people(10, start=start))
        draft.checkpoint(start)
    made = library.publish(draft)
    assert ([part.rows for part in made.parts], len(library.rows(made))) == ([500], 500)


def test_a_refresh_stores_only_what_changed(library: Library) -> None:
    first = library.land(people(1000))
    rows = people(1000).to_pylist()
    rows[3]["name"] = "Autre"
    del rows[7]
    rows.append({"id": 5000, "status": "new", "name": "Neuve", "health": None})
    second = library.land(pa.Table.from_pylist(rows))
    assert [part.id for part in first.parts] == [part.id for part in second.parts][:1]
    assert (second.parts[1].kind, second.parts[1].rows) == ("delta", 3)
    assert (
        second.counts.inserted, second.counts.updated, second.counts.deleted, second.counts.unchanged, second.rows,
    ) == (1, 1, 1, 998, 1000)  # fmt: skip
    assert rows == sorted(library.rows(second), key=lambda row: row["id"])
    assert people(1000).to_pylist() == sorted(library.rows(first), key=lambda row: row["id"])


def test_an_identical_refresh_adds_no_part_and_moves_the_cursor(library: Library) -> None:
    first = library.land(people(100), cursor=1)
    second = library.land(people(100), cursor=2)
    assert first.parts == second.parts
    assert (library.repository.cursor(first), library.repository.cursor(second), second.counts.unchanged) == (1, 2, 100)


def test_a_new_base_comes_when_deltas_pass_half_of_it(library: Library) -> None:
    kinds = [{part.kind for part in library.land(people(1000, mark="x" * day)).parts} for day in range(3)]
    assert [{"base"}, {"base"}, {"base"}] == kinds
    made = library.land(pa.concat_tables([people(100, mark="new"), people(900, start=100, mark="xx")]))
    assert {"base", "delta"} == {part.kind for part in made.parts}


def test_small_deltas_ask_for_no_new_base_before_they_name_half_of_its_rows(library: Library) -> None:
    """A part costs some kilobytes whatever it holds: a new base would save none of them."""
    day, base = people(100), library.land(people(100))
    for number in range(5):
        day = pa.concat_tables([day.slice(10), people(10, start=number * 10, mark=f"day {number}")])
        made = library.land(day)
        assert [part.kind for part in made.parts] == ["base", *["delta"] * (number + 1)]
    assert sum(part.bytes for part in made.parts) > 2 * sum(part.bytes for part in base.parts)
    made = library.land(people(10, start=50, mark="one more"), mode="incremental")
    assert {part.kind for part in made.parts} == {"base"}
    assert {each["id"] for each in library.rows(made)} == set(range(100))


def test_the_first_snapshot_of_a_key_period_stands_on_no_part_of_an_older_one(library: Library) -> None:
    library.land(people(100))
    library.clock.now += timedelta(days=60)
    for mode in ("full_refresh", "incremental"):
        made = library.land(people(100), mode=mode) if mode == "full_refresh" else library.land(people(1), mode=mode)
        assert {"2027"} == {part.period for part in made.parts}
    library.clock.now += timedelta(days=365)
    made = library.land(people(1, mark="!"), mode="incremental")
    assert ({"2028"}, 100) == ({part.period for part in made.parts}, len(library.rows(made)))
    library.keys.destroy("city", None, "2026")
    library.keys.destroy("city", None, "2027")
    assert len(library.rows(made)) == 100


def test_a_snapshot_is_found_by_sequence_and_by_date(library: Library) -> None:
    first = library.land(people(1))
    between = library.clock()
    library.clock.now += timedelta(hours=1)
    second = library.land(people(2))
    find = library.repository.find
    assert [first, second, first, second] == [find(MAIL, 1), find(MAIL, 2), find(MAIL, between), find(MAIL)]
    for missing in (3, between - timedelta(days=1)):
        with pytest.raises(NoSnapshot):
            find(MAIL, missing)


def test_an_incremental_run_adds_and_updates_and_deletes_only_what_is_named(library: Library) -> None:
    library.land(people(100))
    made = library.land(people(2, start=99, mark="!"), mode="incremental", removed={"id": [5, 6, 777]})
    measured = library.measured
    assert measured is not None
    assert (
        measured.inserted,
        measured.updated,
        measured.deleted,
        measured.unchanged,
        measured.previous_rows,
    ) == (1, 1, 2, 97, 100)
    assert {*range(101)} - {5, 6} == {row["id"] for row in library.rows(made)}


def test_identical_rows_of_an_incremental_run_are_dropped(library: Library) -> None:
    first = library.land(people(100))
    assert first.parts == library.land(people(50), mode="incremental").parts


def test_the_last_of_several_rows_with_one_key_counts(library: Library) -> None:
    made = library.land({"id": [1, 2, 1, 2, 1], "name": ["a", "b", "c", "b", "a"]})
    measured = library.measured
    assert measured is not None
    assert (measured.rows, measured.distinct, measured.repeated_same, measured.repeated_different) == (5, 2, 2, 1)
    assert library.rows(made) == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]


def test_a_removal_and_a_row_count_in_the_order_they_came(library: Library) -> None:
    draft = library.begin()
    draft.append("mail", pa.table({"id": [1, 2]}), pa.table({"id": [1]}))
    draft.append("mail", pa.table({"id": [3]}), pa.table({"id": [3]}))
    draft.append("mail", pa.table({"id": [3]}))
    assert library.rows(library.publish(draft)) == [{"id": 2}, {"id": 3}]


def test_a_personal_primary_key_stays_out_of_the_internal_class(library: Library) -> None:
    spec = library.spec(primary_key=("nir",), classes={"service": "internal"})
    first = library.land({"nir": ["1", "2", "3"], "service": ["a", "b", "c"]}, spec=spec)
    second = library.land({"nir": ["2", "3"], "service": ["b", "z"]}, spec=spec)
    third = library.land({"nir": ["4"], "service": ["n"]}, spec=spec, mode="incremental", removed={"nir": ["2"]})
    assert library.rows(first, ("internal",)) == [{"service": "a"}, {"service": "b"}, {"service": "c"}]
    assert library.rows(second) == [{"nir": "2", "service": "b"}, {"nir": "3", "service": "z"}]
    assert library.rows(third) == [{"nir": "3", "service": "z"}, {"nir": "4", "service": "n"}]
    assert set() == {each.code for each in library.repository.verify(MAIL)}


def test_columns_that_bear_our_names_come_back_as_they_were(library: Library) -> None:
    page = {"_key": [1, 2], "_op": ["x", "y"], "__op": ["v", "w"]}
    spec = library.spec(primary_key=("_key",), classes=dict.fromkeys(page, "internal"))
    library.land(page, spec=spec)
    made = library.land(page | {"_op": ["x", "z"]}, spec=spec)
    assert library.rows(made) == [{"_key": 1, "_op": "x", "__op": "v"}, {"_key": 2, "_op": "z", "__op": "w"}]
    assert library.repository.schema(made, "internal").names == list(page)


def test_rows_without_a_primary_key_are_kept_as_many_times_as_they_came(library: Library) -> None:
    spec = library.spec(primary_key=())
    first = library.land({"a": [1, 1, 2]}, spec=spec)
    assert first.parts == library.land({"a": [2, 1, 1]}, spec=spec).parts
    third = library.land({"a": [1, 2, 2]}, spec=spec)
    assert [row["a"] for row in library.rows(third)] == [1, 2, 2]
    fourth = library.land({"a": [1]}, spec=spec, mode="incremental")
    assert [row["a"] for row in library.rows(fourth)] == [1, 1, 2, 2]
    assert [
        (row["_op"], (row["before"] or {}).get("a"), (row["after"] or {}).get("a")) for row in library.changed(first, third)
    ] == [("d", 1, None), ("i", None, 2)]


def test_nested_values_decimals_and_instants_come_back_as_they_were(library: Library) -> None:
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("amount", pa.decimal128(15, 2)),
            ("seen", pa.timestamp("us", "UTC")),
            ("lines", pa.list_(pa.struct([("label", pa.string()), ("codes", pa.list_(pa.int32()))]))),
            ("wait", pa.duration("ms")),
            ("raw", pa.binary()),
        ]
    )
    rows = [
        {"id": 1, "amount": Decimal("12000.50"), "seen": library.clock(), "lines": [{"label": "é", "codes": [1, None]}],
         "wait": timedelta(seconds=3), "raw": b"\x00\xff"},
        {"id": 2, "amount": None, "seen": None, "lines": [], "wait": None, "raw": None},
        {"id": 3, "amount": None, "seen": None, "lines": None, "wait": None, "raw": b""},
    ]  # fmt: skip
    first = library.land(pa.Table.from_pylist(rows, schema))
    assert rows == library.rows(first)
    rows[1] = rows[1] | {"lines": [{"label": None, "codes": None}], "wait": timedelta(seconds=9)}
    second = library.land(pa.Table.from_pylist(rows, schema))
    assert rows == library.rows(second)
    (change,) = library.changed(first, second)
    assert ("u", rows[1]) == (change["_op"], change["after"])


def test_reading_gives_the_columns_and_the_batches_that_are_asked(library: Library) -> None:
    made = library.land(people(100))
    batches = list(library.repository.read(made, ("internal", "personal"), ["name", "id", "health"], batch_rows=30))
    assert batches[0].schema.names == ["name", "id"]
    assert sum(batch.num_rows for batch in batches) == 100
    assert max(batch.num_rows for batch in batches) <= 30
    assert sum(batch.num_rows for batch in library.repository.read(made, ("internal",), [])) == 100


def test_an_empty_pull_is_a_snapshot(library: Library) -> None:
    made = library.land(people(0))
    assert (made.rows, library.rows(made)) == (0, [])
    assert people(3).to_pylist() == library.rows(library.land(people(3)))
    assert library.rows(library.land(people(0))) == []
    assert set() == library.codes()


def test_a_draft_never_builds_on_a_snapshot_it_did_not_measure(library: Library) -> None:
    draft = library.begin()
    draft.append("mail", people(3))
    measured = draft.measure("mail", "full_refresh")
    library.land(people(5))
    with pytest.raises(NotCommitted):
        draft.commit("mail", measured, cursor=None, **_how(draft.run))


def _how(run: str) -> dict[str, Any]:
    from snapshots.manifest import Provenance, Verdict

    return {"verdict": Verdict("complete"), "provenance": Provenance(run, "rest", "1", "h"), "mode": "full_refresh"}


def test_names_that_are_no_folder_names_are_refused() -> None:
    for name in ("Mail", "../x", "a" * 64, "", "1a", "a-b"):
        with pytest.raises(BadName):
            DatasetId("city", name)


def test_a_changed_class_or_key_makes_a_new_base(library: Library) -> None:
    library.land(people(10))
    spec = library.spec(classes={"id": "internal", "status": "personal", "health": "sensitive"})
    moved = library.land(people(10), spec=spec)
    assert ({"base"}, [{"id": n} for n in range(10)]) == ({p.kind for p in moved.parts}, library.rows(moved, ("internal",)))
    spec = DatasetSpec(MAIL, ("name",), spec.classes)
    assert people(10).to_pylist() == library.rows(library.land(people(10), spec=spec))
    with pytest.raises(NotCommitted):
        library.land(people(1), spec=library.spec(), mode="incremental")


def test_part_names_tell_nothing(library: Library) -> None:
    library.land(people(10))
    for name in library.parts():
        part, class_name, suffix = name.split(".")
        assert (len(part), suffix, class_name in ("internal", "personal", "sensitive")) == (32, "parquet", True)
    assert parts.file_name("ab", "internal") == "ab.internal.parquet"
