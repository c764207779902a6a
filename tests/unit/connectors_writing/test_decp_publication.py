"""Publishing DECP in a folder and on a server that takes PUT (WsgiDAV), through the product's own way out.

What is published is valid, whole, and never holds fewer contracts in silence.
"""

import json
from collections.abc import Generator, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance.driver import converse
from saas_connectors.connector import Fetch, Writer
from saas_connectors.errors import BadPayload, Rejected, SettingsError
from saas_connectors.request import Request
from sovereign.egress import Transport
from tests.servers.wayout import way
from tests.servers.webdav import webdav

EXAMPLES = Path(str(files("saas_connectors.sandbox"))) / "data" / "decp"


def contracts() -> dict[str, Any]:
    marches: dict[str, Any] = json.loads((EXAMPLES / "marches_avec_modifications.json").read_bytes())["marches"]
    return marches


def payload(**more: object) -> dict[str, Any]:
    return {"file": "decp.json", "marches": contracts(), **more}


@pytest.fixture(params=["folder", "server"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield f"folder:{tmp_path}"
    else:
        with webdav(tmp_path) as url:
            yield url


@pytest.fixture
def out(place: str) -> Iterator[Transport]:
    with way(place) as opened:
        yield opened


@pytest.fixture
def publisher(place: str) -> Writer:
    return registry.writer("decp", "marches", {"url": place, "publishes": ["decp.json"]})


def do(exchange: Generator[Any, Any, Any], out: Transport) -> Any:  # noqa: ANN401 - whatever the conversation ends in
    return converse(exchange, out.send)


def test_what_is_published_is_confirmed_and_read_by_the_connector_that_pulls(
    out: Transport, publisher: Writer, tmp_path: Path
) -> None:
    assert do(publisher.probe("publish", payload()), out).outcome == "did_not_happen"
    applied = do(publisher.apply("publish", payload()), out)
    assert (applied.status, applied.vendor_id) == (201, "decp.json")
    assert do(publisher.read_back("publish", payload(), applied), out).outcome == "confirmed"
    assert do(publisher.probe("publish", payload()), out).outcome == "landed"
    assert do(publisher.apply("publish", payload()), out).status == 204
    assert json.loads((tmp_path / "decp.json").read_bytes()) == {"marches": contracts()}
    (tmp_path / "decp.json").write_bytes(b"{}")
    assert do(publisher.read_back("publish", payload(), applied), out).outcome == "differs"


def test_an_invalid_contract_is_refused_by_its_place_and_rule_and_nothing_is_published(
    out: Transport, publisher: Writer, tmp_path: Path
) -> None:
    wrong = payload()
    wrong["marches"]["marche"][0]["codeCPV"] = "Jeanne Martin"
    with pytest.raises(BadPayload) as refusal:
        do(publisher.apply("publish", wrong), out)
    assert refusal.value.fields["pointer"] == "/marches/marche/0"
    assert "codeCPV" in str(refusal.value.fields["expected_en"])
    assert "Jeanne" not in f"{refusal.value!r}"
    assert list(tmp_path.iterdir()) == []


def test_a_contract_is_never_lost_in_silence(out: Transport, publisher: Writer, tmp_path: Path) -> None:
    do(publisher.apply("publish", payload()), out)
    published = (tmp_path / "decp.json").read_bytes()
    fewer = payload(marches={"marche": contracts()["marche"][1:]})
    with pytest.raises(Rejected) as refusal:
        do(publisher.apply("publish", fewer), out)
    assert (refusal.value.definitive, refusal.value.reason) == (True, "removes")
    assert (tmp_path / "decp.json").read_bytes() == published
    assert do(publisher.apply("publish", fewer | {"removes": True}), out).status == 204


def test_what_another_published_meanwhile_is_not_overwritten(out: Transport, publisher: Writer, tmp_path: Path) -> None:
    do(publisher.apply("publish", payload()), out)

    def send(request: Request) -> Any:  # noqa: ANN401 - a response
        answer = out.send(request)
        if request.method == "GET":
            (tmp_path / "decp.json").write_bytes(b'{"marches":{"marche":[]}}')
        return answer

    with pytest.raises(Rejected) as refusal:
        converse(publisher.apply("publish", payload()), send)
    assert (refusal.value.status, refusal.value.reason) == (412, "precondition")


def test_one_request_writes_and_it_is_the_last(out: Transport, publisher: Writer) -> None:
    exchange = publisher.apply("publish", payload())
    asked: list[Request] = []
    step: Fetch = next(exchange)
    try:
        while True:
            asked += step.requests
            step = exchange.send(tuple(map(out.send, step.requests)))
    except StopIteration:
        assert [request.method for request in asked] == ["GET", "PUT"]


@pytest.mark.parametrize("name", ["../decp.json", "sub/decp.json", ".decp.json", "decp.xml"])
def test_only_plain_names_are_published(name: str) -> None:
    with pytest.raises(SettingsError):
        registry.writer("decp", "marches", {"url": "folder:x", "publishes": [name]})


def test_nothing_is_published_unless_the_settings_name_it() -> None:
    assert registry.writer("decp", "marches", {"url": "folder:x"}).operations() == ()
