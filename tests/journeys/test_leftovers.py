"""What crashes leave beside snapshots is swept by the next run, and what is in quarantine stays until it is dealt with."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from snapshots import quarantine
from snapshots.dataset import CLASSES
from sovereign.quarantining import held, remove
from tests.servers.sites import AGENTS, CONNECTION, Town, agents, credentials, town


def killed_in_a_commit(here: Town, where: str) -> None:
    here.close()
    command = [sys.executable, "-m", "tests.journeys.struck", str(here.root), where]
    environment = {**os.environ, "CREDENTIALS_DIRECTORY": str(credentials(here.root.parent))}
    done = subprocess.run(command, env=environment, cwd=Path(__file__).parents[2], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


def told(here: Town) -> list[str]:
    entered = here.site.audit.witnessed().get((AGENTS.connection, AGENTS.stream), ())
    found = here.site.repository.verify(AGENTS, expected_head=entered[-1] if entered else None, entered=entered)
    return [each.code for each in found]


@pytest.mark.parametrize("where", ["keys", "manifest"])
def test_what_a_kill_left_between_linking_and_the_manifest_is_swept_by_the_next_run(tmp_path: Path, where: str) -> None:
    with town(tmp_path, 400) as here:
        here.sync()
        here.table.put(*agents(20, mark="changed"))
        killed_in_a_commit(here, where)
        assert "leftover" in told(here)
        assert here.sync().state == "succeeded"
        assert told(here) == []
        assert here.held() == here.there()
        (entry,) = here.site.audit.entries(act="snapshot.swept")
        assert entry.subject == {"connection": CONNECTION, "stream": "agents"}
        assert entry.facts == ({"parts": 3, "keys": 1} if where == "manifest" else {"parts": 3})


def test_a_first_pull_that_was_killed_leaves_nothing_after_the_second(tmp_path: Path) -> None:
    with town(tmp_path, 400) as here:
        killed_in_a_commit(here, "manifest")
        here.sync()
        assert told(here) == []
        assert here.held() == here.there()


def test_nothing_is_swept_while_a_manifest_is_missing(tmp_path: Path) -> None:
    with town(tmp_path, 400) as here:
        here.sync()
        here.table.put(*agents(20, mark="changed"))
        here.sync()
        head = here.site.heads()[AGENTS]
        folder = here.site.repository.folder(AGENTS)
        before = {path.name for name in ("parts", "keys") for path in (folder / name).iterdir()}
        shutil.move(here.site.repository.manifest_file(AGENTS, head.hash), tmp_path)
        here.reopen().syncs.run(CONNECTION)
        after = {path.name for name in ("parts", "keys") for path in (folder / name).iterdir()}
        assert before <= after
        assert here.site.audit.entries(act="snapshot.swept") == ()


def shrunk(here: Town, left: int) -> str:
    """Have a run quarantined because few records are left; give its name."""
    here.table.remove(*((row["id"],) for row in here.there()[left:]))
    outcome = here.sync()
    assert outcome.state == "quarantined"
    return outcome.run


def test_only_the_newest_quarantine_of_a_stream_is_kept_and_the_log_says_which_left(tmp_path: Path) -> None:
    with town(tmp_path, 200) as here:
        here.sync()
        first, second = shrunk(here, 80), shrunk(here, 60)
        assert quarantine.runs(here.site.repository, AGENTS) == [second]
        (entry,) = here.site.audit.entries(act="quarantine.discarded")
        assert entry.subject == {"connection": CONNECTION, "stream": "agents", "run": first}
        assert (entry.facts["rule"], entry.facts["rows"]) == ("replaced", 80)
        assert told(here) == []


def test_a_quarantine_waits_until_a_copy_is_published_after_it(tmp_path: Path) -> None:
    with town(tmp_path, 200) as here:
        here.sync()
        run = shrunk(here, 80)
        (kept,) = held(here.site, AGENTS)
        assert (kept.run, kept.rows, kept.deletions, kept.waits) == (run, 80, 120, True)
        assert kept.bytes
        assert "200" in kept.fr
        assert "200" in kept.en
        assert "doctor.quarantine" in {each.code for each in here.site.doctor()}
        here.sync(accept="vérifié")
        assert [each.waits for each in held(here.site)] == [False]
        assert "doctor.quarantine" not in {each.code for each in here.site.doctor()}


def test_an_empty_answer_is_listed_with_its_reason(tmp_path: Path) -> None:
    with town(tmp_path, 50) as here:
        here.sync()
        shrunk(here, 0)
        (kept,) = held(here.site)
        assert (kept.rows, kept.bytes, kept.waits) == (0, 0, True)
        assert "rien donné" in kept.fr


def test_removing_a_quarantine_leaves_every_published_row_and_an_entry(tmp_path: Path) -> None:
    with town(tmp_path, 200) as here:
        here.sync()
        good = here.held()
        run = shrunk(here, 80)
        remove(here.site, AGENTS, run)
        assert held(here.site) == []
        assert here.reopen().audit.entries(act="quarantine.discarded")[-1].facts["rule"] == "hand"
        assert here.held() == good
        assert told(here) == []


def test_rotation_and_verification_cover_what_is_in_quarantine(tmp_path: Path) -> None:
    with town(tmp_path, 200) as here:
        here.sync()
        run = shrunk(here, 80)
        path = quarantine.folder_of(here.site.repository, AGENTS, run) / "quarantine.keys"
        old = path.read_bytes()
        here.site.rotate_keys()
        assert path.read_bytes() != old
        assert told(here) == []
        kept = quarantine.read_description(here.site.repository, AGENTS, run)
        assert sum(table.num_rows for _, table in quarantine.read(here.site.repository, kept, CLASSES[-1])) == 80
        path.write_bytes(old)
        assert told(here) == ["quarantine.replayed"]
