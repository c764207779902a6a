"""Files made to harm."""

import time

import pytest

from saas_connectors.errors import Malformed
from tests.unit.connectors_decp.conftest import Published, marche

LAUGHS = (
    "<!DOCTYPE marches [<!ENTITY a0 'lol'>" + "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12)) + "]>"
)


@pytest.mark.parametrize(
    "content",
    [
        LAUGHS + "<marches><marche><id>&a11;</id></marche></marches>",
        LAUGHS + "<marches name='&a11;'/>",
        "<!DOCTYPE marches [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><marches><marche><id>&x;</id></marche></marches>",
        "<!DOCTYPE marches SYSTEM 'http://127.0.0.1:9/marches.dtd'><marches/>",
        "<!DOCTYPE marches [<!ENTITY % x SYSTEM 'http://127.0.0.1:9/x'> %x;]><marches/>",
        "<marches>" + "<x>" * 100_000 + "</x>" * 100_000 + "</marches>",
        "<marches><marche>" + "x" * 11_000_000 + "</marche></marches>",
        "<marches><marche><id>1</id>",
        "<html><marches><marche/></marches></html>",
        "<marches xmlns='urn:other'/>",
    ],
    ids=["laughs", "attribute", "file", "external", "parameter", "deep", "long", "cut", "root", "namespace"],
)
def test_a_hostile_xml_file_is_refused_quickly_and_never_quoted(published: Published, content: str) -> None:
    published.text("a.xml", content)
    start = time.thread_time()
    with pytest.raises(Malformed) as refusal:
        published.pull()
    assert time.thread_time() - start < 5
    assert refusal.value.__cause__ is None
    assert not any(word in str(refusal.value) for word in ("passwd", "127.0.0.1", "lol", "xxx"))


def test_an_unknown_entity_is_not_well_formed(published: Published) -> None:
    published.text("a.xml", "<marches><marche><id>&x;</id></marche></marches>")
    with pytest.raises(Malformed):
        published.pull()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "3",
        '{"marches": []}',
        '{"marches": {}}',
        '{"marches": {"marche": {}}}',
        '{"other": 1}',
        '{"marches": {"marche": [',
        '{"marches": {"marche": ' + "[" * 100_000,
        "<h1>Maintenance</h1>",
    ],
)
def test_what_is_not_decp_is_refused(published: Published, content: str) -> None:
    published.text("a.json", content)
    with pytest.raises(Malformed):
        published.pull()


def test_a_record_nested_beyond_reason_is_set_aside(published: Published) -> None:
    deep = "[" * 5000 + "]" * 5000
    published.json("a.json", marche())
    body = (published.path / "a.json").read_text().replace('"marche": [', f'"marche": [{{"id": {deep}}},')
    published.text("a.json", body)
    try:
        pulled = published.pull()
    except Malformed:
        return
    assert [row["id"] for row in pulled.rows("marches")] == ["2026-001"]


def test_a_byte_order_mark_is_no_obstacle(published: Published) -> None:
    published.json("a.json", marche())
    published.text("a.json", b"\xef\xbb\xbf" + (published.path / "a.json").read_bytes())
    assert len(published.pull().rows("marches")) == 1


def test_a_record_that_is_not_utf8_is_set_aside(published: Published) -> None:
    published.json("a.json", marche(), marche(id="b", objet="SOIN"))
    published.text("a.json", (published.path / "a.json").read_bytes().replace(b"SOIN", "Été".encode("latin-1")))
    pulled = published.pull()
    assert [row["id"] for row in pulled.rows("marches")] == ["2026-001"]
    assert pulled.found("invalid_records")[0].detail == {"count": 1, "rules": {"marche:json": 1}}
