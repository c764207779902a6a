"""The Maarch sandbox has the habits of a real server: those that the connector and the writer are held against."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.maarch import Account, Maarch
from saas_connectors.sandbox.vendor import SECRET, USER

BASIC = ("Authorization", "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode())


def ask(server: Maarch, method: str, path: str, body: object = None, auth: tuple[str, str] | None = BASIC) -> Response:
    headers = (("Content-Type", "application/json"), *((auth,) if auth else ()))
    return server.respond(
        Request(
            method, f"http://maarch.example{path}", headers=headers, body=None if body is None else json.dumps(body).encode()
        )
    )


def listed(server: Maarch, clause: str, select: str = "res_id", limit: int = 500) -> Response:
    return ask(server, "POST", "/rest/res/list", {"select": select, "clause": clause, "orderBy": ["res_id"], "limit": limit})


def rows(response: Response) -> list[dict[str, Any]]:
    assert response.status == 200, response.body
    found: list[dict[str, Any]] = json.loads(response.body)["resources"]
    return found


def test_a_list_counts_the_rows_it_gives_and_has_no_offset() -> None:
    answer = json.loads(listed(Maarch(20), "res_id > 105", limit=7).body)
    assert answer["count"] == 7
    assert [row["res_id"] for row in answer["resources"]] == list(range(106, 113))


def test_a_fingerprint_is_that_of_the_bytes() -> None:
    server = Maarch(3, document_bytes=5_000)
    (row,) = rows(listed(server, "res_id = 102", "res_id,fingerprint,filesize"))
    content = ask(server, "GET", "/rest/resources/102/originalContent").body
    assert content.startswith(b"%PDF-1.4")
    assert (hashlib.sha512(content).hexdigest(), len(content)) == (row["fingerprint"], row["filesize"])
    assert len(content) >= 5_000


def test_json_comes_as_text_and_instants_bear_no_zone() -> None:
    (row,) = rows(listed(Maarch(1), "res_id = 101", "external_id,creation_date"))
    assert json.loads(row["external_id"]) == {"gateway": "G-000101"}
    assert "+" not in row["creation_date"]
    assert "Z" not in row["creation_date"]


@pytest.mark.parametrize("clause", ["subject = 'please update'", "res_id > 1; drop table x", "nothing = 3", "res_id >"])
def test_a_denied_word_or_wrong_sql_is_refused(clause: str) -> None:
    assert listed(Maarch(1), clause).status == 400


def test_a_status_moves_no_modification_date_and_a_full_change_does() -> None:
    privileges = frozenset({"update_status_mail", "update_resources"})
    server = Maarch(2, accounts=(Account(USER, SECRET, privileges=privileges),))
    before = rows(listed(server, "res_id = 101", "status,modification_date,closing_date"))
    assert ask(server, "PUT", "/rest/res/resource/status", {"resId": [101], "status": "END"}).status == 200
    after = rows(listed(server, "res_id = 101", "status,modification_date,closing_date"))
    assert after[0]["modification_date"] == before[0]["modification_date"]
    assert after[0]["status"] == "END"
    assert after[0]["closing_date"] is not None
    assert ask(server, "PUT", "/rest/resources/101", {"doctype": 101, "subject": "Autre"}).status == 204
    assert rows(listed(server, "res_id = 101", "modification_date")) != [{"modification_date": before[0]["modification_date"]}]


def test_a_deleted_letter_is_a_status_and_delete_is_no_method() -> None:
    server = Maarch(2)
    assert ask(server, "PUT", "/rest/res/resource/status", {"resId": [101], "status": "DEL"}).status == 200
    assert ask(server, "GET", "/rest/resources/101").status == 200
    refused = ask(server, "DELETE", "/rest/resources/101")
    assert refused.status == 405
    assert SECRET.encode() in refused.body


def test_an_unknown_letter_is_out_of_perimeter_but_for_root() -> None:
    server = Maarch(2)
    root = ("Authorization", "Basic " + base64.b64encode(f"superadmin:{SECRET}".encode()).decode())
    assert ask(server, "GET", "/rest/resources/999").status == 403
    assert ask(server, "GET", "/rest/resources/999", auth=root).status == 400


def test_a_page_that_is_not_there_shows_the_password() -> None:
    page = ask(Maarch(0), "GET", "/rest/nowhere")
    assert (page.status, page.headers["content-type"]) == (404, "text/html")
    assert f"{USER}:{SECRET}".encode() in page.body


def test_a_route_must_be_in_the_list_of_its_user() -> None:
    server = Maarch(1, accounts=(Account(USER, SECRET, authorized_api=("POST/res/list",)),))
    assert listed(server, "1=1").status == 200
    assert ask(server, "GET", "/rest/users").status == 403


def test_a_letter_whose_type_is_gone_is_in_no_list_and_still_there() -> None:
    server = Maarch(8)
    server.store.drop("doctypes", "type_id", 101)
    assert 101 not in [row["res_id"] for row in rows(listed(server, "1=1"))]
    root = ("Authorization", "Basic " + base64.b64encode(f"superadmin:{SECRET}".encode()).decode())
    assert ask(server, "GET", "/rest/resources/101", auth=root).status == 200


def test_a_token_lasts_thirty_minutes_and_is_renewed() -> None:
    now = [datetime(2026, 11, 23, 9, tzinfo=UTC)]
    server = Maarch(1, clock=lambda: now[0])
    opened = ask(server, "POST", "/rest/authenticate", {"login": "courrier", "password": SECRET}, auth=None)
    assert opened.status == 204
    shown = ("Authorization", f"Bearer {opened.headers['token']}")
    assert ask(server, "GET", "/rest/statuses", auth=shown).status == 200
    now[0] += timedelta(minutes=31)
    assert ask(server, "GET", "/rest/statuses", auth=shown).status == 401
    renewed = ask(server, "GET", f"/rest/authenticate/token?refreshToken={opened.headers['refresh-token']}", auth=None)
    token = json.loads(renewed.body)["token"]
    assert ask(server, "GET", "/rest/statuses", auth=("Authorization", f"Bearer {token}")).status == 200


def test_a_web_service_user_is_given_no_token() -> None:
    assert ask(Maarch(0), "POST", "/rest/authenticate", {"login": USER, "password": SECRET}, auth=None).status == 403


def test_wrong_passwords_lock_the_right_one_out() -> None:
    server = Maarch(0, attempts=3)
    wrong = ("Authorization", "Basic " + base64.b64encode(f"{USER}:no".encode()).decode())
    assert [ask(server, "GET", "/rest/statuses", auth=wrong).status for _ in range(3)] == [401] * 3
    assert ask(server, "GET", "/rest/statuses").status == 401


def test_a_creation_is_not_idempotent_and_is_found_by_its_quoted_identifier() -> None:
    server = Maarch(5)
    body = {"modelId": 1, "doctype": 101, "status": "NEW", "subject": "Dépôt", "externalId": {"gateway": "GW-1"}}
    file = {"encodedFile": base64.b64encode(b"%PDF-1.4 small").decode(), "format": "pdf"}
    numbers = [json.loads(ask(server, "POST", "/rest/resources", {**body, **file}).body)["resId"] for _ in range(2)]
    assert numbers[0] != numbers[1]
    found = ask(server, "PUT", "/rest/resources/external", {"type": "gateway", "value": '"GW-1"'})
    assert json.loads(found.body) == {"resId": numbers[0]}
    assert ask(server, "PUT", "/rest/resources/external", {"type": "gateway", "value": '"GW-2"'}).status == 400
    twice = rows(listed(server, "external_id->>'gateway'='GW-1'", "res_id,external_id"))
    assert [row["res_id"] for row in twice] == numbers
    assert twice[0]["external_id"] == '{"gateway": "GW-1"}'
    assert ask(server, "GET", f"/rest/resources/{numbers[0]}/originalContent").body == b"%PDF-1.4 small"


def test_notes_attachments_and_external_information_are_written() -> None:
    server = Maarch(1, notes_every=0, attachments_every=0)
    assert json.loads(ask(server, "POST", "/rest/notes", {"resId": 101, "value": "Vu"}).body) == {"noteId": 1}
    file = {"encodedFile": base64.b64encode(b"%PDF-1.4 reply").decode(), "format": "pdf"}
    written = ask(server, "POST", "/rest/attachments", {"resIdMaster": 101, "type": "response_project", "title": "R", **file})
    assert json.loads(written.body) == {"id": 1}
    told = {"externalInfos": [{"res_id": 101, "external_id": "P-1", "external_link": "x"}], "status": "COU"}
    assert ask(server, "PUT", "/rest/res/externalInfos", told).status == 200
    assert json.loads(ask(server, "GET", "/rest/resources/101/notes").body)["notes"][0]["value"] == "Vu"
    assert json.loads(ask(server, "GET", "/rest/resources/101/attachments").body)["attachments"][0]["resId"] == 1
    assert ask(server, "GET", "/rest/attachments/1/originalContent").body == b"%PDF-1.4 reply"
    (row,) = rows(listed(server, "res_id = 101", "external_id,status"))
    assert json.loads(row["external_id"]) == {"gateway": "G-000101", "publikId": "P-1"}
    assert [route for route, _, _ in server.desk.done] == ["POST/notes", "POST/attachments", "PUT/res/externalInfos"]


def test_it_listens_on_loopback() -> None:
    with Sandbox(Maarch(3)) as sandbox:
        answer = requests.get(f"{sandbox.url}/rest/authenticationInformations", timeout=10)
        assert answer.json()["changeKey"] is False
