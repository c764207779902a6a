"""The laws of a connector, and those before a vendor that misbehaves, held over a real Dovecot."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from saas_connectors import registry
from saas_connectors.conformance import misbehaviour, suite
from saas_connectors.conformance.tampering import WRONG, Tampered
from saas_connectors.connector import Connector, Json
from saas_connectors.request import Request, Response
from sovereign.egress.transport import Transport
from tests.servers import dovecot
from tests.servers.mailbox import letter, way_out


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dovecot.Dovecot]:
    dovecot.required()
    with dovecot.running(tmp_path_factory.mktemp("mail")) as running:
        for n in range(6):
            running.put(letter(n, attached=n % 3), "INBOX" if n < 3 else "Dossier &AOk-t&AOk-")
        yield running


@pytest.fixture
def way(server: dovecot.Dovecot) -> Iterator[Transport]:
    with way_out(server) as opened:
        yield opened


def connect(server: dovecot.Dovecot, **settings: Json) -> Connector:
    return registry.make("imap", "courrier", {"url": server.url, **settings})


@pytest.mark.parametrize("settings", [{}, {"files": [], "text": 0}, {"streams": ["attachments"]}], ids=["all", "bare", "parts"])
def test_it_keeps_the_laws_of_a_connector(server: dovecot.Dovecot, way: Transport, settings: dict[str, Json]) -> None:
    report = suite.run(connect(server, **settings), way.send, secrets=[dovecot.PASSWORD, dovecot.USER + "\0"])
    assert report.rows["attachments"] == 6
    assert report.rows.get("messages", 6) == 6


def test_it_keeps_the_laws_when_it_asks_what_changed(server: dovecot.Dovecot, way: Transport) -> None:
    connector = connect(server)
    first = misbehaviour.pull(connector, way.send)
    server.put(letter(60, attached=1), "INBOX")
    report = suite.run(connector, way.send, mode="incremental", cursors=first.cursors)
    assert report.rows["messages"] == 1


@pytest.mark.parametrize("wrong", sorted(WRONG))
def test_a_wrong_answer_loses_nothing_in_silence(server: dovecot.Dovecot, way: Transport, wrong: str) -> None:
    connector = connect(server)
    honest = misbehaviour.pull(connector, way.send)
    assert honest.error is None
    counting = Tampered(way.send, lambda _, response: response)
    misbehaviour.pull(connector, counting)
    for at in range(counting.sent):
        found = misbehaviour.pull(connector, Tampered(way.send, WRONG[wrong], {at}))
        if wrong.startswith(("half", "an error after")) and found.error is None and not found.doubtful:
            assert_only_a_file_differs(honest, found)
        else:
            misbehaviour.sure(f"{wrong}, answer {at}", honest, found)


def assert_only_a_file_differs(honest: misbehaviour.Pulled, found: misbehaviour.Pulled) -> None:
    """Half of the bytes of a file are a file: nothing tells them apart but the transport, which gives none by halves."""
    assert found.keys == honest.keys


def test_a_connection_that_breaks_at_any_request_loses_nothing(server: dovecot.Dovecot, way: Transport) -> None:
    connector = connect(server)
    misbehaviour.broken(connector, way.send, misbehaviour.pull(connector, way.send), 100)


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Request, Response], Response]:
    """Tampers with the messages of an answer, literals included."""

    def tampered(request: Request, response: Response) -> Response:
        if request.method != "FETCH" or response.status != 200:
            return response
        found = re.split(rb"(?m)^(?=\* \d+ FETCH |A OK )", response.body)
        return replace(response, body=b"".join([found[0], *change(found[1:-1]), found[-1]]))

    return tampered


@pytest.mark.parametrize("change", [lambda held: held[::-1], lambda held: held + held[:1]], ids=["reordered", "repeated"])
def test_messages_that_come_in_another_order_or_twice_are_the_same(
    server: dovecot.Dovecot, way: Transport, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    connector = connect(server)
    honest = misbehaviour.pull(connector, way.send)
    struck = Tampered(way.send, lines(change))
    assert misbehaviour.pull(connector, struck).rows == honest.rows
    assert struck.struck


@pytest.mark.parametrize("count", [b"0", b"99999"])
def test_counts_that_lie_change_nothing(server: dovecot.Dovecot, way: Transport, count: bytes) -> None:
    connector = connect(server, streams=["messages", "attachments"])

    def lie(_: Request, response: Response) -> Response:
        return replace(response, body=re.sub(rb"MESSAGES \d+", b"MESSAGES " + count, response.body))

    honest = misbehaviour.pull(connector, way.send)
    assert misbehaviour.pull(connector, Tampered(way.send, lie)).rows == honest.rows
    again = misbehaviour.pull(connector, Tampered(way.send, lie), cursors=honest.cursors)
    assert again.error is None
    assert not any(page.removed for page in again.pages)


def test_messages_that_an_answer_leaves_out_are_looked_for_and_weigh(server: dovecot.Dovecot, way: Transport) -> None:
    found = misbehaviour.pull(connect(server), Tampered(way.send, lines(lambda held: held[1:])))
    assert found.error is None
    assert any(fact.check == "vanished" and fact.holds is False for fact in found.evidence)


def test_a_server_that_goes_back_in_time_does_not_stall_the_copy(tmp_path: Path) -> None:
    dovecot.required()
    with dovecot.running(tmp_path) as server, way_out(server) as way:
        server.put(letter(1))
        server.save(tmp_path / "backup")
        server.put(letter(2))
        validity = int(re.search(rb"UIDVALIDITY (\d+)", _status(way, server))[1])  # type: ignore[index]

        def onward() -> tuple[str, dict[str, Json]]:
            server.put(letter(3))
            return "messages", {"folder": "INBOX", "uidvalidity": validity, "uid": 2}

        misbehaviour.restored(connect(server), way.send, lambda: server.restore(tmp_path / "backup"), onward)


def _status(way: Transport, server: dovecot.Dovecot) -> bytes:
    return way.send(Request("STATUS", f"{server.url}/INBOX", body=b"(UIDVALIDITY)", reads=True)).body
