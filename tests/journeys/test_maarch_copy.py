"""A pulled Maarch: what a write would change is shown out of the copy, and the copy answers for a server that is down."""

import asyncio
import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from saas_connectors.mail.maarch_operations import OPERATIONS
from saas_connectors.registry import writer
from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.maarch import Maarch
from saas_connectors.sandbox.vendor import SECRET, USER
from sovereign.cli import approval_shown
from sovereign.clock import now
from sovereign.comparing import Comparison
from sovereign.gateway.intent import WriteIntent
from sovereign.gateway.reading import Read
from sovereign.gateway.vendor import Vendor
from sovereign.mirroring import Copy
from sovereign.site import Site
from tests.unit.connectors_maarch.writing import LETTER


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("maarch") / "site"
    with Site.create(root, passphrase=lambda: "cheval exact pile agrafe") as opened:
        with Sandbox(Maarch(12)) as sandbox:
            table = {"connector": "maarch", "url": sandbox.url, "secret": "maarch", "auth": {"kind": "basic", "user": USER}}
            network = {"loopback": True, "plaintext": True}
            streams = ["resources", "notes", "statuses"]
            opened.add_connection("courrier", {**table, "network": network, "writes": list(OPERATIONS), "streams": streams})
            opened.set_secret("courrier", "maarch", SECRET.encode())
            opened.syncs.run("courrier")
        opened.outbound.clients.add("desk", owner="agathe", purpose="p", connections=["courrier"])
        opened.outbound.people.put("agathe", [])
        opened.outbound.rights.grant(
            "person", "agathe", "clearance", "personal", by="root", reason="mayor", expires_at=now() + timedelta(days=1)
        )
        yield opened


def _asked(operation: str, payload: dict[str, Any]) -> WriteIntent:
    body = json.dumps(payload).encode()
    return WriteIntent("w-" + "0" * 26, "desk", "courrier", "operation", operation, body, "application/json", "x", now())


@pytest.mark.parametrize(
    ("operation", "payload", "expected"),
    [
        ("close_letter", {"resId": 101}, {"status": ("internal", "NEW", "END", True)}),
        ("delete_letter", {"resId": 105}, {"status": ("internal", "END", "DEL", True)}),
        ("change_status", {"resId": 101, "status": "NEW"}, {"status": ("internal", "NEW", "NEW", False)}),
        (
            "update_letter", {"resId": 101, "documentDate": "2025-10-23"},
            {"doc_date": ("internal", "2025-10-23 00:00:00+02:00", "2025-10-23 00:00:00+02:00", False)},
        ),
        (
            "update_letter", {"resId": 101, "subject": "Objet revu"},
            {"subject": ("personal", "Demande de place en crèche", "Objet revu", True)},
        ),
    ],
)  # fmt: skip
def test_a_held_write_is_shown_before_and_after(
    site: Site, operation: str, payload: dict[str, Any], expected: dict[str, tuple[str, str, str, bool]]
) -> None:
    (record,) = Comparison(site)(_asked(operation, payload), "personal").records
    assert record.names == (("res_id", str(payload["resId"])),)
    assert {field.name: (field.class_, field.before, field.after, field.changes) for field in record.fields} == expected


def test_a_letter_that_is_created_is_shown_by_its_columns_and_its_file_by_its_length_and_hash(site: Site) -> None:
    document = base64.b64encode(b"%PDF-1.4\n" + bytes(5 * 2**20)).decode()
    intent = _asked("create_letter", {**LETTER, "encodedFile": document})
    effect = Comparison(site)(intent, "personal")
    (record,) = effect.records
    told = {field.name: field.after for field in record.fields}
    assert (record.kind, told["subject"], told["external_id"]) == ("create", LETTER["subject"], '{"gateway": "GW-0001"}')
    shown = approval_shown._payload(intent)
    assert len(shown) < 2_000
    assert LETTER["subject"] in shown
    assert document[:100] not in shown


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/rest/resources/101", 200, {"resId": 101, "status": "NEW", "subject": "Demande de place en crèche", "doctype": 101}),
        ("/rest/resources/9999", 403, {"errors": "Document out of perimeter"}),
        ("/rest/resources/101/notes", 200, {"notes": [{"id": 1, "identifier": 101}]}),
        ("/rest/statuses", 200, {"statuses": [{"id": "ATT"}]}),
    ],
)
def test_the_copy_answers_in_the_words_of_maarch_when_it_is_down(
    site: Site, path: str, status: int, expected: dict[str, Any]
) -> None:
    async def down(_request: Request) -> Response:
        raise AssertionError("nothing is asked of the vendor")

    url = site.settings.connections["courrier"].url
    vendor = Vendor("courrier", "127.0.0.1", url, down, writer("maarch", "courrier", {"url": url}))
    answer = asyncio.run(Copy(site)(vendor, Read("desk", "courrier", "GET", path)))
    assert answer is not None
    told = json.loads(answer.body)
    assert answer.status == status
    for name, value in expected.items():
        if isinstance(value, list):
            assert value[0].items() <= told[name][0].items()
        else:
            assert told[name] == value
