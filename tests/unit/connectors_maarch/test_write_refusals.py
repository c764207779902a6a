"""What Maarch refuses is told by the route or the privilege to give, in both languages, and by nothing that it answered."""

from typing import Any

import pytest

from saas_connectors.conformance.writing import carried
from saas_connectors.errors import Rejected, SettingsError
from saas_connectors.mail.maarch_operations import OPERATIONS
from saas_connectors.mail.maarch_refusals import LetterOut, WriteDenied, WriteForbidden
from saas_connectors.registry import writer
from saas_connectors.request import Headers, Request, Response
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
