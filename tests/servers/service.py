"""A whole site on which applications write, made in this process and served by `sovereign serve` in one of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sovereign.access import Limits
from sovereign.gateway.policy.opening import Flow
from sovereign.site import SETTINGS, Site
from tests.servers.sites import credentials


@dataclass(frozen=True)
class Service:
    """A site: its folder, and the environment of its commands."""

    root: Path
    environment: dict[str, str]

    @contextmanager
    def site(self) -> Iterator[Site]:
        """Open it here."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CREDENTIALS_DIRECTORY", self.environment["CREDENTIALS_DIRECTORY"])
            with Site.open(self.root) as site:
                yield site

    def client(self, name: str, *connections: str, limits: Limits | None = None) -> str:
        """Know an application; gives its token."""
        with self.site() as site:
            return site.outbound.clients.add(name, owner="agathe", purpose="p", connections=connections, limits=limits).token

    def allow(self, client: str, connection: str, *operations: str, hold: str | None = None, reads: bool = False) -> None:
        """Open flows by policy."""
        with self.site() as site:
            ends = site.clock().date().replace(year=2099, month=1, day=1)
        for each in operations:
            flow = Flow(client, connection, each, "dsi", ends, reads, hold)
            (self.root / "policies" / flow.file).write_text(flow.text())

    def run(self, *line: str, code: int = 0) -> list[dict[str, Any]]:
        """Run a command; gives its records."""
        done = subprocess.run(
            self.command(*line), env=self.environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == code, done.stderr
        return [json.loads(each) for each in done.stdout.splitlines()]

    def command(self, *line: str) -> Sequence[str]:
        """A command line on this site."""
        return [sys.executable, "-m", "sovereign.cli.main", "--site", str(self.root), *line, "--json"]

    @contextmanager
    def process(self) -> Iterator[tuple[subprocess.Popen[str], str]]:
        """Serve it; gives the process and the address of its door. Whoever killed it says so by its return code."""
        running = subprocess.Popen(
            self.command("serve"), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert running.stdout is not None
            said = (json.loads(line) for line in running.stdout)
            address = next((each["address"] for each in said if each["type"] == "gateway"), None)
            assert address is not None, running.stderr.read() if running.stderr else ""
            yield running, address
        finally:
            running.send_signal(signal.SIGTERM)
            _, error = running.communicate(timeout=240)
        assert running.returncode in (0, 130, 143, -signal.SIGKILL), error

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Serve it; gives the address of its door."""
        with self.process() as (_, address):
            yield address


def service(folder: Path, settings: str) -> Service:
    """Make a site with these settings, and a door on a free port."""
    root, held = folder / "site", str(credentials(folder))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", held)
        Site.create(root, provider="systemd-cred:sovereign").close()
    with (root / SETTINGS).open("a") as file:
        file.write('\n[gateway]\nlisten = "127.0.0.1:0"\n' + settings)
    environment = os.environ | {"CREDENTIALS_DIRECTORY": held, "SOVEREIGN_LANG": "en"}
    return Service(root, environment)
