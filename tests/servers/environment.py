"""Environments of servers from PyPI, each apart from ours: `.tools/NAME`, made from `requirements/NAME.lock`.

`python tests/servers/environment.py NAME…` makes them from their locks, or finds that they are made.
"""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Environment:
    """One of them, by the name of its lock."""

    name: str

    @property
    def home(self) -> Path:
        """Its folder."""
        return ROOT / ".tools" / self.name

    def bin(self, program: str) -> str:
        """The path of a program of its own."""
        return str(self.home / "bin" / program)

    def missing(self) -> list[str]:
        """Name what is not installed."""
        stamp = self.home / "lock.sha256"
        installed = stamp.exists() and stamp.read_text() == self._digest()
        return [] if installed else [f"{self.name} (run tests/provision)"]

    def install(self) -> None:
        """Make the environment, unless it is the lock's already."""
        if not self.missing():
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.home)], check=True)
        pip = [self.bin("python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(self._lock)], check=True)
        (self.home / "lock.sha256").write_text(self._digest())

    @property
    def _lock(self) -> Path:
        return ROOT / "requirements" / f"{self.name}.lock"

    def _digest(self) -> str:
        return hashlib.sha256(self._lock.read_bytes()).hexdigest()


if __name__ == "__main__":
    for each in sys.argv[1:]:
        Environment(each).install()
