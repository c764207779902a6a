"""The description of the door is valid OpenAPI 3.1, and says every address that is served, and no other."""

import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from saas_connectors.connector import Operation
from sovereign.api.components import responses
from sovereign.api.openapi import description
from sovereign.api.problems import OF_CODE
from sovereign.api.routes import ROUTES, led
from tests.servers.door import Door
from tests.servers.ledger import LedgerConnector
from tests.unit.api.test_door import drill

API = Path(__file__).parents[3] / "docs" / "api.md"
METHODS = {"get", "head", "post", "put", "patch", "delete"}


def described(wanted: str = "en", **more: bool) -> dict[str, Any]:
    return description({"ledger": LedgerConnector("").operations(), "parks": ()}, "https://g.example", wanted, **more)


def faults(document: dict[str, Any]) -> list[str]:
    return [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()]


@pytest.mark.parametrize("wanted", ["fr", "en"])
def test_the_description_is_valid_openapi_3_1_and_the_check_can_fail(wanted: str) -> None:
    assert faults(described(wanted)) == []
    broken = described(wanted)
    del broken["paths"]["/health"]["get"]["responses"]["200"]["description"]
    assert faults(broken) != []


def test_every_address_is_described_with_its_methods_and_no_other_is() -> None:
    found: dict[str, set[str]] = {}
    for path, item in described()["paths"].items():
        route, _ = led(path)
        found.setdefault(route.name, set()).update(method.upper() for method in item.keys() & METHODS)
    assert found == {route.name: set(route.methods) for route in ROUTES}


def test_every_address_is_on_the_page() -> None:
    page = API.read_text()
    short = {"{connection}": "{c}", "{operation}": "{op}"}
    for route in ROUTES:
        path = re.sub(r"\{(connection|operation)\}", lambda found: short[found[0]], route.path)
        assert f"{path}`" in page, path


def test_every_status_of_a_refusal_is_described_in_both_languages() -> None:
    french, english = (responses(lambda fr, en, pick=pick: (fr, en)[pick]) for pick in (0, 1))
    assert {int(status) for status in english} >= set(OF_CODE.values())
    assert all(french[status]["description"] != english[status]["description"] for status in english)


def test_an_operation_whose_schema_refers_to_its_parts_is_read_as_it_was_written() -> None:
    shape = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "string"}}}
    document = description({"c": (Operation("op", "f", "e", shape),)}, "https://g.example", "en")
    assert faults(document) == []
    assert document["paths"]["/v1/connections/c/operations/op"]["post"]["requestBody"]["content"]["application/json"]["schema"][
        "$id"
    ]


def test_client_certificates_are_described_when_they_are_taken() -> None:
    assert described()["security"] == [{"token": []}]
    assert described(certificates=True)["security"] == [{"token": []}, {"certificate": []}]


def test_a_method_that_an_address_does_not_take_says_which_it_takes(tmp_path: Path) -> None:
    async def work(at: Door) -> None:
        told = await at.ask("PUT", "/v1/connections")
        assert (told.status, told.headers["Allow"]) == (405, "GET")
        traced = await at.raw(b"TRACE /health HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Mark: seen\r\nConnection: close\r\n\r\n")
        assert traced.startswith(b"HTTP/1.1 405 ")
        assert b"seen" not in traced
        assert (await at.ask("GET", "/v2", client=None)).status == 401
        assert (await at.ask("GET", "/v2")).status == 404

    drill(tmp_path, work)
