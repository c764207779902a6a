"""Documents of a vendor, through the real sync: sealed, kept once, linked to their record, replayed, destroyed in time."""

import os
import random
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest

from saas_connectors.sandbox import Trouble
from snapshots import document_keeping, keyfile
from snapshots.dataset import CLASSES
from snapshots.documents import Documents
from snapshots.packs import Index, Place, read_index
from sovereign import soundness
from sovereign.sync.replay import Tape
from tests.journeys.test_kills import Puller
from tests.security.canaries.search import search
from tests.servers.papers import CANARIES, CONNECTION, LETTERS, Archive, archive, content


def opened(here: Archive) -> dict[int, bytes | None]:
    """The bytes of each record's document."""
    store = Documents(here.site.repository, CONNECTION)
    return {number: store.read(row["document"]) for number, row in here.rows().items()}


def packs(here: Archive) -> list[str]:
    return [name for each in CLASSES for name in Place.of(here.root / "snapshots", CONNECTION, each).names()]


def test_every_record_names_a_document_that_opens_to_the_vendors_bytes(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        assert here.sync().state == "succeeded"
        assert opened(here) == here.vendor.letters
        assert {row["size"] for row in here.rows().values()} == {3000}


def test_the_same_bytes_are_kept_once_and_fetched_once_they_are_held(tmp_path: Path) -> None:
    with archive(tmp_path, 30) as here:
        here.sync()
        store = Documents(here.site.repository, CONNECTION)
        assert len(store.shelf("personal").held) == len(set(here.vendor.letters.values())) < 30
        here.vendor.given.clear()
        here.vendor.letters[40] = content(2)
        assert here.reopen().syncs.run(CONNECTION, full=True).state == "succeeded"
        assert here.vendor.given == [], "what is held is not asked for again"
        assert opened(here) == here.vendor.letters


def test_nothing_of_a_document_is_readable_on_disk(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        here.sync()
        here.close()
        report = search([here.root], CANARIES)
        assert report.found == []
        assert report.bytes > 30 * 2000
        assert {path.stat().st_mode & 0o777 for path in here.folder.rglob("*") if path.is_file()} == {0o600}


def test_the_raw_archive_keeps_the_address_and_not_the_bytes(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        run = here.sync().run
        kept = [each for each in Tape.of(here.site.repository, run).exchanges() if each.url.rpartition("/")[2].isdigit()]
        assert {int(each.url.rpartition("/")[2]) for each in kept} <= set(here.vendor.letters)
        assert {(each.body, each.status) for each in kept} == {(b"", 200)}
        assert {each.document for each in kept} == {row["document"] for row in here.rows().values()}


def test_a_file_that_never_became_a_document_is_kept_raw(tmp_path: Path) -> None:
    with archive(tmp_path, 12, way="loose") as here:
        run = here.sync().run
        bodies = {each.body for each in Tape.of(here.site.repository, run).exchanges() if each.status == 200}
        assert set(here.vendor.letters.values()) <= bodies


def test_a_replay_makes_the_same_snapshot_from_the_archive_and_the_store(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        run, before = here.sync().run, here.rows()
        here.vendor.letters.clear()
        outcome = here.reopen().syncs.replay(run)
        assert (outcome.state, [each.state for each in outcome.streams]) == ("succeeded", ["unchanged"])
        assert here.rows() == before


def test_a_lost_index_is_made_again_from_the_pack_and_its_keys(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        here.sync()
        for path in here.folder.rglob("*.index"):
            path.unlink()
        assert opened(here) == here.vendor.letters


def test_many_small_packs_become_one_and_lose_no_document(tmp_path: Path) -> None:
    with archive(tmp_path, 3) as here:
        for number in range(6):
            here.vendor.letters[100 + number] = content(300 * number + 300)
            here.sync()
        assert len(packs(here)) == 6
        document_keeping.settle(here.site.repository, CONNECTION, many=4)
        assert len(packs(here)) == 1
        assert len(list((here.folder / "personal").iterdir())) == 4, "a pack, its index, its keys, the lock"
        assert opened(here) == here.vendor.letters
        here.vendor.given.clear()
        here.reopen().syncs.run(CONNECTION, full=True)
        assert here.vendor.given == []


def test_a_document_that_nothing_names_any_more_is_destroyed_after_its_days(tmp_path: Path) -> None:
    with archive(tmp_path, documents_days=30) as here:
        here.sync()
        gone = here.rows()[29]["document"]
        del here.vendor.letters[29]
        here.sync()
        here.clock.offset = timedelta(days=29)
        here.sync()
        store = Documents(here.site.repository, CONNECTION)
        assert store.read(gone) == content(29)
        here.clock.offset = timedelta(days=31)
        here.reopen().housekeep()
        (entry,) = here.site.audit.entries(act="document.destroyed")
        assert (entry.facts["documents"], entry.facts["days"]) == ([gone], 30)
        kept = Documents(here.site.repository, CONNECTION)
        assert kept.read(gone) is None
        assert gone in kept.shelf("personal").gone
        assert opened(here) == here.vendor.letters


def test_without_the_setting_a_document_stays_whatever_names_it(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        here.sync()
        gone = here.rows()[29]["document"]
        del here.vendor.letters[29]
        here.sync()
        here.clock.offset = timedelta(days=3000)
        here.sync()
        assert Documents(here.reopen().repository, CONNECTION).read(gone) == content(29)


def test_a_frame_that_is_left_in_a_pack_opens_for_nobody_once_its_key_is_dropped(tmp_path: Path) -> None:
    with archive(tmp_path, letters={n: content(n * 3) for n in range(10)}) as here:
        here.sync()
        repository = here.site.repository
        gone = here.rows()[4]["document"]
        (name,) = packs(here)
        place = Place.of(repository.root, CONNECTION, "personal")
        before = place.pack(name).read_bytes()
        document_keeping.destroy(repository, CONNECTION, "personal", [gone], here.clock())
        assert place.pack(name).read_bytes() == before, "the pack itself is never changed"
        assert place.key_name(gone) not in keyfile.read(place.keys(name))
        place.index(name).unlink()
        again = Documents(repository, CONNECTION)
        assert again.read(gone) is None
        assert gone in again.shelf("personal").gone


def test_a_pack_of_which_half_is_dead_is_written_anew(tmp_path: Path) -> None:
    with archive(tmp_path, letters={n: content(n * 3) for n in range(10)}) as here:
        here.sync()
        rows = here.rows()
        (before,) = packs(here)
        size = sum(path.stat().st_size for path in here.folder.rglob("*.pack"))
        doomed = [rows[number]["document"] for number in range(6)]
        document_keeping.destroy(here.site.repository, CONNECTION, "personal", doomed, here.clock())
        assert packs(here) != [before]
        assert sum(path.stat().st_size for path in here.folder.rglob("*.pack")) < size // 2
        store = Documents(here.site.repository, CONNECTION)
        assert [store.read(rows[number]["document"]) for number in range(6, 10)] == [content(n * 3) for n in range(6, 10)]
        assert set(doomed) <= set(store.shelf("personal").gone)


def test_a_rotation_of_keys_leaves_every_document_open(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        here.sync()
        assert here.site.rotate_keys().retired > 0
        wrapped = [entry for path in here.folder.rglob("*.keys") for entry in keyfile.read(path).values()]
        assert {here.site.keys.is_current(entry) for entry in wrapped} == {True}
        assert opened(here) == here.vendor.letters


def test_shredded_keys_take_the_documents_with_them_and_the_next_read_brings_them_back(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        here.sync()
        document = here.rows()[3]["document"]
        here.site.destroy_keys(CONNECTION, "personal", here.site.repository.period())
        store = Documents(here.reopen().repository, CONNECTION)
        assert store.read(document) is None
        assert store.shelf("personal").shredded
        assert here.sync(full=True).state == "succeeded"
        assert opened(here) == here.vendor.letters


def test_what_a_crash_left_of_a_pack_is_swept_and_no_reader_sees_it(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        here.sync()
        cut = here.folder / "personal" / "2026_20260101-000000000-0a0b0c0d.pack"
        cut.write_bytes(b"SOVPACK\x01 half of a frame")
        assert opened(here) == here.vendor.letters
        here.sync()
        assert not cut.exists()


def test_kills_at_random_instants_lose_no_document_double_none_and_leave_nothing_readable(tmp_path: Path) -> None:
    seed = os.environ.get("SOVEREIGN_SEED") or str(time.time_ns())
    chance = random.Random(seed)  # noqa: S311 — a drill, not a secret
    with archive(tmp_path, 120, latency=0.002) as here:
        here.close()
        puller = Puller(here.root, "tests.journeys.paper_puller")
        try:
            began = time.monotonic()
            assert puller.pull(None, 20) == 0, f"seed {seed}"
            lasted = time.monotonic() - began
            for turn in range(4):
                for number in range(60):
                    here.vendor.letters[200 + 60 * turn + number] = content(200 + 60 * turn + number)
                assert puller.strike(chance, 0.8 * lasted, (10, 20)), f"seed {seed}"
            for _ in range(2):  # the first may go on with a run that began before the last letters came
                assert puller.pull(None, 20) == 0, f"seed {seed}"
        finally:
            puller.close()
        assert opened(here) == here.vendor.letters, f"seed {seed}"
        held = [each.address for name in packs(here) for each in index(here, name).entries]
        assert len(held) == len(set(held)) == len(set(here.vendor.letters.values())), f"seed {seed}"
        assert len(list(here.folder.rglob("*.pack"))) == len(packs(here)), f"seed {seed}"
        here.close()
        assert search([here.root], CANARIES).found == [], f"seed {seed}"


def index(here: Archive, name: str) -> Index:
    place = Place.of(here.root / "snapshots", CONNECTION, "personal")
    return read_index(place, name, keyfile.read(place.keys(name)), here.site.keys)


def test_documents_that_came_inside_another_answer_are_filed_and_replayed_from_it(tmp_path: Path) -> None:
    with archive(tmp_path, way="inside") as here:
        run, before = here.sync().run, here.rows()
        assert here.vendor.given == []
        assert opened(here) == here.vendor.letters
        shutil.rmtree(here.folder)
        outcome = here.reopen().syncs.replay(run)
        assert (outcome.state, [each.state for each in outcome.streams]) == ("succeeded", ["unchanged"])
        assert here.rows() == before
        assert opened(here) == here.vendor.letters, "replay filed them again"


def test_a_run_that_broke_off_goes_on_without_asking_for_a_file_again_and_is_replayed_whole(tmp_path: Path) -> None:
    with archive(tmp_path, 60, way="alone") as here:
        here.vendor.troubles.plan(Trouble("status", 500, "/letters/35", 1, 0))
        assert here.sync().state == "failed"
        given = set(here.vendor.given)
        here.vendor.troubles.clear()
        here.vendor.given.clear()
        outcome = here.sync()
        assert (outcome.state, outcome.attempts) == ("succeeded", 2)
        assert given.isdisjoint(here.vendor.given), "not even those of the page that broke off"
        assert opened(here) == here.vendor.letters
        before = here.rows()
        again = here.reopen().syncs.replay(outcome.run)
        assert (again.state, [each.state for each in again.streams]) == ("succeeded", ["unchanged"])
        assert here.rows() == before


def test_a_replay_whose_documents_are_gone_says_so_and_leaves_the_copy_as_it_is(tmp_path: Path) -> None:
    with archive(tmp_path) as here:
        run, before = here.sync().run, here.rows()
        shutil.rmtree(here.folder)
        outcome = here.reopen().syncs.replay(run)
        assert outcome.state == "failed"
        assert outcome.fault is not None
        assert outcome.fault.code == "sync.replay_document"
        assert here.rows() == before


def test_an_act_of_destruction_that_broke_off_is_ended_by_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive(tmp_path, letters={n: content(n * 3) for n in range(10)}) as here:
        here.sync()
        gone = here.rows()[4]["document"]

        def struck(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(document_keeping, "_drop_keys", struck)
            with pytest.raises(KeyboardInterrupt):
                document_keeping.destroy(here.site.repository, CONNECTION, "personal", [gone], here.clock())
        (name,) = packs(here)
        place = Place.of(here.root / "snapshots", CONNECTION, "personal")
        assert place.key_name(gone) in keyfile.read(place.keys(name))
        assert Documents(here.site.repository, CONNECTION).read(gone) is None, "already told as destroyed"
        here.sync()
        assert place.key_name(gone) not in keyfile.read(place.keys(name))


def test_a_merge_that_broke_off_leaves_no_document_twice_once_the_next_run_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive(tmp_path, 3) as here:
        for number in range(4):
            here.vendor.letters[100 + number] = content(300 * number + 300)
            here.sync()

        def struck(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(document_keeping, "_remove", struck)
            with pytest.raises(KeyboardInterrupt):
                document_keeping.settle(here.site.repository, CONNECTION, many=2)
        assert len(packs(here)) == 5
        assert opened(here) == here.vendor.letters
        here.sync()
        assert len(packs(here)) == 1
        assert opened(here) == here.vendor.letters
        assert here.site.repository.verify(LETTERS) == []


@pytest.mark.parametrize("suffix", ["keys", "pack"])
def test_a_damaged_pack_stops_no_run_and_what_it_held_is_fetched_anew(tmp_path: Path, suffix: str) -> None:
    with archive(tmp_path) as here:
        here.sync()
        (path,) = here.folder.rglob(f"*.{suffix}")
        path.write_bytes(path.read_bytes()[:100])
        document = here.rows()[3]["document"]
        assert Documents(here.reopen().repository, CONNECTION).read(document) is None
        assert here.sync(full=True).state == "succeeded"
        assert opened(here) == here.vendor.letters
        if suffix == "keys":
            assert {each.severity for each in here.site.repository.verify(LETTERS)} == {"error"}, "the damage is still told"
            for each in here.folder.rglob(f"{path.stem}.*"):
                each.unlink()
        assert here.site.repository.verify(LETTERS) == []


def test_nothing_is_destroyed_while_a_pack_is_damaged_and_the_days_count_anew_without_their_file(tmp_path: Path) -> None:
    with archive(tmp_path, documents_days=30) as here:
        here.sync()
        gone = here.rows()[29]["document"]
        del here.vendor.letters[29]
        here.sync()
        here.clock.offset = timedelta(days=31)
        keys = here.folder / "personal" / "2026_20260101-000000000-0a0b0c0d.keys"
        keys.write_bytes(b"not a key file")
        here.reopen().housekeep()
        assert Documents(here.site.repository, CONNECTION).read(gone) == content(29)
        keys.unlink()
        (here.folder / "unnamed").unlink()
        here.site.housekeep()
        assert Documents(here.site.repository, CONNECTION).read(gone) == content(29)
        here.clock.offset = timedelta(days=62)
        here.site.housekeep()
        assert Documents(here.site.repository, CONNECTION).read(gone) is None


@pytest.mark.parametrize("size", [2**20 - 1, 2**20, 2**20 + 65_536, 3_000_001])
def test_a_long_document_is_sealed_as_it_is_written_and_given_back_bit_for_bit(tmp_path: Path, size: int) -> None:
    letters = {0: content(0, size), 1: content(1, 40), 2: content(2, size)}
    with archive(tmp_path, letters=letters) as here:
        assert here.sync().state == "succeeded"
        store = Documents(here.reopen().repository, CONNECTION)
        assert {number: store.read(row["document"]) for number, row in here.rows().items()} == letters
        assert [each for each in soundness.check(here.site) if each.severity == "error" and "document" in each.code] == []
