"""Jobs: what falls due, once, whatever the process went through. The state is real; the work is only noted."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sovereign.audit import AuditLog
from sovereign.settings import parse
from sovereign.state import Jobs as Diary
from sovereign.state import Leases, Runs, State
from sovereign.sync.errors import NoCadence
from sovereign.sync.fence import lease_of
from sovereign.sync.jobs import Jobs
from sovereign.sync.workers import Threads, Work
from tests.servers.masters import Mortal
from vault.keys import Keys

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
URL = 'connector = "rest"\nurl = "https://v.example"\n'
SETTINGS = f"""
[connections.quarter]
{URL}every = "15 minutes spread over 0 minutes"
[connections.nightly]
{URL}schedule = "chaque jour à 03:30"
missed = "skip"
[connections.byhand]
{URL}
"""


@dataclass
class Noting:
    """Workers that note what they are given and are busy until told otherwise."""

    taken: list[Work] = field(default_factory=list)
    at_work: set[str] = field(default_factory=set)

    def enqueue(self, work: Work) -> None:
        if work.connection not in self.at_work:
            self.at_work.add(work.connection)
            self.taken.append(work)

    def busy(self) -> frozenset[str]:
        return frozenset(self.at_work)

    def close(self) -> None:
        """Nothing to end."""


@dataclass
class House:
    """The state of a site, and the jobs over it, at an instant that moves by hand."""

    state: State
    jobs: Jobs
    runs: Runs
    diary: Diary
    leases: Leases
    present: list[datetime]

    def at(self, text: str) -> None:
        self.present[0] = datetime.fromisoformat(text).replace(tzinfo=UTC)

    def look(self, workers: Noting) -> list[str]:
        """What this look found due."""
        before = len(workers.taken)
        self.jobs.look(workers)
        return [work.id for work in workers.taken[before:]]


@contextmanager
def house(folder: Path, settings: str = SETTINGS) -> Iterator[House]:
    present = [START]
    read = parse(settings, folder / "sovereign.toml")
    keys = Keys.create(folder / "keys", Mortal(), lambda: present[0]) if not (folder / "keys").is_dir() else None
    with State(folder / "state.db", lambda: present[0]) as state:
        clock = lambda: present[0]  # noqa: E731 — the clock
        diary, runs, leases = Diary(state, clock), Runs(state, clock), Leases(state, clock)
        audit = AuditLog(state, keys, clock) if keys else None
        jobs = Jobs(lambda: read, state, diary, runs, leases, audit, None, clock)  # type: ignore[arg-type]  # nothing is pulled
        yield House(state, jobs, runs, diary, leases, present)


def test_a_due_time_is_enqueued_once_under_its_own_name(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        workers = Noting()
        assert home.look(workers) == []
        home.at("2026-11-23T12:15:03")
        assert home.look(workers) == ["quarter@2026-11-23T12:15:00Z"]
        assert home.look(workers) == []
        workers.at_work.clear()
        assert home.look(workers) == []
        assert [job.due_at for job in home.jobs.list() if job.connection == "quarter"] == [
            datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
        ]


def test_a_due_time_that_comes_while_a_run_works_waits_for_its_end_and_several_make_one(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        workers = Noting()
        home.look(workers)
        home.at("2026-11-23T12:15:00")
        home.look(workers)
        home.at("2026-11-23T13:10:00")
        assert home.look(workers) == []
        workers.at_work.clear()
        assert home.look(workers) == ["quarter@2026-11-23T12:30:00Z"]
        workers.at_work.clear()
        home.at("2026-11-23T13:14:00")
        assert home.look(workers) == []


def test_what_was_missed_is_made_once_or_let_pass_as_the_connection_says(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        workers = Noting()
        home.look(workers)
        home.at("2026-11-25T10:00:00")
        assert home.look(workers) == ["quarter@2026-11-23T12:15:00Z"]
        states = {due.id: due.state for due in home.jobs.history()}
        assert states["nightly@2026-11-24T02:30:00Z"] == "missed"
        assert {job.connection: job.due_at.isoformat() for job in home.jobs.list()} == {
            "quarter": "2026-11-25T10:15:00+00:00",
            "nightly": "2026-11-26T02:30:00+00:00",
        }


def test_a_run_made_by_hand_holds_back_the_job(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        workers = Noting()
        home.look(workers)
        home.at("2026-11-23T12:15:00")
        with home.leases.hold(lease_of("quarter"), "by hand"):
            assert home.look(workers) == []
        assert home.look(workers) == ["quarter@2026-11-23T12:15:00Z"]


def test_a_pause_asked_by_the_vendor_is_kept_and_the_run_goes_on_after_it(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        workers = Noting()
        home.look(workers)
        run = home.runs.start("quarter", "job")
        home.runs.finish(run, "waiting", waiting_until=START + timedelta(hours=1))
        home.at("2026-11-23T12:40:00")
        assert home.look(workers) == []
        status = next(job for job in home.jobs.list() if job.connection == "quarter")
        assert (status.waiting_until, status.late) == (START + timedelta(hours=1), False)
        home.at("2026-11-23T13:00:01")
        home.jobs.look(workers)
        assert [(work.id, work.trigger) for work in workers.taken] == [(run, "resume")]


def test_a_pause_that_a_later_run_replaced_waits_for_nothing(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        workers = Noting()
        home.look(workers)
        home.runs.finish(home.runs.start("quarter", "job"), "waiting", waiting_until=START + timedelta(minutes=5))
        home.at("2026-11-23T12:01:00")
        home.runs.finish(home.runs.start("quarter", "hand"), "succeeded")
        home.at("2026-11-23T12:15:00")
        assert home.look(workers) == ["quarter@2026-11-23T12:15:00Z"]


def test_a_changed_cadence_is_planned_anew(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.look(Noting())
    with house(tmp_path, SETTINGS.replace("15 minutes", "2 hours")) as home:
        home.look(Noting())
        due = {job.connection: job.due_at for job in home.jobs.list()}
        assert due["quarter"] == datetime(2026, 11, 23, 14, tzinfo=UTC)


def test_a_job_that_nothing_serves_is_late(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        home.look(Noting())
        home.at("2026-11-23T12:21:00")
        assert {job.connection: job.late for job in home.jobs.list()} == {"quarter": True, "nightly": False}


def test_a_connection_without_a_cadence_is_no_job(tmp_path: Path) -> None:
    with house(tmp_path) as home:
        assert {job.connection for job in home.jobs.list()} == {"quarter", "nightly"}
        with pytest.raises(NoCadence) as refused:
            home.jobs.run("byhand")
        assert refused.value.diagnostics().todo.endswith("nightly, quarter.")


def test_threads_do_one_piece_of_work_a_connection_at_a_time_and_close_cleanly() -> None:
    import threading

    gate, done = threading.Event(), list[str]()

    def perform(work: Work) -> None:
        gate.wait(60)
        done.append(work.id)

    workers = Threads(perform, 2)
    for name in ("a@1", "a@2", "b@1"):
        workers.enqueue(Work(name, name[0], START, "job"))
    assert workers.busy() == {"a", "b"}
    gate.set()
    while workers.busy():
        threading.Event().wait(0.01)
    workers.enqueue(Work("a@3", "a", START, "job"))
    workers.close()
    assert sorted(done)[:2] == ["a@1", "b@1"]
    assert "a@2" not in done
