"""A verifier of logs, built from Go's `x/mod/sumdb` (Debian). Without it a test fails when CI=true, else skips."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SOURCES = Path("/usr/share/gocode")
PACKAGE = Path(__file__).parents[1] / "go" / "logverify"


@dataclass(frozen=True, slots=True)
class LogVerifier:
    """The program, built."""

    program: Path

    def run(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run it and give what it said."""
        return subprocess.run([self.program, *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False)


def build(folder: Path) -> LogVerifier:
    """Build it in a folder, without any network."""
    go = shutil.which("go")
    if go is None or not (SOURCES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        said = "golang-go and golang-golang-x-mod-dev are not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    program = folder / "logverify"
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(folder), "GOCACHE": str(folder / "cache"), "GO111MODULE": "off",
        "GOPATH": str(SOURCES), "GOPROXY": "off", "CGO_ENABLED": "0",
    }  # fmt: skip
    done = subprocess.run(
        [go, "build", "-o", program, "main.go"],
        cwd=PACKAGE,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return LogVerifier(program)
