"""Verification opens what lies around the snapshots too: raw archives and quarantine, to the last tag."""

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from snapshots import quarantine, raw, verification
from snapshots.dataset import DatasetId
from snapshots.draft import Draft
from snapshots.raw import RawExchange
from tests.servers.library import MAIL, Library, people

RUN = "run-1"


def archived(library: Library, draft: Draft, segments: int = 2, size: int = 5000) -> None:
    for number in range(segments):
        for page in range(3):
            body = bytes((number + page + at) * 31 % 251 for at in range(size))
            draft.archive(RawExchange("GET", f"https://vendor.example/{number}/{page}", 200, (), body))
        draft.append("mail", people(200, start=number * 200))
        draft.checkpoint(number)


@pytest.fixture
def folder(library: Library) -> Path:
    """The archive of a run of two segments that was published."""
    draft = library.begin()
    archived(library, draft)
    library.publish(draft)
    return library.repository.root / "city" / ".raw" / RUN


@pytest.fixture
def aside(library: Library) -> Path:
    """What a run put in quarantine, beside a published snapshot."""
    library.land(people(300))
    draft = library.begin()
    draft.append("mail", people(5))
    draft.quarantine("mail", draft.measure("mail", "full_refresh"), "fall")
    draft.discard()
    assert library.codes() == set()
    return quarantine.folder_of(library.repository, MAIL, draft.run)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["000001.raw", "000002.raw", "raw.keys"])
def test_a_flipped_bit_anywhere_in_an_archive_is_found(library: Library, folder: Path, name: str) -> None:
    whole = (folder / name).read_bytes()
    for at in [*range(0, len(whole), max(1, len(whole) // 40)), len(whole) - 1]:
        flip(folder / name, at)
        found = library.repository.verify(MAIL)
        assert {each.severity for each in found} == {"error"}, at
        assert {each.subject for each in found} == {f"{RUN}/{name}"}, at
        (folder / name).write_bytes(whole)
    assert library.codes() == set()


def test_a_segment_that_no_manifest_names_is_decrypted_all_the_same(library: Library) -> None:
    library.land(people(10))
    draft = library.begin()
    archived(library, draft)
    draft.discard()  # nothing was published: nothing wrote its hashes down
    path = library.repository.root / "city" / ".raw" / draft.run / "000002.raw"
    assert library.codes() == set()
    flip(path, -1)
    assert library.codes() == {"raw.unverified"}


def test_segments_of_two_runs_that_were_exchanged_are_told(library: Library) -> None:
    library.land(people(10))
    paths = []
    for _ in range(2):
        draft = library.begin()
        archived(library, draft, 1)
        draft.discard()
        paths.append(library.repository.root / "city" / ".raw" / draft.run / "000001.raw")
    shutil.copy(*paths)
    assert library.codes() == {"raw.unverified"}


def test_an_archive_without_its_key_file_is_told(library: Library, folder: Path) -> None:
    (folder / "raw.keys").unlink()
    assert library.codes() == {"raw.key"}


def test_a_shredded_archive_is_information_and_no_fault(library: Library, folder: Path) -> None:
    library.keys.destroy("city", "raw", None)
    (told,) = library.repository.verify(MAIL)
    assert (told.severity, told.code, told.subject) == ("info", "raw.shredded", f"{RUN}/raw.keys")


def test_an_archive_whose_time_had_come_is_no_fault(library: Library, folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    assert library.codes() == set()  # emptied, and a crash came before the folder went
    folder.rmdir()
    assert library.codes() == set()


def test_what_a_run_is_writing_is_not_judged(library: Library) -> None:
    library.land(people(10))
    draft = library.begin()
    archived(library, draft)
    draft.archive(RawExchange("GET", "https://vendor.example/", 200, (), b"half written"))
    assert library.codes() == set()
    draft.close()


def test_a_large_segment_is_decrypted_in_little_memory(library: Library) -> None:
    draft = library.begin()
    draft.archive(RawExchange("GET", "https://vendor.example/", 200, (), bytes(64 << 20)))
    draft.append("mail", people(10))
    draft.checkpoint(None)
    library.publish(draft)
    tracemalloc.start()
    try:
        assert library.codes() == set()
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_each_segment_is_decrypted_once_for_all_the_streams_of_a_connection(library: Library, folder: Path) -> None:
    opened: set[Path] = set()
    assert verification.verify(library.repository, MAIL, opened=opened) == []
    assert opened == {folder / "000001.raw", folder / "000002.raw"}
    flip(folder / "000002.raw", -1)
    assert verification.verify(library.repository, DatasetId("city", "notes"), opened=opened) == []
    assert verification.verify(library.repository, DatasetId("city", "notes")) != []
    assert raw.segment_file(folder, 1).is_file()


ACTS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a part altered": ("quarantine.altered", lambda folder: flip(next(folder.glob("*.personal.parquet")), -100)),
    "a part truncated": ("quarantine.truncated", lambda folder: _cut(next(folder.glob("*.internal.parquet")))),
    "a part gone": ("quarantine.missing", lambda folder: next(folder.glob("*.sensitive.parquet")).unlink()),
    "the description altered": ("quarantine.unverified", lambda folder: flip(folder / "quarantine", -3)),
    "the description gone": ("quarantine.incomplete", lambda folder: (folder / "quarantine").unlink()),
    "the key file gone": ("quarantine.unverified", lambda folder: (folder / "quarantine.keys").unlink()),
    "a file that nothing names": ("quarantine.leftover", lambda folder: (folder / "x.parquet").touch()),
}


@pytest.mark.parametrize("act", ACTS)
def test_what_was_done_to_a_quarantine_is_named(library: Library, aside: Path, act: str) -> None:
    code, do = ACTS[act]
    do(aside)
    assert library.codes() == {code}


def test_every_bit_of_the_keys_of_a_quarantine_counts(library: Library, aside: Path) -> None:
    path = aside / "quarantine.keys"
    whole = path.read_bytes()
    for at in range(0, len(whole), max(1, len(whole) // 60)):
        flip(path, at)
        assert "error" in {each.severity for each in library.repository.verify(MAIL)}, at
        path.write_bytes(whole)


def test_a_class_of_a_quarantine_that_was_destroyed_is_information(library: Library, aside: Path) -> None:
    library.keys.destroy("city", "sensitive", None)
    found = library.repository.verify(MAIL)
    assert {each.code for each in found} == {"key.destroyed", "quarantine.shredded"}
    assert "error" not in {each.severity for each in found}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])
