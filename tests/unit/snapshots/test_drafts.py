"""A run that dies anywhere starts again where it was, with nothing lost and nothing twice."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from snapshots import quarantine, raw
from snapshots.draft import Draft
from snapshots.errors import BadName, DraftBusy, NoDraft
from snapshots.gathered import HELD
from snapshots.manifest import Provenance, Verdict
from snapshots.raw import RawExchange
from snapshots.repository import opener
from tests.servers.library import MAIL, Library, people
from vault.errors import Corrupt


def test_what_came_after_the_last_checkpoint_is_forgotten(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snapshots.gathered.ROWS", 50)
    draft = library.begin()
    draft.append("mail", people(120))
    draft.archive(_answer(b"first"))
    draft.checkpoint({"page": 1})
    draft.append("mail", people(120, start=120))
    draft.archive(_answer(b"second"))
    assert (draft.rows, draft.buffered_rows) == (240, 20)
    draft.close()
    again = Draft.reopen(library.repository, "run-1")
    assert (again.resume, again.counts, len(again.raw_segments)) == ({"page": 1}, {"mail": 120}, 1)
    assert len({path.name.partition(".")[0] for path in again.segments_folder.iterdir()}) == 3
    again.append("mail", people(10, start=120))
    assert library.publish(again).rows == 130


def test_a_reopened_draft_knows_its_plan_its_contract_and_its_drift(library: Library) -> None:
    library.land(people(2))
    draft = Draft.create(library.repository, "r", {"mail": library.spec()}, {"mode": "full"})
    draft.append("mail", people(2))
    draft.append("mail", pa.table({"id": [9], "later": ["x"]}))
    draft.checkpoint(None)
    drift = draft.drift
    draft.close()
    again = Draft.reopen(library.repository, "r")
    assert ({"mode": "full"}, drift, ["mail"]) == (again.plan, again.drift, again.streams)
    again.append("mail", pa.table({"id": [10], "later": ["y"]}))
    assert [(each.field, each.action, each.values) for each in again.drift["mail"]] == [("later", "added", 1)]
    assert library.publish(again).rows == 4


def test_a_run_that_already_published_does_not_publish_twice(library: Library) -> None:
    draft = library.begin()
    draft.append("mail", people(5))
    draft.checkpoint(None)
    made = draft.commit("mail", None, **_how("run-1"))
    draft.close()
    again = Draft.reopen(library.repository, "run-1")
    assert made == again.committed("mail")
    assert made == again.commit("mail", again.measure("mail", "full_refresh"), **_how("run-1"))
    again.discard()
    assert [made] == library.repository.manifests(MAIL)
    assert people(5).to_pylist() == library.rows(made)


def test_one_process_holds_a_draft_at_a_time(library: Library) -> None:
    draft = library.begin()
    with pytest.raises(DraftBusy):
        Draft.reopen(library.repository, "run-1")
    with pytest.raises(DraftBusy):
        Draft.create(library.repository, "run-1", {"mail": library.spec()})
    draft.close()
    Draft.reopen(library.repository, "run-1").discard()
    with pytest.raises(NoDraft):
        Draft.reopen(library.repository, "run-1")


def test_unfinished_runs_are_listed_until_they_are_discarded(library: Library) -> None:
    draft = library.begin()
    assert library.repository.drafts() == ["run-1"]
    draft.append("mail", people(3))
    draft.checkpoint(None)
    draft.discard()
    assert (library.repository.drafts(), list((library.root / "snapshots/city/.drafts").iterdir())) == ([], [])


def test_a_run_that_died_before_its_first_checkpoint_leaves_nothing(library: Library) -> None:
    dead = library.root / "snapshots/city/.drafts/dead"
    dead.mkdir(parents=True)
    (dead / "draft.keys").write_bytes(b"{}")
    library.land(people(1))
    assert not dead.exists()


def test_run_names_stay_in_their_folder(library: Library) -> None:
    for name in ("../x", "", ".hidden", "a/b"):
        with pytest.raises(BadName):
            Draft.create(library.repository, name, {"mail": library.spec()})
        with pytest.raises(NoDraft):
            Draft.reopen(library.repository, name)


def test_nothing_pulled_can_be_read_on_the_disk(library: Library) -> None:
    draft = library.begin()
    draft.append("mail", people(200))
    draft.archive(_answer(b"Canari-in-an-answer"))
    draft.checkpoint({"token": "Canari-cursor"})
    library.publish(draft, cursor="Canari-cursor")
    for path in library.root.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert b"Canari" not in data, path
            assert b"health" not in data, path
            assert path.stat().st_mode & 0o777 == 0o600, path
        else:
            assert path.stat().st_mode & 0o777 == 0o700, path


def test_slices_append_at_the_same_time(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snapshots.gathered.ROWS", 64)
    draft = library.begin()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda start: draft.append("mail", people(10, start=start)), range(0, 2000, 10)))
    made = library.publish(draft)
    assert list(range(2000)) == sorted(row["id"] for row in library.rows(made, ("internal",)))


def test_a_checkpoint_that_was_altered_is_refused(library: Library) -> None:
    draft = library.begin()
    draft.append("mail", people(3))
    draft.checkpoint({"page": 1})
    draft.close()
    path = library.root / "snapshots/city/.drafts/run-1/checkpoint"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(Corrupt):
        Draft.reopen(library.repository, "run-1")


def test_streams_of_one_run_are_settled_one_by_one(library: Library) -> None:
    specs = {name: library.spec(id=type(MAIL)("city", name)) for name in ("mail", "notes", "tags")}
    draft = Draft.create(library.repository, "r", specs)
    for name in specs:
        draft.append(name, people(4))
    draft.checkpoint(None)
    draft.commit("mail", None, **_how("r"))
    draft.quarantine("notes", draft.measure("notes", "full_refresh"), "volume")
    draft.close()
    again = Draft.reopen(library.repository, "r")
    assert again.streams == ["mail", "tags"]
    again.commit("tags", None, **_how("r"))
    again.discard()
    assert [each.stream for each in library.repository.datasets()] == ["mail", "tags"]
    (kept,) = quarantine.found(library.repository, specs["notes"].id)
    assert (kept.whole, kept.reasons, kept.counts["inserted"]) == (True, {"volume": 4}, 4)
    ((_, table),) = quarantine.read(library.repository, kept, "sensitive")
    assert people(4).to_pylist() == table.select(people(0).column_names).to_pylist()
    quarantine.remove(library.repository, specs["notes"].id, "r")
    assert quarantine.found(library.repository, specs["notes"].id) == []


def test_rows_without_a_key_are_counted_and_put_aside(library: Library) -> None:
    made = library.land({"id": [1, None, 2], "name": ["a", "lost", "b"]})
    assert library.measured is not None
    assert (made.rows, library.measured.keyless) == (2, 1)
    (kept,) = quarantine.found(library.repository, MAIL)
    ((reason, table),) = quarantine.read(library.repository, kept, "personal")
    assert (kept.whole, reason, table["name"].to_pylist()) == (False, "keyless", ["lost"])


def test_the_archive_gives_back_what_the_vendor_answered(library: Library) -> None:
    draft = library.begin()
    answers = [_answer(bytes([n]) * 100_000) for n in range(5)]
    for number, answer in enumerate(answers):
        draft.archive(answer)
        if number % 2:
            draft.checkpoint(number)
    draft.append("mail", people(1))
    draft.checkpoint(None)
    made = library.publish(draft)
    folder = library.root / "snapshots/city/.raw/run-1"
    data_key = opener(library.keys, folder / "raw.keys")(raw.key_name("city", "run-1"))
    found = list(raw.exchanges(folder, "city", "run-1", made.provenance.raw, data_key))
    assert [answer.body for answer in answers] == [each.body for each in found]
    assert found[0].headers == (("Content-Type", "application/json"),)
    assert len(made.provenance.raw) == 3


def test_the_raw_archive_has_keys_of_its_own(library: Library) -> None:
    draft = library.begin()
    draft.archive(_answer(b"x"))
    draft.checkpoint(None)
    draft.close()
    assert {"raw", "manifest"} == {each.scope.key_class for each in library.keys.list()}


def _answer(body: bytes) -> RawExchange:
    headers = (("Content-Type", "application/json"), ("Set-Cookie", "session=Canari"))
    return RawExchange("GET", "https://vendor.example/mail", 200, headers, body, "2026-11-23T08:00:00Z")


def _how(run: str) -> dict[str, object]:
    return {
        "cursor": None,
        "verdict": Verdict("complete"),
        "provenance": Provenance(run, "rest", "1", "vendor.example"),
        "mode": "full_refresh",
    }


@pytest.mark.parametrize("room", [0, HELD])
def test_rows_held_in_memory_compare_with_a_snapshot_as_those_read_back_do(
    library: Library, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    rows = pa.table({"id": range(60), **{f"c{number}": _odd(kind) for number, kind in enumerate(ODD)}})
    library.land(rows)
    monkeypatch.setattr("snapshots.gathered.HELD", room)
    library.land(rows)
    assert library.measured is not None
    assert (library.measured.unchanged, library.measured.rows_after) == (60, 60)
    moved = rows.set_column(1, "c0", pa.array([*[None] * 3, *rows.column("c0").to_pylist()[3:]], rows.column("c0").type))
    made = library.land(moved)
    assert (library.measured.updated, library.measured.unchanged) == (2, 58)
    assert sorted(library.rows(made), key=lambda row: row["id"]) == moved.to_pylist()


ODD = (
    pa.int8(), pa.uint64(), pa.float32(), pa.bool_(), pa.date32(), pa.time32("s"), pa.time64("us"), pa.timestamp("s"),
    pa.timestamp("ms", "UTC"), pa.timestamp("ns"), pa.decimal128(20, 4), pa.binary(), pa.binary(4), pa.large_string(),
    pa.list_(pa.int32()), pa.struct([("a", pa.int16()), ("b", pa.list_(pa.string()))]), pa.null(),
)  # fmt: skip


def _odd(kind: pa.DataType) -> pa.Array:
    """Sixty values of a type, the first of them and every seventh absent."""
    if pa.types.is_null(kind):
        return pa.nulls(60)
    if pa.types.is_list(kind):
        return pa.array([[each] * each for each in range(59)] + [None], kind).take(pa.array([59, *range(59)]))
    if pa.types.is_struct(kind):
        return pa.array([{"a": each, "b": [str(each), None]} if each % 7 else None for each in range(60)], kind)
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind) or pa.types.is_large_string(kind):
        return pa.array([f"{each:04d}" if each % 7 else None for each in range(60)]).cast(pa.binary()).cast(kind)
    numbers = pa.array([each if each % 7 else None for each in range(60)], pa.int32())
    if pa.types.is_boolean(kind) or pa.types.is_decimal(kind) or pa.types.is_floating(kind):
        return numbers.cast(kind)
    return pc.multiply(numbers.cast(pa.int64()), 1000).cast(kind) if kind.bit_width == 64 else numbers.cast(kind)
