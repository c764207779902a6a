"""A real SCIM 2.0 server for the tests: scim2-server from PyPI, in an environment of its own (`.tools/scim2`).

`running(folder)` serves an empty directory on loopback, to the bearer of `TOKEN`, and gives its address. It lists in no stable
order unless it is asked to sort, and leaves no trace of what was deleted.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.servers.environment import Environment
from tests.servers.ports import free_port

HERE = Environment("scim2")
missing = HERE.missing
TOKEN = "s3cr3t-of-the-directory"


def call(url: str, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Speak to the server as its administrator; gives the answer, empty when it has none."""
    request = urllib.request.Request(  # noqa: S310 - loopback
        url + path, None if body is None else json.dumps(body).encode(), method=method,
        headers={"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/scim+json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
        said = answer.read()
    found: dict[str, Any] = json.loads(said) if said else {}
    return found


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Serve on loopback while the block lasts; gives the address before `/Users`."""
    port = free_port()
    command = [HERE.bin("scim2-server"), "--port", str(port), "--bearer-token", TOKEN]
    with (folder / "scim2.log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | {"PYTHONWARNINGS": "ignore"}, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}/v2"
        try:
            _await(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(timeout=60)


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            call(url, "GET", "/ServiceProviderConfig")
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("scim2-server does not answer: see scim2.log in its folder")
