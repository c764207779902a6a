"""`make demo` tells the truth: it runs, and touches nothing but a former demonstration."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(600)


def _play(folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "sovereign.cli.demo", "--lang", "en"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500, check=False)


def test_the_demonstration_ends_well(tmp_path: Path) -> None:
    said = _play(tmp_path)
    assert said.returncode == 0, said.stdout + said.stderr
    for promise in (
        "42218  Saint-Étienne      173136", "4 changes: +1 ~2 −1", "population: 173136 → 175000", "(code 2)",  # noqa: RUF001
        "nothing was altered, nothing was taken away", "✓ Done in", '"state": "denied"', '"state": "held"',
        '"state": "unknown"', ": did happen (landed)", "sovereign; hit; detail=vendor-down", "c2sp.org/tlog-proof@v1",
        "~ 112   status: COU → END", "demo-site.pdf", "signalements · 199", "reports/outbound.html", "reports/inbound.html",
        "reports/departure.html", "reports/map.html",
        "2 rows, 4 writes, 0 of them stopped", "read back at the vendor", "taken back by its source",
    ):  # fmt: skip
        assert promise in said.stdout, promise
    assert (tmp_path / "demo-site.passphrase").stat().st_mode & 0o077 == 0


def test_the_demonstration_never_removes_a_folder_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "demo-site").mkdir()
    (tmp_path / "demo-site" / "mine").write_text("precious")
    assert _play(tmp_path).returncode == 1
    assert (tmp_path / "demo-site" / "mine").read_text() == "precious"
