"""The audit log on the command line, as its reader meets it: at the site, and on a machine that has none."""

import shutil
from pathlib import Path
from typing import cast

import pytest

from sovereign.audit import ACTS
from tests.cli.conftest import Run


def make(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text("une phrase secrète de test\n")
    passphrase.chmod(0o600)
    monkeypatch.setenv("SOVEREIGN_PASSPHRASE_FILE", str(passphrase))
    assert run("init", "ville", "--keys", "file:keys/master.json").code == 0
    monkeypatch.chdir("ville")
    return tmp_path / "ville"


def test_each_command_leaves_a_signed_log_that_needs_no_site_to_check(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = make(run, tmp_path, monkeypatch)
    assert run("doctor").code in (0, 20)
    assert run("audit", "verify").code == 0
    exported = run("audit", "export", "../remis", "--json").of("audit.exported")[0]
    (site / "audit").rename(site / "audit.away")
    shutil.move(str(site), tmp_path / "loin")
    monkeypatch.chdir(tmp_path)
    said = run("audit", "verify", "--folder", "remis", "--key", exported["key"], "--json").of("audit")[0]
    assert said["entries"] == exported["entries"]
    bundle = next((tmp_path / "remis" / "tile" / "entries").rglob("[0-9]*.p/*"))
    bundle.write_bytes(bundle.read_bytes().replace(b"site.created", b"site.checked"))
    assert run("audit", "verify", "--folder", "remis", "--key", exported["key"]).code == 20


def test_a_receipt_is_checked_without_the_site(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(run, tmp_path, monkeypatch)
    key = run("audit", "prove", "0", "--output", "../creation.tlog-proof", "--json").of("proof")[0]["key"]
    monkeypatch.chdir(tmp_path)
    said = run("audit", "verify", "--proof", "creation.tlog-proof", "--key", key, "--json").of("proof")[0]
    assert (said["seq"], said["act"]) == (0, "site.created")
    assert run("audit", "verify", "--proof", "creation.tlog-proof").code == 2


def test_an_act_of_another_version_is_shown_by_its_name(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(run, tmp_path, monkeypatch)
    monkeypatch.delitem(cast("dict[str, object]", ACTS), "site.created")
    said = run("audit", "show")
    assert said.code == 0
    assert "site.created" in said.out


def test_pruning_asks_and_says_when_nothing_is_old_enough(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(run, tmp_path, monkeypatch)
    assert run("audit", "prune", "--before", "2020-01-01").code != 0
    assert run("audit", "prune", "--before", "2020-01-01", "--yes").code == 2
    assert run("audit", "prove", "5000").code == 2
