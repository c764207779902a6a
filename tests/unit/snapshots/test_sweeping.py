"""What a crash left is found when nothing can need it any more, and what a snapshot names never is."""

import os
from pathlib import Path

import pytest

from snapshots import amendments, quarantine, sweeping
from snapshots.errors import NoQuarantine
from snapshots.manifest import Manifest
from tests.servers.library import MAIL, Library, people


def littered(library: Library) -> tuple[Manifest, set[str]]:
    """A snapshot, and beside it what a crash leaves; gives the names of the latter."""
    made = library.land(people(300))
    folder = library.repository.folder(MAIL)
    names = {f"parts/{'0' * 32}.internal.parquet", f"keys/00000002-{'0' * 16}.keys", "manifests/.x.manifest.00"}
    for name in names:
        (folder / name).touch()
    os.utime(folder / "manifests/.x.manifest.00", (0, 0))
    (folder / "quarantine" / "run-9").mkdir(parents=True)
    return made, names | {"quarantine/run-9"}


def found(library: Library, head: str | None, *entered: str) -> set[str]:
    got = sweeping.orphans(library.repository, MAIL, head, entered)
    paths = [*got.parts, *got.keys, *got.scratch, *got.quarantines]
    return {str(path.relative_to(library.repository.folder(MAIL))) for path in paths}


def test_what_no_manifest_names_is_found_and_removed_and_nothing_else(library: Library) -> None:
    made, litter = littered(library)
    good = library.rows(made)
    assert found(library, made.hash) == litter
    sweeping.orphans(library.repository, MAIL, made.hash).remove()
    assert found(library, made.hash) == set()
    assert library.codes(made) == set()
    assert library.rows(made) == good


def test_nothing_is_found_while_a_draft_of_the_connection_is_left(library: Library) -> None:
    made, litter = littered(library)
    draft = library.begin()
    assert found(library, made.hash) == set()
    draft.close()
    assert found(library, made.hash) == set()
    draft.discard()
    assert found(library, made.hash) == litter


def test_nothing_is_found_when_a_snapshot_that_was_entered_is_gone_or_cannot_be_read(library: Library) -> None:
    made, litter = littered(library)
    assert found(library, "0" * 64) == set()
    assert found(library, made.hash, "0" * 64) == set()
    path = library.repository.manifest_file(MAIL, made.hash)
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    assert found(library, made.hash) == set()
    path.write_bytes(whole)
    assert found(library, made.hash) == litter


def test_nothing_is_found_when_a_snapshot_of_the_middle_is_gone(library: Library) -> None:
    first = library.land(people(300))
    second = library.land(people(301))
    last = library.land(people(302))
    library.repository.manifest_file(MAIL, second.hash).unlink()
    assert found(library, last.hash) == set()
    assert found(library, last.hash, first.hash) == set()


def test_what_an_amendment_put_in_place_is_named_by_it(library: Library) -> None:
    made, litter = littered(library)
    last = library.land(people(310))
    amendments.erase(library.repository, MAIL, ["sensitive"], "demande")
    assert found(library, last.hash, made.hash) == litter


def test_a_temporary_file_that_is_fresh_may_be_someones_at_work(library: Library) -> None:
    made = library.land(people(10))
    fresh = library.repository.folder(MAIL) / "keys" / ".x.keys.00"
    fresh.touch()
    now = library.clock().timestamp()
    os.utime(fresh, (now, now))
    assert found(library, made.hash) == set()


def test_a_name_that_leads_elsewhere_is_no_quarantine(library: Library, tmp_path: Path) -> None:
    library.land(people(10))
    for name in ("..", ".", "../parts", str(tmp_path), "", "run-1"):
        with pytest.raises(NoQuarantine):
            quarantine.remove(library.repository, MAIL, name)
    assert library.codes() == set()
