"""A lost audit log: what it said nothing of is told, and pulls go on."""

import shutil
from pathlib import Path

from tests.cli.conftest import Run


def _lose(site: Path) -> None:
    for each in site.glob("state.db*"):
        each.unlink()
    shutil.rmtree(site / "audit")


def _told(run: Run, *verb: str) -> tuple[int, set[str]]:
    said = run("--json", *verb)
    return said.code, {each["what"].partition(":")[0] for each in said.records if "no audit entry" in each.get("what", "")}


def test_a_lost_log_is_an_error_for_whoever_checks(run: Run, pulled: Path) -> None:
    _lose(pulled)
    snapshots, keys = "1 snapshot, no audit entry", "4 keys, no audit entry"
    assert _told(run, "snapshot", "verify") == (20, {snapshots})
    _lose(pulled)
    assert _told(run, "audit", "verify") == (20, {snapshots, keys})
    code, told = _told(run, "doctor")
    assert (code, {each.rpartition(" · ")[2] for each in told}) == (1, {snapshots, keys})


def test_after_a_lost_log_the_next_run_pulls_and_enters_what_was_there_as_recovered(run: Run, pulled: Path) -> None:
    _lose(pulled)
    assert run("sync", "run", "geo").code == 0
    acts = [each["act"] for each in run("--json", "audit", "show").of("entry")]
    assert acts.count("snapshot.recovered") == 1
    assert run("snapshot", "verify").code == 0
    assert run("audit", "verify").code == 0


def test_a_site_that_lost_nothing_is_not_told_of(run: Run, pulled: Path) -> None:
    assert _told(run, "--site", str(pulled), "doctor") == (0, set())
