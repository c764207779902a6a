"""Against a real server: pygeoapi, its GeoJSON provider (which ignores `datetime`), its TinyDB provider (which does not)."""

from decimal import Decimal

from saas_connectors.connector import Checked
from tests.servers import pygeoapi
from tests.servers.pulls import converse, discover, plan_of, pull, resumed
from tests.unit.connectors_ogc.conftest import City


def test_the_server_is_recognised(city: City) -> None:
    assert converse(city.connector().check(), city.transport)[1] == Checked("OGC API Features (Ville de démonstration)")


def test_each_collection_is_a_stream_keyed_by_the_feature_id_and_personal_until_classified(city: City) -> None:
    streams = {stream.name: stream for stream in discover(city.connector(), city.transport).streams}
    assert set(streams) == {"arbres", "signalements", "travaux"}
    trees = streams["arbres"]
    assert (trees.primary_key, trees.title, trees.modes) == (("id",), "Arbres", ("full_refresh",))
    assert set(trees.classes.values()) == {"personal"}
    assert {field.name: str(field.type) for field in trees.schema} == {
        "id": "string",
        "geometry": "string",
        "properties_ID": "string",
        "essence": "string",
        "hauteur": "decimal128(38, 2)",
        "plantation": "string",
        "remarque": "string",
    }


def test_every_feature_comes_once_though_the_server_caps_its_pages_in_silence(city: City) -> None:
    pulled = pull(city.connector(streams=["arbres"]), city.transport)
    rows = pulled.rows("arbres")
    assert [row["id"] for row in rows] == [str(number) for number in range(pygeoapi.TREES)]
    assert rows[3]["properties_ID"] == "ARB-0003"
    assert rows[3]["hauteur"] == Decimal("8.25")
    assert rows[3]["geometry"] == '{"type":"Point","coordinates":[4.303,45.4]}'
    assert pulled.found("page_cap")[0].detail == {"asked": 1000, "given": pygeoapi.CAP}
    assert pulled.found("vendor_count")[0].detail == {"count": pygeoapi.TREES}


def test_a_filter_that_the_server_ignores_is_found_out_and_everything_is_read(city: City) -> None:
    connector = city.connector(streams={"arbres": {"cursor": "plantation"}})
    cursors = {"arbres": {"after": "2020-01-20T00:00:00+00:00"}}
    plan = plan_of(discover(connector, city.transport), mode="incremental", cursors=cursors)
    pulled = pull(connector, city.transport, plan)
    assert [(fact.check, fact.holds) for fact in pulled.found("filter_ignored")] == [("filter_ignored", None)]
    assert len(pulled.rows("arbres")) == pygeoapi.TREES
    assert pulled.cursors == {"arbres": {"after": "2020-01-28T00:00:00+00:00"}}


def test_a_filter_that_the_server_honours_gives_only_what_changed(city: City) -> None:
    connector = city.connector(streams={"signalements": {"cursor": "maj"}})
    catalog = discover(connector, city.transport)
    first = pull(connector, city.transport, plan_of(catalog))
    assert first.cursors == {"signalements": {"after": "2026-01-05T23:00:00+00:00"}}
    cursors = {"signalements": {"after": "2026-01-05T12:00:00+00:00"}}
    again = pull(connector, city.transport, plan_of(catalog, mode="incremental", cursors=cursors))
    assert again.found("filter_ignored") == []
    assert len(again.rows("signalements")) == 12
    assert again.cursors == first.cursors


def test_a_filter_language_that_the_server_does_not_speak_is_given_up(city: City) -> None:
    connector = city.connector(streams={"arbres": {"cursor": "plantation", "filter": "cql2"}})
    cursors = {"arbres": {"after": "2020-01-20T00:00:00+00:00"}}
    pulled = pull(connector, city.transport, plan_of(discover(connector, city.transport), mode="incremental", cursors=cursors))
    assert len(pulled.found("filter_ignored")) == 1
    assert len(pulled.rows("arbres")) == pygeoapi.TREES


def test_a_read_resumes_after_any_page(city: City) -> None:
    connector = city.connector(streams=["arbres"])
    plan = plan_of(discover(connector, city.transport))
    whole = pull(connector, city.transport, plan)
    for pages in (1, 2, 3):
        again = resumed(connector, city.transport, plan, pages)
        assert again.rows("arbres") == whole.rows("arbres")
        assert again.found("vendor_count") == whole.found("vendor_count")


def test_changes_of_the_collection_are_seen_by_the_next_full_read(city: City) -> None:
    connector = city.connector(streams=["arbres"])
    try:
        pygeoapi.write_arbres(city.folder, [pygeoapi.tree(number) for number in range(5, 160)])
        assert [row["id"] for row in pull(connector, city.transport).rows("arbres")] == [
            str(number) for number in range(5, 160)
        ]
    finally:
        pygeoapi.write_arbres(city.folder, [pygeoapi.tree(number) for number in range(pygeoapi.TREES)])
