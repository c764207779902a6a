"""A sync from end to end, on a whole site: what is pulled, what is published, what is continued."""

import shutil
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from saas_connectors.sandbox import Table
from snapshots.dataset import CLASSES
from sovereign.state import LeaseHeld
from sovereign.sync.errors import StillWaiting, UnknownConnection, UnknownStream
from sovereign.sync.fence import lease_of
from sovereign.sync.outcome import RunOutcome
from sovereign.sync.progress import Awaited, Event, Reading, Recorder, RunStarted
from tests.servers.sites import AGENTS, CONNECTION, Town, agents, town


def counts(outcome: RunOutcome) -> dict[str, int]:
    return outcome.streams[0].counts


def acts(here: Town) -> list[str]:
    return [entry.act for entry in here.site.audit.entries(connection=CONNECTION)]


def test_a_first_pull_holds_exactly_what_the_vendor_has(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        watch = Recorder()
        outcome = here.sync(progress=watch)
        assert (outcome.state, outcome.streams[0].verdict, outcome.fault) == ("succeeded", "complete", None)
        assert here.held() == here.there()
        assert [type(event).__name__ for event in watch.events if isinstance(event, RunStarted)] == ["RunStarted"]
        last = [event for event in watch.events if isinstance(event, Reading)][-1]
        assert (last.rows, last.expected) == (500, 500)
        assert here.site.repository.drafts() == []
        assert [act for act in acts(here) if act.startswith("sync.")] == ["sync.started", "sync.committed", "sync.finished"]


def test_an_unchanged_vendor_makes_an_entry_and_no_snapshot(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        first, second = here.sync(), here.sync()
        assert second.streams[0].state == "unchanged"
        assert second.streams[0].manifest == first.streams[0].manifest
        assert len(here.site.repository.manifests(AGENTS)) == 1
        assert acts(here)[-2:] == ["sync.unchanged", "sync.finished"]


def test_only_what_changed_is_told_and_the_past_can_be_asked(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        before = here.there()
        here.table.put(*agents(3, mark="changed"), {**agents(1)[0], "id": 9000})
        here.table.remove([10], [11])
        outcome = here.sync()
        assert counts(outcome) == {"rows": 499, "inserted": 1, "updated": 3, "deleted": 2, "unchanged": 495}
        assert here.held() == here.there()
        with here.site.query("SELECT count(*) AS n, max(id) AS top FROM rh.agents", as_of=1) as answer:
            assert answer.reader.read_all().to_pylist() == [{"n": len(before), "top": 499}]


def test_an_incremental_pull_asks_for_what_is_new_and_keeps_its_cursor_in_the_manifest(tmp_path: Path) -> None:
    stream = {"cursor": "updated", "param": "updated_since"}
    with town(tmp_path, cursor=True, stream=stream) as here:
        here.sync()
        head = here.site.heads()[AGENTS]
        assert "2026-01-01T08:19:00" in str(here.site.repository.cursor(head))
        new = {**agents(1)[0], "id": 9000, "updated": "2026-06-01T00:00:00Z"}
        here.table.put(new)
        here.vendor.calls.clear()
        outcome = here.sync()
        assert (outcome.streams[0].mode, counts(outcome)["inserted"], counts(outcome)["rows"]) == ("incremental", 1, 501)
        assert outcome.rows < 100
        assert here.held() == here.there()


def test_an_incremental_stream_is_read_in_full_every_week_so_that_deletions_come_to_light(tmp_path: Path) -> None:
    stream = {"cursor": "updated", "param": "updated_since"}
    with town(tmp_path, cursor=True, stream=stream) as here:
        here.sync()
        here.table.remove([3])
        assert counts(here.sync())["deleted"] == 0
        here.clock.offset = timedelta(days=8)
        outcome = here.sync()
        assert (outcome.streams[0].mode, counts(outcome)["deleted"]) == ("full_refresh", 1)
        assert here.sync().streams[0].mode == "incremental"


def test_a_pause_asked_by_the_vendor_is_a_date_and_the_run_goes_on_after_it(tmp_path: Path) -> None:
    with town(tmp_path, style="cursor", limits={"concurrency": 1}) as here:
        here.trouble("throttle", 3600, at=7, times=1)
        watch = Recorder()
        waiting = here.sync(progress=watch)
        assert waiting.state == "waiting"
        assert waiting.waiting_until is not None
        assert timedelta(minutes=59) < waiting.waiting_until - here.clock() <= timedelta(hours=1)
        assert [event.until for event in watch.events if isinstance(event, Awaited)] == [waiting.waiting_until]
        assert here.site.heads() == {}
        here.vendor.calls.clear()
        with pytest.raises(StillWaiting) as refused:
            here.reopen().syncs.run(CONNECTION)
        assert refused.value.fields["until"] == waiting.waiting_until
        assert not here.vendor.calls
        here.clock.offset = timedelta(hours=1, seconds=5)
        here.vendor.calls.clear()
        outcome = here.reopen().syncs.run(CONNECTION)
        assert (outcome.run, outcome.state, outcome.attempts) == (waiting.run, "succeeded", 2)
        assert len(here.vendor.calls) < 10
        assert here.held() == here.there()
        assert outcome.streams[0].counts["rows"] == 500


def test_an_operator_can_go_on_before_the_pause_is_over(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.trouble("throttle", 3600, at=2, times=1)
        assert here.sync().state == "waiting"
        assert here.sync(now=True).state == "succeeded"


def test_what_a_failed_run_sent_and_received_is_counted(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.trouble("html", 500, times=0)
        outcome = here.sync()
        assert (outcome.state, outcome.requests > 0, outcome.bytes_in > 0) == ("failed", True, True)
        assert here.site.runs.get(outcome.run).requests == outcome.requests


def test_a_run_that_is_stopped_is_continued_where_it_was(tmp_path: Path) -> None:
    class After:
        """Asks to stop once some records have come."""

        def __init__(self, rows: int) -> None:
            self.stop, self.rows = threading.Event(), rows

        def emit(self, event: Event) -> None:
            if isinstance(event, Reading) and event.rows >= self.rows:
                self.stop.set()

    with town(tmp_path, 3000, latency=0.02, style="cursor") as here:
        watch = After(300)
        stopped = here.sync(progress=watch, stop=watch.stop)
        assert stopped.state == "cancelled"
        assert 300 <= stopped.rows < 3000
        assert here.site.repository.drafts() == [stopped.run]
        outcome = here.reopen().syncs.run(CONNECTION)
        assert (outcome.run, outcome.state, outcome.rows) == (stopped.run, "succeeded", 3000)
        assert here.held() == here.there()


def test_an_unfinished_run_is_not_continued_under_other_settings(tmp_path: Path) -> None:
    with town(tmp_path, style="cursor") as here:
        here.trouble("throttle", 3600, at=7)
        first = here.sync()
        path = here.root / "sovereign.toml"
        path.write_text(path.read_text().replace("primary_key", 'title = "Agents"\nprimary_key', 1))
        here.calm()
        here.clock.offset = timedelta(hours=2)
        outcome = here.reopen().syncs.run(CONNECTION)
        assert outcome.run != first.run
        assert outcome.state == "succeeded"
        assert "sync.discarded" in acts(here)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda table: table.remove(*([n] for n in range(500))), "empty"),
        (lambda table: table.remove(*([n] for n in range(300))), "fall"),
        (
            lambda table: [
                table.remove(*([n] for n in range(200))),
                table.put(*({**row, "id": row["id"] + 9000} for row in agents(190))),
            ],
            "deletions",
        ),
    ],
    ids=["empty", "fall", "deletions"],
)  # fmt: skip
def test_a_copy_that_shrinks_too_much_is_kept_aside(tmp_path: Path, change: Callable[[Table], object], rule: str) -> None:
    with town(tmp_path) as here:
        here.sync()
        good = here.held()
        change(here.table)
        outcome = here.sync()
        assert (outcome.state, outcome.streams[0].state) == ("quarantined", "quarantined")
        assert outcome.streams[0].reason is not None
        entry = here.site.audit.entries(act="sync.quarantined")[-1]
        assert entry.facts["rule"] == rule
        assert here.held() == good
        assert (here.site.repository.folder(AGENTS) / "quarantine" / outcome.run).is_dir()
        assert here.site.repository.drafts() == []


def test_one_run_a_connection_at_a_time(tmp_path: Path) -> None:
    with town(tmp_path) as here, here.site.leases.hold(lease_of(CONNECTION), "another"), pytest.raises(LeaseHeld):
        here.sync()


def test_what_does_not_exist_is_named(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        with pytest.raises(UnknownConnection) as unknown:
            here.site.syncs.run("paie")
        assert "rh" in unknown.value.diagnostics().todo
        with pytest.raises(UnknownStream):
            here.sync(streams=["conges"])


def test_marts_in_use_are_brought_up_to_date_by_the_run(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        with here.site.query("FROM rh.agents", clearance="personal") as answer:
            assert answer.columns == ("id", "updated", "service", "mail")
        here.table.put({**agents(1)[0], "id": 9000})
        here.sync()
        pointer = here.root / "marts" / "rh" / "agents" / "personal.json"
        assert here.site.heads()[AGENTS].hash in pointer.read_text()


def test_a_question_is_entered_with_its_text_sealed(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        with here.site.query("SELECT id FROM rh.agents WHERE service = ?", parameters=["Voirie"]) as answer:
            answer.reader.read_all()
        entry = here.site.audit.entries(act="query.ran")[-1]
        assert dict(entry.facts) == {"clearance": "internal", "datasets": {"rh.agents": 1}}
        assert entry.body is not None
        assert "Voirie" in str(entry.body["parameters"])
        assert b"Voirie" not in (here.root / "state.db").read_bytes()


def test_replay_makes_the_same_snapshot_without_the_vendor(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        first = here.sync()
        before = len(here.vendor.calls)
        again = here.site.syncs.replay(first.run)
        assert (again.state, again.streams[0].state, again.fault) == ("succeeded", "unchanged", None)
        assert len(here.vendor.calls) == before


def test_replay_rebuilds_a_snapshot_that_was_lost(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        here.table.put(*agents(40, mark="changed"))
        second = here.sync()
        lost = here.there()
        here.site.repository.manifest_file(AGENTS, str(second.streams[0].manifest)).unlink()
        here.table.put(*agents(500, mark="the vendor has moved on"))
        again = here.reopen().syncs.replay(second.run)
        assert (again.state, again.streams[0].counts["updated"]) == ("succeeded", 40)
        assert here.held() == lost


def test_replay_follows_a_run_that_was_interrupted(tmp_path: Path) -> None:
    with town(tmp_path, style="cursor") as here:
        here.trouble("throttle", 3600, at=7)
        here.sync()
        here.calm()
        here.clock.offset = timedelta(hours=2)
        outcome = here.reopen().syncs.run(CONNECTION)
        assert outcome.attempts == 2
        again = here.site.syncs.replay(outcome.run)
        assert (again.state, again.fault, again.rows) == ("succeeded", None, 500)
        assert again.streams[0].state == "unchanged"


def test_a_snapshot_that_a_crash_left_unentered_is_entered_as_recovered(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        outcome = here.sync()
        # The state of a process that died between the manifest and its entry: the book is the one from before.
        here.close()
        (here.root / "state.db").unlink()
        for left in here.root.glob("state.db-*"):
            left.unlink()
        shutil.rmtree(here.root / "audit")
        assert here.site.heads()[AGENTS].hash == outcome.streams[0].manifest
        assert [entry.act for entry in here.site.audit.entries(connection=CONNECTION)] == ["snapshot.recovered"]
        assert here.sync().streams[0].state == "unchanged"
        assert sum(1 for _ in here.site.repository.read(here.site.heads()[AGENTS], CLASSES)) > 0


def test_raw_archives_leave_when_their_days_are_over(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        run = here.sync().run
        archive = here.root / "snapshots" / CONNECTION / ".raw" / run
        here.site.housekeep()
        assert archive.is_dir()
        here.clock.offset = timedelta(days=31)
        here.site.housekeep()
        assert not archive.exists()
        assert here.site.audit.entries(act="raw.expired")[-1].subject["run"] == run
