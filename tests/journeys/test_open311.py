"""A city's reports, from end to end: a sync, a closure found, a report written through the gateway, the key nowhere."""

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from saas_connectors.sandbox import Sandbox, Trouble
from saas_connectors.sandbox.open311 import JURISDICTION, Open311, reports
from saas_connectors.sandbox.open311_shapes import FAMILIES
from saas_connectors.sandbox.vendor import SECRET
from sovereign.site import Site
from tests.journeys.test_gateway import Town
from tests.servers.sites import credentials

PAYLOAD = {
    "service_code": "002", "lat": 45.4397, "long": 4.3872, "description": "Trottoir encombré par un chantier",
    "phone": "0477000000",
}  # fmt: skip


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path)))
    environment = os.environ | {"SOVEREIGN_SITE": str(tmp_path / "town"), "SOVEREIGN_LANG": "en"}
    present = datetime.now(UTC).replace(microsecond=0)
    vendor = Open311(reports(until=present), moods=["reversed", "unlimited"], now=present)
    settings: dict[str, Any] = {
        "connector": "open311", "url": "", "since": "2020-01-01", "mode": "incremental", "secret": "key",
        "writes": ["requests"],
        "auth": {"kind": "key", "form": "api_key"}, "network": {"loopback": True, "plaintext": True}, "limits": {"attempts": 2},
    }  # fmt: skip
    with Sandbox(vendor) as sandbox:
        root = tmp_path / "town"
        with Site.create(root, provider="systemd-cred:sovereign") as site:
            site.add_connection("mail", settings | {"url": f"{sandbox.url}/v2"})
            site.set_secret("mail", "key", SECRET.encode())
        with (root / "sovereign.toml").open("a") as file:
            file.write('\n[gateway]\nlisten = "127.0.0.1:0"\n')
        yield Town(root, vendor, environment)


@pytest.mark.parametrize(("family", "form"), [("klarschiff", "xml")])
def test_a_server_as_it_is_found_is_copied_and_its_closures_too(
    family: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials(tmp_path)))
    environment = os.environ | {"SOVEREIGN_SITE": str(tmp_path / "town"), "SOVEREIGN_LANG": "en"}
    present = datetime.now(UTC).replace(microsecond=0)
    city = Open311(reports(150, until=present), moods=FAMILIES[family], now=present)
    settings: dict[str, Any] = {
        "connector": "open311", "since": "2020-01-01", "mode": "incremental", "jurisdiction_id": JURISDICTION, "format": form,
        "network": {"loopback": True, "plaintext": True},
    }  # fmt: skip
    with Sandbox(city) as sandbox:
        with Site.create(tmp_path / "town", provider="systemd-cred:sovereign") as site:
            site.add_connection("mail", settings | {"url": f"{sandbox.url}/v2"})
        town = Town(tmp_path / "town", city, environment)
        town.run("sync", "run", "mail")
        late = min(one.id for one in city.held.values() if one.status == "open")
        city.close(late)
        town.run("sync", "run", "mail")
    assert _held(town) == {str(one.id): one.status for one in city.held.values()}


def _held(town: Town) -> dict[str, str]:
    rows = town.run("query", "SELECT service_request_id AS id, status FROM mail.requests", "--limit", "0")
    return {row["values"]["id"]: row["values"]["status"] for row in rows if row["type"] == "row"}


def _city(town: Town) -> Open311:
    assert isinstance(town.vendor, Open311)
    return town.vendor


def test_a_city_reads_its_reports_finds_closures_and_reports_through_the_gateway(town: Town) -> None:
    city = _city(town)
    town.run("sync", "run", "mail")
    assert len(_held(town)) == 400
    late = min(one.id for one in city.held.values() if one.status == "open")
    city.close(late)
    town.run("sync", "run", "mail")
    assert _held(town)[str(late)] == "closed"

    token = town.token("desk")
    town.run("policy", "open", "mail", "create_request", "--client", "desk", "--add")
    with town.serving() as address:
        bearer = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        url = f"{address}/v1/connections/mail/operations/create_request"
        said = requests.post(url, json=PAYLOAD, headers=bearer | {"Idempotency-Key": '"r1"'}, timeout=30)
        assert said.status_code in (200, 201), said.text
        assert max(city.held) == 10_400
        assert city.held[10_400].description == PAYLOAD["description"]

        city.troubles.plan(Trouble("lands_then_resets", method="POST"))
        lost = PAYLOAD | {"description": "Étal abandonné"}
        said = requests.post(url, json=lost, headers=bearer | {"Idempotency-Key": '"r2"', "Prefer": "wait=20"}, timeout=40)
        intent = said.json()["intent"]
        until = time.monotonic() + 60
        while (state := town.run("delivery", "show", intent)[0]["state"]) not in ("landed", "confirmed"):
            assert time.monotonic() < until, state
            time.sleep(0.2)
        assert [one.description for one in city.held.values()].count("Étal abandonné") == 1

        refused = requests.post(
            url, json=PAYLOAD | {"service_code": "999"}, headers=bearer | {"Idempotency-Key": '"r3"'}, timeout=30
        )
        assert (refused.status_code, "inconnu" in refused.text) == (502, False)
    town.run("sync", "run", "mail")
    assert {"10400", "10401"} <= _held(town).keys()
    town.run("audit", "verify")
    shown = json.dumps(town.run("audit", "show", "--limit", "500"))
    assert SECRET not in shown
    assert all(SECRET.encode() not in file.read_bytes() for file in town.root.rglob("*") if file.is_file())
