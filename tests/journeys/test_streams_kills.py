"""`kill -9` at random instants of a connection of four streams: none of them loses or doubles a record.

SOVEREIGN_KILLS says how many kills in all of the long drill; SOVEREIGN_SEED makes a series happen again.
"""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from snapshots.dataset import CLASSES, DatasetId
from tests.journeys.test_kills import KILLS, Puller
from tests.servers.sites import CONNECTION, Town, agents
from tests.servers.streams import holds, there, towns

ROWS = 600


def drill(folder: Path, kills: int, seed: str) -> int:
    """Kill so many syncs, let one end, compare every stream; gives how many were struck."""
    chance, struck = random.Random(seed), 0  # noqa: S311 — a drill, not a secret
    with towns(folder, ROWS, cap=50, latency=0.003) as (here, tables):
        here.close()
        puller = Puller(here.root)
        try:
            began = time.monotonic()
            assert puller.pull(None, 200) == 0, f"seed {seed}"
            lasted = time.monotonic() - began
            while kills:
                for table in tables.values():
                    table.put(*chance.sample(agents(ROWS + 40, mark=f"{chance.random()}"), 80))
                    table.remove(*([chance.randrange(ROWS)] for _ in range(10)))
                some = chance.randint(1, min(kills, 3))
                kills -= some
                for _ in range(some):
                    struck += puller.strike(chance, 0.8 * lasted, (50, 100, 300))
                assert puller.pull(None, 200) == 0, f"seed {seed}"
                site = here.reopen()
                for name, table in tables.items():
                    assert holds(site, name) == there(table), f"seed {seed}: {name}"
                check(here, seed)
        finally:
            puller.close()
    return struck


def check(here: Town, seed: str) -> None:
    """Read every hash of every stream back: each is whole, is what the audit log says, and no draft is left."""
    site = here.site
    for dataset, head in site.heads().items():
        assert head.verdict.state == "complete", f"seed {seed}: {dataset}"
        last = site.audit.last_commit(dataset.connection, dataset.stream)
        assert last is not None
        assert last.manifest == head.hash, f"seed {seed}: {dataset}"
        found = site.repository.verify(dataset, expected_head=last.manifest)
        assert [each for each in found if each.severity == "error"] == [], f"seed {seed}: {dataset}"
    site.audit.verify()
    assert site.repository.drafts() == [], f"seed {seed}"
    assert not [run for run in site.runs.latest(limit=100) if run.state == "running"], f"seed {seed}"
    here.close()


def test_three_kills_at_seeded_instants_lose_and_double_nothing_in_any_of_four_streams(tmp_path: Path) -> None:
    assert drill(tmp_path, 3, os.environ.get("SOVEREIGN_SEED") or "four streams") == 3


@pytest.mark.torture
@pytest.mark.timeout(300 + 10 * KILLS)
def test_many_kills_lose_and_double_nothing_in_any_of_four_streams(tmp_path: Path) -> None:
    seed, kills = os.environ.get("SOVEREIGN_SEED") or str(time.time_ns()), max(30, KILLS // 2)
    assert drill(tmp_path, kills, seed) == kills, f"seed {seed}"


def test_a_replay_killed_at_seeded_instants_is_made_again_to_the_same_snapshots(tmp_path: Path) -> None:
    chance, struck = random.Random("replay"), 0  # noqa: S311 — a drill, not a secret
    with towns(tmp_path, ROWS, cap=50) as (here, tables):
        here.sync()
        for table in tables.values():
            table.put(*agents(40, mark="second"))
            table.remove([ROWS - 1], [ROWS - 2])
        second = here.sync()
        calls = len(here.vendor.calls)
        for each in second.streams:
            here.site.repository.manifest_file(DatasetId(CONNECTION, each.stream), str(each.manifest)).unlink()
        here.close()
        puller = Puller(here.root)
        try:
            for _ in range(3):
                status = puller.replay(chance.uniform(0.02, 0.25), second.run)
                assert status in (0, signal.SIGKILL)
                struck += status == signal.SIGKILL
            assert puller.replay(None, second.run) == 0
            assert puller.replay(None, second.run) == 0
        finally:
            puller.close()
        assert struck >= 1, "the kills came too late to mean anything"
        site = here.reopen()
        for name, table in tables.items():
            assert holds(site, name) == there(table), name
            head = site.heads()[DatasetId(CONNECTION, name)]
            assert sum(batch.num_rows for batch in site.repository.read(head, CLASSES)) == len(there(table))
        assert len(here.vendor.calls) == calls
        check(here, "replay")
