"""A directory that lies, floods or drips: each answer ends in a fault that shows nothing, within the time of the call."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trustme

from saas_connectors.connector import Json
from sovereign.egress import ber
from sovereign.egress.errors import (
    Broken,
    EgressError,
    NotSent,
    TimedOut,
    TlsFailed,
    TooLarge,
)
from tests.servers import ldap_wire as wire
from tests.servers.directory import asked, search, way_out

BASE = "dc=ville,dc=example"
JEANNE = f"cn=jeanne,{BASE}"
CHANGES: Json = [{"do": "replace", "attribute": "userAccountControl", "values": ["514"]}]


@contextmanager
def hostile(tmp_path: Path, *answers: bytes | None, drip: bool = False) -> Iterator[tuple[str, Path]]:
    """A server that says each of these once something came; None: it waits. drip: then a byte at a time."""
    ca = trustme.CA()
    authority = tmp_path / "hostile-ca.pem"
    ca.cert_pem.write_to_path(str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                plain, _ = listening.accept()
                with plain, context.wrap_socket(plain, server_side=True) as sock:
                    for each in answers:
                        sock.recv(65536)
                        if each is None:
                            over.wait(60)
                        sock.sendall(each or b"")
                    while drip and not over.wait(0.05):
                        sock.sendall(b"\0")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"ldaps://localhost:{listening.getsockname()[1]}", authority
        over.set()
        thread.join(60)


BOUND = wire.ended(1, 0x61, 0, "", {})
ENTRY = wire.entry(2, JEANNE, {"cn": [b"x" * 2000]})
DONE = wire.ended(2, 0x65, 0, "", {})
DEEPLY = b"\x30\x83\x01\x86\xa0" * 20_000


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"\x30\x84\xff\xff\xff\xff", TooLarge),
        (b"\x30\x84\x00\x0f\xff\xff" + b"x" * 1000, TooLarge),
        (ENTRY * 100, TooLarge),
        (wire.entry(2, JEANNE, {"cn": [b"\x01" * 40_000]}) + DONE, TooLarge),
        (DEEPLY, (Broken, TooLarge)),
        (b"\x30\x80\x02\x01\x02\x65\x80", Broken),
        (b"\x30\x85\x00\x00\x00\x00\x05hello", Broken),
        (b"HTTP/1.1 200 OK\r\n\r\n", Broken),
        (b"\x30\x0c\x02\x01\x02\x65\x17\x0a\x01\x00\x04\x00\x04\x00", Broken),
        (b"\x30\x05\x02\x01\x02\x65\x00", Broken),
        (b"\x1f\xff\xff\xff\xff\xff\xff", Broken),
        (wire.ended(3, 0x65, 0, "", {}), Broken),
        (wire.ended(0, 0x78, 52, "canari-7d1f02", {}, "1.3.6.1.4.1.1466.20036"), Broken),
        (wire.ended(2, 0x61, 0, "", {}), Broken),
        (wire.entry(2, "cn=canari-7d1f02", {"é": [b"a"]}) + DONE, Broken),
        (ber.sequence(ber.integer(2), ber.sequence(ber.octets(b"\xff\xfe"), ber.sequence(), tag=0x64)) + DONE, Broken),
        (wire.ended(2, 0x65, 0, "", {wire.PAGED: b"canari-7d1f02"}), Broken),
        (DONE[:-4], TimedOut),
        (None, TimedOut),
    ],
    ids=["length", "long", "many", "escaped", "deep", "indefinite", "length-of-length", "http", "beyond", "no-result", "tags",
         "number", "notice", "kind", "attribute", "name", "control", "half", "silence"],
)  # fmt: skip
def test_a_hostile_answer_ends_in_a_fault_that_shows_nothing(
    tmp_path: Path, answer: bytes | None, fault: type[EgressError]
) -> None:
    caps: dict[str, Json] = {"max_bytes": 100_000, "timeout": 1.0 if fault is TimedOut else 60.0}
    with hostile(tmp_path, BOUND, answer, None) as place, way_out(*place, **caps) as way, pytest.raises(fault) as failure:
        search(way, place[0], BASE, page=5)
    assert failure.value.fields.get("limit", 100_000) == 100_000
    assert "canari" not in f"{failure.value!r} {failure.value} {failure.value.fields}"


def test_a_server_that_drips_is_cut_off_at_the_end_of_the_calls_time(tmp_path: Path) -> None:
    caps: dict[str, Json] = {"timeout": 30.0, "total_timeout": 2.0}
    with hostile(tmp_path, BOUND, b"\x30\x83\x00\xff\xff", drip=True) as place, way_out(*place, **caps) as way:  # noqa: SIM117
        with pytest.raises(TimedOut) as failure:
            search(way, place[0], BASE)
    assert failure.value.fields["phase"] == "total"


def test_bytes_that_come_before_tls_are_not_read_as_if_they_came_after(tmp_path: Path) -> None:
    answer = wire.ended(1, 0x78, 0, "", {}) + wire.ended(2, 0x61, 0, "", {})
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):
                sock, _ = listening.accept()
                with sock:
                    sock.recv(65536)
                    sock.sendall(answer)
                    sock.recv(65536)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        ca = trustme.CA()
        ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        url = f"ldap://localhost:{listening.getsockname()[1]}"
        with way_out(url, tmp_path / "ca.pem") as way, pytest.raises(TlsFailed) as failure:
            search(way, url, BASE)
        thread.join(60)
    assert "bytes before TLS" in str(failure.value)


def test_a_write_whose_login_finds_no_answer_did_not_leave(tmp_path: Path) -> None:
    with hostile(tmp_path, None) as place, way_out(*place, timeout=1.0) as way, pytest.raises(NotSent) as fault:
        way.send(asked(place[0], "MODIFY", dn=JEANNE, changes=CHANGES))
    assert not fault.value.may_have_arrived
