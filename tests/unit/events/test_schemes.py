"""A message is what its source signed, lately, or it is nothing."""

import hashlib
import hmac
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign.events.errors import BadEvent, NotSigned, Stale
from sovereign.events.reading import class_of, tells, told
from sovereign.events.schemes import Scheme, schemes, verify
from sovereign.settings import EventSource

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
STAMP = str(int(NOW.timestamp()))
WINDOW = timedelta(minutes=5)
BODY = b'{"type": "rh.departure", "matricule": "m1"}'
SLACK = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar"
    b"&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com"
    b"%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121."
    b"803a0bc887a14d10d2c447fce8b6703c"
)


def test_the_examples_that_senders_publish_hold() -> None:
    github = {
        "x-github-delivery": "1",
        "x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
    }
    assert verify(schemes()["github"], [b"It's a Secret to Everybody"], github, b"Hello, World!", NOW, WINDOW).name == "1"
    slack = {
        "x-slack-request-timestamp": "1531420618",
        "x-slack-signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
    }
    at = datetime.fromtimestamp(1531420618, UTC)
    assert verify(schemes()["slack"], [b"8f742231b10e8888abcd99yyyzzz85a5"], slack, SLACK, at, WINDOW).at == at


def signed(scheme: Scheme, key: bytes, body: bytes, stamp: str = STAMP, name: str = "msg-1") -> dict[str, str]:
    """What a sender of that scheme would send."""
    text = scheme.signed.encode().replace(b"{id}", name.encode()).replace(b"{timestamp}", stamp.encode())
    digest = hmac.digest(key, text.replace(b"{body}", body), hashlib.sha256)
    written = digest.hex() if scheme.encoding == "hex" else b64encode(digest).decode()
    if scheme.fields is not None:
        return {scheme.signature: f"{scheme.fields.timestamp}={stamp},{scheme.fields.signature}={written}"}
    made = {scheme.signature: scheme.prefix + written}
    if scheme.timestamp:
        made[scheme.timestamp] = stamp
    return made | ({scheme.id: name} if scheme.id else {})


@pytest.mark.parametrize("name", sorted(schemes()))
def test_each_scheme_takes_what_it_signs_and_nothing_else(name: str) -> None:
    scheme, key = schemes()[name], b"a shared secret of thirty-two by"
    stored = b"whsec_" + b64encode(key) if scheme.key == "base64" else key
    stamp = NOW.isoformat() if scheme.instant == "iso8601" else STAMP
    good = signed(scheme, key, BODY, stamp)
    assert verify(scheme, [b"an older key", stored], good, BODY, NOW, WINDOW).name
    for headers, body, keys in (
        (good, BODY + b" ", [stored]),
        (good, BODY, [b"another key"]),
        (good, BODY, []),
        ({}, BODY, [stored]),
        ({**good, scheme.signature: ""}, BODY, [stored]),
        ({**good, scheme.signature: good[scheme.signature][:-2]}, BODY, [stored]),
    ):
        with pytest.raises(NotSigned):
            verify(scheme, keys, headers, body, NOW, WINDOW)
    if scheme.timestamp or scheme.fields:
        for away in (timedelta(minutes=6), -timedelta(minutes=6)):
            with pytest.raises(Stale):
                verify(scheme, [stored], good, BODY, NOW + away, WINDOW)
    if scheme.id and "{id}" in scheme.signed:
        with pytest.raises(NotSigned):
            verify(scheme, [stored], {**good, scheme.id: "msg-2"}, BODY, NOW, WINDOW)


HEADERS = sorted({each.signature for each in schemes().values()} | {"webhook-id", "webhook-timestamp", "x-event-id"})


GIVEN = st.dictionaries(st.sampled_from(HEADERS), st.text(max_size=60))


@given(st.sampled_from(sorted(schemes())), GIVEN, st.binary(max_size=40))
def test_no_text_in_the_headers_is_ever_taken_or_breaks_anything(name: str, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises((NotSigned, Stale)):
        verify(schemes()[name], [b"k" * 32], headers, body, NOW, WINDOW)


def test_an_event_says_its_type_where_its_source_says() -> None:
    headers = {"content-type": "application/json", "x-kind": "Left"}
    assert told(BODY, headers, type_=None, type_field=None, type_header=None, prefix="").type == "rh.departure"
    assert told(BODY, headers, type_="a.b", type_field=None, type_header=None, prefix="").type == "a.b"
    assert told(BODY, headers, type_=None, type_field=None, type_header="X-Kind", prefix="rh.").type == "rh.left"
    nested = b'{"event": {"name": "moved"}}'
    assert told(nested, headers, type_=None, type_field="event.name", type_header=None, prefix="rh.").type == "rh.moved"


def test_a_cloud_event_names_itself() -> None:
    whole = b'{"specversion": "1.0", "id": "e1", "type": "rh.departure", "source": "/rh", "data": {"matricule": "m1"}}'
    structured = {"content-type": "application/cloudevents+json; charset=utf-8"}
    made = told(whole, structured, type_=None, type_field="other", type_header=None, prefix="rh.")
    assert (made.type, made.name, made.data) == ("rh.departure", "e1", {"matricule": "m1"})
    binary = {"content-type": "application/json", "ce-type": "rh.departure", "ce-id": "e2"}
    made = told(b'{"matricule": "m1"}', binary, type_=None, type_field=None, type_header=None, prefix="")
    assert (made.type, made.name, made.data) == ("rh.departure", "e2", {"matricule": "m1"})


@pytest.mark.parametrize(("type_", "prefix"), [("voirie.trou", ""), (None, "voirie.")], ids=["type", "prefix"])
def test_a_source_tells_of_nothing_but_what_it_declares_whatever_a_cloud_event_says(type_: str | None, prefix: str) -> None:
    whole = b'{"specversion": "1.0", "id": "e1", "type": "rh.departure", "source": "/rh", "data": {"matricule": "m1"}}'
    for body, headers in (
        (whole, {"content-type": "application/cloudevents+json"}),
        (b'{"matricule": "m1"}', {"ce-type": "rh.departure", "ce-id": "e2"}),
    ):
        with pytest.raises(BadEvent) as refused:
            told(body, headers, type_=type_, type_field=None, type_header=None, prefix=prefix)
        assert refused.value.fields["field"] == "type"
        assert told(body, headers, type_="rh.departure", type_field=None, type_header=None, prefix="").type == "rh.departure"
    assert not tells(EventSource(type=type_, prefix=prefix), "rh.departure")
    assert tells(EventSource(type=type_, prefix=prefix), "voirie.trou")


@pytest.mark.parametrize(("types", "said"), [(("rh.departure",), True), (("rh.*",), True), (("*",), True), (("rh",), False)])
def test_a_source_tells_of_the_types_that_it_lists_and_of_no_other(types: tuple[str, ...], said: bool) -> None:
    assert tells(EventSource(types=types), "rh.departure") is said
    asked: dict[str, Any] = {"type_": None, "type_field": None, "type_header": None, "prefix": "", "types": types}
    if said:
        assert told(BODY, {}, **asked).type == "rh.departure"
        return
    with pytest.raises(BadEvent):
        told(BODY, {}, **asked)


def test_events_of_a_type_have_the_highest_class_of_those_who_may_tell_of_it() -> None:
    sources = {
        "portal": EventSource(prefix="voirie.", class_="internal"), "rh": EventSource(prefix="rh."),
        "santé": EventSource(types=("rh.arret",), class_="sensitive"),
    }  # fmt: skip
    told_of = {type_: class_of(sources, type_) for type_ in ("voirie.trou", "rh.depart", "rh.arret", "inconnu")}
    assert told_of == {"voirie.trou": "internal", "rh.depart": "personal", "rh.arret": "sensitive", "inconnu": "personal"}


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"", "body"), (b"[]", "body"), (b'{"type": 3}', "type"), (b'{"type": "a b"}', "type"), (b"[" * 90 + b"]" * 90, "body")],
    ids=["empty", "list", "number", "space", "deep"],
)
def test_what_is_no_event_is_refused_by_its_field(body: bytes, field: str) -> None:
    with pytest.raises(BadEvent) as refused:
        told(body, {}, type_=None, type_field=None, type_header=None, prefix="")
    assert refused.value.fields["field"] == field
