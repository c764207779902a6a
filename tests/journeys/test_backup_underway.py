"""A site is restored from before writes that the lost one sent: none leaves twice by itself, and flows go on as they were."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

from sovereign.backup.creating import create
from sovereign.backup.folder import FolderTarget
from sovereign.backup.restoring import restore
from tests.journeys.test_flows import Town, agent, town
from tests.servers.ledger import Ledger, serving
from tests.servers.served import Served, served


def elsewhere(here: Served, target: FolderTarget, keys: Path, place: Path) -> tuple[Served, int]:
    """Lose a site and restore it; gives it, and how many writes became unknown."""
    shutil.rmtree(here.root)
    done = restore(target, place, keys)
    assert done.proof.findings == ()
    return replace(here, root=place, environment={**here.environment, "SOVEREIGN_SITE": str(place)}), done.unknown


def test_writes_that_waited_when_a_backup_was_taken_and_left_since_are_not_sent_again(tmp_path: Path) -> None:
    target, keys, ledger = FolderTarget(tmp_path / "data"), tmp_path / "keys", Ledger(lambda _: "overloaded")
    with serving(ledger) as url, served(tmp_path, {"ledger": url}) as here:
        with here.serving() as door:
            told = {each: door.write("ledger", each, f"{each}-1") for each in ("note", "add")}
            assert all(each.kept for each in told.values())
            with here.site() as site:
                site.export_recovery(threshold=2, shares=3)
                create(site, target, keys)
            ledger.mood = lambda _: "ok"
            until = time.monotonic() + 60
            while time.monotonic() < until and not (ledger.landed("note-1") and ledger.landed("add-1")):
                time.sleep(0.05)
        assert (ledger.landed("note-1"), ledger.landed("add-1")) == (1, 1), "the site sent them after its backup"
        again, unknown = elsewhere(here, target, keys, tmp_path / "again")
        assert unknown == 2
        assert set(again.states().values()) == {"unknown"}
        with again.serving():
            states = again.settled()
        assert (ledger.landed("note-1"), ledger.landed("add-1")) == (1, 1)
        assert states == {told["note"].body["intent"]: "inconclusive", told["add"].body["intent"]: "landed"}
        assert again.check_log() > 0


def test_a_flow_goes_on_from_where_it_was_and_does_nothing_twice(tmp_path: Path) -> None:
    target, keys = FolderTarget(tmp_path / "data"), tmp_path / "keys"
    with town(tmp_path) as here:
        here.run("flow", "enable", "depart")
        here.agents.put(agent(3, "parti"), agent(7, "parti"), agent(9, "parti", "2099-12-31"))
        here.pull()
        with here.site.serving():
            here.until(["compte-003", "compte-007"])
            here.site.settled()
        with here.site.site() as site:
            site.export_recovery(threshold=2, shares=3)
            create(site, target, keys)
        before = here.run("flow", "show", "depart")
        place, _ = elsewhere(here.site, target, keys, tmp_path / "again")
        there = Town(place, here.agents, here.ledgers)
        assert there.run("flow", "show", "depart") == before
        there.run("flow", "run")
        there.pull()
        there.run("flow", "run")
        there.until(["compte-003", "compte-007"])
        there.agents.put(agent(5, "parti"))
        there.pull()
        with there.site.serving():
            there.until(["compte-003", "compte-005", "compte-007"])
        (row, *_) = there.run("flow", "show", "depart", "--key", "m009")
        assert (row["standing"], row["due_at"][:10]) == ("waiting", "2099-12-30")
