"""A real CONNECT proxy (tinyproxy) on loopback. Missing, it fails the test under CI=true, and skips it elsewhere."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers.ports import free_port


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy: its address and its log."""

    url: str
    log: Path

    def connects(self) -> list[str]:
        """What it was asked to connect to."""
        return re.findall(r": CONNECT (\S+) HTTP/", self.log.read_text())


@contextmanager
def tinyproxy(directory: Path, *, ports: tuple[int, ...] = (), login: str | None = None) -> Iterator[Proxy]:
    """Run a proxy. ports: those CONNECT may reach (none: any). login: `user:password` it requires."""
    program = shutil.which("tinyproxy")
    if program is None:
        if os.environ.get("CI") == "true":
            pytest.fail("tinyproxy is not installed")
        pytest.skip("tinyproxy is not installed")
    port = free_port()
    log = directory / "tinyproxy.log"
    log.touch()
    lines = [
        f"Port {port}",
        "Listen 127.0.0.1",
        "Timeout 30",
        "Allow 127.0.0.1",
        f'LogFile "{log}"',
        "LogLevel Connect",
        "MaxClients 20",
    ]
    lines += [f"ConnectPort {allowed}" for allowed in ports]
    if login is not None:
        lines.append("BasicAuth " + login.replace(":", " "))
    settings = directory / "tinyproxy.conf"
    settings.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([program, "-d", "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 5).close()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail("tinyproxy did not start")
                time.sleep(0.05)
        yield Proxy(f"http://127.0.0.1:{port}", log)
    finally:
        process.terminate()
        process.wait(60)
