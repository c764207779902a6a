"""Shapes that real interfaces have: each is declared in ten lines at most, and every record comes, once, as it was written."""

from collections.abc import Callable
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest

from saas_connectors.conformance.driver import converse, read
from saas_connectors.connector import Json, ReadPlan
from saas_connectors.errors import Malformed, SettingsError
from saas_connectors.registry import make
from saas_connectors.request import Headers, Request, Response
from tests.servers.declared import NOW, URL, connect

ROWS = [{"id": n, "nom": f"Saint-Étienne {n}"} for n in range(1, 24)]


def giving(body: bytes, kind: str = "application/json") -> Callable[[Request], Response]:
    return lambda request: Response(200, request.full_url, body, Headers((("Content-Type", kind),)))


def pulled(vendor: Callable[[Request], Response], **stream: Json) -> list[dict[str, Json]]:
    connector = connect(**stream)
    plan = ReadPlan(converse(connector.discover(), vendor).streams, {}, {}, NOW)
    reads = [read(connector, plan, part, None, vendor) for part in converse(connector.slices(plan), vendor)]
    return [row for one in reads for page in one.pages for row in page.records.to_pylist()]


LINES = b"\n".join(map(orjson.dumps, ROWS))
TABLE = "id;nom\r\n" + "".join(f'{row["id"]};"{row["nom"]}"\r\n' for row in ROWS)


@pytest.mark.parametrize(
    ("body", "kind", "settings"),
    [
        (orjson.dumps(ROWS), "application/json", {}),
        (b"\xef\xbb\xbf" + orjson.dumps({"a": {"b": {"c": ROWS}}}), "application/json; charset=utf-8", {}),
        (orjson.dumps({"data": ROWS}).decode().encode("latin-1"), "application/json; charset=ISO-8859-1", {}),
        (LINES, "application/x-ndjson", {}),
        (LINES + b"\n\n", "text/plain", {"format": "jsonl"}),
        (TABLE.encode(), "text/csv; charset=utf-8", {"types": {"id": "int"}}),
        (TABLE.replace(";", ",").encode("utf-8-sig"), "text/csv", {"types": {"id": "int"}}),
        (TABLE.replace(";", "\t").encode("cp1252"), "text/csv; charset=windows-1252", {"types": {"id": "int"}}),
        (orjson.dumps({str(row["id"]): {"nom": row["nom"]} for row in ROWS}), "application/json",
         {"keyed": "id", "types": {"id": "int"}}),
        (orjson.dumps({"data": {"x": {str(row["id"]): row for row in ROWS}}, "n": 1}), "application/json",
         {"keyed": "id", "records": "data.x", "types": {"id": "int"}}),
    ],
    ids=["bare", "nested, BOM", "latin-1", "lines", "declared", "csv ;", "csv , BOM", "csv tab cp1252", "keyed", "keyed deep"],
)  # fmt: skip
def test_every_form_gives_the_same_records(body: bytes, kind: str, settings: dict[str, Json]) -> None:
    assert pulled(giving(body, kind), **settings) == ROWS


@pytest.mark.parametrize(
    ("body", "kind", "settings", "said"),
    [
        (b"id;nom\n1;a;b\n", "text/csv", {}, "line 2"),
        (b"id;id\n1;2\n", "text/csv", {}, "titles"),
        (b'id;nom\n1;"a"b\n', "text/csv", {}, "line 2"),
        (TABLE.encode("latin-1"), "text/csv", {}, "charset"),
        (orjson.dumps(ROWS).decode().encode("latin-1"), "application/json; charset=klingon", {}, "klingon"),
        (orjson.dumps({"1": {"a": 1}, "2": {"a": 2}}), "application/json", {}, "keyed"),
        (orjson.dumps({"data": {"1": {"a": 1}, "2": {"a": 2}}}), "application/json", {}, "records = `data`"),
        (orjson.dumps({"data": [1]}), "application/json", {"records": "data", "keyed": "id"}, "keyed = `id`"),
        (b'{"id":1}\n{"id":\n', "application/jsonl", {}, "whole JSON"),
    ],
)
def test_a_form_that_cannot_be_read_is_said_without_its_content(
    body: bytes, kind: str, settings: dict[str, Json], said: str
) -> None:
    with pytest.raises(Malformed) as refusal:
        pulled(giving(body, kind), **settings)
    assert said in str(refusal.value)
    assert "Étienne" not in str(refusal.value)


def test_an_empty_csv_and_empty_lines_hold_no_record() -> None:
    assert pulled(giving(b"id;nom\n", "text/csv")) == []
    assert pulled(giving(b"", "application/x-ndjson")) == []


def test_pages_that_shrink_on_the_way_lose_nothing() -> None:
    def vendor(request: Request) -> Response:
        asked = {name: int(values[0]) for name, values in parse_qs(urlsplit(request.full_url).query).items()}
        start = asked.get("offset", 0)
        size = 10 if start < 10 else 4
        page = {"items": ROWS[start : start + size], "offset": start, "limit": size, "total": len(ROWS)}
        return Response(200, request.full_url, orjson.dumps(page))

    assert sorted(row["id"] for row in pulled(vendor)) == list(range(1, 24))


def test_windows_written_in_epoch_seconds_and_in_iso_come_to_the_same() -> None:
    def vendor(request: Request) -> Response:
        low, high = (value for _, value in request.params)
        start, end = (int(v) if v.isdigit() else datetime.fromisoformat(v).timestamp() for v in (low, high))
        day = NOW - timedelta(days=30)
        rows = [{"id": n, "at": int((day + timedelta(days=n)).timestamp())} for n in range(30)]
        return Response(200, URL, orjson.dumps({"rows": [row for row in rows if start <= row["at"] < end]}))

    paging = {"kind": "windows", "since": "from", "until": "to", "start": "2026-10-01", "width": "7 days"}
    for template in ("{%s}", "{%Y-%m-%dT%H:%M:%SZ}"):
        rows = pulled(vendor, records="rows", paging=paging | {"template": template})
        assert sorted({row["id"] for row in rows}) == list(range(30)), template


@pytest.mark.parametrize(
    ("stream", "field"),
    [
        ({"paging": {"kind": "windows", "since": "a", "until": "b", "width": -5}}, "paging.width"),
        ({"paging": {"kind": "windows", "since": "a", "until": "b", "cap": 0}}, "paging.cap"),
        ({"cursor": "at", "lookback": "999999999999 weeks"}, "lookback"),
        ({"format": "xlsx"}, "format"),
    ],
)
def test_a_number_or_form_that_cannot_be_is_named(stream: dict[str, Json], field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        connect(**stream)
    assert refusal.value.fields["field"] == f"connections.town.streams.people.{field}"


def test_a_line_of_toml_less_finds_the_form_by_itself() -> None:
    connector = make("rest", "town", {"url": URL, "streams": {"people": {"path": "/x", "primary_key": ["id"]}}})
    (stream,) = converse(connector.discover(), giving(LINES, "application/x-ndjson")).streams
    assert stream.schema.names == ["id", "nom"]
