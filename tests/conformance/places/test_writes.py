"""What `write_file` promises wherever files lie: once, whole, never over another's, and settled by reading."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.conformance.writing import run_writer
from saas_connectors.connector import Json
from saas_connectors.errors import BadPayload, Rejected, SettingsError
from saas_connectors.files.writing import FilesWriter, make
from saas_connectors.formats import FORMATS
from sovereign.gateway.vendor import Sent, converse
from tests.conformance.places.conftest import Served, signed
from tests.servers.seaweedfs import BUCKET
from tests.servers.wayout import channel
from tests.servers.webdav import webdav

ROWS = [{"matricule": "m1", "nom": "Éloïse; dite « Lo »", "le": "2026-11-29"}, {"matricule": "=2+3", "nom": None, "le": None}]
COLUMNS = ["matricule", "nom", "le"]


def writer(there: Served | None = None, **writes: Json) -> FilesWriter:
    """The writer of a connection, at a place that is already open."""
    made = make("echanges", {"url": "folder:somewhere", "writes": {"files": ["*.csv", "gone.*", "f.*"], **writes}})
    return made if there is None else replace(made, place=there.place)


def payload(name: str = "a.csv", **more: Json) -> dict[str, Json]:
    return {"name": name, "columns": COLUMNS, "rows": ROWS, **more}


def test_a_file_is_written_by_the_laws_of_writers(there: Served) -> None:
    run_writer(writer(there), "write_file", payload(), there.out.send)


def test_what_was_written_is_confirmed_and_asking_again_makes_no_double(there: Served) -> None:
    mine = writer(there)
    assert there.run(mine.probe("write_file", payload())).outcome == "did_not_happen"
    applied = there.run(mine.apply("write_file", payload()))
    assert there.run(mine.read_back("write_file", payload(), applied)).outcome == "confirmed"
    assert there.run(mine.probe("write_file", payload())).outcome == "landed"
    assert there.run(mine.apply("write_file", payload())).status == 200
    assert there.content("a.csv")[1].decode().splitlines()[1] == "m1,Éloïse; dite « Lo »,2026-11-29"
    assert list(there.listed()) == ["a.csv"]


def test_another_file_of_that_name_is_replaced_only_when_it_is_said(there: Served) -> None:
    there.put("a.csv", b"another's")
    mine = writer(there)
    with pytest.raises(Rejected) as refusal:
        there.run(mine.apply("write_file", payload()))
    assert (refusal.value.definitive, refusal.value.reason) == (True, "precondition")
    assert there.content("a.csv") == (200, b"another's")
    applied = there.run(mine.apply("write_file", payload(replace=True)))
    assert there.run(mine.read_back("write_file", payload(replace=True), applied)).outcome == "confirmed"
    there.put("a.csv", b"changed since")
    assert there.run(mine.read_back("write_file", payload(), applied)).outcome == "differs"


@pytest.mark.parametrize(
    "name",
    ["../a.csv", "sub/a.csv", ".a.csv", "a\\b.csv", "a.exe", "a\n.csv", " a.csv", "a\0.csv", "a:b.csv", "x" * 201 + ".csv"],
)
def test_a_name_that_is_no_name_or_that_the_settings_do_not_open_is_refused(name: str) -> None:
    with pytest.raises(BadPayload) as refusal:
        writer().entity("write_file", payload(name))
    assert refusal.value.fields["pointer"] == "/name"


@pytest.mark.parametrize(
    ("wrong", "pointer"),
    [
        ({"text": "both"}, "/rows"), ({"rows": None}, "/rows"), ({"columns": []}, "/columns"), ({"format": "exe"}, "/format"),
        ({"options": {"separator": ";;"}}, "/options/separator"), ({"options": {"path": "/etc"}}, "/options"),
        ({"other": 1}, ""),
    ],
)  # fmt: skip
def test_a_payload_that_does_not_fit_is_refused_by_its_place(wrong: dict[str, Json], pointer: str) -> None:
    with pytest.raises(BadPayload) as refusal:
        writer().apply("write_file", payload(**wrong))
    assert refusal.value.fields["pointer"] == pointer


@pytest.mark.parametrize(
    ("writes", "field"),
    [
        ([], "files"), ({"files": ["a/b.csv"]}, "files"), ({"files": ["*"]}, "files"),
        ({"files": ["a"], "format": "exe"}, "format"),
        ({"files": ["a"], "class": "public"}, "class"), ({"files": ["a"], "options": {"decimal": "x"}}, "options.decimal"),
        ({"files": ["a"], "types": {"le": "jour"}}, "types.le"), ({"files": ["a"], "folder": "x"}, "folder"), (3, "files"),
    ],
)  # fmt: skip
def test_a_wrong_setting_is_named(writes: Json, field: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        make("echanges", {"url": "folder:x", "writes": writes})
    assert refusal.value.fields["field"] == f"connections.echanges.writes.{field}"


def test_nothing_is_written_where_the_settings_do_not_say_so() -> None:
    assert make("echanges", {"url": "folder:x"}).operations() == ()


def test_a_file_is_written_as_its_reader_wants_it_and_what_is_said_of_its_class_holds() -> None:
    mine = writer(options={"separator": ";", "encoding": "cp1252", "dates": "dd/mm/yyyy"}, types={"le": "date"})
    assert mine._body("write_file", payload()).decode("cp1252").splitlines()[:2] == [
        "matricule;nom;le", 'm1;"Éloïse; dite « Lo »";29/11/2026',
    ]  # fmt: skip
    assert mine._body("write_file", {"name": "a.csv", "text": "é"}) == "é".encode("cp1252")
    assert mine.classes("write_file", payload()) == {"personal"}
    assert writer(**{"class": "sensitive"}).classes("write_file", payload()) == {"sensitive"}
    with pytest.raises(BadPayload) as refusal:
        mine.apply("write_file", payload(rows=[{"le": "demain"}]))
    assert refusal.value.fields["pointer"] == "/rows/0/le"


def test_a_spreadsheet_runs_nothing_of_what_is_written() -> None:
    assert "=2+3" not in writer()._body("write_file", payload()).decode().splitlines()[2].split(",")[:1]


@pytest.mark.parametrize("kind", sorted(FORMATS))
def test_the_same_payload_gives_the_same_bytes_in_every_format(kind: str) -> None:
    told: Mapping[str, Any] = {"options": {"widths": dict.fromkeys(COLUMNS, 30)}} if kind == "fixed" else {}
    asked = payload(f"f.{kind}", format=kind, **told)
    assert writer()._body("write_file", asked) == writer()._body("write_file", asked)


@pytest.mark.parametrize("kind", ["webdav", "s3", "https"])
def test_the_gateway_s_own_channel_writes_there_with_one_request_that_writes(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with ExitStack() as stack:
        if kind == "s3":
            url = f"{request.getfixturevalue('store').url}/{BUCKET}/{tmp_path.name}/"
        else:
            url = stack.enter_context(webdav(tmp_path))
        place = {"kind": "https", "files": ["é b.csv"]} if kind == "https" else kind
        mine = make("echanges", {"url": url, "place": place, "writes": ["*.csv"]})

        async def write(asked: Json) -> tuple[int, str, int | None]:
            async with channel(url, signed() if kind == "s3" else None) as out:
                sent = Sent()
                applied = await converse(mine.apply("write_file", asked), out.send, sent)
                back = await converse(mine.read_back("write_file", asked, applied), out.send)
                return applied.status, back.outcome, sent.status

        status, outcome, sent = asyncio.run(write(payload("é b.csv")))
        assert (200 <= status < 300, outcome, sent) == (True, "confirmed", status)
        again = asyncio.run(write(payload("é b.csv")))
        assert again[:2] == (200, "confirmed")
        with pytest.raises(Rejected):
            asyncio.run(write(payload("é b.csv", rows=[])))
