"""What every place of files promises, whoever serves it: a folder, OpenSSH, WebDAV, an object store, a plain web server."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from saas_connectors.aws import Signature
from saas_connectors.connector import Fetch
from saas_connectors.files.place import Entry
from saas_connectors.files.places import open_place
from saas_connectors.formats.xml import UnsafeXml
from saas_connectors.request import Response
from sovereign.clock import now
from sovereign.egress.errors import TooLarge
from tests.conformance.places.conftest import NAMES, Served, served, signed
from tests.servers import seaweedfs


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
