"""The places that the tests ask: each behind its real server, and the way to it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from saas_connectors.asking import Answer
from saas_connectors.auth import Auth
from saas_connectors.aws import Signature
from saas_connectors.connector import Fetch, Json
from saas_connectors.files.place import Entry, Place
from saas_connectors.files.places import open_place
from saas_connectors.request import Request
from saas_connectors.ssh import SshKey
from sovereign.clock import now
from sovereign.egress import Transport
from tests.servers import seaweedfs, sshd
from tests.servers.wayout import way
from tests.servers.webdav import webdav

T = TypeVar("T")
KINDS = ("folder", "sftp", "webdav", "s3", "https")
NAMES = ("a b.csv", "accentué é.csv", "départs-2026+1%2e.csv", "z#1&=.csv")


@dataclass
class Served:
    """A place, the way to it, and what requests went there."""

    place: Place
    out: Transport
    asked: list[Request]

    def run(self, work: Answer[T]) -> T:
        """Carry a conversation to its end."""
        try:
            step = next(work)
            while True:
                assert isinstance(step, Fetch)
                self.asked += step.requests
                step = work.send(self.out.exchange(step.requests))
        except StopIteration as end:
            return end.value

    def put(self, name: str, body: bytes, *, new: bool = False) -> int:
        """Write a file; gives the status."""
        return self.run(self.place.write(name, body, new=new)).status

    def listed(self) -> dict[str, Entry]:
        return {entry.name: entry for entry in self.run(self.place.listing())}

    def content(self, name: str) -> tuple[int, bytes]:
        answer = self.run(self.place.read(Entry(name), 10**7))
        return answer.status, answer.body if answer.status == 200 else b""


@contextmanager
def served(url: str, place: Json = None, auth: Auth | None = None, **policy: str) -> Iterator[Served]:
    with way(url, auth, **policy) as out:
        yield Served(open_place("connections.ville", url, place), out, [])


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweedfs.Served]:
    if lacking := seaweedfs.missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"not installed: {lacking}")
    with seaweedfs.running(tmp_path_factory.mktemp("store")) as running:
        yield running


def signed() -> Signature:
    return Signature(seaweedfs.ACCESS, seaweedfs.SECRET, "us-east-1", now)


@pytest.fixture(params=KINDS)
def there(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    kind = request.param
    if kind == "folder":
        with served(f"folder:{tmp_path}") as made:
            yield made
    elif kind == "sftp":
        with sshd.running() as server:
            auth = SshKey(server.user, server.private)
            with served(server.url, None, auth, host_key=server.host_key) as made:
                yield made
    elif kind == "s3":
        url = request.getfixturevalue("store").url
        with served(f"{url}/{seaweedfs.BUCKET}/{tmp_path.name}/é +/", "s3", signed()) as made:
            yield made
    else:
        with webdav(tmp_path) as url:
            place = {"kind": "https", "files": ["a.csv", "gone.csv", *(name for name in NAMES if "#" not in name)]}
            with served(url, place if kind == "https" else "webdav") as made:
                yield made
