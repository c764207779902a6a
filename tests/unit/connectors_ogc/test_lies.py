"""What servers do wrong: links, counts, filters, identifiers, names."""

import json
from typing import Any

import pytest

from saas_connectors.errors import Malformed, NotFound, SchemaError, SettingsError
from saas_connectors.request import Request, Response
from tests.servers.pulls import Pulled, converse, discover, plan_of, pull
from tests.unit.connectors_ogc.conftest import Simulated, place

GEOJSON = ("Accept", "application/geo+json")


def ids(pulled: Pulled) -> list[str]:
    return [row["id"] for row in pulled.rows("lieux")]


EVERY = [str(number) for number in range(250)]


def test_geojson_is_asked_for_on_every_page(server: Simulated) -> None:
    assert ids(pull(server.connector(), server)) == EVERY
    assert all(GEOJSON in request.headers for request in server.asked if "/items" in request.url)


def test_a_server_that_believes_it_stands_elsewhere_is_paged_by_offset(server: Simulated) -> None:
    def elsewhere(page: dict[str, Any], _: dict[str, str]) -> dict[str, Any]:
        for link in page["links"]:
            link["href"] = link["href"].replace("city.example", "internal-host")
        return page

    server.answer = elsewhere
    assert ids(pull(server.connector(limit=100), server)) == EVERY
    assert {request.url.split("/")[2] for request in server.asked} == {"city.example"}


def test_a_server_without_next_links_is_paged_by_offset(server: Simulated) -> None:
    server.answer = lambda page, _: {name: value for name, value in page.items() if name not in ("links", "numberMatched")}
    assert ids(pull(server.connector(limit=100), server)) == EVERY


def test_a_server_that_ignores_the_offset_does_not_loop_and_is_said(server: Simulated) -> None:
    server.answer = lambda page, asked: page | {"features": server.features[:100], "links": []}
    pulled = pull(server.connector(limit=100), server)
    assert ids(pulled) == EVERY[:100]
    assert pulled.found("page_repeated")


def test_a_server_that_refuses_a_large_page_is_asked_for_smaller_ones(server: Simulated) -> None:
    server.refuse_above = 100
    pulled = pull(server.connector(limit=5000), server)
    assert ids(pulled) == EVERY
    assert pulled.found("page_cap")[0].detail == {"asked": 5000, "given": 100}


def test_next_links_in_a_circle_end(server: Simulated) -> None:
    server.answer = lambda page, _: (
        page
        | {"links": [{"rel": "next", "href": "items?limit=100&offset=" + str((int(page["features"][0]["id"]) + 100) % 200)}]}
    )
    pulled = pull(server.connector(limit=100), server)
    assert set(ids(pulled)) == set(EVERY[:200])
    assert pulled.found("page_repeated")[0].holds is False
    assert len(server.items()) < 10


@pytest.mark.parametrize("kinds", [("text/html", "application/geo+json"), ("text/html", None), ("text/html",)])
def test_a_next_page_of_html_is_never_taken_for_that_of_geojson(server: Simulated, kinds: tuple[str | None, ...]) -> None:
    def beside(page: dict[str, Any], _: dict[str, str]) -> dict[str, Any]:
        wanted = [link for link in page["links"] if link["rel"] == "next"]
        page["links"] = [
            {"rel": "next", "href": "https://city.example/people.html"}
            | ({"type": kind} if kind else {})
            | ({} if kind == "text/html" else {"href": link["href"]})
            for link in wanted
            for kind in kinds
        ]
        return page

    server.answer = beside
    assert ids(pull(server.connector(limit=100), server)) == EVERY
    assert not [request for request in server.asked if "people" in request.url]


def test_a_count_is_a_hint_and_never_stops_the_read(server: Simulated) -> None:
    server.answer = lambda page, _: page | {"numberMatched": 120}
    pulled = pull(server.connector(), server)
    assert ids(pulled) == EVERY
    assert [fact.detail for fact in pulled.found("vendor_count")] == [{"count": 120}]


def incremental(server: Simulated, after: str = "2026-03-01T04:00:00+00:00", **settings: object) -> Pulled:
    connector = server.connector(streams={"lieux": {"cursor": "maj", **settings}})
    plan = plan_of(discover(connector, server), mode="incremental", cursors={"lieux": {"after": after}})
    return pull(connector, server, plan)


def test_an_honoured_filter_is_followed_over_its_pages(server: Simulated) -> None:
    server.cap = 4
    pulled = incremental(server)
    assert ids(pulled) == EVERY[240:]
    assert pulled.found("filter_ignored") == []
    assert pulled.cursors == {"lieux": {"after": "2026-03-01T04:09:00+00:00"}}


def test_a_next_link_that_loses_the_filter_is_found_out(server: Simulated) -> None:
    server.cap = 4

    def forget(page: dict[str, Any], asked: dict[str, str]) -> dict[str, Any]:
        for link in page["links"]:
            link["href"] = link["href"].replace("&datetime=", "&was=")
        return page

    server.answer = forget
    pulled = incremental(server)
    assert set(ids(pulled)) == set(EVERY)
    assert pulled.found("filter_ignored")


def test_a_reversed_filter_that_gives_nothing_is_found_out(server: Simulated) -> None:
    server.keep = lambda feature, since: False
    pulled = incremental(server)
    assert ids(pulled) == EVERY
    assert pulled.found("filter_ignored")


def test_lookback_reads_a_little_more(server: Simulated) -> None:
    assert ids(incremental(server, lookback=120)) == EVERY[238:]


def test_a_cursor_from_the_future_is_found_out(server: Simulated) -> None:
    pulled = incremental(server, after="2031-01-01T00:00:00+00:00")
    assert ids(pulled) == EVERY
    assert pulled.found("went_backwards")[0].holds is False
    assert pulled.cursors == {"lieux": {"after": "2026-03-01T04:09:00+00:00"}}


def test_a_time_that_is_not_one_is_refused_by_name(server: Simulated) -> None:
    server.features[7] = place(7, maj="hier")
    with pytest.raises(SchemaError, match="maj"):
        incremental(server)


def test_features_without_id_are_refused_unless_their_key_is_declared(server: Simulated) -> None:
    server.features = [{name: value for name, value in place(number).items() if name != "id"} for number in range(3)]
    with pytest.raises(SchemaError, match="key"):
        pull(server.connector(), server)
    connector = server.connector(streams={"lieux": {"key": ["nom"]}})
    (stream,) = discover(connector, server).streams
    assert stream.primary_key == ("nom",)
    assert [row["nom"] for row in pull(connector, server).rows("lieux")] == ["Lieu 0", "Lieu 1", "Lieu 2"]


def test_no_property_takes_the_place_of_the_id_of_the_geometry_or_of_another(server: Simulated) -> None:
    server.features = [place(1, id="own", GEOMETRY="round", _op="x", Nom="other case")]
    (row,) = pull(server.connector(), server).rows("lieux")
    assert row["id"] == "1"
    assert row["properties_id"] == "own"
    assert row["properties_GEOMETRY"] == "round"
    assert row["properties__op"] == "x"
    names = [name for name in row if name.lower().startswith("nom")]
    assert len({name.lower() for name in names}) == 2
    assert {row[name] for name in names} == {"Lieu 1", "other case"}


def test_identifiers_are_texts_and_values_of_several_kinds_lose_nothing(server: Simulated) -> None:
    server.features = [place(1, v=1), {**place(2, v="deux"), "id": "b"}, place(3, v={"a": [1.50]}), place(4, v=None)]
    rows = pull(server.connector(), server).rows("lieux")
    assert [(row["id"], row["v"]) for row in rows] == [("1", "1"), ("b", "deux"), ("3", '{"a":[1.5]}'), ("4", None)]


def test_what_is_not_a_feature_is_set_aside(server: Simulated) -> None:
    server.features = [place(1), "not a feature", {"id": {"x": 1}}, place(2)]  # type: ignore[list-item] - on purpose
    pulled = pull(server.connector(), server)
    assert ids(pulled) == ["1", "2"]
    (fact,) = pulled.found("invalid_records")
    assert (fact.holds, fact.detail) == (False, {"count": 2, "rules": {"feature:type": 2}})


def test_the_bounds_of_a_geometry_are_given_when_asked(server: Simulated) -> None:
    ring = [[4.1, 45.2, 500], [4.5, 45.2, 510], [4.5, 45.9, 490], [4.1, 45.2, 500]]
    collection = {"type": "GeometryCollection", "geometries": [{"type": "Polygon", "coordinates": [ring]}]}
    server.features = [{**place(1), "geometry": collection}, {**place(2), "geometry": None}]
    pulled = pull(server.connector(streams={"lieux": {"bbox": True}}), server)
    assert str(pulled.table("lieux").schema.field("bbox").type) == "list<item: double>"
    assert [row["bbox"] for row in pulled.rows("lieux")] == [
        [4.1, 45.2, 4.5, 45.9],
        None,
    ]
    assert pulled.rows("lieux")[1]["geometry"] is None


@pytest.mark.parametrize("declared", [{"id": "internal", "maj": "internal"}, {"internal": ["id", "maj"], "personal": ["nom"]}])
def test_classes_are_declared_by_field_or_by_class(server: Simulated, declared: dict[str, object]) -> None:
    (stream,) = discover(server.connector(streams={"lieux": {"classes": declared}}), server).streams
    assert dict(stream.classes) == {"id": "internal", "geometry": "personal", "maj": "internal", "nom": "personal"}


@pytest.mark.parametrize("declared", [{"*": "internal"}, {"internal": ["*"]}])
def test_a_star_would_class_what_no_one_has_seen(server: Simulated, declared: dict[str, object]) -> None:
    with pytest.raises(SettingsError, match=r"named fields"):
        discover(server.connector(streams={"lieux": {"classes": declared}}), server)


def test_types_may_be_declared(server: Simulated) -> None:
    (stream,) = discover(server.connector(streams={"lieux": {"types": {"maj": "timestamp"}}}), server).streams
    assert str(stream.schema.field("maj").type) == "timestamp[us, tz=UTC]"


def test_a_stream_is_named_after_its_collection_in_our_letters(server: Simulated) -> None:
    listed = [{"id": name, "itemType": "feature"} for name in ("Voirie & Réseaux", "voirie-reseaux", "2026")]
    listed += [{"id": "images", "itemType": "coverage"}, {"id": 3}]  # type: ignore[dict-item] - on purpose

    class Named(Simulated):
        def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
            found = []
            for request in requests:
                items = json.dumps({"features": [place(1)]})
                body = json.dumps({"collections": listed}) if request.url.endswith("/collections") else items
                found.append(Response(200, request.url, body.encode()))
            return tuple(found)

    named = Named([])
    assert [s.name for s in discover(named.connector(), named).streams] == ["voirie_reseaux", "voirie_reseaux_2", "c_2026"]
    chosen = named.connector(streams={"rues": {"collection": "voirie-reseaux"}})
    assert [s.name for s in discover(chosen, named).streams] == ["rues"]


def test_a_stream_that_the_server_does_not_have_is_said(server: Simulated) -> None:
    with pytest.raises(SettingsError, match="lieux"):
        discover(server.connector(streams=["gone"]), server)


def test_a_missing_declaration_of_conformance_is_a_remark(server: Simulated) -> None:
    assert len(converse(server.connector().check(), server)[1].remarks) == 1


def test_an_html_page_is_never_quoted(server: Simulated) -> None:
    class Html(Simulated):
        def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
            return tuple(Response(200, request.url, b"<h1>admin:hunter2</h1>") for request in requests)

    html = Html([])
    with pytest.raises(Malformed) as refusal:
        converse(html.connector().check(), html)
    assert "hunter2" not in str(refusal.value)
    with pytest.raises(NotFound) as refused:
        discover(server.connector(url="https://city.example/lost"), server)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"limit": 0}, "connections.city.limit"),
        ({"limit": "many"}, "connections.city.limit"),
        ({"streams": {"lieux": {"cursors": "maj"}}}, "connections.city.streams.lieux.cursors"),
        ({"streams": {"lieux": {"filter": "xpath"}}}, "connections.city.streams.lieux.filter"),
        ({"streams": {"lieux": {"types": {"maj": "when"}}}}, "connections.city.streams.lieux.types.maj"),
        ({"pages": 3}, "connections.city.pages"),
    ],
)
def test_a_wrong_setting_is_named(server: Simulated, settings: dict[str, object], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        server.connector(**settings)
    assert refusal.value.fields["field"] == field
