"""Mailboxes opened with tokens: who is shown what, on a real Dovecot and before servers that note what they are told."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from saas_connectors import auth
from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError, Unauthorized
from saas_connectors.request import Request
from sovereign.egress import open_transport
from sovereign.egress.errors import EgressError, Refused, TlsFailed
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import Transport
from tests.servers import dovecot, token_office
from tests.servers.mailbox import letter
from tests.servers.sites import Wandering
from tests.servers.token_office import CLIENT, SECRET, Office

ACCOUNT = dovecot.USER


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    with token_office.running(tmp_path, ACCOUNT) as running:
        yield running


@pytest.fixture
def server(tmp_path: Path, office: Office) -> Iterator[dovecot.Dovecot]:
    dovecot.required()
    with dovecot.running(tmp_path, tokens=office.introspection) as running:
        yield running


def opened(office: Office, url: str, authorities: list[Path], **more: Json) -> Transport:
    bundle = office.authority.with_name("bundle.pem")
    bundle.write_text("".join(each.read_text() for each in authorities))
    settings = {
        "kind": "xoauth2", "user": ACCOUNT, "secret": "s", "client": CLIENT, "token_url": office.url, "in_body": True, **more,
    }  # fmt: skip
    shown = auth.make(settings, lambda _: SECRET.encode(), lambda: datetime.now(UTC))
    policy = EgressPolicy("courrier", url, credential_urls=(office.url,), loopback=True, ca_bundle=bundle, attempts=1)
    return open_transport(policy, shown, Wandering())


def folders(way: Transport, url: str) -> tuple[int, bytes]:
    answer = way.send(Request("LIST", f"{url}/", body=b'"" "*"', reads=True))
    return answer.status, answer.body


@pytest.mark.parametrize("capability", ["", "IMAP4rev1 AUTH=XOAUTH2", "IMAP4rev1 SASL-IR AUTH=XOAUTH2"])
def test_a_mailbox_is_read_with_a_token_asked_once(tmp_path: Path, office: Office, capability: str) -> None:
    dovecot.required()
    with dovecot.running(tmp_path, capability=capability, tokens=office.introspection) as server:
        server.put(letter(1), "Projets")
        with opened(office, server.url, [server.authority, office.authority]) as way:
            status, said = folders(way, server.url)
            assert status == 200
            assert b"Projets" in said
            way.close()
            assert folders(way, server.url)[0] == 200
        assert len(office.asked) == 1


def test_a_token_that_is_refused_is_renewed_once_and_the_mailbox_read(server: dovecot.Dovecot, office: Office) -> None:
    office.revoked.add("jeton-0-canari-9c2e")
    with opened(office, server.url, [server.authority, office.authority]) as way:
        assert folders(way, server.url)[0] == 200
    assert office.given == ["jeton-0-canari-9c2e", "jeton-1-canari-9c2e"]


def test_a_mailbox_that_refuses_every_token_is_a_401_after_two(server: dovecot.Dovecot, office: Office) -> None:
    office.closed = True
    with opened(office, server.url, [server.authority, office.authority]) as way:
        assert folders(way, server.url) == (401, b"")
    assert len(office.given) == 2


def test_a_wrong_client_secret_is_said_without_a_word_of_it(server: dovecot.Dovecot, office: Office) -> None:
    with (
        opened(office, server.url, [server.authority, office.authority], client="autre") as way,
        pytest.raises(Unauthorized) as no,
    ):
        folders(way, server.url)
    assert SECRET not in f"{no.value!r} {no.value} {no.value.fields}"


def test_the_office_is_held_to_the_same_authorities(server: dovecot.Dovecot, office: Office) -> None:
    with opened(office, server.url, [server.authority]) as way, pytest.raises(TlsFailed):
        folders(way, server.url)
    assert office.asked == []


@contextmanager
def noting(tmp_path: Path, *answers: bytes) -> Iterator[tuple[str, Path, list[bytes]]]:
    """A mail server that notes each line, and says these, one after each; gives its address, its authority, the lines."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "noting.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    lines: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.2)
        over = threading.Event()

        def serve() -> None:
            left = list(answers)
            while left and not over.is_set():
                try:
                    plain, _ = listening.accept()
                    with plain, context.wrap_socket(plain, server_side=True) as sock:
                        sock.sendall(b"* OK ready\r\n")
                        with sock.makefile("rb") as reader:
                            while left and (line := reader.readline()):
                                lines.append(line)
                                sock.sendall(left.pop(0))
                except OSError:
                    continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"imaps://localhost:{listening.getsockname()[1]}", tmp_path / "noting.pem", lines
        over.set()
        thread.join(35)


def capable(*words: str) -> bytes:
    return f"* CAPABILITY IMAP4rev1 {' '.join(words)}\r\nA OK done\r\n".encode()


LISTED = b'* LIST () "/" INBOX\r\nA OK done\r\n'


@pytest.mark.parametrize(
    ("words", "command", "said"),
    [
        (("SASL-IR", "AUTH=XOAUTH2"), b"A AUTHENTICATE XOAUTH2 ", "user={user}\x01auth=Bearer {token}\x01\x01"),
        (
            ("SASL-IR", "AUTH=XOAUTH2", "AUTH=OAUTHBEARER"), b"A AUTHENTICATE OAUTHBEARER ",
            "n,a={user},\x01host=localhost\x01port={port}\x01auth=Bearer {token}\x01\x01",
        ),
    ],
    ids=["xoauth2", "oauthbearer"],
)  # fmt: skip
def test_the_words_are_those_of_the_mechanism(
    tmp_path: Path, office: Office, words: tuple[str, ...], command: bytes, said: str
) -> None:
    with (
        noting(tmp_path, capable(*words), b"A OK in\r\n", capable(*words), LISTED) as (url, authority, lines),
        opened(office, url, [authority, office.authority]) as way,
    ):
        assert folders(way, url)[0] == 200
    assert lines[1].startswith(command)
    port = url.rpartition(":")[2]
    assert base64.b64decode(lines[1].removeprefix(command)).decode() == said.format(
        user=ACCOUNT, token=office.given[0], port=port
    )


def test_a_refusal_that_says_why_is_heard_to_its_end(tmp_path: Path, office: Office) -> None:
    words, why = capable("SASL-IR", "AUTH=XOAUTH2"), b"+ eyJzdGF0dXMiOiI0MDAifQ==\r\n"
    no = b"A NO AUTHENTICATE failed.\r\n"
    with (
        noting(tmp_path, words, why, no, words, b"A OK in\r\n", words, LISTED) as (url, authority, lines),
        opened(office, url, [authority, office.authority]) as way,
    ):
        assert folders(way, url)[0] == 200
    assert lines[2] == b"\r\n"
    assert len(office.given) == 2


def test_a_server_that_takes_no_token_is_shown_none(tmp_path: Path, office: Office) -> None:
    with (
        noting(tmp_path, capable("AUTH=PLAIN")) as (url, authority, lines),
        opened(office, url, [authority, office.authority]) as way,
        pytest.raises(Refused) as refusal,
    ):
        folders(way, url)
    assert refusal.value.rule == "egress.credential"
    assert [line for line in lines if b"CAPABILITY" not in line] == []


@pytest.mark.parametrize("in_body", [True, False])
def test_the_secret_of_a_client_is_never_shown_to_a_mail_server(tmp_path: Path, office: Office, in_body: bool) -> None:
    with noting(tmp_path, capable("SASL-IR", "AUTH=PLAIN"), b"A OK in\r\n") as (url, authority, lines):
        bundle = tmp_path / "both.pem"
        bundle.write_text(authority.read_text() + office.authority.read_text())
        tokens = auth.ClientCredentials(office.url, CLIENT, SECRET, lambda: datetime.now(UTC), in_body=in_body)
        policy = EgressPolicy("courrier", url, credential_urls=(office.url,), loopback=True, ca_bundle=bundle, attempts=1)
        with open_transport(policy, tokens, Wandering()) as way, pytest.raises((EgressError, Unauthorized)):
            folders(way, url)
        shown = b"".join(base64.b64decode(line.split()[-1] + b"==") for line in lines if b"PLAIN" in line)
        assert SECRET.encode() not in shown


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user": ""}, "user"),
        ({"user": "a\x01b"}, "user"),
        ({"token_url": "ftp://x"}, "token_url"),
        ({"client": None}, "client"),
    ],
    ids=["none", "control", "address", "client"],
)
def test_settings_that_name_no_mailbox_are_refused(change: dict[str, Json], field: str) -> None:
    settings = {"kind": "xoauth2", "secret": "s", "user": "a@b.fr", "client": "c", "token_url": "https://x/", **change}
    with pytest.raises(SettingsError) as wrong:
        auth.checked({name: value for name, value in settings.items() if value is not None}, "auth")
    assert wrong.value.fields["field"] == f"auth.{field}"
