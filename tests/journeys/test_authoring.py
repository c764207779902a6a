"""The page for a connector's author, in both languages, typed as written; what it shows is answered."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.journeys.test_tutorial import ROOT, clone, commands_of, line_of, steps, typed
from tests.servers.ports import free_port

PAGES = ("docs/authoring.md", "docs/auteur.fr.md")
pytestmark = pytest.mark.timeout(600)
WORDS = {"SOVEREIGN_LANG=fr": "SOVEREIGN_LANG=en", "ville": "city", "mairie": "hall", "rien de réel": "nothing real"}


@pytest.fixture
def _pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make venv` gives pip to a reader; an environment that was made otherwise may have none."""
    if (ROOT / ".venv" / "bin" / "pip").exists():
        return
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "pip")], check=True, capture_output=True)
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "pip"
    held = sysconfig.get_paths()["purelib"]
    script.write_text(f'#!/bin/sh\nPYTHONPATH={held} exec {tmp_path}/pip/bin/python -m pip "$@"\n')
    script.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.mark.usefixtures("_pip")
@pytest.mark.parametrize("name", PAGES)
def test_the_page_runs_as_it_is_written_and_shows_what_is_answered(name: str, tmp_path: Path) -> None:
    written = steps((ROOT / name).read_text().replace("8042", str(free_port())))
    said = typed(written, clone(tmp_path / "clone"))
    assert len(said) == len(written)
    for step, answer in zip(written, said, strict=True):
        lines = [" ".join(line.split()) for line in answer.splitlines()]
        for shown in step.shown:
            assert any(line_of(shown).fullmatch(line) for line in lines), f"{shown}\n--- is not in ---\n{answer}"


def test_both_languages_type_the_same_commands() -> None:
    french = commands_of(PAGES[1])
    for word, twin in WORDS.items():
        french = re.sub(rf"\b{re.escape(word)}", twin, french)
    assert french == commands_of(PAGES[0])
