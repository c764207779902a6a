"""What a vendor sends, however hostile, costs bounded memory and time, and shows no secret."""

import gzip
import io
import logging
import resource
import socket
import time
import zlib
from collections.abc import Callable

import pytest

from saas_connectors.auth import ClientCredentials, Key, basic
from saas_connectors.errors import Unauthorized
from saas_connectors.request import Request
from sovereign.clock import now
from sovereign.egress import BadEncoding, Broken, EgressError, TimedOut, TooLarge
from sovereign.egress.redact import error_body
from tests.servers.peer import always, answer, peer
from tests.servers.wayout import way

MIB = 2**20


def bomb(wbits: int, size: int = 192 * MIB) -> bytes:
    squeezer = zlib.compressobj(1, zlib.DEFLATED, wbits)
    zeros = bytes(MIB)
    return b"".join(squeezer.compress(zeros) for _ in range(size // MIB)) + squeezer.flush()


def peak() -> int:
    """The most memory this process has held, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(("encoding", "wbits"), [("gzip", 31), ("deflate", 15), ("deflate", -15)])
def test_a_decompression_bomb_is_stopped_at_the_cap(encoding: str, wbits: int) -> None:
    body = bomb(wbits)
    with peer(always(answer(body, content_encoding=encoding))) as vendor, way(vendor.url, max_bytes=4 * MIB) as out:
        before = peak()
        with pytest.raises(TooLarge) as fault:
            out.send(Request("GET", vendor.url))
        assert fault.value.fields["what"] == "decompressed"
        assert peak() - before < 64 * MIB


def test_a_bomb_made_of_many_small_members_is_stopped_too() -> None:
    member = gzip.compress(bytes(64 * 1024))
    with (
        peer(always(answer(member * 200, content_encoding="gzip"))) as vendor,
        way(vendor.url, max_bytes=MIB) as out,
        pytest.raises(TooLarge),
    ):
        out.send(Request("GET", vendor.url))


def test_two_gigabytes_announced_are_refused_before_they_are_read() -> None:
    with (
        peer(always(answer(b"", content_length=str(2**31)))) as vendor,
        way(vendor.url) as out,
        pytest.raises(TooLarge) as fault,
    ):
        out.send(Request("GET", vendor.url))
    assert fault.value.fields["what"] == "content-length"


@pytest.mark.parametrize("chunked", [True, False])
def test_two_gigabytes_unannounced_are_cut_at_the_cap(chunked: bool) -> None:
    sent = 0

    def endless(connection: socket.socket, _: bytes) -> None:
        nonlocal sent
        connection.sendall(
            b"HTTP/1.1 200 OK\r\n" + (b"transfer-encoding: chunked\r\n\r\n" if chunked else b"connection: close\r\n\r\n")
        )
        piece = bytes(MIB)
        for _number in range(2048):
            connection.sendall(b"%x\r\n%b\r\n" % (MIB, piece) if chunked else piece)
            sent += MIB

    with peer(endless) as vendor, way(vendor.url, max_bytes=8 * MIB) as out:
        before = peak()
        with pytest.raises(TooLarge):
            out.send(Request("GET", vendor.url))
        assert peak() - before < 96 * MIB
        time.sleep(0.1)
    assert sent < 64 * MIB


def test_the_cap_of_a_request_only_lowers_that_of_its_connection() -> None:
    with peer(always(answer(bytes(100)))) as vendor, way(vendor.url, max_bytes=50) as out:
        for asked in (10, 10**9):
            with pytest.raises(TooLarge):
                out.send(Request("GET", vendor.url, max_bytes=asked))


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "exi", "base64"])
def test_an_encoding_we_did_not_ask_for_is_refused(encoding: str) -> None:
    with peer(always(answer(b"abc", content_encoding=encoding))) as vendor, way(vendor.url) as out, pytest.raises(BadEncoding):
        out.send(Request("GET", vendor.url))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"this is not gzip", BadEncoding),
        (gzip.compress(b"x" * 1000, mtime=0)[:-9], Broken),
        (gzip.compress(b"x" * 1000, mtime=0)[:-8] + b"\0" * 8, BadEncoding),
        (gzip.compress(b"x" * 1000, mtime=0) + b"trailing", BadEncoding),
    ],
)
def test_a_damaged_or_cut_compressed_answer_is_never_half_given(body: bytes, fault: type[EgressError]) -> None:
    with (
        peer(always(answer(body, content_encoding="gzip"))) as vendor,
        way(vendor.url, attempts=1) as out,
        pytest.raises(fault),
    ):
        out.send(Request("GET", vendor.url))


def drip(head: bytes, piece: bytes) -> Callable[[socket.socket, bytes], None]:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        for _number in range(600):
            connection.sendall(piece)
            time.sleep(0.05)

    return script


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"HTTP/1.1 200 OK\r\nx-slow: ", b"x"),
        (b"", b"H"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_a_vendor_that_drips_its_answer_is_cut_off_at_the_total_timeout(head: bytes, piece: bytes) -> None:
    with peer(drip(head, piece)) as vendor, way(vendor.url, timeout=20.0, total_timeout=1.0) as out:
        with pytest.raises(TimedOut) as fault:
            out.send(Request("GET", vendor.url))
        assert fault.value.fields["phase"] == "total"
        assert len(vendor.requests) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 400_000,
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000,
        b"HTTP/1.1 " + b"2" * 400_000,
        b"\0" * 300_000,
        b"SSH-2.0-x\r\n",
    ],
)
def test_endless_or_meaningless_headers_are_cut_off(head: bytes) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        connection.close()

    with peer(script) as vendor, way(vendor.url, attempts=1) as out, pytest.raises(Broken):
        out.send(Request("GET", vendor.url))


PAGES = [
    ("text/html; charset=utf-8", b'<a href="http://ville:motdepasse@maarch.example/rest/">404</a>'),
    ("application/json", b'{"errors":"bad login ville:motdepasse"}'),
    ("application/json", b'{"authorization":"Basic dmlsbGU6bW90ZGVwYXNzZQ=="}'),
    ("application/xml", b"<e>mot de passe: motdepasse</e>"),
    ("text/plain", b"motdepasse"),
    ("", b"motdepasse"),
]


@pytest.mark.parametrize(("kind", "page"), PAGES)
@pytest.mark.parametrize("status", ["404 Not Found", "405 Method Not Allowed", "500 Error"])
def test_an_error_page_that_echoes_the_password_goes_no_further(
    kind: str, page: bytes, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    out_text = io.StringIO()
    with (
        peer(always(answer(page, status=status, content_type=kind))) as vendor,
        way(vendor.url, basic("ville", "motdepasse")) as out,
    ):
        response = out.send(Request("GET", f"{vendor.url}/rest", params=(("q", "1"),)))
    print(response, caplog.records, dict(response.headers), file=out_text)
    assert response.body == b""
    assert "motdepasse" not in out_text.getvalue()
    assert "dmlsbGU6bW90ZGVwYXNzZQ" not in out_text.getvalue()


@pytest.mark.parametrize("in_body", [True, False])
def test_a_token_endpoint_that_echoes_the_secret_is_not_quoted(in_body: bool) -> None:
    page = b'{"error":"bad secret tres-secret"}'
    with peer(always(answer(page, status="400 No"))) as desk:
        auth = ClientCredentials(f"{desk.url}/token", "ville", "tres-secret", now, in_body=in_body)
        with way(desk.url, auth, credential_urls=(desk.url,)) as out, pytest.raises(Unauthorized) as fault:
            out.send(Request("GET", desk.url))
    assert "tres-secret" not in f"{fault.value} {fault.value.fields}"
    # Nor does the flow itself see it.
    sent = Request("POST", "https://sso.ville.fr/token", body=b"client_secret=tres-secret&grant_type=client_credentials")
    assert error_body(page, "application/json", Request("POST", sent.url), sent) == b""
    assert error_body(b'{"error":"no"}', "application/json", Request("POST", sent.url), sent) == b'{"error":"no"}'


def test_an_error_in_json_that_holds_no_secret_reaches_the_connector() -> None:
    page = b'{"error_code":"InvalidRESTParameterError"}'
    with (
        peer(always(answer(page, status="400 Bad", content_type="application/problem+json; charset=utf-8"))) as vendor,
        way(vendor.url, basic("ville", "motdepasse")) as out,
    ):
        assert out.send(Request("GET", vendor.url)).body == page


def test_a_key_in_the_query_is_in_no_response_and_no_error() -> None:
    with (
        peer(always(answer(b'{"echo":"cle-secrete"}', status="403 No"))) as vendor,
        way(vendor.url, Key("apikey", "cle-secrete", "query")) as out,
    ):
        response = out.send(Request("GET", vendor.url))
        assert b"apikey=cle-secrete" in vendor.requests[0]
        assert "cle-secrete" not in repr(response)

    def breaks(connection: socket.socket, _: bytes) -> None:
        connection.close()

    key = Key("apikey", "cle-secrete", "query")
    with peer(breaks) as vendor, way(vendor.url, key, attempts=1) as out, pytest.raises(Broken) as fault:
        out.send(Request("GET", vendor.url))
    assert "cle-secrete" not in f"{fault.value} {fault.value.fields} {fault.value.__cause__}"
    assert fault.value.__suppress_context__


@pytest.mark.parametrize(
    ("kind", "page"),
    [
        ("application/json", rb'{"error":"cl\/e&s\"c"}'),
        ("application/json", rb'{"error":"cl/e&s\"c"}'),
        ("application/xml", b"<e>cl/e&amp;s&quot;c</e>"),
        ("application/xml", b'<e>cl/e&amp;s"c</e>'),
        ("application/json", b'{"next":"/?k=cl%2fe%26s%22c"}'),
    ],
)
def test_a_key_echoed_as_json_xml_or_urls_escape_it_goes_no_further(kind: str, page: bytes) -> None:
    with (
        peer(always(answer(page, status="403 No", content_type=kind))) as vendor,
        way(vendor.url, Key("X-Key", 'cl/e&s"c')) as out,
    ):
        assert out.send(Request("GET", vendor.url)).body == b""


@pytest.mark.parametrize("piece", [b"x: " + b"y" * 60_000 + b"\r\n", b"1;" + b"y" * 60_000 + b"\r\n \r\n"])
def test_endless_trailers_and_chunk_extensions_are_cut_off_by_their_weight_and_not_by_the_clock(piece: bytes) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        if piece.startswith(b"x"):
            connection.sendall(b"2\r\n{}\r\n0\r\n")
        while True:
            connection.sendall(piece)

    with peer(script) as vendor, way(vendor.url, max_bytes=1_000_000, attempts=1) as out:
        with pytest.raises(TooLarge):
            out.send(Request("GET", vendor.url))
        assert out.counters.bytes_in < 3_000_000


def test_an_upgrade_nobody_asked_for_is_broken() -> None:
    with (
        peer(always(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n")) as vendor,
        way(vendor.url, attempts=1) as out,
        pytest.raises(Broken),
    ):
        out.send(Request("GET", vendor.url))
