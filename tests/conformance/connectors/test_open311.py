"""Open311 keeps the laws of connectors and of writers, whatever the mood of the server."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance import suite
from saas_connectors.conformance.writing import run_writer
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.open311 import JURISDICTION, NOW, Open311
from saas_connectors.sandbox.vendor import SECRET

MOODS = [
    (), ("reversed",), ("reversed", "unlimited"), ("ignored",), ("ignored", "unlimited"), ("exclusive",), ("days",),
    ("xml_only",), ("zeros",), ("naive",), ("updates",), ("no_lists",), ("no_lists", "all_statuses"), ("jurisdiction",),
]  # fmt: skip
RECENT = 51
"""Requests of the last 90 days, of the 400 that the server holds."""


def settings(moods: tuple[str, ...], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - settings
    found: dict[str, Any] = {"url": "http://ville.example/v2", "since": "2024-01-01", **more}
    if "jurisdiction" in moods:
        found["jurisdiction_id"] = JURISDICTION
    if "naive" in moods:
        found["streams"] = {"services": {}, "service_definitions": {}, "requests": {"zone": "Europe/Paris"}}
    return found


def keyed(vendor: Open311) -> Callable[[Request], Response]:
    """Sends, with the key where egress puts it."""

    def send(request: Request) -> Response:
        body = request.body
        return vendor.respond(request if body is None else replace(request, body=body + f"&api_key={SECRET}".encode()))

    return send


@pytest.mark.parametrize("moods", MOODS, ids="+".join)
def test_a_server_of_any_mood_is_read_by_the_laws_in_full_then_for_what_changed(moods: tuple[str, ...]) -> None:
    vendor = Open311(moods=moods)
    connector = registry.make("open311", "ville", settings(moods))
    report = suite.run(connector, vendor.respond, secrets=[SECRET], started_at=NOW, resumes=4)
    whole = RECENT if moods == ("ignored",) else len(vendor.held)
    assert report.rows == {"services": 6, "service_definitions": 6, "requests": whole}

    cursors = {name: cursor for one in report.reads.values() for name, cursor in one.cursors.items()}
    vendor.now = NOW + timedelta(hours=3)
    shown = sorted(vendor.held.values(), key=lambda one: one.made)[-whole:]
    late = [one.id for one in shown if one.status == "open"][:3]
    vendor.close(*late)
    again = suite.run(connector, vendor.respond, started_at=vendor.now, resumes=4, mode="incremental", cursors=cursors)
    rows = [row for page in again.reads["requests"].pages for row in page.records.to_pylist()]
    assert {str(one) for one in late} <= {row["service_request_id"] for row in rows if row["status"] == "closed"}
    assert again.rows["services"] == again.rows["service_definitions"] == 0


@pytest.mark.parametrize("moods", [*MOODS, ("tokens",)], ids="+".join)
def test_a_server_of_any_mood_is_written_to_by_the_laws(moods: tuple[str, ...]) -> None:
    payload = {
        "service_code": "001", "lat": Decimal("45.4397"), "long": Decimal("4.3872"), "description": "Trou\r\nprofond",
        "attribute": {"GRAVITE": "2"}, "media_url": "https://photos.ville.example/trou.jpg",
    }  # fmt: skip
    vendor = Open311(moods=moods)
    writer = registry.writer("open311", "ville", settings(moods, writes=["requests"]))
    applied = run_writer(writer, "create_request", payload, keyed(vendor), secrets=[SECRET])
    assert applied.vendor_id == ("token:t-10400" if "tokens" in moods else "10400")
    assert len(vendor.held) == 401
