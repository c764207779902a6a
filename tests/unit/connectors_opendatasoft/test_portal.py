"""A portal read: its catalog, its types, its keys, what a run costs."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from saas_connectors.connector import Json, ReadPlan
from saas_connectors.errors import SettingsError
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.opendatasoft import Portal, PortalDataset, communes_of_france, notice
from saas_connectors.urban.odsql import literal, name
from saas_connectors.urban.ranges import Range, split
from tests.servers.pulls import NOW, converse, discover, plan_of, pull
from tests.unit.connectors_opendatasoft.conftest import Town


def test_a_dataset_is_a_stream_of_the_types_that_the_catalog_says(town: Town) -> None:
    pulled = pull(town.connector(), town)
    schema = pulled.table("boamp").schema
    assert schema.field("dateparution").type == pa.date32()
    assert schema.field("maj").type == pa.timestamp("us", tz="UTC")
    assert schema.field("montant").type == pa.float64()
    assert schema.field("lots").type == pa.int64()
    assert schema.field("code_departement").type == pa.list_(pa.string())
    assert schema.field("lieu").type == pa.struct([("lon", pa.float64()), ("lat", pa.float64())])
    assert (schema.field("perimetre").type, schema.field("avis").type) == (pa.string(), pa.string())
    assert schema.field("annule").type == pa.bool_()
    first = pulled.rows("boamp")[1]
    assert (first["idweb"], first["code_departement"], first["lieu"]["lat"]) == ("26-000001", ["42"], 45.43)
    assert first["perimetre"].startswith('{"type":"Feature"')


def test_the_catalog_names_title_key_and_personal_fields(town: Town) -> None:
    (stream,) = discover(town.connector(streams={"boamp": {"classes": {"internal": ["idweb"]}}}), town).streams
    assert (stream.title, stream.primary_key) == ("Annonces des marchés publics", ("idweb",))
    assert stream.classes["idweb"] == "internal"
    assert {stream.classes[field] for field in stream.schema.names if field != "idweb"} == {"personal"}


def test_the_setting_key_goes_before_that_of_the_catalog(town: Town) -> None:
    (stream,) = discover(town.connector(streams={"avis": {"dataset": "boamp", "key": ["idweb", "lots"]}}), town).streams
    assert (stream.name, stream.primary_key) == ("avis", ("idweb", "lots"))


def test_without_a_key_the_content_names_records_and_twins_are_kept(town: Town) -> None:
    town.boamp.key = None
    town.boamp.rows.append(dict(town.boamp.rows[3]))
    pulled = pull(town.connector(), town)
    names = [row["content_hash"] for row in pulled.rows("boamp")]
    assert len(set(names)) == len(names) == 501
    assert names[500] == f"{names[3]}-2"
    town.boamp.rows = [dict(reversed(row.items())) for row in town.boamp.rows]  # the order of fields is no content
    town.boamp.processed += timedelta(hours=1)
    assert [row["content_hash"] for row in pull(town.connector(), town).rows("boamp")] == names


def test_a_dataset_that_did_not_change_costs_one_call_in_all(town: Town) -> None:
    town.portal.datasets["communes-france"] = communes_of_france()
    connector = town.connector()
    first = pull(connector, town, plan_of(discover(connector, town)))
    town.portal.calls.clear()
    plan = plan_of(discover(connector, town), cursors=first.cursors)
    again = pull(connector, town, plan)
    assert len(town.portal.calls) == 1
    assert [fact.check for fact in again.evidence] == ["unchanged", "unchanged"]
    assert (again.pages, again.cursors) == ((), first.cursors)


def test_what_it_costs_when_nothing_moved_is_below_two_hundredths_where_pages_are_read(town: Town) -> None:
    town.portal.datasets = {"communes-france": (held := communes_of_france())}
    held.rows = held.rows[:6000]
    town.portal.exports = False
    connector = town.connector(streams={"communes": {"dataset": "communes-france", "key": ["code", "type"]}})
    first = pull(connector, town)
    assert len(first.rows("communes")) == 6000
    calls = len(town.portal.calls)
    town.portal.calls.clear()
    pull(connector, town, plan_of(discover(connector, town), cursors=first.cursors))
    assert len(town.portal.calls) == 1 <= 0.02 * calls


@pytest.mark.parametrize("change", ["processed", "count", "fields", "settings"])
def test_whatever_moved_makes_it_read_again(town: Town, change: str) -> None:
    first = pull(town.connector(), town)
    settings: dict[str, Any] = {}
    if change == "processed":
        town.boamp.processed += timedelta(seconds=1)
    elif change == "count":
        town.boamp.rows.pop()
    elif change == "fields":
        town.boamp.fields = {**town.boamp.fields, "nouveau": "text"}
    else:
        settings = {"streams": {"boamp": {"types": {"montant": "decimal(12,2)"}}}}
    connector = town.connector(**settings)
    again = pull(connector, town, plan_of(discover(connector, town), cursors=first.cursors))
    assert not again.found("unchanged")
    assert len(again.rows("boamp")) >= 499
    if settings:
        assert again.rows("boamp")[0]["montant"] == Decimal("12000.50")


def test_a_portal_without_dates_of_processing_is_read_each_time(town: Town) -> None:
    class Undated(Town):
        def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
            return tuple(
                replace(each, body=each.body.replace(b'"data_processed"', b'"x"').replace(b'"modified"', b'"y"'))
                for each in super().exchange(requests)
            )

    undated = Undated(town.portal)
    connector = town.connector()
    first = pull(connector, undated)
    again = pull(connector, undated, plan_of(discover(connector, undated), cursors=first.cursors))
    assert len(again.rows("boamp")) == 500


def test_a_portal_that_went_back_in_time_is_read_in_full_and_said(town: Town) -> None:
    connector = town.connector(streams={"boamp": {"cursor": "maj"}})
    first = pull(connector, town)
    town.boamp.rows = town.boamp.rows[:400]
    town.boamp.processed -= timedelta(days=3)
    again = pull(connector, town, plan_of(discover(connector, town), mode="incremental", cursors=first.cursors))
    assert len(again.rows("boamp")) == 400
    assert [fact.holds for fact in again.found("went_backwards")] == [False]
    assert again.cursors["boamp"]["after"] < first.cursors["boamp"]["after"]


def test_changes_are_asked_for_from_the_cursor(town: Town) -> None:
    connector = town.connector(streams={"boamp": {"cursor": "maj"}})
    first = pull(connector, town)
    town.boamp.put(notice(7, maj="2026-02-01T08:00:00+00:00", objet="modifié"), by=["idweb"])
    town.portal.calls.clear()
    again = pull(connector, town, plan_of(discover(connector, town), mode="incremental", cursors=first.cursors))
    assert {row["objet"] for row in again.rows("boamp")} >= {"modifié"}
    assert len(again.rows("boamp")) < 5
    assert again.cursors["boamp"]["after"] == "2026-02-01T08:00:00Z"
    assert [where for path, where in town.asked() if path.endswith("json")] == ["`maj` >= date'2026-01-21T18:59:00Z'"]


def test_a_portal_of_too_many_datasets_is_refused_until_they_are_named(town: Town) -> None:
    town.portal.datasets |= {f"jeu-{n}": PortalDataset("Jeu", {"n": "int"}, [{"n": 1}]) for n in range(130)}
    with pytest.raises(SettingsError, match="streams"):
        discover(town.connector(), town)
    assert len(discover(town.connector(datasets=131), town).streams) == 131
    assert [stream.name for stream in discover(town.connector(streams=["jeu-3", "boamp"]), town).streams] == ["boamp", "jeu_3"]


def test_check_tells_how_many_calls_are_left(town: Town) -> None:
    town.portal.quota = 42
    remarks = converse(town.connector().check(), town)[1].remarks
    assert remarks[1] == ("Appels restants aujourd'hui : 41.", "Calls left today: 41.")


def test_a_large_dataset_is_exported_by_ranges_that_leave_nothing_out() -> None:
    rows = [notice(n) for n in range(5000)]
    for row in rows[::50]:
        row["lots"] = None
    town = Town(Portal({"boamp": PortalDataset("B", dict.fromkeys(rows[0], "text") | {"lots": "int"}, rows, key="idweb")}))
    connector = town.connector(part=1000, streams={"boamp": {"split": "lots"}})
    pulled = pull(connector, town)
    assert sorted(row["idweb"] for row in pulled.rows("boamp")) == [row["idweb"] for row in rows]
    exports = [where for path, where in town.asked() if path.endswith("json")]
    assert len(exports) > 5
    assert "`lots` is null" in exports
    assert not pulled.found("filter_ignored")


def test_a_dataset_processed_while_it_is_read_by_parts_is_said_and_read_again(town: Town) -> None:
    town.boamp.rows = [notice(n) for n in range(3000)]

    class Moving(Town):
        def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
            self.boamp.processed += timedelta(minutes=1)
            return super().exchange(requests)

    moving = Moving(town.portal)
    connector = town.connector(part=1000)
    pulled = pull(connector, moving)
    assert [fact.holds for fact in pulled.found("order_unstable")] == [False]
    assert pulled.cursors["boamp"]["mark"] is None


@pytest.mark.parametrize(
    ("kind", "low", "high", "expected"),
    [
        ("int", 0, 9, [3, 6]),
        ("int", 5, 5, []),
        ("date", "2026-01-01", "2026-01-31", ["2026-01-11", "2026-01-21"]),
        ("datetime", "2026-01-01T00:00:00+00:00", "2026-01-01T03:00:00Z", ["2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z"]),
        ("double", Decimal("0.0"), Decimal("3.0"), [1.0, 2.0]),
    ],
)
def test_ranges_follow_one_another_without_gap(kind: str, low: Json, high: Json, expected: list[Any]) -> None:
    cuts = split(Range(), low, high, kind, 3)
    assert [cut.since for cut in cuts[1:]] == [cut.until for cut in cuts[:-1]] == expected
    if cuts:
        assert (cuts[0].since, cuts[-1].until) == (None, None)


def test_no_value_of_a_condition_is_taken_for_syntax() -> None:
    assert literal('x" or `a` is not null or `b` = "\\', "text") == '"x\\" or `a` is not null or `b` = \\"\\\\"'
    for wrong in ("a` is null or `b", "", "a b", "é"):
        with pytest.raises(ValueError, match=f"^{re.escape(wrong)}$"):
            name(wrong)
    with pytest.raises(ValueError, match="isoformat"):
        literal("2026-01-01' or 1=1 or date'2026-01-01", "datetime")


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"part": 10}, "connections.portail.part"),
        ({"datasets": 0}, "connections.portail.datasets"),
        ({"streams": {"boamp": {"cursor": "a b"}}}, "connections.portail.streams.boamp.cursor"),
        ({"streams": {"boamp": {"lookback": -1}}}, "connections.portail.streams.boamp.lookback"),
        ({"streams": {"boamp": {"types": {"maj": "when"}}}}, "connections.portail.streams.boamp.types.maj"),
        ({"streams": {"boamp": {"keys": ["a"]}}}, "connections.portail.streams.boamp.keys"),
        ({"streams": {"boamp": {"key": ["nothing"]}}}, "connections.portail.streams.boamp.key"),
        ({"streams": {"boamp": {"split": "nothing"}}}, "connections.portail.streams.boamp.split"),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_wrong_setting_is_named(town: Town, settings: dict[str, Any], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        discover(town.connector(**settings), town)
    assert refusal.value.fields["field"] == field


def test_a_cursor_in_the_future_does_not_move_the_read_there(town: Town) -> None:
    town.boamp.rows[3]["maj"] = "2099-01-01T00:00:00+00:00"
    connector = town.connector(streams={"boamp": {"cursor": "maj"}})
    plan: ReadPlan = plan_of(discover(connector, town))
    pulled = pull(connector, town, plan)
    assert pulled.found("suspect_values")
    assert datetime.fromisoformat(pulled.cursors["boamp"]["after"]) < NOW < datetime(2099, 1, 1, tzinfo=UTC)
