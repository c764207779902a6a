"""Documents that were altered, cut, swapped, taken away or put back are seen by `snapshot verify`, each by what was done."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapshots import document_keeping, keyfile
from snapshots.packs import Place
from tests.servers.papers import CONNECTION, LETTERS, Archive, archive, content


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Archive]:
    with archive(tmp_path, letters={n: content(n * 3, 400) for n in range(8)}) as made:
        assert made.sync().state == "succeeded"
        assert codes(made) == set()
        yield made


def codes(here: Archive) -> set[str]:
    return {each.code for each in here.reopen().repository.verify(LETTERS)}


def only(here: Archive, suffix: str) -> Path:
    (path,) = here.folder.rglob(f"*.{suffix}")
    return path


def test_a_flipped_bit_anywhere_in_a_pack_is_found(here: Archive) -> None:
    path = only(here, "pack")
    whole = path.read_bytes()
    for at in [*range(0, len(whole), len(whole) // 60), len(whole) - 1]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert codes(here), f"byte {at}"
    path.write_bytes(whole)
    assert codes(here) == set()


@pytest.mark.parametrize("suffix", ["index", "keys"])
def test_a_flipped_bit_in_what_stands_beside_a_pack_is_found(here: Archive, suffix: str) -> None:
    path = only(here, suffix)
    whole = path.read_bytes()
    for at in [*range(0, len(whole), len(whole) // 30), len(whole) - 2]:
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert codes(here), f"byte {at}"


def test_a_pack_that_is_cut_or_longer_is_found(here: Archive) -> None:
    path = only(here, "pack")
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    assert "document.unverified" in codes(here)
    path.write_bytes(whole + b"more")
    assert "document.unverified" in codes(here)


def test_a_store_that_was_taken_away_whole_is_missed(here: Archive) -> None:
    shutil.rmtree(here.folder)
    assert codes(here) == {"document.missing"}


def test_a_pack_that_was_taken_away_with_all_its_files_is_missed(here: Archive) -> None:
    here.vendor.letters[100] = content(300)
    here.sync()
    first = min(here.folder.rglob("*.keys"))
    for path in here.folder.rglob(f"{first.stem}.*"):
        path.unlink()
    assert codes(here) == {"document.missing"}


def test_a_key_file_put_back_after_a_destruction_is_found(here: Archive) -> None:
    gone = here.rows()[4]["document"]
    keys = only(here, "keys")
    before = keys.read_bytes()
    document_keeping.destroy(here.site.repository, CONNECTION, "personal", [gone], here.clock())
    assert codes(here) == set()
    keys.write_bytes(before)
    assert codes(here) == {"document.replayed"}
    assert here.sync().state == "succeeded"
    assert Place.of(here.root / "snapshots", CONNECTION, "personal").key_name(gone) not in keyfile.read(keys)


def test_a_lost_index_is_told_and_made_again_by_the_next_run(here: Archive) -> None:
    only(here, "index").unlink()
    assert codes(here) == {"document.index"}
    here.sync()
    assert codes(here) == set()


def test_what_a_crash_left_is_told(here: Archive) -> None:
    (here.folder / "personal" / "2026_20260101-000000000-0a0b0c0d.pack").write_bytes(b"half")
    assert codes(here) == {"document.leftover"}


def test_documents_under_destroyed_keys_are_told_as_erased_and_not_as_lost(here: Archive) -> None:
    here.site.destroy_keys(CONNECTION, "personal", here.site.repository.period())
    assert codes(here) == {"document.shredded", "key.destroyed"}
