"""The IMAP way out: whom it dials, what it can say there, and what a hostile server makes of it."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trustme

from saas_connectors.auth import basic, bearer
from saas_connectors.request import Request, Response
from sovereign.egress import open_transport
from sovereign.egress.errors import Broken, EgressError, Refused, TimedOut, TlsFailed, TooLarge
from sovereign.egress.link import local
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport
from tests.servers import dovecot
from tests.servers.mailbox import letter, way_out
from tests.servers.sites import Wandering


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dovecot.Dovecot]:
    dovecot.required()
    with dovecot.running(tmp_path_factory.mktemp("mail")) as running:
        running.put(letter(1))
        yield running


def ask(way: Transport, server: dovecot.Dovecot, method: str = "CAPABILITY", path: str = "/", body: bytes | None = None) -> int:
    return way.send(Request(method, f"{server.url}{path}", body=body, reads=True)).status


def test_this_machine_is_not_dialled_unless_it_is_allowed(server: dovecot.Dovecot) -> None:
    with way_out(server, loopback=False) as way, pytest.raises(Refused) as refusal:
        ask(way, server)
    assert refusal.value.rule == "egress.address.loopback"


def test_an_authority_that_is_not_trusted_sees_no_credential(server: dovecot.Dovecot, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with way_out(server, ca_bundle=other) as way, pytest.raises(TlsFailed):
        ask(way, server)


def test_a_certificate_for_another_name_is_refused(server: dovecot.Dovecot) -> None:
    url = f"imaps://mail.example:{server.port}"
    policy = EgressPolicy("courrier", url, loopback=True, ca_bundle=server.authority, attempts=1)
    there = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))]
    opened = open_transport(policy, basic("a", "b"), Wandering(), resolve=lambda *_, **__: there)
    with opened as way, pytest.raises(TlsFailed) as failure:
        way.send(Request("CAPABILITY", f"{url}/"))
    assert "hostname" in str(failure.value)


def test_a_plain_address_is_secured_by_starttls(server: dovecot.Dovecot) -> None:
    with way_out(server, url=server.clear_url) as way:
        answer = way.send(Request("CAPABILITY", f"{server.clear_url}/"))
    assert answer.status == 200


def test_without_starttls_nothing_is_sent_in_clear_unless_it_is_allowed(tmp_path: Path) -> None:
    dovecot.required()
    with dovecot.running(tmp_path, secure=False) as server:
        with way_out(server, url=server.clear_url) as way, pytest.raises(TlsFailed) as failure:
            way.send(Request("CAPABILITY", f"{server.clear_url}/"))
        assert "no starttls" in str(failure.value)
        with way_out(server, url=server.clear_url, plaintext=True) as way:
            assert way.send(Request("CAPABILITY", f"{server.clear_url}/")).status == 200


@pytest.mark.parametrize(
    ("address", "allowed"),
    [("127.0.0.1", True), ("::1", True), ("10.1.2.3", True), ("fd12::1", True), ("8.8.8.8", False), ("2606:4700::1", False)],
)
def test_traffic_in_clear_never_goes_to_a_public_address(address: str, allowed: bool) -> None:
    assert local(address) is allowed


def test_a_wrong_password_is_a_401_without_a_word_of_the_server(server: dovecot.Dovecot) -> None:
    with way_out(server, password="autre") as way:
        answer = way.send(Request("CAPABILITY", f"{server.url}/"))
    assert (answer.status, answer.body) == (401, b"")


def test_only_a_login_and_a_password_can_be_shown(server: dovecot.Dovecot) -> None:
    policy = EgressPolicy("courrier", server.url, loopback=True, ca_bundle=server.authority)
    with open_transport(policy, bearer("jeton"), Wandering()) as way, pytest.raises(Refused) as refusal:
        ask(way, server)
    assert refusal.value.rule == "egress.credential"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("LIST", "/", b'"" "*"\r\nA DELETE INBOX'),
        ("FETCH", "/INBOX;UIDVALIDITY=1", b"1 (UID)\nA EXPUNGE"),
        ("FETCH", "/INBOX;UIDVALIDITY=1", b"1 {10}"),
        ("FETCH", "/INBOX", b"1 (UID)"),
        ("FETCH", "/IN%0D%0ABOX;UIDVALIDITY=1", b"1 (UID)"),
        ("STORE", "/INBOX;UIDVALIDITY=1", b"1 +FLAGS (\\Deleted)"),
        ("DELETE", "/INBOX", None),
        ("GET", "/INBOX;UIDVALIDITY=1", None),
        ("GET", "/INBOX;UIDVALIDITY=1/;UID=1/;SECTION=1]", None),
        ("SELECT", "/INBOX", None),
    ],
)  # fmt: skip
def test_nothing_else_than_reading_can_be_asked(server: dovecot.Dovecot, method: str, path: str, body: bytes | None) -> None:
    with way_out(server) as way, pytest.raises(Refused):
        ask(way, server, method, path, body)


def test_a_store_inside_the_arguments_of_a_read_changes_nothing(server: dovecot.Dovecot) -> None:
    with way_out(server) as way:
        status = way.send(Request("STATUS", f"{server.url}/INBOX", body=b"(UIDVALIDITY)", reads=True)).body
        validity = int(status.split(b"UIDVALIDITY ")[1].split(b")")[0])
        assert ask(way, server, "FETCH", f"/INBOX;UIDVALIDITY={validity}", b"1 (BODY[])") == 200
    with server.client() as client:
        client.select("INBOX", readonly=True)
        assert client.search(None, "SEEN")[1] == [b""]


def test_another_origin_is_refused(server: dovecot.Dovecot) -> None:
    with way_out(server) as way, pytest.raises(Refused) as refusal:
        way.send(Request("CAPABILITY", "imaps://autre.example/"))
    assert refusal.value.rule == "egress.origin"


def test_a_session_that_the_server_let_go_is_replaced(server: dovecot.Dovecot) -> None:
    with way_out(server) as way:
        assert ask(way, server) == 200
        server.stop()
        server.start()
        assert ask(way, server) == 200


GREETING = b"* OK ready\r\n"
CAPABLE = b"* CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN\r\nA OK done\r\n"


@contextmanager
def hostile(tmp_path: Path, *answers: bytes, hold: bool = False) -> Iterator[Callable[[], Response]]:
    """A server that says these, each once a line came; gives what asks it for its folders."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                plain, _ = listening.accept()
                with plain, context.wrap_socket(plain, server_side=True) as sock:
                    sock.sendall(answers[0])
                    for each in answers[1:]:
                        sock.recv(65536)
                        sock.sendall(each)
                    if hold:
                        over.wait(60)
            except OSError:
                pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        url = f"imaps://localhost:{listening.getsockname()[1]}"
        policy = EgressPolicy(
            "courrier",
            url,
            loopback=True,
            ca_bundle=tmp_path / "ca.pem",
            attempts=1,
            timeout=1.0 if hold else 60.0,
            max_bytes=100_000,
        )
        with open_transport(policy, basic("jeanne", "canari-7d1f02"), Wandering()) as way:
            yield lambda: way.send(Request("LIST", f"{url}/", body=b'"" "*"', reads=True))
        over.set()
        thread.join(60)


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b'* LIST () "/" {999999999999}\r\n', TooLarge),
        (b'* LIST () "/" {90000}\r\n' + b"x" * 90_000 + b" {90000}\r\n", TooLarge),
        (b"* " + b"x" * 200_000, TooLarge),
        (b"* LIST\r\n" * 20_000, TooLarge),
        (b'* LIST () "/" {50}\r\nhalf', Broken),
        (b"* BYE canari-7d1f02\r\n", Broken),
    ],
    ids=["literal", "literals", "line", "lines", "half", "bye"],
)  # fmt: skip
def test_a_hostile_answer_ends_in_a_fault_that_shows_nothing(tmp_path: Path, answer: bytes, fault: type[EgressError]) -> None:
    login = b"A OK in\r\n"
    with hostile(tmp_path, GREETING, CAPABLE, login, CAPABLE, answer) as folders, pytest.raises(fault) as failure:
        folders()
    assert "canari" not in f"{failure.value!r} {failure.value} {failure.value.fields}"


def test_a_silent_server_is_cut_off(tmp_path: Path) -> None:
    with hostile(tmp_path, GREETING, CAPABLE, b"A OK in\r\n", CAPABLE, hold=True) as folders, pytest.raises(TimedOut):
        folders()


def test_a_server_that_repeats_the_password_in_its_refusal_is_not_quoted(tmp_path: Path) -> None:
    refusal = b"A NO [AUTHENTICATIONFAILED] not canari-7d1f02\r\n"
    with hostile(tmp_path, GREETING, CAPABLE, refusal) as folders:
        answer = folders()
    assert (answer.status, answer.body, dict(answer.headers)) == (401, b"", {})
