"""What every place of files promises, whoever serves it: a folder, OpenSSH, WebDAV, an object store, a plain web server."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
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
from saas_connectors.formats.xml import UnsafeXml
from saas_connectors.request import Request, Response
from saas_connectors.ssh import SshKey
from sovereign.clock import now
from sovereign.egress import Transport
from sovereign.egress.errors import TooLarge
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


def test_what_is_put_is_listed_and_read_as_it_was(there: Served) -> None:
    names = [name for name in NAMES if "#" not in name or not hasattr(there.place, "files")]
    for name in names:
        assert 200 <= there.put(name, name.encode() * 1000) < 300
    listed = there.listed()
    assert list(listed) == sorted(names)
    for name in names:
        assert listed[name].size == len(name.encode()) * 1000
        assert there.content(name) == (200, name.encode() * 1000)
        modified = listed[name].modified
        assert modified is not None
        assert abs(modified.timestamp() - time.time()) < 3600


def test_a_tag_names_exact_bytes(there: Served) -> None:
    there.put("a.csv", b"old")
    first = there.listed()["a.csv"].tag
    assert there.listed()["a.csv"].tag == first or first is None
    there.put("a.csv", b"new")
    second = there.listed()["a.csv"].tag
    assert second is None or second != first


def test_a_file_is_replaced_whole_and_a_new_one_takes_no_other_s_place(there: Served) -> None:
    assert 200 <= there.put("a.csv", b"1" * 100_000, new=True) < 300
    assert there.put("a.csv", b"2", new=True) == 412
    assert there.content("a.csv") == (200, b"1" * 100_000)
    assert 200 <= there.put("a.csv", b"3") < 300
    assert there.content("a.csv") == (200, b"3")
    assert list(there.listed()) == ["a.csv"]


def test_one_request_alone_writes(there: Served) -> None:
    there.put("a.csv", b"1", new=True)
    there.asked.clear()
    there.put("a.csv", b"2")
    writing = [request for request in there.asked if request.method not in ("GET", "HEAD") and not request.reads]
    assert len(writing) == 1


def test_a_file_that_is_gone_is_404(there: Served) -> None:
    assert there.content("gone.csv")[0] == 404


def test_a_file_over_the_cap_is_refused(there: Served) -> None:
    there.put("a.csv", b"1" * 5000)
    with pytest.raises(TooLarge):
        there.run(there.place.read(Entry("a.csv"), 1000))


def test_a_listing_of_many_pages_is_whole(store: seaweedfs.Served) -> None:
    from pyarrow import fs

    filesystem = fs.S3FileSystem(
        access_key=seaweedfs.ACCESS, secret_key=seaweedfs.SECRET, endpoint_override=store.url.removeprefix("http://"),
        scheme="http", region="us-east-1",
    )  # fmt: skip

    def put(name: str) -> None:
        with filesystem.open_output_stream(f"{seaweedfs.BUCKET}/many/{name}.csv") as stream:
            stream.write(name.encode())

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(put, [*(f"{n:04}" for n in range(1003)), "deeper/x"]))
    with served(f"{store.url}/{seaweedfs.BUCKET}/many/", "s3", signed()) as made:
        assert list(made.listed()) == [f"{n:04}.csv" for n in range(1003)]
        assert len(made.asked) == 2


def test_a_key_that_signs_wrongly_is_refused(store: seaweedfs.Served) -> None:
    wrong = Signature(seaweedfs.ACCESS, "another secret", "us-east-1", now)
    with served(f"{store.url}/{seaweedfs.BUCKET}/", "s3", wrong) as made, pytest.raises(Exception, match="403"):
        made.listed()


MULTISTATUS = """<?xml version="1.0"?>{dtd}<D:multistatus xmlns:D="DAV:">
<D:response><D:href>/dav/</D:href><D:propstat><D:prop><D:resourcetype><D:collection/></D:resourcetype></D:prop>
<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
<D:response><D:href>{href}</D:href><D:propstat><D:prop><D:resourcetype/><D:getetag>{tag}</D:getetag>
<D:getcontentlength>3</D:getcontentlength></D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>
</D:multistatus>"""


def list_of(body: str) -> tuple[Entry, ...]:
    work = open_place("c", "https://dav.example/dav/", "webdav").listing()
    asked = next(work)
    assert isinstance(asked, Fetch)
    try:
        work.send((Response(207, asked.requests[0].url, body.encode()),))
    except StopIteration as end:
        return tuple(end.value)
    raise AssertionError("one request lists")


@pytest.mark.parametrize(("tag", "kept"), [('W/"1-2"', None), ('"1-2"', '"1-2"'), ("", None)])
def test_a_weak_tag_names_no_bytes(tag: str, kept: str | None) -> None:
    assert list_of(MULTISTATUS.format(dtd="", href="/dav/a%20b.csv", tag=tag)) == (Entry("a b.csv", 3, None, kept),)
    assert list_of(MULTISTATUS.format(dtd="", href="https://dav.example/dav/a.csv", tag=tag)) == (
        Entry("a.csv", 3, None, kept),
    )


@pytest.mark.parametrize("href", ["/dav/../x", "/dav/sub/x", "/dav/%2e%2e%2fx", "/dav/.hidden", "/other/x", "/dav/a%00b", ""])
def test_what_is_no_member_of_the_collection_is_not_listed(href: str) -> None:
    assert list_of(MULTISTATUS.format(dtd="", href=href, tag="")) == ()


def test_an_answer_that_brings_a_dtd_is_refused() -> None:
    body = MULTISTATUS.format(dtd='<!DOCTYPE D [<!ENTITY e "x">]>', href="/dav/&e;", tag="")
    with pytest.raises(UnsafeXml):
        list_of(body)
