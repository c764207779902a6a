"""A real `sovereign serve` backs its site up when it is due; what fails or is late is told to those who must know."""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sovereign.backed_up import JOB
from sovereign.state import Jobs as Diary
from tests.servers.service import Service, service

SETTINGS = """
[backup]
keys = "../apart"
every = "1 day"

[backup.keep]
last = 1

[backup.targets.nas]
folder = "../nas"
"""
EVERY = "every 1 day"


def until(true: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.1)


def due(here: Service, ago: timedelta = timedelta(minutes=1)) -> None:
    """Let a backup be due since so long, as the passing of a day would."""
    with here.site() as site:
        Diary(site.state, site.clock).plan(JOB, EVERY, site.clock() - ago)


def ended(here: Service, *states: str) -> None:
    """Wait until the backups that fell due ended so, newest first."""
    with here.site() as site:
        diary = Diary(site.state, site.clock)
        until(lambda: tuple(each.state for each in diary.history(JOB)) == states)


def saved(tmp_path: Path) -> Service:
    here = service(tmp_path, SETTINGS)
    here.run("keys", "export-recovery", "--output", str(tmp_path / "shares"))
    return here


def findings(here: Service, code: int) -> dict[str, dict[str, str]]:
    return {each["check"]: each for each in here.run("doctor", code=code) if each["type"] == "check"}


def test_serve_backs_up_when_it_is_due_and_prunes_by_the_rules(tmp_path: Path) -> None:
    here = saved(tmp_path)
    (planned,) = here.run("job", "list")
    assert (planned["connection"], planned["cadence"], planned["state"]) == (JOB, EVERY, "never")
    due(here, timedelta(days=3))
    assert "doctor.backup_late" in findings(here, 0)
    with here.serving():
        ended(here, "succeeded")
        due(here)
        ended(here, "succeeded", "succeeded")
    (planned,) = here.run("job", "list")
    assert (planned["state"], planned["late"]) == ("succeeded", False)
    assert {each["state"] for each in here.run("job", "history")} == {"succeeded"}
    assert [each["id"] for each in here.run("backup", "list")] == [planned["last_run"]], "by its rules, one is kept"
    here.run("backup", "verify", "--read-all")
    assert not {"doctor.backup_late", "doctor.backup_failed"} & {*findings(here, 0)}
    with here.site() as site:
        assert [each.act for each in site.audit.entries(act="backup.created")] == ["backup.created"] * 2
        by = {each.actor for each in site.audit.entries(act="serve.started")}
        assert {each.actor for each in site.audit.entries(act="backup.created")} == by
        assert len(site.audit.entries(act="backup.pruned")) == 1


def test_a_backup_that_fails_is_told_and_made_as_soon_as_it_can_be(tmp_path: Path) -> None:
    here = saved(tmp_path)
    (tmp_path / "nas").write_text("a disk that is not mounted")
    due(here)
    with here.process() as (running, _):
        ended(here, "failed")
        running.kill()
        assert running.stderr is not None
        assert "backup.target" in running.stderr.read()
    told = findings(here, 1)
    assert "backup.target" in told["doctor.backup_failed"]["what"]
    assert here.run("job", "list")[0]["state"] == "failed"
    with here.site() as site:
        (entry,) = site.audit.entries(act="backup.failed")
        assert (entry.facts["error"], entry.facts["step"]) == ("backup.target", "create")
    (tmp_path / "nas").unlink()
    with here.serving():
        ended(here, "succeeded")
    assert "doctor.backup_failed" not in findings(here, 0)
    assert len(here.run("backup", "list")) == 1


def test_a_backup_that_the_process_died_of_is_made_when_serving_starts(tmp_path: Path) -> None:
    here = saved(tmp_path)
    with here.site() as site:
        diary = Diary(site.state, site.clock)
        diary.plan(JOB, EVERY, site.clock() + timedelta(hours=20))
        diary.claim(JOB, site.clock() - timedelta(hours=4))  # then the machine lost power
    with here.serving():
        ended(here, "succeeded")
    with here.site() as site:
        (job,) = Diary(site.state, site.clock).list()
        assert job.due_at is not None
        assert timedelta(hours=19) < job.due_at - site.clock() < timedelta(hours=21), "its next time did not move"
