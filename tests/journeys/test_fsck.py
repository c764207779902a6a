"""A site is read to its last byte: each kind of damage is named, and only what loses nothing is mended."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snapshots.dataset import DatasetId
from snapshots.holding import hold
from sovereign import soundness
from sovereign.sync.progress import Event, Reading
from tests.servers.sites import CONNECTION, Town, town
from vault.errors import Finding


@contextmanager
def covered(folder: Path, rows: int) -> Iterator[Town]:
    """A town that was pulled, with a recovery kit."""
    with town(folder, rows) as here:
        here.sync()
        here.site.export_recovery(threshold=2, shares=3)
        yield here


@contextmanager
def hold_of(draft: Path) -> Iterator[None]:
    """Hold a draft, as the process that fills it does."""
    handle = hold(draft, draft.name)
    try:
        yield
    finally:
        os.close(handle)


def errors(here: Town) -> list[Finding]:
    return [each for each in soundness.check(here.site) if each.severity == "error"]


def codes(here: Town) -> set[str]:
    return {each.code for each in soundness.check(here.site)}


def a_file(here: Town, pattern: str) -> Path:
    return max((path for path in here.root.glob(pattern) if path.is_file()), key=lambda path: path.stat().st_size)


def test_a_sound_site_has_nothing_to_tell_and_mending_it_changes_nothing(tmp_path: Path) -> None:
    with covered(tmp_path, 80) as here:
        here.site.audit.publication.publish()
        assert list(soundness.check(here.site)) == []
        done = soundness.mend(here.site)
        assert (done.modes, done.marts) == (0, 0)
        assert list(soundness.check(here.site)) == []
        assert here.held() == here.there()


@pytest.mark.parametrize(
    ("pattern", "code"),
    [
        (f"snapshots/{CONNECTION}/*/parts/*", "part."),
        (f"snapshots/{CONNECTION}/*/manifests/*.manifest", ""),
        (f"snapshots/{CONNECTION}/.raw/*/*.raw", "raw"),
        (f"snapshots/{CONNECTION}/*/keys/*", ""),
    ],
    ids=["part", "manifest", "raw", "key file"],
)
def test_a_flipped_bit_is_an_error_wherever_it_is_and_is_never_mended(tmp_path: Path, pattern: str, code: str) -> None:
    with covered(tmp_path, 80) as here:
        victim = a_file(here, pattern)
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(bytes(data))
        found = errors(here)
        assert [each for each in found if each.code.startswith(code)], found
        soundness.mend(here.site)
        assert errors(here)
        assert victim.read_bytes() == bytes(data)


def test_a_log_that_was_altered_is_an_error(tmp_path: Path) -> None:
    with covered(tmp_path, 20) as here:
        here.close()
        with sqlite3.connect(here.root / "state.db") as database:
            database.execute("UPDATE audit_entries SET entry = replace(entry, 'sync.finished', 'sync.finishes')")
        database.close()
        here.reopen()
        assert "audit" in {each.code.partition(".")[0] for each in errors(here)}


def test_modes_links_and_leftovers_are_told_and_what_loses_nothing_is_mended(tmp_path: Path) -> None:
    with covered(tmp_path, 80) as here:
        dataset = next(iter(here.site.heads()))
        assert isinstance(dataset, DatasetId)
        part = a_file(here, f"snapshots/{CONNECTION}/*/parts/*")
        part.chmod(0o644)
        (here.root / "elsewhere").symlink_to("/etc")
        orphan = part.with_name("0" * 32 + ".internal.parquet")
        orphan.write_bytes(b"left by a crash")
        orphan.chmod(0o600)
        assert {"fsck.mode", "fsck.link"} <= codes(here)
        done = soundness.mend(here.site)
        assert done.modes == 1
        assert part.stat().st_mode & 0o077 == 0
        assert not orphan.exists()
        assert codes(here) == {"fsck.link"}
        assert here.held() == here.there()
        (mended,) = here.site.audit.entries(act="site.mended")
        assert mended.facts["modes"] == 1


class Halting:
    """Asks to stop once some records have come."""

    def __init__(self, rows: int) -> None:
        self.stop, self.rows = threading.Event(), rows

    def emit(self, event: Event) -> None:
        if isinstance(event, Reading) and event.rows >= self.rows:
            self.stop.set()


@pytest.mark.parametrize("language", ["fr", "en"])
def test_drafts_that_killed_runs_left_are_listed_and_one_that_does_not_read_is_a_warning(tmp_path: Path, language: str) -> None:
    with town(tmp_path, 1000, latency=0.02, style="cursor") as here:
        here.site.export_recovery(threshold=2, shares=3)
        watch = Halting(200)
        run = here.sync(progress=watch, stop=watch.stop).run
        drafts = here.root / "snapshots" / CONNECTION / ".drafts"
        (drafts / "killed-at-once").mkdir(mode=0o700)

        def told() -> dict[str, tuple[str, str, str]]:
            found = (each for each in soundness.check(here.site) if each.code.startswith("fsck.draft"))
            return {each.subject.split()[1]: (each.severity, each.code, getattr(each, language)) for each in found}

        known = told()
        assert {name: each[:2] for name, each in known.items()} == {
            run: ("info", "fsck.draft"), "killed-at-once": ("info", "fsck.draft"),
        }  # fmt: skip
        assert f"sovereign sync run {CONNECTION}" in known[run][2]
        with hold_of(drafts / run):
            assert set(told()) == {"killed-at-once"}, "one that a run holds is no leftover"
        (drafts / run / "checkpoint").write_bytes(b"no checkpoint")
        severity, code, what = told()[run]
        assert (severity, code, f".drafts/{run}" in what) == ("warning", "fsck.draft_unread", True)
        assert here.sync().state == "succeeded"
        assert set(told()) == {run}
        assert errors(here) == []
