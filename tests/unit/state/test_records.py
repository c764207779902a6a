"""What the records of runs and jobs promise."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from sovereign.state import Jobs, Runs, State, new_id
from sovereign.state.jobs import occurrence_id
from tests.servers.wayout import Time


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    with State(tmp_path / "state.db") as opened:
        yield opened


def test_names_of_runs_sort_by_time_and_do_not_collide() -> None:
    time, names = Time(), []
    for _ in range(200):
        names.append(new_id(time.clock))
        time.sleep(0.0015)
    assert names == sorted(names)
    assert len({new_id(time.clock) for _ in range(500)}) == 500
    assert (
        new_id(lambda: datetime(2026, 11, 23, 18, 45, 0, 123999, tzinfo=UTC), lambda size: b"\xab" * size)
        == "20261123-184500123-abababab"
    )


def test_a_run_keeps_its_attempts_and_an_abandoned_one_reads_as_interrupted(state: State) -> None:
    time = Time()
    runs = Runs(state, time.clock)
    run = runs.start("ville", "cli")
    time.sleep(5)
    assert runs.resume(run) == 2
    time.sleep(5)
    until = time.present + timedelta(hours=1)
    runs.finish(run, "waiting", waiting_until=until, error="egress.waiting", counts={"rows": 3}, outcome={"streams": []})
    found = runs.get(run)
    assert found is not None
    assert (found.state, found.attempts, found.waiting_until, found.counts, found.error) == (
        "waiting",
        2,
        until,
        {"rows": 3},
        "egress.waiting",
    )
    assert (found.finished_at, found.outcome) == (time.present, {"streams": []})
    assert [(attempt.number, attempt.state) for attempt in runs.attempts(run)] == [(1, "interrupted"), (2, "waiting")]
    runs.resume(run)
    found = runs.get(run)
    assert found is not None
    assert (found.state, found.waiting_until, found.finished_at) == ("running", None, None)


def test_runs_are_listed_newest_first_by_connection_and_state(state: State) -> None:
    time = Time()
    runs = Runs(state, time.clock)
    names = []
    for number in range(6):
        names.append(runs.start("ab"[number % 2], "cli"))
        time.sleep(1)
    runs.finish(names[0], "succeeded")
    assert [run.id for run in runs.list(limit=2)] == [names[5], names[4]]
    assert [run.id for run in runs.list("a")] == [names[4], names[2], names[0]]
    assert [run.id for run in runs.list("a", state="succeeded")] == [names[0]]
    assert runs.get("nothing") is None


def test_a_run_and_what_witnesses_it_are_written_together_or_not_at_all(state: State) -> None:
    runs = Runs(state, Time().clock)

    def fails() -> None:
        with state.begin() as transaction:
            runs.start("ville", "cli", within=transaction)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert runs.list() == ()


def test_a_due_time_is_taken_once_whoever_comes(state: State) -> None:
    time = Time()
    jobs = Jobs(state, time.clock)
    due = time.present + timedelta(minutes=15)
    jobs.plan("ville", "every 15 minutes", due)
    jobs.plan("autre", "every day", None)
    assert jobs.due() == ()
    time.sleep(901)
    assert [job.connection for job in jobs.due()] == ["ville"]
    taken = jobs.claim("ville", due)
    assert taken == f"ville@{due:%Y-%m-%dT%H:%M:%SZ}"
    assert jobs.claim("ville", due) is None
    time.sleep(3)
    jobs.settle(taken, "succeeded", run="run-1")
    job, (occurrence,) = jobs.get("ville"), jobs.history("ville")
    assert job is not None
    assert (job.last_due_at, job.last_run, job.last_state) == (due, "run-1", "succeeded")
    assert (occurrence.state, occurrence.run, occurrence.finished_at) == ("succeeded", "run-1", time.present)


def test_an_older_due_time_that_ends_late_does_not_hide_the_newer_one(state: State) -> None:
    time = Time()
    jobs = Jobs(state, time.clock)
    first, second = time.present, time.present + timedelta(hours=1)
    jobs.plan("ville", "hourly", first)
    old, new = jobs.claim("ville", first), jobs.claim("ville", second)
    assert old is not None
    assert new is not None
    jobs.settle(new, "succeeded", run="new")
    jobs.settle(old, "failed", run="old", error="egress.timeout")
    job = jobs.get("ville")
    assert job is not None
    assert job.last_run == "new"
    assert [occurrence.run for occurrence in jobs.history()] == ["new", "old"]
    jobs.forget("ville")
    assert jobs.list() == ()
    assert len(jobs.history("ville")) == 2


def test_one_instant_has_one_name_in_every_zone() -> None:
    paris = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    assert occurrence_id("ville", paris) == occurrence_id("ville", paris.astimezone(UTC)) == "ville@2026-10-25T00:30:00Z"


def test_instants_keep_their_order_as_text(state: State) -> None:
    runs = Runs(state, Time().clock)
    instants = [
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2026, 1, 1, microsecond=1, tzinfo=UTC),
        datetime(2026, 1, 1, 1, tzinfo=timezone(timedelta(hours=-3))),
    ]
    for left, right in itertools.pairwise(instants):
        Runs(state, lambda at=left: at).start("ville", "cli", run=f"r{left.isoformat()}")  # type: ignore[misc]
        assert left < right
    assert [run.started_at for run in reversed(runs.list())] == instants[:-1]
