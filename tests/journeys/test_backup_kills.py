"""Backups are taken while all else runs, and killed at random instants: each that is there comes back as a sound site.

The kills strike over a folder, and over a real object store.

SOVEREIGN_KILLS says how many kills in all (20 by default, of which a fifth here); SOVEREIGN_SEED makes a series happen again.
"""

import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from saas_connectors.sandbox import Sandbox, Table, Vendor
from snapshots import document_keeping
from snapshots.documents import Documents
from sovereign import soundness
from sovereign.backup import staging
from sovereign.backup.creating import Created, create
from sovereign.backup.folder import FolderTarget
from sovereign.backup.reading import ids, verify
from sovereign.backup.restoring import restore
from sovereign.backup.staging import Staged
from sovereign.backup.target import Target
from sovereign.errors import NoSite
from sovereign.site import Site
from tests.journeys.test_kills import KILLS, Puller
from tests.servers.ledger import Ledger, serving
from tests.servers.papers import Archive, archive, content
from tests.servers.places import Place
from tests.servers.served import Door, served
from tests.servers.sites import CONNECTION, SECRET, agents, held, settings, town

STRUCK = max(2, KILLS // 10)
"""Kills of each kind."""


class Saver(Puller):
    """A process that backs up, restores and renews keys when told to, and is killed when told to."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, "tests.journeys.saver")

    def do(self, *words: object, kill_after: float | None = None) -> int:
        """Do one act, killed after so many seconds; gives how it ended (9: killed)."""
        return self._do(" ".join(map(str, words)), kill_after)

    def struck(self, chance: random.Random, within: float, *words: object) -> None:
        """Kill one act at a random instant of so many seconds; one that ended first is tried again, and struck sooner."""
        for _ in range(12):
            if self.do(*words, kill_after=chance.uniform(0, within)) == signal.SIGKILL:
                return
            if words[0] == "restore":
                shutil.rmtree(Path(str(words[-1])))
            within /= 2
        raise AssertionError(words)


@contextmanager
def meanwhile(*acts: Callable[[], object]) -> Iterator[list[int]]:
    """Do each act again and again, each in a thread, while a block runs; gives how often each was done."""
    over, failed, done = threading.Event(), list[BaseException](), [0] * len(acts)

    def again(number: int) -> None:
        try:
            while not over.is_set():
                acts[number]()
                done[number] += 1
        except BaseException as error:  # noqa: BLE001 — told to the test
            failed.append(error)

    threads = [threading.Thread(target=again, args=(number,)) for number in range(len(acts))]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        over.set()
        for thread in threads:
            thread.join(120)
    assert failed == []


@contextmanager
def sound(made: Created, target: Target, keys: Path, place: Path, seed: str = "") -> Iterator[Site]:
    """Restore a backup, read to its last byte; give the site."""
    done = restore(target, place, keys, id_=made.record.id, read_all=True)
    assert (done.proof.findings, done.proof.entries) == ((), made.record.log.size), seed
    with Site.open(place) as site:
        assert [each for each in soundness.check(site) if each.severity == "error"] == [], seed
        assert site.audit.verify() > made.record.log.size, seed
        yield site
    shutil.rmtree(place)


def until(done: list[int], least: int) -> None:
    """Wait until each act was done so often."""
    end = time.monotonic() + 120
    while min(done) < least:
        assert time.monotonic() < end, done
        time.sleep(0.02)


def test_backups_taken_while_letters_and_their_files_come_and_keys_are_renewed_all_come_back(tmp_path: Path) -> None:
    target, keys, number = FolderTarget(tmp_path / "data"), tmp_path / "keys", 0
    with archive(tmp_path, 30) as here:
        assert here.sync().state == "succeeded"
        here.site.export_recovery(threshold=2, shares=3)
        ever = set(here.vendor.letters.values())
        puller, saver = Puller(here.root, "tests.journeys.paper_puller"), Saver(here.root)

        def pull() -> None:
            nonlocal number
            number += 1
            here.vendor.letters[number % 40] = content(1000 + number, 3000, "new")
            ever.add(here.vendor.letters[number % 40])
            assert puller.pull(None, 10) == 0

        def renew() -> None:
            assert saver.do("rotate") == 0

        made = []
        try:
            with meanwhile(pull, renew) as done:
                for turn in range(3):
                    until(done, turn + 1)
                    made.append(create(here.site, target, keys))
        finally:
            puller.close()
            saver.close()
        here.close()
        for each in made:
            with sound(each, target, keys, tmp_path / "again") as site:
                there = Archive(site.root, here.vendor, here.url, _site=site)
                store = Documents(site.repository, "courrier")
                assert {store.read(row["document"]) for row in there.rows().values()} <= ever
        assert len({each.record.log.size for each in made}) == 3


def test_backups_taken_while_the_gateway_writes_and_records_come_all_come_back(tmp_path: Path) -> None:
    target, keys, told, number = FolderTarget(tmp_path / "data"), tmp_path / "keys", list[str](), 0
    table = Table.of(agents(300), ("id",), None)
    with (
        serving(Ledger()) as url,
        Sandbox(Vendor({"agents": table}, cap=100)) as sandbox,
        served(tmp_path, {"ledger": url}) as here,
    ):
        with here.site() as site:
            site.add_connection(CONNECTION, settings(sandbox.url))
            site.set_secret(CONNECTION, "agents", SECRET.encode())
            assert site.syncs.run(CONNECTION).state == "succeeded"
            site.export_recovery(threshold=2, shares=3)
        puller, saver, before = Puller(here.root), Saver(here.root), list[tuple[set[str], Created]]()

        def write(door: Door) -> None:
            nonlocal number
            number += 1
            answer = door.write("ledger", "set", f"w{number}")
            if answer.kept:
                told.append(answer.body["intent"])

        def pull() -> None:
            table.put(*agents(300, mark=f"round {time.monotonic_ns()}"))
            assert puller.pull(None, 100) == 0

        def renew() -> None:
            assert saver.do("rotate") == 0

        try:
            with here.serving() as door, here.site() as site, meanwhile(lambda: write(door), pull, renew) as done:
                for turn in range(3):
                    until(done, turn + 1)
                    sure = set(told)
                    before.append((sure, create(site, target, keys)))
        finally:
            puller.close()
            saver.close()
        for sure, made in before:
            with sound(made, target, keys, tmp_path / "again") as site:
                rows = held(site)
                assert (len(rows), len({row["health"].partition("round")[2] for row in rows})) == (300, 1)
                with site.state.read() as reader:
                    from sqlalchemy import text

                    there = {row[0]: row[1] for row in reader.execute(text("SELECT intent, state FROM deliveries"))}
                assert sure <= set(there), "a write that the gateway took before is in the backup"
                assert not {"queued", "in_flight", "to_retry"} & set(there.values())
        assert before[-1][0]


def test_packs_that_are_merged_while_a_backup_is_taken_cost_it_no_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, keys = FolderTarget(tmp_path / "data"), tmp_path / "keys"
    with archive(tmp_path, 3) as here:
        for number in range(6):
            here.vendor.letters[100 + number] = content(300 * number + 300)
            here.sync()
        here.site.export_recovery(threshold=2, shares=3)
        link, merged = staging._link, list[int]()

        def linking(root: Path, path: Path, second: Path) -> Staged | None:
            if path.suffix == ".keys" and ".documents" in path.parts and not merged:
                merged.append(document_keeping.settle(here.site.repository, "courrier", many=4))
            return link(root, path, second)

        monkeypatch.setattr(staging, "_link", linking)
        made = create(here.site, target, keys)
        assert merged == [6]
        here.close()
        with sound(made, target, keys, tmp_path / "again") as site:
            there = Archive(site.root, here.vendor, here.url, _site=site)
            store = Documents(site.repository, "courrier")
            assert {n: store.read(row["document"]) for n, row in there.rows().items()} == here.vendor.letters


@pytest.mark.timeout(300 + 10 * KILLS)
def test_a_backup_killed_at_any_instant_leaves_the_former_ones_whole_and_the_next_one_little_to_do(
    tmp_path: Path, place: Place
) -> None:
    seed = os.environ.get("SOVEREIGN_SEED") or "7"
    chance = random.Random(seed)  # noqa: S311 — a drill, not a secret
    target, keys = place.open(), tmp_path / "keys"
    with town(tmp_path, 600) as here:
        here.sync()
        here.site.export_recovery(threshold=2, shares=3)
        began = time.monotonic()
        made = [create(here.site, target, keys)]
        lasted, saver = time.monotonic() - began, Saver(here.root)
        try:
            for turn in range(STRUCK):
                here.table.put(*agents(600, mark=f"round {turn}"))
                assert here.sync().state == "succeeded", seed
                saver.struck(chance, 2 * lasted, "create", place, keys)
                for each in made:
                    found = verify(
                        target, each.record.id, here.site.keys.verifier, here.site.keys.derive("backup"), read_all=True
                    )
                    assert list(found) == [], seed
            made.append(create(here.site, target, keys))
            again = create(here.site, target, keys)
        finally:
            saver.close()
        assert set(ids(target)) >= {each.record.id for each in [*made, again]}
        assert again.objects < 20, "what is there is not copied again"
        assert not list(here.root.glob(".backup")), "the next backup took away what the crash left"
        assert not [each for each in keys.iterdir() if each.name.startswith(".")], "a copy of keys that has no name"
        now = here.held()
        here.close()
        for each in made:
            with sound(each, target, keys, tmp_path / "again", seed) as site:
                assert len(held(site)) == 600
        with sound(again, target, keys, tmp_path / "again", seed) as site:
            assert held(site) == now, seed


@pytest.mark.timeout(300 + 10 * KILLS)
def test_a_restore_killed_at_any_instant_is_no_site_and_goes_on_when_done_again(tmp_path: Path, place: Place) -> None:
    seed = os.environ.get("SOVEREIGN_SEED") or "7"
    chance = random.Random(seed)  # noqa: S311 — a drill, not a secret
    target, keys = place.open(), tmp_path / "keys"
    with town(tmp_path, 600) as here:
        here.sync()
        here.site.export_recovery(threshold=2, shares=3)
        made = create(here.site, target, keys)
        now = here.held()
        here.close()
        saver = Saver(here.root)
        try:
            began = time.monotonic()
            assert saver.do("restore", place, keys, tmp_path / "first") == 0
            lasted = time.monotonic() - began
            for turn in range(STRUCK):
                folder = tmp_path / f"again-{turn}"
                saver.struck(chance, 1.2 * lasted, "restore", place, keys, folder)
                if (folder / "sovereign.toml").exists():
                    with Site.open(folder) as site:  # struck once it was a site: then it is the whole of it
                        assert held(site) == now, seed
                    continue
                with pytest.raises(NoSite):
                    Site.open(folder)
                with sound(made, target, keys, folder, seed) as site:
                    assert held(site) == now, seed
                    assert not (folder / ".restore").exists()
        finally:
            saver.close()
