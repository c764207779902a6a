"""Credentials are shown to the vendor, and to nobody else."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from saas_connectors.auth import Auth, ClientCredentials
from saas_connectors.aws import Signature
from saas_connectors.connector import Json
from saas_connectors.errors import Malformed, SettingsError, Unauthorized, refuses
from saas_connectors.registry import auth
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Trouble, Vendor
from saas_connectors.sandbox.vendor import SECRET, USER

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ASKED = Request("GET", "http://vendor.example/auth/oauth/page/communes", (("per_page", "1"),))


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def make(clock: Json = lambda: NOW, **settings: Json) -> Auth:
    return auth({"secret": "api", **settings}, {"api": SECRET.encode()}.__getitem__, clock)


def oauth(clock: Json = lambda: NOW, **settings: Json) -> Auth:
    return make(clock, kind="oauth2", token_url="http://vendor.example/oauth/token", client=USER, **settings)


def run(flow: Json, vendor: Json) -> tuple[Response, list[Request]]:
    """Drive a flow; give the last response and the requests sent."""
    sent = [next(flow)]
    while True:
        response = vendor.respond(sent[-1])
        try:
            sent.append(flow.send(response))
        except StopIteration:
            return response, sent


@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        ("basic", {"kind": "basic", "user": USER}),
        ("bearer", {"kind": "bearer"}),
        ("key", {"kind": "key", "header": "X-API-Key"}),
        ("query", {"kind": "key", "query": "api_key"}),
        ("oauth", {"kind": "oauth2", "token_url": "http://vendor.example/oauth/token", "client": USER}),
        ("oauth", {"kind": "oauth2", "token_url": "http://vendor.example/oauth/token", "client": USER, "in_body": True}),
    ],
)
def test_each_scheme_opens_the_door_and_nothing_opens_it_without(scheme: str, settings: dict[str, Any]) -> None:
    asked = Request("GET", f"http://vendor.example/auth/{scheme}/page/communes")
    vendor = Vendor()
    assert vendor.respond(asked).status == 401
    assert run(make(**settings).flow(asked), vendor)[0].status == 200


def test_a_key_in_the_query_replaces_one_that_a_next_link_brought_back() -> None:
    asked = Request("GET", "http://vendor.example/x?api_key=old&page=2", (("api_key", "older"),))
    sent = next(make(kind="key", query="api_key").flow(asked))
    assert sent.full_url == f"http://vendor.example/x?page=2&api_key={SECRET}"


def test_a_prefix_may_stand_before_a_key() -> None:
    sent = next(make(kind="key", header="Authorization", prefix="Apikey ").flow(ASKED))
    assert sent.headers == (("Authorization", f"Apikey {SECRET}"),)


def test_no_credential_shows_in_a_representation() -> None:
    assert SECRET not in repr(make(kind="bearer"))
    assert SECRET not in repr(oauth())


def test_a_token_is_asked_for_once_and_used_until_it_nears_its_end() -> None:
    vendor, clock = Vendor(), Clock()
    vendor.token_life = 600
    flow = oauth(clock)
    assert [len(run(flow.flow(ASKED), vendor)[1]) for _ in range(3)] == [2, 1, 1]
    clock.now += timedelta(seconds=571)
    assert len(run(flow.flow(ASKED), vendor)[1]) == 2


def test_a_token_refused_is_renewed_once_and_the_request_made_again() -> None:
    vendor, flow = Vendor(), oauth()
    run(flow.flow(ASKED), vendor)
    vendor.troubles.plan(Trouble("expired", path="/auth/"))
    response, sent = run(flow.flow(ASKED), vendor)
    assert (response.status, [request.method for request in sent]) == (200, ["GET", "POST", "GET"])


def test_a_second_refusal_is_the_answer() -> None:
    vendor, flow = Vendor(), oauth()
    vendor.troubles.plan(Trouble("expired", path="/auth/", times=0))
    response, sent = run(flow.flow(ASKED), vendor)
    assert (response.status, len(sent)) == (401, 4)


def test_a_token_renewed_by_another_thread_is_used_rather_than_a_third_one_asked_for() -> None:
    vendor, flow = Vendor(), oauth()
    run(flow.flow(ASKED), vendor)
    slow = flow.flow(ASKED)
    stale = next(slow)
    vendor.troubles.plan(Trouble("expired", path="/auth/"))
    run(flow.flow(ASKED), vendor)
    again = slow.send(vendor.respond(stale))
    assert again.url == ASKED.url
    assert vendor.respond(again).status == 200


def test_a_token_without_a_lifetime_is_used_until_it_is_refused() -> None:
    flow = ClientCredentials("http://v/t", "a", "b", lambda: NOW)
    going = flow.flow(ASKED)
    next(going)
    going.send(Response(200, "", b'{"access_token": "t"}'))
    assert next(flow.flow(ASKED)).headers == (("Authorization", "Bearer t"),)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, {"error": "invalid_client", "error_description": SECRET}, Unauthorized),
        (500, {"error": SECRET}, Unauthorized),
        (200, {"token": SECRET}, Malformed),
        (200, {"access_token": f"{SECRET}\r\nX-Evil: 1"}, Malformed),
        (200, [SECRET], Malformed),
    ],
)
def test_a_token_refused_or_malformed_is_an_error_without_a_word_of_the_answer(
    status: int, body: Json, error: type[Exception]
) -> None:
    going = oauth().flow(ASKED)
    next(going)
    with pytest.raises(error) as refusal:
        going.send(Response(status, "", orjson.dumps(body)))
    assert SECRET not in f"{refusal.value} {refusal.value.fields}"


@pytest.mark.parametrize(
    ("status", "denied"), [(400, True), (401, True), (403, True), (429, False), (408, False), (503, False)]
)
def test_a_token_that_is_refused_is_told_from_one_that_cannot_be_had_now(status: int, denied: bool) -> None:
    going = oauth().flow(ASKED)
    next(going)
    with pytest.raises(Unauthorized) as refusal:
        going.send(Response(status, "", b'{"error": "invalid_grant"}'))
    assert refuses(refusal.value) is denied


def test_client_and_secret_are_form_encoded_before_basic_joins_them() -> None:
    request = next(ClientCredentials("https://v/t", "a:b", "é ", lambda: NOW).flow(ASKED))
    shown = dict(request.headers)["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(shown) == b"a%3Ab:%C3%A9+"


def test_the_host_of_the_tokens_is_named_for_the_allow_list() -> None:
    assert oauth().hosts == ("vendor.example",)
    assert make(kind="bearer").hosts == ()


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"kind": "kerberos"}, "auth.kind"),
        ({}, "auth.kind"),
        ({"kind": "bearer", "user": "x"}, "auth.user"),
        ({"kind": "bearer", "secret": 3}, "auth.secret"),
        ({"kind": "oauth2", "client": "x", "token_url": "https://x", "in_body": "yes"}, "auth.in_body"),
        ({"kind": "basic"}, "auth.user"),
        ({"kind": "oauth2", "client": "x", "token_url": "ftp://x"}, "auth.token_url"),
        ({"kind": "oauth2", "token_url": "https://x"}, "auth.client"),
        ({"kind": "aws"}, "auth.access_key"),
        ({"kind": "ssh-key"}, "auth.user"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        make(**settings)
    assert refusal.value.fields["field"] == field


def test_no_settings_no_authentication() -> None:
    assert auth({}, {}.__getitem__) is None


@pytest.mark.parametrize(
    ("settings", "near"),
    [
        ({"kind": "oauth2", "client": "x", "token_urll": "https://x"}, "token_url"),
        ({"kind": "key", "heder": "X-Key"}, "header"),
        ({"kind": "berer"}, "bearer"),
    ],
)
def test_the_nearest_known_field_is_suggested(settings: dict[str, Any], near: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        make(**settings)
    assert f"perhaps `{near}`" in str(refusal.value)
    assert f"peut-être « {near} »" in refusal.value.diagnostics("fr").what


def test_a_signature_of_version_4_is_that_of_the_published_example() -> None:
    """AWS, "Signature Calculations for the Authorization Header", example GET Bucket Lifecycle (its secret is public)."""

    def clock() -> datetime:
        return datetime(2013, 5, 24, tzinfo=UTC)

    signer = Signature("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", clock)
    sent = next(signer.flow(Request("GET", "https://examplebucket.s3.amazonaws.com/?lifecycle")))
    shown = dict(sent.headers)
    assert shown["X-Amz-Date"] == "20130524T000000Z"
    assert shown["Authorization"].endswith("Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")
    assert "wJalr" not in repr(signer)
