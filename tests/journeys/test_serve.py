"""`serve` on a whole site: runs are made when they are due, missed ones once, and a stop is clean."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sovereign.actor import SERVICE
from sovereign.errors import Locked
from sovereign.state import Jobs as Diary
from sovereign.sync.cadence import parse
from sovereign.sync.fence import lease_of
from tests.servers.sites import CONNECTION, Town, town

SECONDS = 90.0
"""Longer than a busy machine keeps a thread waiting."""

EVERY = "15 minutes"


def just_due() -> timedelta:
    """By how much a clock is ahead that has just passed an instant when a run is due: none falls due while a test looks."""
    present = datetime.now(UTC)
    return parse(f"every {EVERY}").after(present, CONNECTION) + timedelta(seconds=1) - present


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def looking(here: Town) -> None:
    """Wait until it is known when the next run is due: that it serves is entered before."""
    diary = Diary(here.site.state, here.clock)
    until(lambda: [job for job in diary.list() if job.due_at is not None])


@contextmanager
def serving(here: Town) -> Iterator[threading.Event]:
    stop, failed = threading.Event(), list[BaseException]()

    def serve() -> None:
        try:
            here.site.jobs().serve(stop)
        except BaseException as error:  # noqa: BLE001 — told to the test
            failed.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(SECONDS)
    assert not thread.is_alive()
    assert failed == []


def test_a_run_is_made_when_it_is_due_and_entered(tmp_path: Path) -> None:
    with town(tmp_path, every=EVERY, ahead=just_due()) as here:
        jobs = here.site.jobs()
        with serving(here):
            looking(here)
            time.sleep(0.3)
            assert jobs.history() == ()
            here.clock.offset += timedelta(minutes=16)
            until(lambda: [due for due in jobs.history() if due.state == "succeeded"])
        (due,) = jobs.history()
        assert due.run == here.site.runs.latest(CONNECTION, 1)[0].run
        assert here.held() == here.there()
        assert [entry.act for entry in here.site.audit.entries(act="serve")] == ["serve.started", "serve.stopped"]
        assert jobs.list()[0].last_state == "succeeded"


def test_a_run_missed_while_nothing_served_is_made_once_at_the_start(tmp_path: Path) -> None:
    with town(tmp_path, every=EVERY, ahead=just_due()) as here:
        with serving(here):
            looking(here)
            time.sleep(0.3)
        here.clock.offset += timedelta(hours=5)
        with serving(here):
            until(lambda: [due for due in here.site.jobs().history() if due.state == "succeeded"])
            time.sleep(1.5)
        assert len(here.site.jobs().history()) == 1


def test_a_run_that_waits_for_the_vendor_goes_on_when_the_pause_is_over(tmp_path: Path) -> None:
    with town(tmp_path, every=EVERY, ahead=just_due(), style="cursor") as here:
        here.trouble("throttle", 3600, at=7)
        with serving(here):
            looking(here)
            here.clock.offset += timedelta(minutes=16)
            until(lambda: [run for run in here.site.runs.latest(CONNECTION) if run.state == "waiting"])
            here.clock.offset += timedelta(hours=1)
            until(lambda: [run for run in here.site.runs.latest(CONNECTION) if run.state == "succeeded"])
        assert here.held() == here.there()


def test_a_stop_ends_the_run_under_way_and_keeps_what_it_had(tmp_path: Path) -> None:
    with town(tmp_path, 3000, latency=0.05, style="cursor", every=EVERY, ahead=just_due()) as here:
        with serving(here) as stop:
            looking(here)
            here.clock.offset += timedelta(minutes=16)
            until(lambda: here.vendor.calls and len(here.vendor.calls) > 5)
            stop.set()
        run = here.site.runs.latest(CONNECTION, 1)[0]
        assert run.state == "cancelled"
        assert here.site.repository.drafts() == [run.run]
        assert here.site.jobs().history()[0].state == "cancelled"


def test_a_run_that_its_process_died_of_is_made_at_the_start(tmp_path: Path) -> None:
    with town(tmp_path, every=EVERY, ahead=just_due()) as here:
        died_at = here.clock() - timedelta(minutes=1)
        Diary(here.site.state, here.clock).claim(CONNECTION, died_at)  # then the machine lost power
        with serving(here):
            until(lambda: [due for due in here.site.jobs().history() if due.state == "succeeded"])
        assert len(here.site.runs.latest(CONNECTION)) == 1


def test_one_process_serves_a_site(tmp_path: Path) -> None:
    with town(tmp_path, every=EVERY, ahead=just_due()) as here, serving(here):
        until(lambda: here.site.audit.entries(act="serve.started"))
        with pytest.raises(Locked):
            here.site.jobs().serve(threading.Event())


def test_raw_archives_leave_when_serving_although_their_connection_no_longer_runs(tmp_path: Path) -> None:
    with town(tmp_path) as here:  # no cadence: nothing is ever due
        run = here.sync().run
        archive = here.root / "snapshots" / CONNECTION / ".raw" / run
        here.clock.offset = timedelta(days=31)
        site = here.site
        with site.leases.hold(lease_of(CONNECTION), "a replay"), serving(here):
            until(lambda: site.audit.entries(act="serve.started"))
            time.sleep(0.5)
        assert archive.is_dir()
        with serving(here):
            until(lambda: not archive.exists())
        entries = site.audit.entries(act="raw.expired")
        assert [(entry.subject, entry.facts) for entry in entries] == [({"connection": CONNECTION, "run": run}, {"days": 30})]
        assert site.leases.holder(lease_of(CONNECTION)) is None


def test_an_archive_whose_removal_was_cut_short_is_removed_and_entered(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        run = here.sync().run
        archive = here.root / "snapshots" / CONNECTION / ".raw" / run
        for inside in archive.iterdir():
            inside.unlink()  # then the machine lost power
        here.site.remove_connection(CONNECTION)
        here.clock.offset = timedelta(days=31)
        with serving(here):
            until(lambda: not archive.exists())
        assert [entry.subject["run"] for entry in here.site.audit.entries(act="raw.expired")] == [run]


def test_the_service_is_the_actor_of_what_it_does_by_itself(tmp_path: Path) -> None:
    with town(tmp_path, 20, every="15 minutes") as here:
        Diary(here.site.state, here.clock).claim(CONNECTION, here.clock() - timedelta(minutes=1))  # due as soon as it serves
        command = [sys.executable, "-m", "sovereign.cli.main", "--site", str(here.root), "serve"]
        service = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            until(lambda: [due for due in here.site.jobs().history() if due.state == "succeeded"])
        finally:
            service.send_signal(signal.SIGTERM)
            assert service.wait(SECONDS) == 0
        entries = [entry for entry in here.site.audit.entries() if entry.act.startswith(("serve.", "sync."))]
        assert {entry.act for entry in entries} >= {"serve.started", "sync.started", "sync.finished", "serve.stopped"}
        assert all(entry.body and entry.body["actor"] == SERVICE for entry in entries)
