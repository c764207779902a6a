"""Odd messages, and mailboxes that move while they are read, on a real Dovecot."""

import os
import random
import shutil
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance import misbehaviour
from saas_connectors.conformance.driver import Recorder, converse
from saas_connectors.connector import Connector, Fetch, Json, Page
from saas_connectors.mail import imap_planning
from saas_connectors.request import Request, Response
from sovereign.egress.transport import Transport
from tests.journeys.test_kills import Puller
from tests.servers import dovecot
from tests.servers.mailbox import letter, mailroom, way_out
from tests.servers.odd_mail import CONTENT, ODD, deep


@pytest.fixture(autouse=True)
def _server() -> None:
    dovecot.required()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dovecot.Dovecot]:
    with dovecot.running(tmp_path) as running:
        yield running


@pytest.fixture
def way(server: dovecot.Dovecot) -> Iterator[Transport]:
    with way_out(server) as opened:
        yield opened


def connect(server: dovecot.Dovecot, **settings: Json) -> Connector:
    return registry.make("imap", "courrier", {"url": server.url, **settings})


def rows(pulled: misbehaviour.Pulled, stream: str) -> list[dict[str, Any]]:
    return [row for page in pulled.pages if page.stream == stream for row in page.records.to_pylist()]


def removed(pulled: misbehaviour.Pulled, stream: str) -> set[tuple[Any, ...]]:
    pages = [page for page in pulled.pages if page.stream == stream and page.removed is not None]
    return {tuple(row.values()) for page in pages for row in page.removed.to_pylist()}  # type: ignore[union-attr]


class Meanwhile:
    """Sends, after having done something before the first request of a kind."""

    def __init__(self, way: Transport, method: str, act: Callable[[], object]) -> None:
        self.way, self.method, self.act, self.asked = way, method, act, Counter[str]()

    def __call__(self, request: Request) -> Response:
        if request.method == self.method and not self.asked[self.method]:
            self.act()
        self.asked[request.method] += 1
        return self.way.send(request)


def test_no_odd_message_is_lost_nor_spoils_another(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        for message in ODD.values():
            here.server.put(message)
        outcome = here.sync()
        assert outcome.state == "partial", outcome.fault
        notes = [note for each in outcome.streams for note in each.evidence if note.holds is False]
        told = Counter[str]()
        for note in notes:
            told.update(note.detail["rules"])
        assert told == {"structure": 2, "too_many": 1}  # the structure of six megabytes; the part that is too deep
        found = dict(zip(ODD, here.rows("messages"), strict=True))
        for name, row in found.items():
            assert here.document(row["document"]) == ODD[name], name
        texts = {name: row["text"] for name, row in found.items()}
        assert texts["a charset that is none"] == "café"
        assert texts["a page of marks"] == "mot"
        assert texts["eight bits"] == "éÿþ"
        assert [found[name]["subject"] for name in ("a header of a megabyte", "headers without number")] == ["apres", "apres"]
        same = [found[name] for name in ("one Message-ID", "the same Message-ID")]
        assert same[0]["message_id"] == same[1]["message_id"]
        assert same[0]["identity"] != same[1]["identity"]
        attached: dict[str, list[dict[str, Any]]] = {name: [] for name in ODD}
        for row in here.rows("attachments"):
            attached[list(ODD)[row["uid"] - 1]].append(row)
        assert [row["filename"] for row in attached["names"]] == [
            "été.pdf", "été.pdf", "ét.pdf", "\N{REPLACEMENT CHARACTER}t\N{REPLACEMENT CHARACTER}.pdf", "../../etc/passwd",
        ]  # fmt: skip
        for name in ("deep", "no end", "boundaries that begin alike", "garbage in base64", "parts that are empty", "signed"):
            content = here.document(attached[name][0]["document"])
            assert content is not None
            assert content.startswith(CONTENT), name
        assert [row["media_type"] for row in attached["a message inside"]] == ["message/rfc822"]


def test_a_message_that_holds_nuls_is_read(server: dovecot.Dovecot, way: Transport) -> None:
    server.put(letter(1))
    held = b"Subject: a\x00b\r\nFrom: x\x00@y.z\r\n\r\nun\x00deux\r\n".replace(b"\r\n", b"\n")
    place = server.maildir / "new" / "1795000000.M1P1.host"
    place.write_bytes(held)
    if os.getuid() == 0:
        shutil.chown(place, "mail", "mail")
    found = misbehaviour.pull(connect(server), way.send)
    assert found.error is None
    assert not found.doubtful
    (_, row) = rows(found, "messages")
    assert (row["state"], row["size"]) == ("filed", len(held) + 4)
    assert "\x00" not in f"{row['subject']}{row['text']}{row['from_addresses']}"


def test_an_attachment_is_not_fetched_beside_its_message(server: dovecot.Dovecot, way: Transport) -> None:
    for n in range(5):
        server.put(letter(n, attached=3))
    server.put(deep(50))
    asked: list[Request] = []

    def send(request: Request) -> Response:
        asked.append(request)
        return way.send(request)

    both = misbehaviour.pull(connect(server), send)
    assert [request.url for request in asked if "SECTION" in request.url] == []
    apart = misbehaviour.pull(connect(server, files=["attachments"]), send)
    assert len([request for request in asked if "SECTION" in request.url]) == 16
    assert rows(both, "attachments") == rows(apart, "attachments")
    assert len(rows(both, "attachments")) == 16


@pytest.mark.parametrize("method", ["FETCH", "GET"])
def test_a_message_that_moves_during_a_pull_is_found_where_it_went(
    server: dovecot.Dovecot, way: Transport, method: str
) -> None:
    for n in range(3):
        server.put(letter(n, attached=1))
    server.put(letter(9), "Archives")

    def move() -> None:
        with server.client() as client:
            client.select("INBOX")
            client._simple_command("UID", "MOVE", "2", "Archives")  # imaplib has no name for it

    connector = connect(server)
    first = misbehaviour.pull(connector, Meanwhile(way, method, move))
    assert first.error is None
    assert not first.doubtful
    second = misbehaviour.pull(connector, way.send, cursors=first.cursors)
    assert ("INBOX", 2) in {(row[0], row[2]) for row in removed(second, "messages")}
    subjects = {row["subject"]: row["folder"] for row in rows(first, "messages") + rows(second, "messages")}
    assert subjects == {"Objet été 0": "INBOX", "Objet été 1": "Archives", "Objet été 2": "INBOX", "Objet été 9": "Archives"}


@pytest.mark.parametrize("method", ["SEARCH", "FETCH", "GET"])
@pytest.mark.parametrize("act", ["deleted", "renamed", "made again"])
def test_a_folder_that_goes_during_a_pull_ends_there_and_weighs(
    server: dovecot.Dovecot, way: Transport, method: str, act: str
) -> None:
    server.put(letter(1, attached=1), "Autre")

    def leave() -> None:
        with server.client() as client:
            client.rename("Autre", "Nouveau") if act == "renamed" else client.delete("Autre")
        if act == "made again":
            server.put(letter(5), "Autre")

    connector = connect(server)
    first = misbehaviour.pull(connector, Meanwhile(way, method, leave))
    assert first.error is None
    assert any(fact.check == "vanished" and fact.holds is False for fact in first.evidence)
    second = misbehaviour.pull(connector, way.send, cursors=first.cursors)
    assert second.error is None
    assert [(row["folder"], row["subject"]) for row in rows(second, "messages")] == {
        "deleted": [], "renamed": [("Nouveau", "Objet été 1")], "made again": [("Autre", "Objet été 5")],
    }[act]  # fmt: skip
    if method != "SEARCH":  # planned before it went
        assert {row[0] for row in removed(second, "messages")} == {"Autre"}


def test_the_flags_of_a_large_folder_are_asked_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_planning, "FLAGS_AT_ONCE", 2)
    with dovecot.running(tmp_path, capability="IMAP4rev1 SASL-IR") as server, way_out(server) as way:
        for n in range(7):
            server.put(letter(n))
        connector, asked = connect(server), Recorder(way.send)
        first = misbehaviour.pull(connector, way.send)
        assert len(rows(first, "messages")) == 7
        with server.client() as client:
            client.select("INBOX")
            client.uid("STORE", "3,7", "+FLAGS", "(\\Seen)")
            client.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
            client.expunge()
        second = misbehaviour.pull(connector, asked, cursors=first.cursors)
        assert [row["uid"] for row in rows(second, "messages")] == [3, 7]
        assert {row[2] for row in removed(second, "messages")} == {1}
        spans = [request.body for request, _ in asked.exchanges if (request.body or b"").endswith(b" (UID FLAGS)")]
        assert spans == [b"2:3 (UID FLAGS)", b"4:5 (UID FLAGS)", b"6:7 (UID FLAGS)"]


def test_a_folder_that_cannot_be_opened_keeps_what_was_read_of_it(server: dovecot.Dovecot, way: Transport) -> None:
    server.put(letter(1), "Autre")
    connector = connect(server)
    first = misbehaviour.pull(connector, way.send)

    def closed(request: Request) -> Response:
        response = way.send(request)
        if request.method == "LIST":
            lines = [line for line in response.body.splitlines(keepends=True) if b"STATUS Autre" not in line]
            return Response(200, response.url, b"".join(lines), response.headers)
        return Response(409, response.url, b"") if request.method == "STATUS" else response

    second = misbehaviour.pull(connector, closed, cursors=first.cursors)
    assert any(fact.check == "vanished" and fact.holds is False for fact in second.evidence)
    assert removed(second, "messages") == set()
    third = misbehaviour.pull(connector, way.send, cursors=second.cursors)
    assert rows(third, "messages") == []
    assert removed(third, "messages") == set()


def test_a_read_that_stops_between_two_folders_that_are_gone_removes_the_second(
    server: dovecot.Dovecot, way: Transport
) -> None:
    for name in ("Un", "Deux"):
        server.put(letter(1), name)
    connector = connect(server)
    first = misbehaviour.pull(connector, way.send)
    with server.client() as client:
        client.delete("Un")
        client.delete("Deux")
    assert first.plan is not None
    catalog = converse(connector.discover(), way.send)
    modes = {stream.name: stream.modes[-1] for stream in catalog.streams}
    plan = type(first.plan)(catalog.streams, modes, first.cursors, first.plan.started_at)
    *_, end = [part for part in converse(connector.slices(plan), way.send) if part.key == "mail"]
    gone, position = set(), None
    for _ in range(2):  # each read is left at its first position
        for given in connector.read(plan, end, position):
            assert not isinstance(given, Fetch)
            if isinstance(given, Page):
                if given.removed is not None and given.stream == "messages":
                    gone |= {row["folder"] for row in given.removed.to_pylist()}
                if given.position is not None:
                    position = given.position
                    break
    assert gone == {"Un", "Deux"}


def test_a_mailbox_pulled_by_processes_that_are_killed_has_each_row_once(tmp_path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 - instants of kills
    with mailroom(tmp_path) as here:
        with here.server.client() as client:
            for n in range(450):
                client.append("INBOX", "", '"23-Nov-2026 10:00:00 +0100"', letter(n, attached=n % 2))
        root = here.site.root
        here.site.close()
        puller = Puller(root, "tests.journeys.mail_puller")
        try:
            killed = sum(puller.pull(chance.uniform(0.3, 3.0), 100) == signal.SIGKILL for _ in range(6))
            assert puller.pull(None, 100) == 0
        finally:
            puller.close()
        assert killed
        here.site = type(here.site).open(root)
        with here.site:
            assert [row["uid"] for row in here.rows("messages")] == list(range(1, 451))
            assert [row["uid"] for row in here.rows("attachments")] == list(range(2, 451, 2))
            assert all(row["state"] == "filed" for row in here.rows("messages") + here.rows("attachments"))
