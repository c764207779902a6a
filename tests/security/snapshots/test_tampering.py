"""Whoever alters, cuts, swaps, removes or puts back a file is seen, and what was done is named."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from snapshots import amendments, keyfile
from snapshots.dataset import CLASSES
from snapshots.errors import Damaged, NoSnapshot
from snapshots.manifest import Manifest
from snapshots.repository import Repository
from tests.servers.library import MAIL, Library, people
from tests.servers.masters import Mortal
from vault.errors import Fault, NotSigned, Shredded
from vault.keys import Keys, Scope


@pytest.fixture
def history(library: Library) -> list[Manifest]:
    """Three snapshots: a base, and two deltas on it."""
    made = [library.land(_long(people(1000)))]
    draft = library.begin()
    draft.append("mail", people(10, mark="!"))
    draft.checkpoint(None)
    made.append(library.publish(draft, "incremental"))
    made.append(library.land(people(5, start=2000), mode="incremental"))
    assert set() == library.codes(made[-1])
    return made


def _long(records: pa.Table) -> pa.Table:
    """Give names that hardly compress: the base must outweigh its deltas, or they would become a base of their own."""
    names = [f"Canari-{hashlib.sha256(str(number).encode()).hexdigest()}" for number in range(records.num_rows)]
    return records.set_column(records.column_names.index("name"), "name", [names])


def flip(path: Path, at: int = -100) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


def swap(one: Path, two: Path) -> None:
    kept = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(kept)


def named(library: Library, manifest: Manifest, part: int, class_name: str) -> Path:
    return library.parts()[f"{manifest.parts[part].id}.{class_name}.parquet"]


Act = Callable[[Library, list[Manifest]], object]

ACTS: dict[str, tuple[set[str], Act]] = {
    "a flipped bit": ({"part.altered"}, lambda lib, made: flip(named(lib, made[0], 0, "personal"))),
    "a flipped bit in the footer": ({"part.altered"}, lambda lib, made: flip(named(lib, made[0], 0, "internal"), -9)),
    "a truncated part": ({"part.truncated"}, lambda lib, made: _cut(named(lib, made[0], 0, "personal"))),
    "an extended part": ({"part.extended"}, lambda lib, made: _extend(named(lib, made[0], 0, "personal"))),
    "swapped parts": ({"part.swapped"}, lambda lib, made: swap(*(named(lib, made[2], part, "personal") for part in (1, 2)))),
    "swapped class files": ({"part.swapped"}, lambda lib, made: swap(*(named(lib, made[2], 0, at) for at in CLASSES[::2]))),
    "a missing part": ({"part.missing"}, lambda lib, made: named(lib, made[2], 1, "internal").unlink()),
    "the newest manifest deleted": (
        {"snapshot.rollback", "leftover"},
        lambda lib, made: lib.repository.manifest_file(MAIL, made[2].hash).unlink(),
    ),
    "a manifest deleted in the middle": (
        {"manifest.missing", "leftover"},
        lambda lib, made: lib.repository.manifest_file(MAIL, made[1].hash).unlink(),
    ),
    "an edited manifest": (
        {"manifest.unverified", "leftover", "snapshot.rollback"},
        lambda lib, made: _edit(lib.repository.manifest_file(MAIL, made[2].hash)),
    ),
    "a manifest under another's name": (
        {"manifest.unverified", "leftover", "snapshot.rollback"},
        lambda lib, made: shutil.copy(*(lib.repository.manifest_file(MAIL, each.hash) for each in made[1:])),
    ),
    "a key file missing": ({"key_file.unverified"}, lambda lib, made: lib.repository.key_file(made[2]).unlink()),
    "an older key file put back": (
        {"key_file.lacking"},
        lambda lib, made: shutil.copy(lib.repository.key_file(made[1]), lib.repository.key_file(made[2])),
    ),
    "keys swapped inside a key file": ({"key_file.wrong_key"}, lambda lib, made: _exchange(lib.repository.key_file(made[2]))),
    "no key file": ({"key_file.unverified"}, lambda lib, made: lib.repository.key_file(made[0]).write_bytes(b"{}")),
    "a file that nothing names": ({"leftover"}, lambda lib, made: (lib.repository.parts_folder(MAIL) / "x.parquet").touch()),
}  # fmt: skip


@pytest.mark.parametrize("act", ACTS)
def test_verify_names_what_was_done(library: Library, history: list[Manifest], act: str) -> None:
    expected, do = ACTS[act]
    do(library, history)
    found = library.repository.verify(MAIL, expected_head=history[-1].hash)
    assert expected == {each.code for each in found}
    assert all(each.fr and each.en and each.subject for each in found)


@pytest.mark.parametrize(
    "act", [name for name in ACTS if ACTS[name][0] & {"part.altered", "part.truncated", "part.swapped", "part.missing"}]
)
def test_an_altered_part_is_never_read_as_if_it_were_good(library: Library, history: list[Manifest], act: str) -> None:
    good = library.rows(history[-1])
    ACTS[act][1](library, history)
    with pytest.raises(Damaged) as raised:
        library.rows(history[-1])
    assert "Canari" not in str(raised.value)
    assert len(good) == history[-1].rows


def test_every_byte_of_a_part_counts(library: Library, history: list[Manifest]) -> None:
    path = named(library, history[0], 0, "sensitive")
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        flip(path, at)
        assert library.codes() & {"part.altered"}, at
        path.write_bytes(whole)
    assert set() == library.codes()


def test_the_keys_of_another_site_open_nothing(library: Library, history: list[Manifest], tmp_path: Path) -> None:
    other = Keys.create(tmp_path / "other", Mortal(), library.clock, name="library")
    foreign = Repository(library.root / "snapshots", other, library.clock)
    with pytest.raises(NotSigned):
        foreign.head(MAIL)
    assert {"manifest.unverified", "leftover"} == {each.code for each in foreign.verify(MAIL)}


def test_a_clearance_opens_no_key_above_it(library: Library, history: list[Manifest]) -> None:
    library.keys.destroy("city", "personal", None)
    library.keys.destroy("city", "sensitive", None)
    made = history[-1]
    assert {"id", "status"} == set(library.rows(made, ("internal",))[0])
    for classes in (("internal", "personal"), ("internal", "sensitive")):
        with pytest.raises(Shredded):
            library.rows(made, classes)
    assert library.repository.readable(made) == ("internal",)
    assert {"key.destroyed"} == library.codes(made)


def test_a_destroyed_class_does_not_stop_a_full_refresh(library: Library) -> None:
    library.land(people(100))
    library.keys.destroy("city", "personal", "2026")
    made = library.land(people(101))
    assert people(101).to_pylist() == sorted(library.rows(made), key=lambda row: row["id"])


def test_a_key_file_of_before_a_rotation_is_recognised(library: Library, history: list[Manifest]) -> None:
    path = library.repository.key_file(history[-1])
    before = path.read_bytes()
    parts = {name: file.read_bytes() for name, file in library.parts().items()}
    library.keys.rotate()
    assert library.repository.rewrap() > 0
    assert library.repository.rewrap() == 0
    assert parts == {name: file.read_bytes() for name, file in library.parts().items()}
    path.write_bytes(before)
    assert {"key_file.outdated"} == library.codes()
    library.repository.rewrap()
    library.keys.retire(library.repository.keks_in_use())
    assert set() == library.codes()
    assert len(library.rows(history[-1])) == 1005
    path.write_bytes(before)
    assert {"key_file.replayed"} == library.codes()


def test_keys_of_a_run_in_progress_are_kept(library: Library) -> None:
    library.land(people(3))
    draft = library.begin()
    draft.append("mail", people(10))
    draft.checkpoint(None)
    library.keys.rotate()
    library.repository.rewrap()
    library.keys.retire(library.repository.keks_in_use())
    draft.append("mail", people(10, start=10))
    made = library.publish(draft)
    assert len(library.rows(made)) == 20
    library.repository.rewrap()
    assert library.keys.retire(library.repository.keks_in_use())
    assert (20, set()) == (len(library.rows(made)), library.codes())


def test_a_snapshot_newer_than_the_audit_log_is_told_and_serving_follows_the_log(
    library: Library, history: list[Manifest]
) -> None:
    assert {"snapshot.unrecorded"} == library.codes(history[1])
    assert history[1] == library.repository.head(MAIL, history[1].hash)
    assert history[2] == library.repository.head(MAIL)
    library.repository.manifest_file(MAIL, history[2].hash).unlink()
    assert history[1] == Repository(library.root / "snapshots", library.keys, library.clock).head(MAIL, history[2].hash)


def test_erasing_a_class_is_a_signed_amendment_that_verify_follows(library: Library, history: list[Manifest]) -> None:
    new = amendments.erase(library.repository, MAIL, ("personal",), "retention", {"order": 7})
    assert set() == library.codes(history[-1])
    assert [each.sequence for each in new] == [1, 2, 3]
    assert new == library.repository.manifests(MAIL)
    assert new[1] == library.repository.manifest(MAIL, history[1].hash)
    assert {"id", "status", "health"} == set(library.rows(new[-1])[0])
    assert not [name for name in library.parts() if ".personal." in name]
    assert history[-1].provenance == new[-1].provenance
    told = amendments.read_all(library.repository, MAIL)
    assert [(each.reason, each.certificate) for each in told] == [("retention", {"order": 7})] * 3
    made = library.land(people(1005))
    assert (4, set()) == (made.sequence, library.codes(made))
    next((library.repository.folder(MAIL) / "amendments").iterdir()).unlink()
    assert {"amendment.missing"} == library.codes(made)


def test_an_amendment_keeps_the_place_of_what_it_replaces(library: Library, history: list[Manifest]) -> None:
    with pytest.raises(Fault):
        library.repository.amend(history[1], history[2], {}, "no")
    with pytest.raises(Fault):
        amendments.erase(library.repository, MAIL, ("internal",), "no")


def test_raw_segments_that_were_altered_or_dropped_are_seen(library: Library) -> None:
    from snapshots.raw import RawExchange

    draft = library.begin()
    for page in range(3):
        draft.append("mail", people(2, start=page * 2))
        draft.archive(RawExchange("GET", "https://v.example", 200, (), b"body" * 100))
        draft.checkpoint(page)
    library.publish(draft)
    assert set() == library.codes()
    folder = library.root / "snapshots/city/.raw/run-1"
    segment = folder / "000002.raw"
    whole = segment.read_bytes()
    flip(segment)
    assert {"raw.unverified"} == library.codes()
    segment.unlink()
    assert {"raw.unverified"} == library.codes()
    segment.write_bytes(whole)
    assert set() == library.codes()
    shutil.rmtree(folder)
    assert set() == library.codes()


def test_a_manifest_of_another_stream_is_not_taken(library: Library, history: list[Manifest]) -> None:
    other = library.root / "snapshots/city/notes/manifests"
    other.mkdir(parents=True)
    source = library.repository.manifest_file(MAIL, history[0].hash)
    shutil.copy(source, other / source.name)
    with pytest.raises(Damaged):
        library.repository.manifests(type(MAIL)("city", "notes"))
    with pytest.raises(NoSnapshot):
        library.repository.find(type(MAIL)("city", "absent"))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-50])


def _extend(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0" * 10)


def _edit(path: Path) -> None:
    path.write_text(path.read_text().replace('"rows":1005', '"rows":1004'))


def _exchange(path: Path) -> None:
    entries = keyfile.read(path)
    names = [name for name in entries if name.endswith("/personal")][:2]
    entries[names[0]], entries[names[1]] = entries[names[1]], entries[names[0]]
    keyfile.write(path, entries)


def test_scopes_of_rows_raw_archive_and_manifests_are_apart(library: Library, history: list[Manifest]) -> None:
    assert {Scope("city", each, "2026") for each in ("internal", "personal", "sensitive", "manifest")} == {
        record.scope for record in library.keys.list()
    }
