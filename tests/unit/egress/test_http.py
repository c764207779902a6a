"""What the HTTP way out promises when the vendor behaves, and when it merely stumbles."""

import gzip
import logging
import socket
import threading
import time as real_time
import zlib
from datetime import timedelta

import pytest
import requests

from saas_connectors.request import Request
from sovereign.egress import Broken, Budgets, Interrupted, NotSent, Refused, TimedOut, Waiting
from sovereign.egress.dial import Dialler, GuardedAdapter
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.tls import context
from tests.servers.peer import always, answer, each, peer, reset
from tests.servers.ports import free_port
from tests.servers.wayout import Time, way


def get(url: str, **more: object) -> Request:
    return Request("GET", url, **more)  # type: ignore[arg-type]


def test_an_answer_arrives_whole_with_its_headers_and_is_counted() -> None:
    with peer(always(answer(b'[{"a":1}]', ETag='"x"', Link="<b>"))) as vendor, way(vendor.url) as out:
        response = out.send(get(f"{vendor.url}/v1/arbres", params=(("page", "2"), ("q", "à b"))))
        assert (response.status, response.body) == (200, b'[{"a":1}]')
        assert response.headers["etag"] == '"x"'
        assert response.received_at is not None
        assert vendor.requests[0].startswith(b"GET /v1/arbres?page=2&q=%C3%A0+b HTTP/1.1\r\n")
        assert b"accept-encoding: gzip, deflate\r\n" in vendor.requests[0]
        assert (out.counters.requests, out.counters.bytes_out) == (1, len(vendor.requests[0]))
        assert out.counters.bytes_in == len(answer(b'[{"a":1}]', ETag='"x"', Link="<b>"))


def test_a_connection_is_used_again() -> None:
    with peer(always(answer())) as vendor, way(vendor.url) as out:
        for _ in range(5):
            out.send(get(vendor.url))
        assert vendor.connections == 1


@pytest.mark.parametrize(
    ("encoding", "squeeze"),
    [
        ("gzip", gzip.compress),
        ("x-gzip", gzip.compress),
        ("GZIP", lambda data: gzip.compress(data[:7]) + gzip.compress(data[7:])),
        ("deflate", zlib.compress),
        ("deflate", lambda data: zlib.compress(data)[2:-4]),
        ("identity", bytes),
    ],
)
def test_what_is_compressed_as_we_asked_is_decompressed(encoding: str, squeeze: object) -> None:
    body = b'{"nom":"Ville"}' * 50_000
    with peer(always(answer(squeeze(body), content_encoding=encoding))) as vendor, way(vendor.url) as out:  # type: ignore[operator]
        assert out.send(get(vendor.url)).body == body


def test_chunked_and_close_delimited_answers_are_read_whole() -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"

    def closing(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabcdefg")
        connection.close()

    with peer(each(chunked, closing)) as vendor, way(vendor.url) as out:
        assert [out.send(get(vendor.url)).body for _ in range(2)] == [b"abcdefg"] * 2


def test_interim_answers_are_passed_over_and_never_shift_the_next_one() -> None:
    def script(connection: socket.socket, request: bytes) -> None:
        for interim in (b"100 Continue", b"102 Processing", b"103 Early Hints"):
            connection.sendall(b"HTTP/1.1 " + interim + b"\r\nlink: </style.css>\r\n\r\n")
        real_time.sleep(0.05)
        connection.sendall(answer(request.split()[1]))

    with peer(script) as vendor, way(vendor.url) as out:
        for path in ("/1", "/2", "/3"):
            response = out.send(get(vendor.url + path))
            assert (response.status, response.body) == (200, path.encode())
            assert "link" not in response.headers
        assert vendor.connections == 1


def test_head_and_304_have_no_body() -> None:
    with peer(
        each(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\netag: x\r\n\r\n")
    ) as vendor:
        with way(vendor.url) as out:
            assert out.send(Request("HEAD", vendor.url)).headers["content-length"] == "500"
            assert out.send(get(vendor.url)).status == 304
        assert vendor.connections == 1


def test_requests_sent_together_come_back_in_their_order() -> None:
    def slowly(connection: socket.socket, request: bytes) -> None:
        number = int(request.split(b"/")[1].split()[0])
        real_time.sleep(0.02 * (5 - number))
        connection.sendall(answer(str(number).encode()))

    with peer(slowly) as vendor, way(vendor.url, concurrency=5) as out:
        found = out.exchange(tuple(get(f"{vendor.url}/{number}") for number in range(5)))
    assert [response.body for response in found] == [b"0", b"1", b"2", b"3", b"4"]


def test_the_first_error_of_an_exchange_is_the_one_raised() -> None:
    def script(connection: socket.socket, request: bytes) -> None:
        connection.sendall(answer(status="301 Moved", location="https://ailleurs.example/") if b"/bad" in request else answer())

    with peer(script) as vendor, way(vendor.url, concurrency=3) as out, pytest.raises(Exception, match="redirects"):
        out.exchange(tuple(get(f"{vendor.url}/{name}") for name in ("a", "bad", "b", "c", "d", "e")))


def test_no_more_requests_are_in_flight_than_allowed() -> None:
    lock, flying, most = threading.Lock(), 0, 0
    known, full = threading.Event(), threading.Event()

    def script(connection: socket.socket, _: bytes) -> None:
        nonlocal flying, most
        if not known.is_set():
            connection.sendall(answer())
            return
        with lock:
            flying += 1
            most = max(most, flying)
            if flying == 3:
                full.set()
        full.wait(30)  # the first ones stay until as many as allowed are here, however slow the machine
        real_time.sleep(0.02)
        with lock:
            flying -= 1
        connection.sendall(answer())

    budgets = Budgets()
    with (
        peer(script) as vendor,
        way(vendor.url, concurrency=3, budgets=budgets) as one,
        way(vendor.url, concurrency=8, budgets=budgets) as two,
    ):
        for out in (one, two):
            out.send(get(vendor.url))  # a limit holds from the first request of who brings it
        known.set()
        threads = [threading.Thread(target=out.exchange, args=((get(vendor.url),) * 10,)) for out in (one, two)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 3


@pytest.mark.parametrize(
    "failure", [reset, answer(status="502 Bad Gateway"), answer(status="503 Busy"), answer(status="504 Late")]
)
def test_a_read_is_tried_again_with_a_growing_jittered_pause(failure: object) -> None:
    time = Time()
    with peer(each(failure, failure, answer(b"3"))) as vendor, way(vendor.url, time=time) as out:  # type: ignore[arg-type]
        assert out.send(get(vendor.url)).body == b"3"
    assert time.sleeps == [1.0, 2.0]


def test_a_post_that_reads_is_tried_again_and_one_that_writes_is_not() -> None:
    time = Time()
    with peer(each(reset, answer(b"2"))) as vendor, way(vendor.url, time=time) as out:
        assert out.send(Request("POST", vendor.url, body=b"{}", reads=True)).body == b"2"
    with peer(each(reset, answer(b"2"))) as vendor, way(vendor.url, time=time) as out:
        with pytest.raises(Broken) as broken:
            out.send(Request("POST", vendor.url, body=b"{}"))
        assert broken.value.may_have_arrived
        assert len(vendor.requests) == 1


def test_the_attempts_are_bounded_and_the_last_answer_is_given() -> None:
    with peer(always(answer(status="502 Bad Gateway"))) as vendor, way(vendor.url, time=Time(), attempts=3) as out:
        assert out.send(get(vendor.url)).status == 502
        assert len(vendor.requests) == 3


def test_a_short_retry_after_is_waited_for_and_a_long_one_is_raised_with_its_instant() -> None:
    time = Time()
    with peer(each(answer(status="429 Slow", Retry_After="2"), answer(b"2"))) as vendor, way(vendor.url, time=time) as out:
        assert out.send(get(vendor.url)).body == b"2"
        assert sum(time.sleeps) == 2.0
    with peer(always(answer(status="503 Busy", Retry_After="86400"))) as vendor, way(vendor.url, time=time) as out:
        asked = time.present
        with pytest.raises(Waiting) as waiting:
            out.send(get(vendor.url))
        assert waiting.value.fields["until"] == asked + timedelta(days=1)
        assert len(vendor.requests) == 1
        assert not waiting.value.may_have_arrived


def test_a_closed_host_is_closed_to_every_connection_of_the_process_until_it_opens() -> None:
    time, budgets = Time(), Budgets()
    with (
        peer(each(answer(status="429 Slow", Retry_After="60"), answer(b"ok"))) as vendor,
        way(vendor.url, time=time, budgets=budgets) as one,
        way(vendor.url, time=time, budgets=budgets) as two,
    ):
        for out in (one, two):
            with pytest.raises(Waiting):
                out.send(get(vendor.url))
        assert len(vendor.requests) == 1
        time.present += timedelta(seconds=61)
        assert two.send(get(vendor.url)).body == b"ok"


def test_a_429_without_a_date_ends_in_waiting_and_not_in_a_failure() -> None:
    time = Time()
    with peer(always(answer(status="429 Slow"))) as vendor, way(vendor.url, time=time, patience=30.0) as out:
        with pytest.raises(Waiting):
            out.send(get(vendor.url))
        assert len(vendor.requests) == 4


def test_a_vendor_that_says_now_for_ever_wears_the_patience_out() -> None:
    with (
        peer(always(answer(status="429 Slow", Retry_After="0"))) as vendor,
        way(vendor.url, time=Time(), chance=lambda: 0.0) as out,
    ):
        with pytest.raises(Waiting):
            out.send(get(vendor.url))
        assert len(vendor.requests) < 20


def test_a_write_refused_for_its_pace_is_given_back_to_its_caller() -> None:
    with peer(always(answer(status="429 Slow", Retry_After="1"))) as vendor, way(vendor.url, time=Time()) as out:
        assert out.send(Request("POST", vendor.url, body=b"x")).status == 429
        assert len(vendor.requests) == 1


def test_a_wait_is_interrupted_by_a_request_to_stop() -> None:
    stop = threading.Event()
    with peer(always(answer(status="429 Slow", Retry_After="900"))) as vendor, way(vendor.url, stop=stop, patience=9e2) as out:
        threading.Timer(0.2, stop.set).start()
        with pytest.raises(Interrupted):
            out.send(get(vendor.url))


def test_a_vendor_that_does_not_listen_is_provably_not_sent() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with way(url, time=Time()) as out, pytest.raises(NotSent) as fault:
        out.send(get(url))
    assert not fault.value.may_have_arrived
    assert fault.value.fields["reason"] == "refused"


def test_an_unknown_name_is_provably_not_sent() -> None:
    def nowhere(*_: object, **__: object) -> list[object]:
        raise socket.gaierror

    with way("http://nulle.part.example", time=Time(), resolve=nowhere) as out, pytest.raises(NotSent) as fault:
        out.send(get("http://nulle.part.example/"))
    assert fault.value.fields["reason"] == "dns"


def test_a_silent_vendor_times_out_and_the_request_may_have_arrived() -> None:
    with (
        peer(lambda *_: real_time.sleep(5)) as vendor,
        way(vendor.url, timeout=0.2, attempts=1) as out,
        pytest.raises(TimedOut) as fault,
    ):
        out.send(get(vendor.url))
    assert fault.value.fields["phase"] == "read"
    assert fault.value.may_have_arrived


@pytest.mark.parametrize(
    "cut",
    [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\na\r\nabc"],
)
def test_an_answer_cut_short_is_broken_and_never_half_given(cut: bytes) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(cut)
        connection.close()

    with peer(script) as vendor, way(vendor.url, attempts=1) as out, pytest.raises(Broken):
        out.send(get(vendor.url))


def test_what_follows_a_broken_answer_is_not_taken_for_the_next_one() -> None:
    with (
        peer(each(answer(b"1" * 100) + answer(b"stray"), answer(b"2"))) as vendor,
        way(vendor.url, max_bytes=50, attempts=1) as out,
    ):
        with pytest.raises(Exception, match="passes 50 bytes"):
            out.send(get(vendor.url))
        assert out.send(get(vendor.url)).body == b"2"


def test_cookies_are_neither_given_nor_sent_back() -> None:
    with peer(always(answer(Set_Cookie="session=1; Path=/"))) as vendor, way(vendor.url) as out:
        assert "set-cookie" not in out.send(get(vendor.url)).headers
        out.send(get(vendor.url))
        assert b"cookie" not in vendor.requests[1].lower()


@pytest.mark.parametrize(
    "header",
    [
        ("Host", "ailleurs"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("X-A", "a\r\nX-B: b"),
        ("X A", "b"),
        ("X-É", "b"),
        ("X-A", "€"),
    ],
)
def test_a_header_that_belongs_to_the_transport_or_is_malformed_is_refused(header: tuple[str, str]) -> None:
    with peer(always(answer())) as vendor, way(vendor.url) as out:
        with pytest.raises(Refused) as refusal:
            out.send(get(vendor.url, headers=(header,)))
        assert refusal.value.rule == "egress.header"
        assert vendor.requests == []


def test_the_environment_does_not_choose_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with peer(always(answer(b"direct"))) as vendor, way(vendor.url) as out:
        assert out.send(get(vendor.url)).body == b"direct"


def test_nothing_is_logged_of_a_request(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    # As `logging.config.dictConfig` with `disable_existing_loggers: false` leaves it.
    monkeypatch.setattr(logging.getLogger("urllib3.connectionpool"), "disabled", False)
    with (
        caplog.at_level(logging.DEBUG),
        peer(
            each(answer(Bad="x"), reset, answer(), b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nbroken header\r\n\r\n")
        ) as vendor,
        way(vendor.url, time=Time()) as out,
    ):
        for _ in range(3):
            out.send(get(vendor.url, params=(("nir", "1850675123456"),)))
    assert caplog.records == []


def test_a_session_of_requests_on_the_same_adapter_is_guarded_too() -> None:
    policy = EgressPolicy(connection="ville", url="https://ville.example")
    adapter = GuardedAdapter(
        Dialler("ville", False, False, socket.getaddrinfo, False), tls=context(policy), size=1, proxy_headers={}
    )
    with peer(always(answer())) as vendor, requests.Session() as session:
        session.trust_env = False
        session.mount("http://", adapter)
        with pytest.raises(requests.ConnectionError):
            session.get(vendor.url, timeout=5)
        assert vendor.connections == 0
