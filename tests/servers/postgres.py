"""A PostgreSQL of one test, on a socket of its own, without a network."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Postgres:
    """A server that runs; `ask` gives rows, a line each, columns by `|`."""

    folder: Path

    def ask(self, sql: str) -> list[str]:
        done = self._psql("-Atc", sql)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    def run(self, script: str) -> None:
        done = self._psql("-c", script)
        assert done.returncode == 0, done.stderr

    def _psql(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(self.folder), "-U", "postgres", "-d", "postgres"]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)


def binaries() -> Path:
    """Where PostgreSQL's programs are; skips when they are not, fails under CI."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), reverse=True)
    if not found or not shutil.which("psql"):
        if os.environ.get("CI") == "true":
            pytest.fail("PostgreSQL is not installed: tests/provision")
        pytest.skip("PostgreSQL is not installed: tests/provision")
    return found[0].parent


@contextmanager
def running() -> Iterator[Postgres]:
    """Make a cluster and serve it while the block lasts. It refuses root, which then runs it as `postgres`."""
    place = binaries()
    with tempfile.TemporaryDirectory(prefix="pg-") as made:
        folder = Path(made)
        as_whom = []
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres")
            as_whom = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data, options = folder / "data", f"-k {folder} -c listen_addresses= -c fsync=off -c timezone=UTC"

        def do(*command: str) -> None:
            with (folder / "said").open("ab") as said:
                subprocess.run([*as_whom, *command], check=True, stdout=said, stderr=said, timeout=120, cwd="/")

        do(str(place / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        do(str(place / "pg_ctl"), "-D", str(data), "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield Postgres(folder)
        finally:
            do(str(place / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
