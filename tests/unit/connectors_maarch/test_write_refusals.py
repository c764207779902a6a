"""What Maarch refuses is told by the route or the privilege to give, in both languages, and by nothing that it answered."""

from dataclasses import replace
from typing import Any

import pytest

from saas_connectors.conformance.driver import converse
from saas_connectors.conformance.writing import carried
from saas_connectors.errors import Rejected, SettingsError, refusal
from saas_connectors.mail.maarch_operations import OPERATIONS
from saas_connectors.mail.maarch_refusals import (
    FieldRefused,
    IndexingClosed,
    LetterLocked,
    LetterOut,
    StatusRefused,
    WriteDenied,
    WriteForbidden,
    WriteRefused,
    WriterHeld,
)
from saas_connectors.registry import make, writer
from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox.maarch import Account, Model
from tests.unit.connectors_maarch.pulling import URL, agent
from tests.unit.connectors_maarch.test_writes import EVERY
from tests.unit.connectors_maarch.writing import LETTER, desk

ALL = (
    "POST/res/list", "PUT/resources/external", "POST/resources", "GET/resources/{resId}", "PUT/resources/{resId}",
    "PUT/res/resource/status", "PUT/res/externalInfos", "POST/notes", "GET/resources/{resId}/notes", "POST/attachments",
    "GET/resources/{resId}/attachments", "GET/attachments/{id}/originalContent",
)  # fmt: skip
NEEDED = {
    "create_letter": ("POST/resources", "PUT/resources/external"),
    "update_letter": ("PUT/resources/{resId}", "GET/resources/{resId}"),
    "change_status": ("PUT/res/resource/status",),
    "close_letter": ("PUT/res/resource/status",),
    "delete_letter": ("PUT/res/resource/status",),
    "set_external_ids": ("PUT/res/externalInfos", "GET/resources/{resId}"),
    "add_note": ("POST/notes", "GET/resources/{resId}/notes"),
    "add_attachment": ("POST/attachments", "GET/resources/{resId}/attachments"),
}


@pytest.mark.parametrize(("operation", "route"), [(name, route) for name, routes in NEEDED.items() for route in routes])
def test_a_route_that_is_not_allowed_is_named_as_maarch_writes_it(operation: str, route: str) -> None:
    asked = desk(agent(authorized_api=tuple(each for each in ALL if each != route)))
    with pytest.raises(WriteDenied) as refusal:
        asked.do(asked.writer.apply(operation, EVERY[operation]))
    assert refusal.value.definitive
    for language in ("fr", "en"):
        told = refusal.value.diagnostics(language)
        assert route in told.what
        assert route in told.todo


@pytest.mark.parametrize("operation", sorted(NEEDED))
def test_the_routes_that_are_named_are_all_that_a_write_and_its_looks_need(operation: str) -> None:
    looks = ("POST/res/list", "GET/resources/{resId}", "GET/attachments/{id}/originalContent")
    asked = desk(agent(authorized_api=(*NEEDED[operation], *looks)))
    asked.write(operation, EVERY[operation])


@pytest.mark.parametrize(
    ("operation", "right"), [("update_letter", "update_resources"), ("change_status", "update_status_mail")]
)  # fmt: skip
def test_a_privilege_that_a_web_service_user_lacks_is_named(operation: str, right: str) -> None:
    asked = desk(agent(privileges=frozenset()))
    with pytest.raises(WriteForbidden) as refusal:
        asked.do(asked.writer.apply(operation, EVERY[operation]))
    assert refusal.value.definitive
    assert all(right in refusal.value.diagnostics(language).todo for language in ("fr", "en"))


def test_check_tells_what_each_open_operation_lacks_and_writes_nothing() -> None:
    lacking = replace(agent(privileges=frozenset()), can_index=False, authorized_api=tuple(x for x in ALL if x != "POST/notes"))
    for account, told, quiet in (
        (lacking, ("`POST/notes`", "indexing", "`update_resources`", "`update_status_mail`"), ("POST/attachments",)),
        (agent(), (), ("written",)),
    ):
        asked = desk(account)
        connector = make("maarch", "courrier", {"url": URL, "writes": list(OPERATIONS), "streams": ["resources"]})
        remarks = converse(connector.check(), asked.send).remarks
        english = " ".join(en for _, en in remarks)
        assert [word for word in told if word not in english] == []
        assert [word for word in quiet if word in english] == []
        assert len(remarks) == len(told)
        assert all("Ne peut pas être écrit" in fr for fr, _ in remarks)
        assert asked.server.desk.done == []
        assert all(each.reads or each.method == "GET" for each in asked.asked)


@pytest.mark.parametrize(
    ("account", "operation", "kind", "said"),
    [
        (replace(agent(), can_index=False), "create_letter", IndexingClosed, ("indexation", "indexing")),
        (
            replace(agent(), mode="standard", held="User is ABS and must be activated"),
            "add_note", WriterHeld, ("absent", "away"),
        ),
        (
            replace(agent(), mode="standard", held="User must change his password"),
            "create_letter", WriterHeld, ("mot de passe", "password"),
        ),
    ],
)  # fmt: skip
def test_what_is_to_be_set_at_maarch_is_said_of_an_account_that_may_do_nothing(
    account: Account, operation: str, kind: type[WriteRefused], said: tuple[str, str]
) -> None:
    asked = desk(account)
    with pytest.raises(kind) as told:
        asked.do(asked.writer.apply(operation, EVERY[operation]))
    assert told.value.definitive
    for language, word in zip(("fr", "en"), said, strict=True):
        shown = told.value.diagnostics(language)
        assert word in f"{shown.what} {shown.todo}"
        assert refusal(f"{told.value.code}.{told.value.reason}", told.value.status, language) == shown


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"destination": 4}, "destination"), ({"destination": 99}, "destination"), ({"modelId": 9}, "modelId"),
        ({"doctype": 999}, "doctype"), ({"status": "NOPE"}, "status"), ({"documentDate": "2031-01-01"}, "documentDate"),
        ({"processLimitDate": "2001-01-01"}, "processLimitDate"), ({"format": "exe"}, "format"),
    ],
)  # fmt: skip
def test_the_field_that_maarch_refuses_is_named_and_nothing_of_its_answer_is(more: dict[str, Any], field: str) -> None:
    asked = desk(replace(agent(), services=frozenset({1, 2, 3})))
    with pytest.raises(FieldRefused) as told:
        asked.do(asked.writer.apply("create_letter", {**LETTER, **more}))
    assert (told.value.reason, told.value.status, told.value.definitive) == (field, 400, True)
    assert all(f"{field}" in told.value.diagnostics(language).what for language in ("fr", "en"))
    assert "octet-stream" not in f"{told.value!r}"
    assert asked.server.desk.done == []


def test_what_an_indexing_model_asks_for_is_named() -> None:
    models = {1: Model(mandatory=frozenset({"processLimitDate", "destination"})), 2: Model(file=True)}
    asked = desk(models=models)
    for operation, payload, field in (
        (
            "create_letter",
            {k: v for k, v in LETTER.items() if k not in ("encodedFile", "format")} | {"modelId": 2},
            "encodedFile",
        ),
        ("update_letter", {"resId": 102, "priority": "poiuytre1379nbvc"}, "processLimitDate"),
    ):
        with pytest.raises(FieldRefused) as told:
            asked.do(asked.writer.apply(operation, payload))
        assert told.value.reason == field
    asked.write("update_letter", {"resId": 102, "subject": "Objet revu"})


@pytest.mark.parametrize("payload", [{"resId": 102, "status": "NOPE"}, {"resId": 9999, "status": "VAL"}])
def test_a_status_or_a_letter_that_maarch_does_not_know_is_said_though_its_words_are_its_own(payload: dict[str, Any]) -> None:
    asked = desk()
    with pytest.raises(StatusRefused) as told:
        asked.do(asked.writer.apply("change_status", payload))
    assert told.value.definitive
    assert all(word not in f"{told.value.diagnostics('fr')}" for word in ("n'existe pas", "introuvable"))


def test_a_status_that_lets_nobody_change_a_letter_is_said() -> None:
    asked = desk()
    asked.server.store.change("status", "id", asked.status(102), can_be_modified="N")
    with pytest.raises(LetterLocked) as told:
        asked.do(asked.writer.apply("update_letter", EVERY["update_letter"]))
    assert told.value.definitive


def test_a_sentence_that_names_no_field_of_ours_names_none() -> None:
    asked = desk()

    def answer(request: Request) -> Response:
        if request.reads:
            return asked.send(request)
        return Response(400, request.full_url, b'{"errors":"Body Dupont is not set"}')

    with pytest.raises(Rejected) as told:
        carried(asked.writer.apply("create_letter", LETTER), answer)
    assert not isinstance(told.value, WriteRefused)
    assert "Dupont" not in f"{told.value!r} {told.value.diagnostics('fr')}"


@pytest.mark.parametrize("operation", sorted(EVERY.keys() - {"create_letter"}))
def test_a_letter_that_is_not_there_is_told_from_no_other_and_nothing_is_claimed(operation: str) -> None:
    asked = desk()
    payload = {**EVERY[operation], "resId": 9999}
    assert asked.do(asked.writer.probe(operation, payload)).outcome == "inconclusive"
    with pytest.raises(Rejected) as refusal:
        asked.do(asked.writer.apply(operation, payload))
    assert refusal.value.definitive
    assert isinstance(refusal.value, LetterOut) or refusal.value.status == 400
    assert asked.server.desk.done == []


@pytest.mark.parametrize("status", [403, 404, 405, 500])
def test_a_page_that_shows_the_password_is_never_told(status: int) -> None:
    asked, leak = desk(), b'<a href="http://agent:s3cr3t-of-the-sandbox@maarch.example/rest/">This route is not authorized</a>'

    def answer(request: Request) -> Response:
        if request.reads:
            return asked.send(request)
        return Response(status, request.full_url, leak, Headers([("Content-Type", "text/html")]))

    with pytest.raises(Rejected) as refusal:
        carried(asked.writer.apply("create_letter", LETTER), answer)
    shown = f"{refusal.value!r} {refusal.value.diagnostics('fr')} {refusal.value.diagnostics('en')}"
    assert "s3cr3t" not in shown
    assert refusal.value.definitive is (status < 500)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"external_key": "gateway' OR '1'='1"}, "external_key"),
        ({"external_key": ""}, "external_key"),
        ({"external_key": "signatureBookId"}, "external_key"),
        ({"external_key": "publikId"}, "external_key"),
        ({"writes": ["create_letter", "drop_letter"]}, "writes"),
        ({"writes": "create_letter"}, "writes"),
    ],
)
def test_a_setting_of_writes_that_is_wrong_is_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        writer("maarch", "courrier", {"url": URL, "writes": list(OPERATIONS), **settings})
    assert refusal.value.fields["field"] == f"connections.courrier.{field}"


def test_the_key_of_the_settings_is_the_only_text_of_ours_that_maarch_may_paste() -> None:
    asked = desk(external_key="portail")
    asked.write("create_letter", LETTER)
    looked = [each.body or b"" for each in asked.asked if each.url.endswith("/resources/external")]
    assert looked == [b'{"type":"portail","value":"\\"GW-0001\\""}']
