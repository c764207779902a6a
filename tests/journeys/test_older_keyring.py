"""An older keyring put back whole is seen, and nothing that happens by itself is taken for one."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from sovereign import custody, older_keyring
from sovereign.inspection import of_keys
from sovereign.site import Site
from tests.servers.sites import CONNECTION, Town, credentials, town
from vault import files
from vault.keys import Keys, Scope

SEEN = {"keys.older", "keys.revived"}


def seen(here: Town) -> list[tuple[str, str]]:
    """What `keys check` and `doctor` both tell of an older keyring."""
    site = here.reopen()
    checked: list[tuple[str, str]] = [(each.severity, each.code) for each in of_keys(site) if each.code in SEEN]
    assert checked == [(each.severity, each.code) for each in site.doctor() if each.code in SEEN]
    return checked


def keyring(here: Town) -> Path:
    return here.root / "keys" / "keyring.json"


def test_a_keyring_put_back_after_a_destruction_is_seen_by_its_age_and_by_the_key_that_came_back(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        period = here.site.repository.period()
        before = keyring(here).read_bytes()
        (gone,) = here.site.destroy_keys(CONNECTION, "sensitive", period)
        assert seen(here) == []
        files.write(keyring(here), before)
        assert seen(here) == [("error", "keys.older"), ("error", "keys.revived")]
        (told,) = (each for each in of_keys(here.site) if each.code == "keys.revived")
        assert (told.subject, told.en.endswith(f"sovereign keys destroy {CONNECTION} sensitive {period}")) == (gone, True)


def test_a_keyring_put_back_after_a_rotation_is_seen_however_much_is_written_to_it_since(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        before, reached = keyring(here).read_bytes(), here.site.keys.revision
        here.site.rotate_keys()
        after = here.site.keys.revision
        assert seen(here) == []
        files.write(keyring(here), before)
        assert seen(here)[0] == ("error", "keys.older")
        for _ in range(after - reached + 1):
            here.site.keys.rotate()
        assert here.site.keys.revision > after
        assert seen(here)[0] == ("error", "keys.older")


def test_a_keyring_that_lost_what_a_sync_made_is_seen(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        before = keyring(here).read_bytes()
        here.sync()
        assert seen(here) == []
        files.write(keyring(here), before)
        assert seen(here) == [("error", "keys.older")]


def test_a_destruction_done_again_ends_what_an_older_keyring_brought_back(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        period = here.site.repository.period()
        before = keyring(here).read_bytes()
        here.site.destroy_keys(CONNECTION, "sensitive", period)
        files.write(keyring(here), before)
        here.reopen().destroy_keys(CONNECTION, "sensitive", period)
        assert "keys.revived" not in {code for _, code in seen(here)}


def test_a_restore_from_the_kit_is_no_alarm_and_an_older_keyring_after_it_is(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        words = here.site.export_recovery(threshold=2, shares=3)
        older = keyring(here).read_bytes()
        here.site.rotate_keys()
        here.close()
        files.write(keyring(here), older)
        (credentials(tmp_path) / "sovereign").unlink()
        restored = Site.restore(here.root, words[:2], provider="file:keys/master.json", passphrase=lambda: "a new phrase")
        assert (restored.intact, restored.lost) == (True, ())
        with Site.open(here.root, passphrase=lambda: "a new phrase") as site:
            assert not {each.code for each in of_keys(site)} & SEEN
            before = keyring(here).read_bytes()
            site.keys.new_data_key(Scope("new", "personal", "2026"), b"c")
            files.write(keyring(here), before)
            assert "keys.older" in {each.code for each in of_keys(site)}


def test_a_destruction_that_a_restored_backup_undid_is_recalled_without_being_an_error(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        words = here.site.export_recovery(threshold=2, shares=3)
        older = keyring(here).read_bytes()
        here.site.destroy_keys(CONNECTION, "sensitive", here.site.repository.period())
        here.close()
        files.write(keyring(here), older)
        Site.restore(here.root, words[:2], provider="file:keys/master.json", passphrase=lambda: "a new phrase")
        with Site.open(here.root, passphrase=lambda: "a new phrase") as site:
            told = [(each.severity, each.code) for each in of_keys(site) if each.code in SEEN]
            assert told == [("warning", "keys.revived")]


def test_a_crash_between_the_keyring_and_its_entry_is_no_alarm(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        Keys.open(here.root / "keys", here.site.keys._provider, here.clock).rotate()  # no public door dies half-way
        here.site.keys.new_data_key(Scope("late", "personal", "2026"), b"c")
        assert seen(here) == []


def test_a_destruction_cut_short_is_told_and_one_in_progress_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with town(tmp_path) as here:
        here.sync()
        died = RuntimeError("power cut")

        def die(*_: object) -> None:
            assert "keys.revived" not in {each.code for each in of_keys(here.site)}
            raise died

        with monkeypatch.context() as patch, suppress(RuntimeError):
            patch.setattr(here.site.keys, "destroy", die)
            here.site.destroy_keys(CONNECTION, "sensitive", here.site.repository.period())
        assert seen(here) == [("error", "keys.revived")]


def test_whoever_waits_for_keys_being_renewed_is_told_so_by_the_lock(tmp_path: Path) -> None:
    lock = tmp_path / "custody.lock"
    assert not files.busy(lock)
    with files.locked(lock):
        assert files.busy(lock)
    assert not files.busy(lock)


ROTATE = """
import sys
from pathlib import Path
from sovereign.site import Site
with Site.open(Path(sys.argv[1])) as site:
    site.keys
    print("ready", flush=True)
    sys.stdin.readline()
    print(site.rotate_keys().keys, flush=True)
"""


def test_processes_that_rotate_at_once_destroy_nothing_that_is_needed(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        here.sync()
        environment = os.environ | {"PYTHONPATH": str(Path(custody.__file__).parents[1])}
        command = [sys.executable, "-c", ROTATE, str(here.root)]
        for _ in range(5):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": environment}
            running = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload] # one table for both
            for process in running:
                assert process.stdout.readline() == "ready\n"
            for process in running:
                process.stdin.write("go\n")
                process.stdin.flush()
            for process in running:
                process.communicate(timeout=60)
                assert process.returncode == 0
            assert here.reopen() is not None
            assert here.held() == here.there()
            assert here.site.secrets.get(CONNECTION, "agents")
        active = [key for key in here.site.keys.list() if key.state == "active"]
        assert {key.generation for key in active if key.scope.connection == CONNECTION and key.scope.key_class == "secret"} == {
            11
        }
        assert {key.state for key in here.site.keys.list()} == {"active", "destroyed"}
        assert seen(here) == []


def test_many_keys_are_entered_a_thousand_at_a_time() -> None:
    assert [len(some) for some in older_keyring.few([f"{n}" for n in range(2500)])] == [1000, 1000, 500]
