"""What portals do wrong: exports that break, filters that do nothing, counts, caps, refusals."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from saas_connectors.errors import Malformed, ResumeLost, SchemaError, Unauthorized
from saas_connectors.request import Request, Response
from saas_connectors.sandbox.opendatasoft import PortalDataset, communes_of_france, notice
from tests.servers.pulls import Pulled, converse, discover, plan_of, pull, resumed
from tests.unit.connectors_opendatasoft.conftest import Town


def ids(pulled: Pulled) -> list[str]:
    return sorted(row["idweb"] for row in pulled.rows("boamp"))


EVERY = [f"26-{n:06}" for n in range(500)]


@dataclass
class Bent(Town):
    """A portal whose answers are bent on the way."""

    bend: Callable[[Request, Response], Response] = lambda _, response: response

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        return tuple(self.bend(asked, told) for asked, told in zip(requests, super().exchange(requests), strict=True))


@pytest.mark.parametrize("after", [0, 1, 250, 499])
def test_an_export_that_ends_in_an_error_text_is_refused_and_not_a_byte_of_it_shown(town: Town, after: int) -> None:
    town.portal.broken_after = after
    with pytest.raises(Malformed) as refusal:
        pull(town.connector(), town)
    assert "Jeanne" not in str(refusal.value) + str(refusal.value.fields)


@pytest.mark.parametrize(
    "cut",
    [
        lambda body: body[: len(body) // 2],
        lambda body: body[:-1],
        lambda body: body[: body.rindex(b",\n")],
        lambda body: body + b"\nInternal error",
        lambda body: body[:-1] + b',{"error_code":"Interrupted","message":"Jeanne Martin"}]',
        lambda body: b'{"error_code":"Interrupted"}',
        lambda body: b"",
    ],
    ids=["half", "no bracket", "at a record's end", "foreign tail", "an error among records", "an error alone", "nothing"],
)
def test_half_an_export_is_never_taken_for_a_whole_one(town: Town, cut: Callable[[bytes], bytes]) -> None:
    def bend(asked: Request, told: Response) -> Response:
        return replace(told, body=cut(told.body)) if "exports" in asked.url else told

    with pytest.raises(Malformed):
        pull(town.connector(), Bent(town.portal, bend))


def test_a_filter_that_is_ignored_makes_it_read_everything_once(town: Town) -> None:
    connector = town.connector(streams={"boamp": {"cursor": "maj"}})
    first = pull(connector, town)
    town.boamp.put(notice(500), by=["idweb"])
    town.portal.honours = False
    again = pull(connector, town, plan_of(discover(connector, town), mode="incremental", cursors=first.cursors))
    assert ids(again) == [*EVERY, "26-000500"]
    assert [fact.holds for fact in again.found("filter_ignored")] == [None]


def test_a_filter_that_loses_the_record_at_the_cursor_is_not_believed(town: Town) -> None:
    connector = town.connector(streams={"boamp": {"cursor": "maj"}})
    cursors = {"boamp": {"after": "2026-10-01T00:00:00Z"}}
    again = pull(connector, town, plan_of(discover(connector, town), mode="incremental", cursors=cursors))
    assert ids(again) == EVERY
    assert again.found("filter_ignored")


def test_ranges_that_are_ignored_are_given_up(town: Town) -> None:
    town.boamp.rows = [notice(n) for n in range(3000)]
    town.portal.honours = False
    pulled = pull(town.connector(part=1000), town)
    assert len(set(ids(pulled))) == 3000
    assert pulled.found("filter_ignored")


def test_a_count_is_a_hint(town: Town) -> None:
    town.boamp.lie = 40
    pulled = pull(town.connector(), town)
    assert ids(pulled) == EVERY
    assert [fact.detail for fact in pulled.found("vendor_count")] == [{"count": 540}]


def test_where_exports_are_refused_pages_give_the_same(town: Town) -> None:
    town.portal.exports = False
    assert ids(pull(town.connector(), town)) == EVERY
    limits = {(call.query.get("limit"), call.query.get("offset")) for call in town.portal.calls if "records" in call.path}
    assert limits == {
        ("100", "0"),
        ("100", "1"),
    }


def test_pages_go_beyond_ten_thousand_records_through_ties_and_missing_values(town: Town) -> None:
    rows = [{"code": f"{n:05}", "zone": None if n % 40 == 0 else n // 300} for n in range(10_200)]
    kinds = {"code": "text", "zone": "int"}
    town.portal.datasets = {"z": PortalDataset("Zones", kinds, rows)}
    town.portal.exports = False
    keyless = pull(town.connector(streams={"z": {"split": "zone"}}), town)
    assert len({row["code"] for row in keyless.rows("z")}) == len(keyless.rows("z")) == 10_200
    assert max(int(call.query.get("offset", 0)) for call in town.portal.calls) < 1000


def test_more_records_of_one_value_than_an_offset_reaches_are_said(town: Town) -> None:
    town.portal.datasets = {"z": PortalDataset("Zones", {"n": "int", "m": "int"}, [{"n": 1, "m": m} for m in range(10_500)])}
    town.portal.exports = False
    pulled = pull(town.connector(), town)
    assert [fact.holds for fact in pulled.found("order_unstable")] == [False]
    assert len(pulled.rows("z")) == 10_000


def test_a_portal_that_ignores_where_in_pages_is_a_fault_and_not_a_loop(town: Town) -> None:
    town.portal.exports = town.portal.honours = False
    with pytest.raises(Malformed, match="outside"):
        pull(town.connector(), town)


def test_a_read_goes_on_with_the_next_part_only_on_the_same_data(town: Town) -> None:
    town.boamp.rows = [notice(n) for n in range(3000)]
    connector = town.connector(part=1000)
    plan = plan_of(discover(connector, town))
    whole = pull(connector, town, plan)
    assert ids(resumed(connector, town, plan, 2)) == ids(whole)
    (part,) = converse(connector.slices(plan), town)[1]
    position = whole.pages[1].position
    town.boamp.put(notice(1, objet="changé"), by=["idweb"])
    with pytest.raises(ResumeLost):
        converse(connector.read(plan, part, position), town)


def test_records_without_their_key_are_set_aside_and_counted(town: Town) -> None:
    town.boamp.rows[4]["idweb"] = None
    pulled = pull(town.connector(), town)
    assert len(pulled.rows("boamp")) == 499
    assert pulled.found("invalid_records")[0].detail["count"] == 1
    for row in town.boamp.rows:
        row["idweb"] = None
    with pytest.raises(SchemaError, match="key"):
        pull(town.connector(), town)


def test_a_refused_key_is_a_refusal_and_not_a_reason_to_try_pages(town: Town) -> None:
    town.portal.secret = "another"
    with pytest.raises(Unauthorized):
        pull(town.connector(), town)
    assert len(town.portal.calls) == 1


def test_names_that_are_ours_are_given_another(town: Town) -> None:
    rows = [{"_key": "a", "_op": "b", "content_hash": "c"}]
    town.portal.datasets = {"1 étrange": PortalDataset("E", dict.fromkeys(rows[0], "text"), rows)}
    (stream,) = discover(town.connector(), town).streams
    assert stream.name == "d_1_etrange"
    assert [row | {"content_hash_": ""} for row in pull(town.connector(), town).rows(stream.name)] == [
        {"field_key": "a", "field_op": "b", "content_hash": "c", "content_hash_": ""}
    ]


def test_a_field_that_changes_its_type_between_two_parts_loses_nothing(town: Town) -> None:
    town.boamp.rows = [notice(n) for n in range(2000)]
    town.boamp.rows[1500]["lots"] = "trois"
    pulled = pull(town.connector(part=1000, streams={"boamp": {"split": "montant"}}), town)
    assert {row["idweb"]: row["lots"] for row in pulled.rows("boamp")}["26-001500"] == "trois"


def test_communes_are_read_whole_by_export_and_by_pages(town: Town) -> None:
    town.portal.datasets = {"communes": communes_of_france()}
    pulled = pull(town.connector(streams={"communes": {"key": ["code", "type"]}}), town)
    assert len({(row["code"], row["type"]) for row in pulled.rows("communes")}) == 37_590
    assert len(town.portal.calls) == 2
