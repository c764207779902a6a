"""`kill -9` of what tells subscribers, at random instants: every event is told, twice under one id at most, in its order.

SOVEREIGN_KILLS says twice how many kills in all (20 by default); SOVEREIGN_SEED makes a series happen again.
"""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path

import pytest

from tests.journeys.test_kills import KILLS
from tests.servers.receiver import Receiver
from tests.servers.subscribed import house

BATCH, ROUNDS = 60, max(4, KILLS // 4)


def start(root: Path, urls: str, first: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.journeys.herald", str(root), urls, str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])


@pytest.mark.timeout(300 + 15 * KILLS)
def test_what_tells_subscribers_loses_no_event_when_it_is_killed_and_doubles_none_under_another_id(tmp_path: Path) -> None:
    seed = os.environ.get("SOVEREIGN_SEED") or str(time.time_ns())
    chance = random.Random(seed)  # noqa: S311 - a drill, not a secret
    moods = [chance.choices((204, 500, 503, 302), (90, 4, 4, 2), k=100_000) for _ in range(2)]
    ordered, loose = (Receiver(lambda number, mine=mine: mine[number]) for mine in moods)
    entered, killed = list[str](), 0
    with ordered.listening(), loose.listening():
        urls = f"{ordered.url},{loose.url}"
        for number in range(ROUNDS):
            process = start(tmp_path / "h", urls, number * BATCH, BATCH)
            assert process.stdout is not None
            first = process.stdout.readline()
            alarm = threading.Timer(chance.uniform(0.0, 0.8), process.kill)
            alarm.start()
            entered += [line.strip() for line in (first, *process.stdout) if line.endswith("\n")]
            killed += process.wait(120) == -signal.SIGKILL
            alarm.cancel()
            process.stdout.close()
        last = start(tmp_path / "h", urls, ROUNDS * BATCH, 1)
        assert last.wait(240) == 0, f"seed {seed}"
        assert last.stdout is not None
        last.stdout.close()
    with house(tmp_path / "h") as here:
        names = {str(each.seq): f"{each.seq}.{each.leaf[:4].hex()}.0" for each in here.acts("sync.committed")}
        committed = list(names)
        outcomes = {name: set(here.outcomes(name)) for name in ("ordered", "loose")}
    assert killed >= ROUNDS // 2, f"seed {seed}: the kills came too late to mean anything"
    assert set(entered) <= set(committed), f"seed {seed}"
    assert outcomes == {"ordered": {"told"}, "loose": {"told"}}, f"seed {seed}"
    for there in (ordered, loose):
        bodies = defaultdict[str, set[bytes]](set)
        for heard in there.heard:
            bodies[heard.headers["webhook-id"]].add(heard.body)
        assert all(len(each) == 1 for each in bodies.values()), f"seed {seed}: one id, two bodies"
        assert sorted(bodies) == sorted(names.values()), f"seed {seed}: lost, or under two ids"
        sequences = {int(heard.json()["sequence"]) for heard in there.heard}
        assert sequences == set(range(1, len(committed) + 1)), f"seed {seed}"
    told = [int(heard.json()["sequence"]) for heard in ordered.heard]
    assert list(dict.fromkeys(told)) == sorted(set(told)), f"seed {seed}: out of order"
    doubled = len(ordered.heard) + len(loose.heard) - 2 * len(committed)
    print(f"seed {seed}: {killed} kills, {len(committed)} events, {doubled} sent more than once")  # noqa: T201
