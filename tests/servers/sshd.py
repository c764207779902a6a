"""OpenSSH's server, of Debian (`openssh-server`), on loopback, serving SFTP alone: its own keys, its own settings, one folder.

It is run in the foreground by whoever runs the tests, and lets in that account alone, by key or (as root, for an account made
for it) by password. `missing()` names what is not installed.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from tests.servers.ports import free_port

_SSHD: Final = "/usr/sbin/sshd"
SERVER: Final = "/usr/lib/openssh/sftp-server"
_CONF: Final = """
ListenAddress 127.0.0.1
Port {port}
{keys}
PidFile none
AuthorizedKeysFile {root}/authorized
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PermitRootLogin yes
LogLevel VERBOSE
MaxStartups 100
Subsystem sftp {server}
{more}
"""


def missing() -> list[str]:
    """What is not installed."""
    return [] if Path(_SSHD).exists() and Path(SERVER).exists() else ["openssh-server"]


def required() -> None:
    """Skip a test whose server is not installed; fail it in CI."""
    if lacking := missing():
        message = f"not installed: {', '.join(lacking)} (tests/provision)"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


def keygen(path: Path, kind: str = "ed25519") -> Path:
    """Make a pair of keys."""
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "test", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def fingerprint(public: Path) -> str:
    """A key's line as `ssh-keygen -l` prints it."""
    return subprocess.run(["ssh-keygen", "-lf", str(public)], check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Sshd:
    """A running server. files: the folder that it serves; more: further settings."""

    root: Path
    port: int
    kinds: tuple[str, ...] = ("ed25519",)
    more: str = ""
    server: str = SERVER
    log: list[str] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def files(self) -> Path:
        return self.root / "files"

    @property
    def url(self) -> str:
        return f"sftp://localhost:{self.port}{self.files}/"

    @property
    def user(self) -> str:
        return pwd.getpwuid(os.getuid()).pw_name

    @property
    def private(self) -> str:
        """The account's private key."""
        return (self.root / "client").read_text()

    @property
    def host_key(self) -> str:
        """The server's public key, as its `.pub` file has it."""
        return (self.root / f"host_{self.kinds[0]}.pub").read_text()

    @property
    def said(self) -> str:
        """What it logged."""
        return (self.root / "log").read_text()

    def start(self) -> None:
        """Start, and wait until it greets."""
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        keys = "\n".join(f"HostKey {self.root}/host_{kind}" for kind in self.kinds)
        conf = _CONF.format(port=self.port, keys=keys, root=self.root, server=self.server, more=self.more)
        (self.root / "sshd_config").write_text(conf)
        command = [_SSHD, "-D", "-e", "-f", str(self.root / "sshd_config")]
        with (self.root / "log").open("ab") as told:
            self._process = subprocess.Popen(command, stdout=told, stderr=told, stdin=subprocess.DEVNULL)
        for _ in range(600):
            if self._process.poll() is not None:
                break
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as sock:
                sock.settimeout(30)
                if sock.recv(100).startswith(b"SSH-2.0"):
                    return
            time.sleep(0.05)
        raise AssertionError(self.said)

    def stop(self) -> None:
        """End it; sessions under way end with their clients."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def hang_up(self) -> None:
        """End every session, and go on listening."""
        if self._process is not None:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            for child in children:
                os.kill(int(child), signal.SIGKILL)

    def renew(self) -> None:
        """Give it other keys, as a server that was replaced."""
        self.stop()
        for kind in self.kinds:
            for name in (f"host_{kind}", f"host_{kind}.pub"):
                (self.root / name).unlink()
            keygen(self.root / f"host_{kind}", kind)
        self.start()


@contextmanager
def running(*, kinds: tuple[str, ...] = ("ed25519",), more: str = "", server: str = SERVER) -> Iterator[Sshd]:
    """Run a server whose folder is empty."""
    required()
    root = Path(tempfile.mkdtemp(prefix="sshd-"))
    (root / "files").mkdir()
    for kind in kinds:
        keygen(root / f"host_{kind}", kind)
    keygen(root / "client")
    shutil.copy(root / "client.pub", root / "authorized")
    made = Sshd(root, free_port(), kinds, more, server)
    made.start()
    try:
        yield made
    finally:
        made.stop()
        shutil.rmtree(root, ignore_errors=True)
