"""The description of events is valid AsyncAPI 3.0, and every event that is made is what it says."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest

from sovereign.audit.entry import Entry
from sovereign.events.asyncapi import ALWAYS, description, types_of
from sovereign.events.kinds import BY_TYPE, KINDS, Kind
from sovereign.events.news import News, Write, body_of, news_of, wants
from sovereign.settings import EventSource, Subscriber
from sovereign.settings.subscribers import TYPES

OFFICIAL = Path(__file__).parents[2] / "vectors" / "asyncapi" / "asyncapi-3.0.0.json"
STEP = Write("flow-depart", "depart", ("event:ab", "paie", "00" * 16, False))
FACTS: dict[str, Any] = {
    "sequence": 3, "manifest": "ab", "verdict": "complete", "mode": "full_refresh", "rows": 2, "inserted": 1, "updated": 0,
    "deleted": 0, "unchanged": 1, "rule": "max_fall", "occasion": "event:ab", "writes": 2, "held": "too_many", "why": "turn",
}  # fmt: skip
EVERYTHING = Subscriber(url="https://a.example", types=("*",), changes=("rh.agents",), owner="agathe")


def described(wanted: str = "en", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - its arguments
    return description("https://g.example:8460", wanted, **more)


def official() -> jsonschema_rs.Draft7Validator:
    return jsonschema_rs.Draft7Validator(json.loads(OFFICIAL.read_text()))


def validator(document: dict[str, Any], type_: str) -> jsonschema_rs.Draft7Validator:
    """Holds an event to its message."""
    payload = document["components"]["messages"][type_]["payload"]
    return jsonschema_rs.Draft7Validator({**payload, "components": document["components"]})


def entries(kind: Kind) -> list[Entry]:
    """Entries that make an event of a type, one an act and a state."""
    subject = {"connection": "rh", "stream": "agents", "run": "r1"}
    if kind.type.startswith("sovereign.flow") and not kind.states:
        subject = {"flow": "depart"}
    if kind.states:
        subject = {"connection": "rh", "intent": "i1"}
    made = []
    for act in sorted(kind.acts):
        for state in sorted(kind.states) or [""]:
            if act == "flow.stopped" and state == min(kind.states):
                stopped = {"occasion": "event:ab", "step": "paie", "record": "00" * 16, "undo": False, "why": "flow.unmapped"}
                made.append(Entry(1, "2026-11-29T12:00:00.000000Z", act, "00", {"flow": "depart"}, stopped, None))
            elif act == f"delivery.{state}" or not kind.states or (act == "intent.decided" and state in ("held", "denied")):
                facts = {**FACTS, **({"state": state} if state else {})}
                made.append(Entry(1, "2026-11-29T12:00:00.000000Z", act, "00", subject, facts, None))
    return made


def samples(kind: Kind) -> list[News]:
    if kind.acts:
        return [
            each for entry in entries(kind) for each in news_of(7, entry, bytes(32), {"i1": STEP}) if each.type == kind.type
        ]
    data: dict[str, Any] = {"subscriber": "si", "lost": 4}
    if kind.type == "sovereign.row.changed":
        data = {"connection": "rh", "stream": "agents", "snapshot": 3, "change": "inserted", "before": None, "after": {"a": 1}}
    return [
        News(
            "7.0",
            kind.type,
            "2026-11-29T12:00:00.000000Z",
            "rh/agents",
            7,
            "rh",
            {k: data[k] for k in data if k in kind.needed},
        )
    ]


@pytest.mark.parametrize("wanted", ["fr", "en"])
def test_the_description_is_valid_asyncapi_3_and_the_check_can_fail(wanted: str) -> None:
    sources = {name: EventSource(scheme=name) for name in ("standard", "github", "plain")}
    whole = described(wanted, sources=sources, subscribers={"si": EVERYTHING})
    for document in (described(wanted), whole):
        assert [error.message for error in official().iter_errors(document)] == []
    broken = described(wanted)
    broken["operations"]["tell"]["action"] = "shout"
    assert not official().is_valid(broken)


def test_no_reference_of_the_description_leads_nowhere() -> None:
    document = described(sources={"rh": EventSource()}, subscribers={"si": EVERYTHING})

    def follow(value: Any) -> None:  # noqa: ANN401 - JSON
        for name, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
            if name == "$ref":
                at = document
                for piece in each.removeprefix("#/").split("/"):
                    at = at[piece]
            follow(each)

    follow(document)
    assert list(document["operations"]) == ["event-rh", "tell-si"]


@pytest.mark.parametrize("kind", KINDS, ids=[each.type for each in KINDS])
def test_every_type_is_described_and_every_event_that_is_made_of_it_is_as_described(kind: Kind) -> None:
    document = described()
    assert kind.type in document["channels"]["subscriber"]["messages"]
    found = samples(kind)
    assert len(found) >= max(1, len(kind.states) - ("held" in kind.states))
    for number, news in enumerate(found, 1):
        event = json.loads(body_of(news, "/sites/a", number))
        validator(document, kind.type).validate(event)
        assert set(event["data"]) <= {*kind.needed, *kind.maybe}
        del event["data"][next(iter(kind.needed))]
        assert not validator(document, kind.type).is_valid(event)


def test_what_may_be_asked_for_is_what_there_is() -> None:
    assert set(TYPES) == {kind.type for kind in KINDS if kind.acts}
    assert set(types_of(EVERYTHING)) == set(BY_TYPE)


@pytest.mark.parametrize("asked", ["*", "sovereign.write.*", "sovereign.flow.done"])
def test_a_subscriber_is_told_exactly_the_types_that_its_operation_lists(asked: str) -> None:
    one = msgspec.structs.replace(EVERYTHING, types=(asked,), changes=())
    told = {kind.type for kind in KINDS if kind.acts and wants(one, samples(kind)[0])}
    assert told == {*types_of(one)} - {*ALWAYS}


def test_a_subscriber_of_some_connections_is_told_of_no_other() -> None:
    one = msgspec.structs.replace(EVERYTHING, connections=("rh",))
    (news,) = samples(BY_TYPE["sovereign.snapshot.quarantined"])
    assert wants(one, news)
    assert not wants(one, replace(news, connection="paie"))


def test_neither_an_address_nor_a_secret_is_described() -> None:
    hidden = Subscriber(url="https://hidden.example/token-abc", types=("*",))
    text = json.dumps(described(sources={"rh": EventSource(secret="rh-webhook")}, subscribers={"si": hidden}))
    assert "hidden" not in text
    assert "rh-webhook" not in text
