"""A connection with several streams: what one meets does not cost the others their copy, and the run says all of it."""

from pathlib import Path

import pytest

from sovereign.cli.main import main
from sovereign.cli.output import Output
from sovereign.cli.sync import exit_of
from sovereign.sync.outcome import RunOutcome
from tests.servers.sites import CONNECTION, agents
from tests.servers.streams import holds, there, towns


def states(outcome: RunOutcome) -> dict[str, tuple[str, str]]:
    return {each.stream: (each.state, each.verdict) for each in outcome.streams}


def test_one_stream_complete_one_partial_one_quarantined_and_one_failing(tmp_path: Path) -> None:
    with towns(tmp_path, 200) as (here, tables):
        here.sync()
        before = {name: holds(here.site, name) for name in tables}
        for table in tables.values():
            table.put(*agents(3, mark="newer"))
        here.trouble("lying_count", 40, times=0, path="/auth/bearer/page/leaves")
        tables["posts"].remove(*([n] for n in range(150)))
        here.trouble("not_json", at=6, times=0, path="/auth/bearer/page/teams")
        outcome = here.sync()
        assert outcome.state == "partial"
        assert exit_of(outcome) == 3
        assert outcome.fault is not None
        assert outcome.fault.code == "vendor.malformed"
        assert states(outcome) == {
            "agents": ("committed", "complete"), "leaves": ("committed", "partial"), "posts": ("quarantined", "complete"),
        }  # fmt: skip
        for name in ("agents", "leaves"):
            assert holds(here.site, name) == there(tables[name])
        for name in ("posts", "teams"):
            assert holds(here.site, name) == before[name]
        here.calm()
        tables["agents"].put(*agents(5, mark="newest"))
        tables["posts"].put(*agents(200))
        again = here.sync()
        assert (again.state, set(states(again))) == ("succeeded", set(tables))
        for name, table in tables.items():
            assert holds(here.site, name) == there(table)


def test_a_stream_that_always_fails_keeps_no_other_from_being_fresh(tmp_path: Path) -> None:
    with towns(tmp_path, 100, ("agents", "teams")) as (here, tables):
        here.sync()
        for turn in range(3):
            tables["agents"].put(*agents(3, mark=f"turn {turn}"))
            here.calm()
            here.trouble("not_json", at=6, times=0, path="/auth/bearer/page/teams")
            assert here.sync().state == "partial"
            assert holds(here.site, "agents") == there(tables["agents"])


def test_replay_makes_every_stream_again(tmp_path: Path) -> None:
    with towns(tmp_path, 200) as (here, tables):
        run = here.sync().run
        calls = len(here.vendor.calls)
        again = here.site.syncs.replay(run)
        assert (again.state, {each.state for each in again.streams}, len(again.streams)) == ("succeeded", {"unchanged"}, 4)
        for table in tables.values():
            table.put(*agents(20, mark="changed"))
        second = here.sync()
        lost = {name: there(table) for name, table in tables.items()}
        calls = len(here.vendor.calls)
        for name, each in zip(tables, second.streams, strict=True):
            dataset = next(found for found in here.site.heads() if found.stream == name)
            here.site.repository.manifest_file(dataset, str(each.manifest)).unlink()
        rebuilt = here.reopen().syncs.replay(second.run)
        assert (rebuilt.state, {each.counts["updated"] for each in rebuilt.streams}) == ("succeeded", {20})
        assert {name: holds(here.site, name) for name in tables} == lost
        assert len(here.vendor.calls) == calls


@pytest.mark.parametrize("command", [("sync", "run"), ("job", "run")])
def test_who_types_is_the_actor_of_a_run(tmp_path: Path, command: tuple[str, str]) -> None:
    with towns(tmp_path, 20, ("agents",), every="15 minutes") as (here, _):
        actor = here.site.actor
        here.close()
        assert main(["--site", str(here.root), *command, CONNECTION], out=Output()) == 0
        entries = [entry for entry in here.site.audit.entries() if entry.act.startswith("sync.")]
        assert {entry.body["actor"] for entry in entries if entry.body} == {actor}
