"""Attachments and notes are asked of the letters that have some, and again of those whose history moved."""

import base64
import json

from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Trouble
from saas_connectors.sandbox.maarch import Maarch
from tests.unit.connectors_maarch.pulling import URL, Town, agent, sender

FILE = {"encodedFile": base64.b64encode(b"%PDF-1.4 reply").decode(), "format": "pdf"}


def write(server: Maarch, method: str, path: str, body: object = None) -> Response:
    encoded = None if body is None else json.dumps(body).encode()
    return sender(server)(Request(method, f"{URL}/rest{path}", body=encoded))


def town(letters: int = 40, **more: object) -> Town:
    here = Town(Maarch(letters, accounts=(agent(),), **more), {"streams": ["attachments", "notes"]})
    here.now = here.server.store.clock()  # lookback counts from the clock that dates what is written
    return here


def test_only_the_letters_that_have_some_are_asked() -> None:
    first = town(40).pull()
    assert len(first.rows("notes")) == 10
    assert len(first.rows("attachments")) == 8
    assert len([call for call in first.calls if call.endswith("/notes")]) == 10
    assert len([call for call in first.calls if call.endswith("/attachments")]) == 8


def test_a_server_that_takes_no_subquery_is_asked_for_every_letter_and_it_is_told() -> None:
    here = town(40, subqueries=False)
    first = here.pull()
    assert len(first.rows("notes")) == 10
    assert [each.check for each in first.evidence("notes")] == ["filter_ignored"]
    assert len([call for call in first.calls if call.endswith("/notes")]) == 40


def test_what_is_added_or_changed_is_read_and_what_is_only_looked_at_is_not() -> None:
    here = town(40)
    here.pull()
    quiet = here.pull()
    assert quiet.rows("notes") == quiet.rows("attachments") == []
    assert write(here.server, "GET", "/resources/110/originalContent").status == 200
    assert write(here.server, "POST", "/notes", {"resId": 111, "value": "Rappelé"}).status == 200
    added = {"resIdMaster": 112, "type": "response_project", "title": "Réponse", **FILE}
    number = json.loads(write(here.server, "POST", "/attachments", added).body)["id"]
    again = here.pull()
    assert [row["value"] for row in again.rows("notes") if row["res_id"] == 111] == ["Rappelé"]
    (row,) = [row for row in again.rows("attachments") if row["id"] == number]
    assert here.shelf.contents[row["document"]] == b"%PDF-1.4 reply"
    assert not [call for call in again.calls if "/110/" in call]


def test_a_note_that_is_rewritten_is_read_again() -> None:
    here = town(8, notes_every=0)
    number = json.loads(write(here.server, "POST", "/notes", {"resId": 103, "value": "Avant"}).body)["noteId"]
    here.pull()
    assert write(here.server, "PUT", f"/notes/{number}", {"value": "Après"}).status == 204
    assert [row["value"] for row in here.pull().rows("notes")] == ["Après"]


def test_an_attachment_is_fetched_again_only_when_it_changed() -> None:
    here = town(20)
    here.pull()
    body = {"type": "response_project", "title": "Réponse", **FILE}
    assert write(here.server, "PUT", "/attachments/2", body).status == 204
    again = here.pull("full_refresh")
    assert [call for call in again.calls if call.endswith("/originalContent")] == ["GET/rest/attachments/2/originalContent"]
    (row,) = [row for row in again.rows("attachments") if row["id"] == 2]
    assert here.shelf.contents[row["document"]] == b"%PDF-1.4 reply"


def test_a_letter_that_may_no_longer_be_seen_is_told() -> None:
    here = town(20)
    here.server.troubles.plan(Trouble("status", 403, path="/rest/resources/105/notes", times=0))
    real = here.server.shown.answer
    here.server.troubles.clear()

    def hiding(route: str, account: object, number: int, call: object) -> object:
        from saas_connectors.sandbox.maarch.desk import OUT

        return OUT if number == 105 and route.endswith("/notes") else real(route, account, number, call)

    here.server.shown.answer = hiding
    first = here.pull()
    assert [(each.check, each.holds) for each in first.evidence("notes")] == [("vanished", False)]
    assert 105 not in {row["res_id"] for row in first.rows("notes")}
