"""Applications write letters to a Maarch through `sovereign serve`: once, read back, and told why not."""

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from saas_connectors.mail.maarch_operations import OPERATIONS
from saas_connectors.sandbox import Sandbox, Trouble
from saas_connectors.sandbox.maarch import Account, Maarch
from saas_connectors.sandbox.vendor import SECRET
from tests.servers.served import Door, Served, served
from tests.unit.connectors_maarch.pulling import EVERYTHING
from tests.unit.connectors_maarch.writing import LETTER, PDF

LIMITS = {"timeout": 5.0, "total_timeout": 20.0, "concurrency": 4, "rate": 1000.0}
NARROW = ("POST/res/list", "PUT/resources/external", "GET/resources/{resId}", "GET/resources/{resId}/notes")


@dataclass
class House:
    """A Maarch, the site whose gateway writes to it, and the gateway's door."""

    maarch: Maarch
    site: Served
    door: Door

    def write(self, operation: str, payload: dict[str, Any], key: str, *, connection: str = "courrier") -> requests.Response:
        return requests.post(
            f"{self.door.address}/v1/connections/{connection}/operations/{operation}", json=payload, timeout=60,
            headers=self.door.headers("app", key, {}),
        )  # fmt: skip

    def ends(self, told: requests.Response) -> str:
        """Where a write stands once nothing is under way."""
        return self.site.settled()[told.json()["intent"]]

    def made(self, route: str, field: str, value: object) -> int:
        """How many writes the server did of a route, whose body says that."""
        return sum(done == route and body.get(field) == value for done, _, body in self.maarch.desk.done)

    def created(self, external: str) -> int:
        return self.made("POST/resources", "externalId", {"gateway": external})


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    accounts = (
        Account("passerelle", SECRET, privileges=EVERYTHING),
        Account("etroit", SECRET, number=2, authorized_api=NARROW, privileges=frozenset()),
    )
    maarch = Maarch(20, accounts=accounts)
    with Sandbox(maarch) as sandbox, served(tmp_path_factory.mktemp("maarch"), {}) as site:
        with site.site() as held:
            for name, user in (("courrier", "passerelle"), ("etroit", "etroit")):
                auth = {"kind": "basic", "user": user}
                network = {"loopback": True, "plaintext": True}
                table = {"connector": "maarch", "url": sandbox.url, "secret": "maarch", "auth": auth, "network": network}
                held.add_connection(name, {**table, "limits": LIMITS, "writes": list(OPERATIONS)})
                held.set_secret(name, "maarch", SECRET.encode())
        with site.serving() as door:
            yield House(maarch, site, door)


@pytest.fixture
def house(opened: House) -> Iterator[House]:
    opened.maarch.troubles.clear()
    yield opened
    opened.maarch.troubles.clear()


def test_each_operation_is_delivered_and_confirmed_by_what_maarch_then_holds(house: House) -> None:
    payloads: dict[str, dict[str, Any]] = {
        "create_letter": {**LETTER, "externalId": "EACH-1"},
        "update_letter": {"resId": 103, "subject": "Objet revu"},
        "change_status": {"resId": 104, "status": "VAL", "historyMessage": "Validé"},
        "close_letter": {"resId": 106},
        "delete_letter": {"resId": 107},
        "set_external_ids": {"resId": 109, "externalId": "PUB-9"},
        "add_note": {"resId": 110, "value": "Rappelé"},
        "add_attachment": {"resId": 110, "title": "Réponse", "type": "response_project", "encodedFile": PDF, "format": "pdf"},
    }
    assert payloads.keys() == set(OPERATIONS)
    for operation, payload in payloads.items():
        told = house.write(operation, payload, f"each-{operation}")
        assert (operation, told.status_code, told.json()["state"]) == (operation, 200, "confirmed")


def test_a_letter_whose_answer_was_lost_is_found_to_have_landed_and_is_not_created_twice(house: House) -> None:
    house.maarch.troubles.plan(Trouble("lands_then_resets", path="/rest/resources", method="POST"))
    payload = {**LETTER, "externalId": "LOST-1"}
    told = house.write("create_letter", payload, "lost-1")
    assert told.status_code == 202
    assert house.ends(told) == "landed"
    again = house.write("create_letter", payload, "lost-1")
    assert again.json()["intent"] == told.json()["intent"]
    assert house.created("LOST-1") == 1


def test_a_letter_that_maarch_says_it_created_and_did_not_is_found_out(house: House) -> None:
    house.maarch.troubles.plan(Trouble("lost", path="/rest/resources", method="POST"))
    told = house.write("create_letter", {**LETTER, "externalId": "SAID-1"}, "said-1")
    assert house.ends(told) == "did_not_happen"
    assert house.created("SAID-1") == 0


def test_a_note_whose_answer_was_lost_is_found_by_what_it_says(house: House) -> None:
    house.maarch.troubles.plan(Trouble("lands_then_resets", path="/rest/notes", method="POST"))
    told = house.write("add_note", {"resId": 111, "value": "Une seule fois"}, "note-1")
    assert house.ends(told) == "landed"
    assert house.made("POST/notes", "value", "Une seule fois") == 1


def test_letters_asked_for_at_once_under_one_identifier_are_one_letter(house: House) -> None:
    payload = {**LETTER, "externalId": "ONE-1"}
    with ThreadPoolExecutor(6) as pool:
        told = list(pool.map(lambda n: house.write("create_letter", payload, f"one-{n}"), range(6)))
    ends = sorted(house.ends(each) for each in told)
    assert ends == ["confirmed", *["rejected"] * 5]
    assert {each.json()["why"] for each in told if each.status_code != 200} == {"vendor.rejected.exists"}
    assert house.created("ONE-1") == 1


@pytest.mark.parametrize(
    ("operation", "payload", "why"),
    [
        ("create_letter", {**LETTER, "externalId": "NARROW"}, "vendor.write_denied.POST/resources"),
        ("add_note", {"resId": 112, "value": "V"}, "vendor.write_denied.POST/notes"),
        ("close_letter", {"resId": 112}, "vendor.write_denied.PUT/res/resource/status"),
    ],
)
def test_an_account_without_the_route_is_told_which_to_allow(
    house: House, operation: str, payload: dict[str, Any], why: str
) -> None:
    told = house.write(operation, payload, f"narrow-{operation}", connection="etroit")
    assert (told.status_code, told.json()["state"], told.json()["why"]) == (502, "rejected", why)
    route = why.removeprefix("vendor.write_denied.")
    assert f"Maarch denies the route {route} to this account (403)." in told.json()["detail"]
    assert "for this user" not in told.text


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_page_that_shows_the_password_reaches_no_application(house: House, status: int) -> None:
    house.maarch.troubles.plan(Trouble("html", status, path="/rest/resources", method="POST"))
    told = house.write("create_letter", {**LETTER, "externalId": f"HTML-{status}"}, f"html-{status}")
    assert told.json()["state"] == "rejected"
    shown = base64.b64encode(f"passerelle:{SECRET}".encode()).decode()
    for text in (told.text, house.door.get(f"/v1/deliveries/{told.json()['intent']}").text):
        assert SECRET not in text
        assert shown not in text


def test_a_letter_of_five_megabytes_passes_the_door_whole_and_is_read_back(house: House) -> None:
    document = b"%PDF-1.4\n" + hashlib.shake_256(b"long").digest(5 * 2**20)
    payload = {**LETTER, "externalId": "LONG-1", "encodedFile": base64.b64encode(document).decode()}
    told = house.write("create_letter", payload, "long-1")
    assert (told.status_code, told.json()["state"]) == (200, "confirmed")
    number = next(number for _, number, body in house.maarch.desk.done if body.get("externalId") == {"gateway": "LONG-1"})
    assert house.maarch.store.file("letter", number) == document


def test_a_list_by_post_passes_through_as_a_read_without_a_key(house: House) -> None:
    asked = {"select": "res_id,status", "clause": "res_id = 101", "orderBy": ["res_id"], "limit": 1}
    told = requests.post(
        f"{house.door.address}/v1/connections/courrier/http/rest/res/list", json=asked, timeout=30,
        headers=house.door.headers("app", "", {}),
    )  # fmt: skip
    assert told.status_code == 200
    assert [row["res_id"] for row in told.json()["resources"]] == [101]
