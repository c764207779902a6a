"""Writing to a real pygeoapi: what it keeps is confirmed, what it loses is seen."""

import itertools
from typing import Any

import pytest

from saas_connectors.connector import Applied
from saas_connectors.errors import Rejected
from tests.servers import pygeoapi
from tests.unit.connectors_writing.conftest import Town

_NUMBERS = itertools.count(100)


def creation(number: int | None = None, **properties: object) -> dict[str, Any]:
    feature = pygeoapi.work(next(_NUMBERS) if number is None else number)
    properties = {**feature["properties"], **properties}  # type: ignore[dict-item]  # a literal of the server's own module
    return {"collection": "travaux", "feature": {"geometry": feature["geometry"], "properties": properties}}


def created(town: Town, payload: dict[str, Any]) -> str:
    applied = town.do(town.writer().apply("create_item", payload))
    assert applied.vendor_id
    return str(applied.vendor_id)


def test_a_feature_created_is_read_back_under_the_identifier_that_the_server_chose(town: Town) -> None:
    writer, payload = town.writer(), creation()
    applied = town.do(writer.apply("create_item", payload))
    assert applied.status == 201
    assert applied.vendor_id
    assert town.do(writer.read_back("create_item", payload, applied)).outcome == "confirmed"
    assert town.writes() == ["POST"]


def test_a_creation_whose_answer_was_lost_is_found_by_its_reference(town: Town) -> None:
    writer, payload = town.writer(), creation()
    identifier = created(town, payload)
    probed = town.do(writer.probe("create_item", payload))
    assert (probed.outcome, probed.vendor_id) == ("landed", identifier)
    assert town.do(writer.probe("create_item", creation(999))).outcome == "did_not_happen"


def test_a_reference_already_taken_is_not_created_twice(town: Town) -> None:
    writer, payload = town.writer(), creation()
    created(town, payload)
    town.asked.clear()
    with pytest.raises(Rejected) as refusal:
        town.do(writer.apply("create_item", payload))
    assert (refusal.value.definitive, refusal.value.reason) == (True, "exists")
    assert town.writes() == []


def test_a_put_that_the_server_loses_behind_a_204_is_seen_by_reading_back(town: Town) -> None:
    writer = town.writer()
    payload = {**creation(), "id": "nowhere"}
    applied = town.do(writer.apply("replace_item", payload))
    assert applied.status == 204
    assert town.do(writer.read_back("replace_item", payload, applied)).outcome == "absent"
    assert town.do(writer.probe("replace_item", payload)).outcome == "did_not_happen"


def test_a_replacement_is_confirmed_and_a_difference_is_named_by_its_place(town: Town) -> None:
    writer, payload = town.writer(), creation()
    identifier = created(town, payload)
    asked = {**creation(), "id": identifier}
    applied = town.do(writer.apply("replace_item", asked))
    assert town.do(writer.read_back("replace_item", asked, applied)).outcome == "confirmed"
    asked["feature"]["properties"]["objet"] = "autre"
    seen = town.do(writer.read_back("replace_item", asked, applied))
    assert (seen.outcome, seen.pointers) == ("differs", ("/feature/properties/objet",))


def test_an_update_by_replacement_keeps_what_it_does_not_change(town: Town) -> None:
    writer, payload = town.writer(), creation()
    identifier = created(town, payload)
    asked = {"collection": "travaux", "id": identifier, "changes": {"properties": {"objet": "Pavage", "largeur": None}}}
    applied = town.do(writer.apply("update_item", asked))
    assert town.do(writer.read_back("update_item", asked, applied)).outcome == "confirmed"
    kept = {"numero": payload["feature"]["properties"]["numero"], "debut": "2026-02-01T08:00:00Z"}
    unchanged = {"collection": "travaux", "id": identifier, "changes": {"properties": kept}}
    assert town.do(writer.probe("update_item", unchanged)).outcome == "landed"


def test_a_server_without_patch_says_so_for_good(town: Town) -> None:
    writer, payload = town.writer(update="patch"), creation()
    asked = {"collection": "travaux", "id": created(town, payload), "changes": {"properties": {"objet": "x"}}}
    with pytest.raises(Rejected) as refusal:
        town.do(writer.apply("update_item", asked))
    assert (refusal.value.status, refusal.value.definitive, refusal.value.reason) == (405, True, "method")


def test_a_deletion_is_confirmed_by_the_absence_of_the_feature(town: Town) -> None:
    writer, payload = town.writer(), creation()
    asked = {"collection": "travaux", "id": created(town, payload)}
    assert town.do(writer.probe("delete_item", asked)).outcome == "did_not_happen"
    assert town.do(writer.read_back("delete_item", asked, Applied(200))).outcome == "absent"
    applied = town.do(writer.apply("delete_item", asked))
    assert town.do(writer.read_back("delete_item", asked, applied)).outcome == "confirmed"
    assert town.do(writer.apply("delete_item", asked)).vendor_id == asked["id"]
    assert town.do(writer.probe("delete_item", asked)).outcome == "landed"
