"""What moves at Maarch without saying so is found, and what is there is read once."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Trouble
from saas_connectors.sandbox.maarch import Account, Maarch
from saas_connectors.sandbox.vendor import SECRET, USER
from tests.unit.connectors_maarch.pulling import LETTERS, NOW, URL, Town, agent, checked, sender, town


def write(server: Maarch, method: str, path: str, body: object = None) -> Response:
    encoded = None if body is None else json.dumps(body).encode()
    return sender(server)(Request(method, f"{URL}/rest{path}", body=encoded))


def test_a_first_pull_takes_every_letter_and_fetches_every_file_once() -> None:
    here = town(20)
    first = here.pull()
    assert [row["res_id"] for row in first.rows("resources")] == list(range(101, 121))
    assert {row["state"] for row in first.rows("documents")} == {"filed"}
    assert len([call for call in first.calls if call.endswith("/originalContent")]) == 20
    contents = here.shelf.contents
    assert all(contents[row["document"]].startswith(b"%PDF") for row in first.rows("documents"))


def test_an_unchanged_server_costs_two_hundredths_of_the_first_pull() -> None:
    here = Town(Maarch(1_500, accounts=(agent(),), document_bytes=700))
    first, second = here.pull(), here.pull()
    assert not [call for call in second.calls if call.endswith("/originalContent")]
    assert second.rows("resources") == second.rows("documents") == second.rows("notes") == second.rows("attachments") == []
    assert len(second.calls) <= 0.02 * len(first.calls)


@pytest.mark.parametrize("status", ["END", "DEL"])
def test_a_status_that_moves_no_date_is_seen_and_the_row_stays(status: str) -> None:
    here = town(600)
    here.pull()
    assert write(here.server, "PUT", "/res/resource/status", {"resId": [301], "status": status}).status == 200
    again = here.pull()
    found = {row["res_id"]: row for row in again.rows("resources")}
    assert found[301]["status"] == status
    assert (found[301]["closing_date"] is not None) == (status == "END")
    assert again.removed("resources") == []
    assert len(found) <= 256
    assert not [call for call in again.calls if call.endswith("/originalContent")]


def test_external_information_that_moves_no_date_is_seen() -> None:
    here = town(20)
    here.pull()
    told = {"externalInfos": [{"res_id": 105, "external_id": "P-7"}], "status": "COU"}
    assert write(here.server, "PUT", "/res/externalInfos", told).status == 200
    found = {row["res_id"]: row for row in here.pull().rows("resources")}
    assert json.loads(found[105]["external_id"])["publikId"] == "P-7"


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("linked_resources", '["105"]'),
        ("integrations", '{"inSignatureBook": true}'),
        ("opinion_limit_date", "2026-12-01 00:00:00"),
    ],
    ids=["a link", "a signature book", "an opinion"],
)
def test_what_people_do_beside_the_sheet_moves_no_date_and_is_seen(column: str, value: str) -> None:
    here = town(20)
    here.pull()
    here.server.store.change("res_letterbox", "res_id", 104, **{column: value})
    assert 104 in {row["res_id"]: row[column] for row in here.pull().rows("resources") if row[column]}


def test_a_new_letter_and_a_new_file_are_read_and_nothing_else_is_fetched() -> None:
    here = town(20)
    here.pull()
    file = {"encodedFile": base64.b64encode(b"%PDF-1.4 other").decode(), "format": "pdf"}
    body = {"modelId": 1, "doctype": 101, "status": "NEW", "subject": "Dépôt", **file}
    number = json.loads(write(here.server, "POST", "/resources", body).body)["resId"]
    assert write(here.server, "PUT", "/resources/110", {"doctype": 101, "subject": "Autre", **file}).status == 204
    again = here.pull()
    documents = {row["res_id"]: row for row in again.rows("documents")}
    assert here.shelf.contents[documents[number]["document"]] == b"%PDF-1.4 other"
    assert documents[110]["document"] == documents[number]["document"]
    assert len([call for call in again.calls if call.endswith("/originalContent")]) == 1


def test_between_two_surveys_what_moved_its_date_is_read_and_closures_wait() -> None:
    here = town(40)
    here.settings["survey_every"] = 3_600
    here.pull()
    assert write(here.server, "PUT", "/resources/110", {"doctype": 101, "subject": "Autre"}).status == 204
    write(here.server, "PUT", "/res/resource/status", {"resId": [105], "status": "END"})
    here.now = NOW + timedelta(minutes=15)
    soon = {row["res_id"]: row for row in here.pull().rows("resources")}
    assert soon[110]["subject"] == "Autre"
    assert 105 not in soon
    here.now = NOW + timedelta(minutes=75)
    later = {row["res_id"]: row for row in here.pull().rows("resources")}
    assert later[105]["status"] == "END"


def test_a_letter_that_may_be_gone_or_hidden_is_told_and_never_removed() -> None:
    here = town(20)
    here.pull()
    here.server.store.drop("res_letterbox", "res_id", 107)
    again = here.pull()
    (told,) = [each for each in again.evidence("resources") if each.check == "vanished"]
    assert (told.holds, dict(told.detail)) == (None, {"count": 1, "hidden": 0, "unsure": 1})
    assert again.removed("resources") == []
    (told,) = [each for each in here.pull("full_refresh").evidence("resources") if each.check == "vanished"]
    assert told.holds is False  # which makes the engine withhold the deletions of a full read


def test_a_letter_whose_type_is_gone_answers_by_its_number_and_is_told() -> None:
    here = Town(Maarch(20, accounts=(Account(USER, SECRET, mode="root_visible", clause=None),)), dict(LETTERS))
    here.pull()
    here.server.store.drop("doctypes", "type_id", 101)
    (told,) = [each for each in here.pull().evidence("documents") if each.check == "vanished"]
    assert dict(told.detail) == {"count": 5, "hidden": 5, "unsure": 0}


def test_only_the_vendor_s_word_removes_a_letter() -> None:
    here = Town(Maarch(20, accounts=(Account(USER, SECRET, mode="root_visible", clause=None),)), dict(LETTERS))
    here.pull()
    here.server.store.drop("res_letterbox", "res_id", 107)
    again = here.pull()
    assert again.removed("resources") == again.removed("documents") == [107]
    assert [each for each in again.evidence("resources") if each.check == "vanished"] == []


def test_a_server_that_went_back_in_time_is_told_and_read_again_where_it_differs() -> None:
    here = town(20)
    here.server.store.change("res_letterbox", "res_id", 110, modification_date="2026-11-20 10:00:00", subject="Après")
    here.pull()
    here.server.store.change("res_letterbox", "res_id", 110, modification_date="2025-10-26 10:00:00", subject="Avant")
    again = here.pull()
    assert ("went_backwards", None) in {(each.check, each.holds) for each in again.evidence("resources")}
    assert {row["res_id"]: row["subject"] for row in again.rows("resources")}[110] == "Avant"


def test_a_file_that_is_not_what_its_fingerprint_says_is_not_kept_and_is_asked_again() -> None:
    here = town(3)
    here.server.store.keep("letter", 102, b"something else")
    first = here.pull()
    (row,) = [row for row in first.rows("documents") if row["res_id"] == 102]
    assert (row["state"], row["document"]) == ("differs", None)
    assert [(each.check, each.holds) for each in first.evidence("documents") if "differs" in each.check] == [
        ("document_differs", False)
    ]
    assert b"something else" not in here.shelf.contents.values()
    assert "GET/rest/resources/102/originalContent" in here.pull("full_refresh").calls


def watermarked(here: Town) -> None:
    """Have the server put the same words on each file that it serves."""
    for letter in range(101, 121):
        here.server.store.keep("letter", letter, b"%%PDF-1.4 copie %d" % letter)


def test_files_that_a_server_alters_are_kept_and_it_is_told_once_with_the_setting() -> None:
    here = town(20)
    watermarked(here)
    first = here.pull()
    assert {row["state"] for row in first.rows("documents")} == {"unverified"}
    assert all(row["document"] for row in first.rows("documents"))
    (note,) = [each for each in first.evidence("documents") if each.check == "document_differs"]
    assert (note.holds, note.detail["kept"], note.detail["setting"]) == (False, True, "verify")
    assert len([call for call in first.calls if call.endswith("/originalContent")]) == 21
    again = here.pull("full_refresh")
    assert not [call for call in again.calls if call.endswith("/originalContent")]
    assert {row["state"] for row in again.rows("documents")} == {"unverified"}
    here.settings["verify"] = False
    assert not [call for call in here.pull("full_refresh").calls if call.endswith("/originalContent")]


def test_files_that_do_not_come_twice_the_same_are_not_kept() -> None:
    here = town(20)
    watermarked(here)
    real, served = here.server.respond, iter(range(1000))

    def unsteady(request: Request) -> Response:
        response = real(request)
        return replace(response, body=b"%d" % next(served)) if request.url.endswith("/originalContent") else response

    here.server.respond = unsteady
    first = here.pull()
    assert {(row["state"], row["document"]) for row in first.rows("documents")} == {("differs", None)}


def test_one_file_that_differs_among_others_is_not_kept_however_often_it_comes() -> None:
    here = town(20)
    for letter in (101, 102, 103, 104):
        here.server.store.keep("letter", letter, b"something else")
    states = {row["res_id"]: row["state"] for row in here.pull().rows("documents")}
    assert [states[letter] for letter in (101, 104, 105, 120)] == ["differs", "differs", "filed", "filed"]


def test_check_says_that_a_served_file_is_not_the_one_of_its_fingerprint() -> None:
    here = town(20)
    assert not [en for _, en in checked(here) if "verify" in en]
    watermarked(here)
    assert [en for _, en in checked(here) if "verify = false" in en]


def test_files_are_kept_unchecked_where_a_setting_says_so() -> None:
    here = town(3)
    here.settings["verify"] = False
    here.server.store.keep("letter", 102, b"deciphered by the server")
    states = {row["res_id"]: row["state"] for row in here.pull().rows("documents")}
    assert set(states.values()) == {"unverified"}
    assert b"deciphered by the server" in here.shelf.contents.values()


def test_a_file_that_is_refused_is_told_and_the_others_are_fetched() -> None:
    here = town(5)
    here.server.troubles.plan(Trouble("status", 500, path="/rest/resources/103/originalContent", times=0))
    first = here.pull()
    assert {row["res_id"]: row["state"] for row in first.rows("documents")} == {
        101: "filed", 102: "filed", 103: "missing", 104: "filed", 105: "filed",
    }  # fmt: skip


def test_a_file_that_is_too_large_is_told_and_not_asked_for() -> None:
    here = town(3)
    here.server.store.change("res_letterbox", "res_id", 102, filesize=1 << 30)
    first = here.pull()
    assert {row["res_id"]: row["state"] for row in first.rows("documents")} == {101: "filed", 102: "missing", 103: "filed"}
    assert not [call for call in first.calls if "/102/" in call]


def test_a_letter_of_a_very_great_number_is_read_each_time_and_counted() -> None:
    here = town(5)
    here.server.store.change("res_letterbox", "res_id", 103, res_id=200_000_000)
    first = here.pull()
    assert [row["res_id"] for row in first.rows("resources")] == [101, 102, 104, 105, 200_000_000]
    assert [each.detail["count"] for each in first.evidence("resources") if each.check == "vendor_count"] == [5]
    here.server.store.change("res_letterbox", "res_id", 200_000_000, status="END")
    again = here.pull()
    assert {row["res_id"]: row["status"] for row in again.rows("resources")} == {200_000_000: "END"}
    assert again.removed("resources") == []
    assert not [each for each in again.evidence("resources") if each.check == "vanished"]


def test_a_letter_dated_in_the_far_future_hides_no_other() -> None:
    here = town(20)
    here.settings["survey_every"] = 86_400
    here.server.store.change("res_letterbox", "res_id", 102, modification_date="2099-01-01 00:00:00")
    here.pull()
    assert write(here.server, "PUT", "/resources/110", {"doctype": 101, "subject": "Autre"}).status == 204
    assert {row["res_id"]: row["subject"] for row in here.pull().rows("resources")}[110] == "Autre"


def test_a_silent_cap_is_not_an_end() -> None:
    here = town(30, cap=7)
    first = here.pull()
    assert len(first.rows("resources")) == 30
    assert ("page_cap", None) in {(each.check, each.holds) for each in first.evidence("resources")}


def test_surveys_ask_larger_pages_as_long_as_they_come_and_begin_with_them_the_next_time() -> None:
    here = town(400)
    here.settings |= {"limit": 5, "streams": ["resources"]}
    first, second = here.pull(), here.pull()
    assert len(second.rows("resources")) == 0
    assert len(first.calls) == 1 + 4 + 400 // 5  # 50, 200, 150 of 500, none; the rows, five a page
    assert len(second.calls) == 1 + 3  # 200 came whole: 200, 200, none
    assert len(first.rows("resources")) == 400
    assert not [each for each in first.evidence("resources") if each.check == "page_cap"]


@pytest.mark.parametrize(("status", "body"), [(500, b""), (200, b"<br /><b>Fatal error</b>: Allowed memory size exhausted")])
def test_a_server_that_fails_at_a_large_page_is_asked_small_ones_again(status: int, body: bytes) -> None:
    here = town(400)
    here.settings |= {"limit": 5, "streams": ["resources"]}
    real = here.server.respond

    def weak(request: Request) -> Response:
        asked = json.loads(request.body) if request.body else {}
        return Response(status, request.url, body) if asked.get("limit", 0) > 50 else real(request)

    here.server.respond = weak
    first = here.pull()
    assert len(first.rows("resources")) == 400
    assert ("page_cap", None) in {(each.check, each.holds) for each in first.evidence("resources")}
    here.server.respond = real
    assert here.pull().rows("resources") == []


def test_a_server_that_ignores_the_clause_is_found_out_and_the_read_ends() -> None:
    here = town(30)
    whole = here.server.store.list

    def ignoring(select: object, clause: str, *rest: object) -> object:
        return whole(select, "1=1", *rest)

    here.server.store.list = ignoring
    checks = {(each.check, each.holds) for each in here.pull().evidence("resources")}
    assert ("filter_ignored", False) in checks
    assert ("page_repeated", False) in checks


def test_instants_are_kept_in_utc_and_the_hour_that_comes_twice_is_read_as_its_first() -> None:
    here = town(40)
    rows = {row["res_id"]: row for row in here.pull().rows("resources")}
    assert rows[101]["creation_date"] == datetime(2025, 10, 25, 18, 0, 0, 799819, tzinfo=UTC)
    twice = [row["creation_date"] for row in rows.values() if row["creation_date"].hour == 0 and row["creation_date"].day == 26]
    assert len(twice) >= 2
    here.settings["server_zone"] = "Indian/Reunion"
    assert here.pull("full_refresh").rows("resources")[0]["creation_date"].hour == 16


def test_what_is_written_while_clocks_go_back_is_still_after_where_a_look_back_begins() -> None:
    from saas_connectors.mail.maarch_planning import back

    server = Maarch(0, clock=lambda: datetime(2026, 10, 25, 1, 10, tzinfo=UTC))  # 02:10, the second time
    assert server.store.now() >= back("2026-10-25 02:50:00", "Europe/Paris", 0)


def test_a_server_that_lacks_a_column_is_asked_without_it() -> None:
    here = town(4)
    whole = here.server.store.list

    def lacking(select: list[str], *rest: object) -> object:
        return whole(["nothing"] if "barcode" in select else select, *rest)

    here.server.store.list = lacking
    (row, *_) = here.pull().rows("resources")
    assert "barcode" not in row
    assert "model_id" in row
