"""`kill -9` at random instants of a sync: nothing is lost, nothing is doubled, nothing readable is left behind.

SOVEREIGN_KILLS says how many kills in all (20 by default); SOVEREIGN_SEED makes a series happen again.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from snapshots.dataset import CLASSES
from tests.security.canaries.search import search
from tests.servers.sites import AGENTS, CANARIES, SECRET, Town, agents, credentials, held, town

KILLS = int(os.environ.get("SOVEREIGN_KILLS", "20"))
SERIES = max(2, KILLS // 7)
ROWS = 2500


class Puller:
    """A process that syncs when told to, and is killed when told to."""

    def __init__(self, root: Path, module: str = "tests.journeys.puller") -> None:
        environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(credentials(root.parent))}
        command = [sys.executable, "-m", module, str(root)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parents[2]
        )

    def pull(self, kill_after: float | None, rows: int) -> int:
        """Sync once, killed after so many seconds; gives how the process ended (9: killed)."""
        return self._do(f"pull {rows}", kill_after)

    def strike(self, chance: random.Random, within: float, rows: tuple[int, ...]) -> bool:
        """Kill one sync at a random instant of so many seconds; one that ended first is tried again, and struck sooner."""
        for _ in range(8):
            status = self.pull(chance.uniform(0, within), chance.choice(rows))
            if status == signal.SIGKILL:
                return True
            assert status == 0
            within /= 2
        return False

    def replay(self, kill_after: float | None, run: str) -> int:
        """Make the snapshots of a run again, killed after so many seconds; gives how the process ended."""
        return self._do(f"replay {run}", kill_after)

    def _do(self, line: str, kill_after: float | None) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()
        child = int(self.process.stdout.readline())
        alarm = threading.Timer(kill_after, _strike, (child,)) if kill_after is not None else None
        if alarm is not None:
            alarm.start()
        status = int(self.process.stdout.readline())
        if alarm is not None:
            alarm.cancel()
            alarm.join()
        return status

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def _strike(child: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # it had just ended: no kill, and none is counted
        os.kill(child, signal.SIGKILL)


@pytest.mark.timeout(300 + 10 * KILLS)
def test_a_sync_killed_at_random_instants_ends_with_exactly_the_vendors_rows(tmp_path: Path) -> None:
    seed = os.environ.get("SOVEREIGN_SEED") or str(time.time_ns())
    chance, killed, resumed = random.Random(seed), 0, 0  # noqa: S311 — a drill, not a secret
    for series in range(SERIES):
        wanted = KILLS // SERIES + (series < KILLS % SERIES)
        folder = tmp_path / str(series)
        with town(folder, ROWS, cap=50, latency=0.003) as here:
            here.close()
            puller = Puller(here.root)
            try:
                began = time.monotonic()
                assert puller.pull(None, 1000) == 0, f"seed {seed}"
                lasted = time.monotonic() - began
                while wanted:
                    change(here, chance)
                    striking = chance.randint(1, wanted)
                    wanted -= striking
                    for _ in range(striking):
                        killed += puller.strike(chance, 0.8 * lasted, (100, 300, 800))
                    assert puller.pull(None, 1000) == 0, f"seed {seed}"
                    resumed += check(here, seed)
            finally:
                puller.close()
        report = search([folder / "site"], [*CANARIES, SECRET])
        assert report.found == [], f"seed {seed}"
        assert report.files > 10
    print(f"seed {seed}: {killed} killed, {resumed} runs continued, of {KILLS} kills")  # noqa: T201 — shown by pytest -s
    assert killed == KILLS, f"seed {seed}"
    assert resumed > 0, f"seed {seed}: no run was ever continued"


def change(here: Town, chance: random.Random) -> None:
    """What people do at the vendor's meanwhile: a few records come, change and go."""
    mark = f"{chance.random()}"
    some = chance.sample(agents(ROWS, mark=mark), 150)
    here.table.put(*some[:100], *({**row, "id": row["id"] + ROWS + chance.randrange(10**6)} for row in some[100:]))
    here.table.remove(*([row["id"]] for row in some[:20]))


def check(here: Town, seed: str) -> int:
    """Compare record by record, and read back every hash, tag and entry; gives how many runs took several attempts."""
    site = here.reopen()
    assert held(site) == here.there(), f"seed {seed}"
    head = site.heads()[AGENTS]
    assert sum(batch.num_rows for batch in site.repository.read(head, CLASSES)) == len(here.there()), f"seed {seed}"
    checks = {evidence["check"] for evidence in head.verdict.evidence}
    assert (head.verdict.state, "records_repeated" in checks) == ("complete", False), f"seed {seed}: {head.verdict}"
    last = site.audit.last_commit(AGENTS.connection, AGENTS.stream)
    assert last is not None
    assert last.manifest == head.hash, f"seed {seed}"
    errors = [each for each in site.repository.verify(AGENTS, expected_head=last.manifest) if each.severity == "error"]
    assert errors == [], f"seed {seed}"
    site.audit.verify()
    assert site.repository.drafts() == [], f"seed {seed}"
    runs = site.runs.latest(limit=100)
    assert not [run for run in runs if run.state == "running"], f"seed {seed}"
    here.close()
    return sum(run.attempts > 1 for run in runs)
