"""Several processes at one site at once: a mart asked of two is right for both, and questions go on while snapshots commit."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.servers.sites import CONNECTION, agents, credentials, town

ROWS = 3000
ASKER = """
import sys
from pathlib import Path
from sovereign.site import Site

with Site.open(Path(sys.argv[1])) as site:
    site.heads()
    print("ready", flush=True)
    sys.stdin.readline()
    with site.query("SELECT count(*), count(DISTINCT id) FROM rh.agents", clearance="sensitive") as answer:
        print(*answer.reader.read_all().to_pylist()[0].values(), flush=True)
"""


def asker(root: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(credentials(root.parent))}
    command = [sys.executable, "-c", ASKER, str(root)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_two_processes_that_make_the_same_mart_at_once_both_answer_from_one(tmp_path: Path) -> None:
    with town(tmp_path, ROWS, cap=500) as here:
        here.sync()
        here.close()
        askers = [asker(here.root) for _ in range(2)]
        for each in askers:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in askers:
            assert each.stdin is not None
            each.stdin.write("now\n")
            each.stdin.flush()
        for each in askers:
            said, _ = each.communicate(timeout=120)
            assert (each.returncode, said) == (0, f"{ROWS} {ROWS}\n")
        folder = here.root / "marts" / CONNECTION / "agents"
        assert len(list(folder.glob("*.mart"))) == 1
        assert not list(folder.glob(".*.building"))


def test_every_question_during_commits_answers_from_one_whole_snapshot(tmp_path: Path) -> None:
    rounds, count, seen, failed = 6, 400, list[str](), list[BaseException]()
    with town(tmp_path, count, cap=200) as here:
        here.table.put(*agents(count, mark="round 0"))
        here.sync()
        over, first = threading.Event(), threading.Event()

        def ask() -> None:
            try:
                while not over.is_set():
                    with here.site.query("SELECT health, id FROM rh.agents", clearance="sensitive") as answer:
                        rows = answer.reader.read_all().to_pylist()
                    marks = {row["health"].split("round ")[1] for row in rows}
                    assert len(rows) == len({row["id"] for row in rows}) == count
                    assert len(marks) == 1
                    seen.append(marks.pop())
                    first.set()
            except BaseException as error:  # noqa: BLE001 — told to the test
                failed.append(error)
                first.set()

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            assert first.wait(60)
            for turn in range(1, rounds + 1):
                here.table.put(*agents(count, mark=f"round {turn}"))
                assert here.sync().state == "succeeded"
                known, end = len(seen), time.monotonic() + 60
                while len(seen) == known and not failed and time.monotonic() < end:
                    time.sleep(0.01)
        finally:
            over.set()
            thread.join(60)
        assert failed == []
        assert seen == sorted(seen)
        assert len(set(seen)) >= 3
