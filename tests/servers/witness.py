"""A witness in a process of its own, as on its own machine; and logs of one key, as whoever stole it would make them."""

import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sovereign.audit import AuditLog
from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.witness import Witness
from sovereign.clock import now
from sovereign.state import State
from tests.servers.masters import Mortal
from tests.servers.ports import free_port
from tests.servers.wayout import Time
from vault.cosignatures import Cosignatory
from vault.keys import Keys
from vault.notes import Verifier

NAME = "witness.example/w1"


def cli(*words: str) -> list[str]:
    """A command line of ours."""
    return [sys.executable, "-m", "sovereign.cli.main", *words]


def init(folder: Path, log: Verifier, name: str = NAME) -> Cosignatory:
    """Make a witness that follows a log, as `witness init` and `witness trust` do; gives its public key."""
    witness = Witness.create(folder, name, now)
    witness.trust(log)
    return witness.verifier


@contextmanager
def serving(folder: Path, *words: str, port: int = 0) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Have it serve; gives its address and its process, killed at the end."""
    command = cli("witness", "serve", str(folder), "--port", str(port or free_port()), *words, "--lang", "en")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield line.split()[-1], process
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def asked(old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint) -> bytes:
    """The body of a request, written here apart from the product."""
    lines = [f"old {old}", *(b64encode(each).decode() for each in proof), ""]
    return ("\n".join(lines) + "\n" + checkpoint.note).encode()


class Logs:
    """Logs of one key: the true one, and those of whoever stole it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.time, self._states = folder, Time(), list[State]()
        self.keys = Keys.create(folder / "keys", Mortal(), self.time.clock)

    def make(self, name: str, acts: list[str]) -> AuditLog:
        """A log in a folder of its own; its commitments are salted, so that two logs never hold the same entries."""
        (self.folder / name).mkdir()
        self._states.append(State(self.folder / name / "state.db"))
        log = AuditLog(self._states[-1], self.keys, self.time.clock)
        enter(log, acts)
        return log

    def close(self) -> None:
        """Close them all."""
        for state in self._states:
            state.close()


def enter(log: AuditLog, acts: list[str]) -> None:
    """Enter acts."""
    for act in acts:
        log.append("query.ran", {}, {"what": act})
