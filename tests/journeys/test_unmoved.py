"""Published files that did not move: one conditional request each, and the last snapshot stands."""

import shutil
from pathlib import Path

import pytest

import saas_connectors.sandbox
from sovereign.site import Site
from sovereign.sync.outcome import RunOutcome
from tests.servers.sites import credentials

SAMPLES = Path(saas_connectors.sandbox.__file__).parent / "data" / "decp"
FILES = ("marches_avec_modifications.json", "concessions_avec_modifications.json")


def states(outcome: RunOutcome) -> dict[str, str]:
    return {stream.stream: stream.state for stream in outcome.streams}


def test_files_that_did_not_change_are_not_read_again_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = tmp_path / "published"
    published.mkdir()
    for name in FILES:
        shutil.copy(SAMPLES / name, published)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path)))
    with Site.create(tmp_path / "site", provider="systemd-cred:sovereign") as site:
        site.add_connection("decp", {"connector": "decp", "url": f"folder:{published}"})
        first = site.syncs.run("decp")
        assert set(states(first).values()) == {"committed"}
        second = site.syncs.run("decp")
        assert set(states(second).values()) == {"unchanged"}
        assert second.rows == 0
        assert {s.stream: s.counts["rows"] for s in second.streams} == {s.stream: s.counts["rows"] for s in first.streams}
        assert {s.verdict for s in second.streams} == {s.verdict for s in first.streams}
        everything = site.syncs.run("decp", full=True)
        assert everything.rows == first.rows
        (published / FILES[1]).unlink()
        after = site.syncs.run("decp")
        assert states(after)["concessions"] == "quarantined"
        assert states(after)["marches"] == "unchanged"
