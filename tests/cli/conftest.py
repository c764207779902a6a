"""A terminal to type in: `run` gives the exit code and what was said on each channel, as a transcript."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sovereign.cli.main import main
from sovereign.cli.output import Output


@dataclass(frozen=True, slots=True)
class Said:
    """What one command line answered."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The JSON lines of standard error that are errors."""
        lines = [json.loads(line) for line in self.err.splitlines()]
        return [line for line in lines if line["type"] == "error"]

    def of(self, type_: str) -> list[dict[str, Any]]:
        """The JSON lines of one type."""
        return [record for record in self.records if record["type"] == type_]


Run = Callable[..., Said]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith(("SOVEREIGN_", "CREDENTIALS_DIRECTORY", "LC_", "LANG", "NO_COLOR", "FORCE_COLOR")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SOVEREIGN_LANG", "en")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command line, in this process."""

    def typed(*arguments: str) -> Said:
        capsys.readouterr()
        code = main(arguments, out=Output())
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return typed


@pytest.fixture
def shell() -> Run:
    """Type a command line in a process of its own."""

    def typed(*arguments: str, **environment: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "sovereign.cli.main", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return typed
