"""Files made to harm, and files that only look whole: each is refused before it costs anything, without a value shown."""

import gzip
import io
import struct
import zipfile
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from saas_connectors.connector import Json
from saas_connectors.errors import ConnectorError, SettingsError
from saas_connectors.formats import of
from saas_connectors.formats.cells import Unsettled
from saas_connectors.formats.columns import declared
from saas_connectors.formats.format import LIMITS, Limits, Reading, Rejected, Truncated, Unreadable
from saas_connectors.formats.wrapping import archive, unwrapped, zipped

CANARY = "Canari-7d1f02"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def rows(name: str, body: bytes, **options: Json) -> list[dict[str, Json]]:
    found: list[dict[str, Json]] = of(name).columns(body, Reading(options=options)).records.to_pylist()
    return found


def aside(name: str, body: bytes, **options: Json) -> list[tuple[int, str]]:
    found = of(name).rows(body, Reading(options=options))
    return [(row.line, row.reason) for row in found if isinstance(row, Rejected)]


def rezipped(body: bytes, changed: Mapping[str, bytes]) -> bytes:
    """A workbook with some of its parts replaced."""
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as old, zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, changed.get(entry.filename, old.read(entry)))
    return sink.getvalue()


def sheet(cells: str) -> bytes:
    made = f'<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData></worksheet>'.encode()
    return rezipped(of("xlsx").write(["a"], [{"a": 1}]), {"xl/worksheets/sheet1.xml": made})


def table(lines: str) -> bytes:
    old = of("ods").write(["a"], [{"a": 1}])
    with zipfile.ZipFile(io.BytesIO(old)) as held:
        content = held.read("content.xml").decode()
    start, end = content.index("<table:table-row>"), content.index("</table:table>")
    return rezipped(old, {"content.xml": (content[:start] + lines + content[end:]).encode()})


FULL = '<table:table-cell office:value-type="float" office:value="1" table:number-columns-repeated="16384"/>'


@pytest.mark.parametrize(
    ("name", "body"),
    [
        pytest.param("xlsx", sheet('<row r="1"><c r="A1"><v>1</v></c><c r="XFD1048576"><v>1</v></c></row>'), id="far-cell"),
        pytest.param("xlsx", sheet('<row r="1"><c r="&#88;FD1048576"><v>1</v></c></row>'), id="far-cell-as-a-reference"),
        pytest.param("xlsx", sheet('<row r="1048576">' + "<c><v>1</v></c>" * 16 + "</row>"), id="far-row-without-places"),
        pytest.param("ods", table(f'<table:table-row table:number-rows-repeated="1048576">{FULL}</table:table-row>'), id="ods"),
    ],
)
def test_a_sheet_that_would_be_laid_out_beyond_the_limit_is_refused_before_it_is(name: str, body: bytes) -> None:
    with pytest.raises(Unreadable, match="10000000 cells"):
        of(name).columns(body, Reading())


def test_a_sheet_whose_dimension_lies_is_read_by_its_cells() -> None:
    made = (
        f'<worksheet xmlns="{MAIN}"><dimension ref="A1:XFD1048576"/><sheetData><row r="1"><c r="A1" t="str"><v>a</v></c></row>'
    )
    body = sheet("")
    body = rezipped(
        body, {"xl/worksheets/sheet1.xml": f'{made}<row r="2"><c r="A2"><v>7</v></c></row></sheetData></worksheet>'.encode()}
    )
    assert rows("xlsx", body) == [{"a": 7}]


def test_a_workbook_with_a_dtd_or_in_another_encoding_is_refused() -> None:
    dtd = b'<!DOCTYPE w [<!ENTITY a "b">]><worksheet xmlns="%s"><sheetData/></worksheet>' % MAIN.encode()
    wide = f'<?xml version="1.0" encoding="UTF-16"?><worksheet xmlns="{MAIN}"><sheetData/></worksheet>'.encode()
    for part in (dtd, wide):
        with pytest.raises(Unreadable):
            of("xlsx").columns(rezipped(sheet(""), {"xl/worksheets/sheet1.xml": part}), Reading())


@pytest.mark.parametrize("other", ["content.xml", "xl/workbook.bin", "XL\\Workbook.bin"])
def test_a_workbook_that_could_be_opened_as_another_format_is_refused(other: str) -> None:
    sink = io.BytesIO(sheet('<row r="1"><c r="A1"><v>1</v></c></row>'))
    with zipfile.ZipFile(sink, "a") as held:
        held.writestr(other, "x")
    with pytest.raises(Unreadable, match="this format"):
        of("xlsx").columns(sink.getvalue(), Reading())
    for name, body in (("xlsx", of("ods").write(["a"], [])), ("ods", of("xlsx").write(["a"], []))):
        with pytest.raises(Unreadable, match="this format"):
            of(name).columns(body, Reading())


def test_a_part_in_another_encoding_is_not_passed_over() -> None:
    far = f'<worksheet xmlns="{MAIN}"><sheetData><row r="1"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        with pytest.raises(Unreadable, match="UTF-8"):
            of("xlsx").columns(rezipped(sheet(""), {"xl/worksheets/sheet1.xml": far.encode(encoding)}), Reading())


def test_a_workbook_of_two_sheets_says_which_setting_decides() -> None:
    with pytest.raises(Unreadable, match="no sheet"):
        rows("xlsx", of("xlsx").write(["a"], [{"a": 1}]), sheet="Autre")
    with pytest.raises(Unreadable, match="locked"):
        rows("xlsx", b"\xd0\xcf\x11\xe0" + bytes(100))


def test_text_in_a_workbook_is_never_a_formula_and_large_numbers_are_not_rounded() -> None:
    held = [{"a": "=1+1", "b": 12345678901234567}]
    for name in ("xlsx", "ods"):
        body = of(name).write(["a", "b"], held)
        assert rows(name, body) == [{"a": "=1+1", "b": "12345678901234567"}]
        with zipfile.ZipFile(io.BytesIO(body)) as parts:
            assert not any(b"<f>" in parts.read(part) or b"formula" in parts.read(part) for part in parts.namelist())


XML = "<agents><agent><nom>{}</nom></agent></agents>"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param('<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>' + XML.format("&b;"), id="laughs"),
        pytest.param('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + XML.format("&x;"), id="external"),
        pytest.param('<!DOCTYPE agents SYSTEM "http://other.example/a.dtd">' + XML.format("a"), id="dtd"),
        pytest.param(XML.format("&nothing;"), id="unknown-entity"),
        pytest.param("<agents><agent>" + "<a>" * 300 + "</a>" * 300 + "</agent></agents>", id="deep"),
        pytest.param("<others/>", id="another-root"),
    ],
)
def test_xml_made_to_harm_is_refused_without_a_word_of_it(body: str) -> None:
    with pytest.raises(Unreadable) as refusal:
        rows("xml", body.encode(), rows="agents/agent")
    assert not isinstance(refusal.value, Truncated)
    assert "passwd" not in str(refusal.value)


def test_xml_rows_are_elements_at_a_path_with_what_they_hold() -> None:
    body = b'<a:agents xmlns:a="urn:a"><lot>'
    body += b'<agent id="1"><nom>Zo\xc3\xa9</nom><tel>1</tel><tel>2</tel></agent><agent/></lot></a:agents>'
    assert rows("xml", body, rows="agents/lot/agent") == [
        {"@id": "1", "nom": "Zoé", "tel": ["1", "2"], "agent": None},
        {"@id": None, "nom": None, "tel": None, "agent": None},
    ]


def bomb(ratio: int) -> bytes:
    return zipped("a.csv", b"a;b\n" + b"0" * (ratio << 20))


def test_an_archive_that_swells_is_refused_by_its_directory() -> None:
    with pytest.raises(Unreadable, match="200 times"):
        archive(bomb(8), LIMITS)
    with pytest.raises(Unreadable, match="bytes once unpacked"):
        archive(zipped("a", b"0" * 2000), Limits(unpacked=1000))
    with pytest.raises(Unreadable, match="once unpacked"):
        list(unwrapped(gzip.compress(bytes(8 << 20)), "a.csv.gz", None, LIMITS))


def test_an_archive_whose_directory_lies_about_a_size_is_refused() -> None:
    body = bytearray(zipped("a.csv", b"a;b\n" + b"1;2\n" * 1000))
    at = body.index(b"PK\x01\x02")
    struct.pack_into("<I", body, at + 24, 100)
    with pytest.raises(ConnectorError):
        list(unwrapped(bytes(body), "a.zip", None, LIMITS))


def test_an_archive_whose_entries_share_their_bytes_is_refused() -> None:
    body = bytearray(zipped("a.csv", b"a;b\n1;2\n"))
    directory = body.index(b"PK\x01\x02")
    entry = bytes(body[directory : body.index(b"PK\x05\x06")])
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(entry), directory, 0)
    with pytest.raises(Unreadable, match="contradicts"):
        archive(bytes(body[:directory]) + entry + entry.replace(b"a.csv", b"b.csv") + end, LIMITS)


def test_an_archive_in_an_archive_is_not_opened_and_names_are_never_paths() -> None:
    with pytest.raises(Unreadable, match="holds another"):
        list(unwrapped(zipped("b.zip", zipped("c.csv", b"a")), "a.zip", None, LIMITS))
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        made.writestr("../../etc/agents.csv", "a;b\n")
        made.writestr("__MACOSX/._agents.csv", "x")
        made.writestr("dir/", "")
    assert list(unwrapped(sink.getvalue(), "a.zip", None, LIMITS)) == [("agents.csv", b"a;b\n")]


def test_an_archive_of_several_files_says_which_setting_decides() -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as made:
        made.writestr("a.csv", "a")
        made.writestr("b.csv", "b")
    for inside in (None, "c.csv"):
        with pytest.raises(Unsettled, match="inside"):
            list(unwrapped(sink.getvalue(), "a.zip", inside, LIMITS))
    assert list(unwrapped(sink.getvalue(), "a.zip", "b*", LIMITS)) == [("b.csv", b"b")]
    with pytest.raises(Unreadable, match="1 files"):
        archive(sink.getvalue(), Limits(entries=1))


def test_parquet_that_spreads_a_text_over_millions_of_rows_is_refused() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int32()), pa.array(["x" * 100_000]))
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": column}), sink)
    assert len(sink.getvalue()) < 1 << 20
    with pytest.raises(Unreadable, match="what a file may hold"):
        rows("parquet", sink.getvalue())


def test_parquet_of_more_rows_than_allowed_is_refused_by_what_it_says() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"a": pa.array([None] * 1000, pa.int8())}), sink)
    with pytest.raises(Unreadable, match="may hold"):
        of("parquet").columns(sink.getvalue(), Reading(limits=Limits(rows=999)))


@pytest.mark.parametrize(
    ("name", "body", "options"),
    [
        pytest.param("csv", b"a;b\n1;2\n3", {}, id="csv-last-line"),
        pytest.param("csv", b'a;b\n1;2\n3;"4\n', {}, id="csv-quote"),
        pytest.param("csv", b"", {}, id="csv-nothing"),
        pytest.param("csv", b"a;b\n1;2\nFIN;2\n", {"trailer": "FIN;{count}"}, id="csv-trailer-counts-otherwise"),
        pytest.param("csv", b"a;b\n1;2\n", {"trailer": "FIN;{count}"}, id="csv-without-trailer"),
        pytest.param("csv", "a;b\n1;2\n".encode("utf-16")[:-1], {}, id="utf-16"),
        pytest.param("fixed", b"aabb\r\naab", {"widths": {"a": 2, "b": 2}}, id="fixed"),
        pytest.param("json", b'[{"a": 1}, {"a"', {}, id="json"),
        pytest.param("jsonl", b'{"a": 1}\n{"a"', {}, id="jsonl"),
        pytest.param("xml", b"<r><p><a>1</a></p><p>", {"rows": "r/p"}, id="xml"),
        pytest.param("xlsx", of("xlsx").write(["a"], [{"a": 1}])[:-40], {}, id="xlsx"),
        pytest.param("parquet", of("parquet").write(["a"], [{"a": 1}])[:-9], {}, id="parquet"),
    ],
)
def test_a_file_that_was_cut_is_told_from_one_that_is_wrong(name: str, body: bytes, options: dict[str, Json]) -> None:
    with pytest.raises(Truncated):
        of(name).columns(body, Reading(options=options))


def test_each_row_that_is_not_one_is_named_by_its_line() -> None:
    body = b'a;b\n1;2\n3\n"4;5\n6;7\n8;9;10\na;b\n\xff\xfe;1\n11;12\n'
    expected = [(3, "columns"), (4, "quote"), (6, "columns"), (7, "titles"), (8, "undecodable")]
    assert expected == aside("csv", body, separator=";", encoding="utf-8")
    assert rows("csv", body, separator=";", encoding="utf-8") == [
        {"a": a, "b": b} for a, b in (("1", "2"), ("6", "7"), ("11", "12"))
    ]
    assert aside("fixed", b"aabb\naab\naabb\n", widths={"a": 2, "b": 2}) == [(2, "columns")]
    assert aside("jsonl", b'{"a":1}\n[1]\n{"a"\n{"a":2}\n') == [(2, "shape"), (3, "value")]
    assert aside("geojson", b'{"type":"FeatureCollection","features":[{"type":"Point"}]}') == [(1, "shape")]


def test_a_cell_over_several_lines_and_a_doubled_quote_are_kept_as_they_are() -> None:
    body = b'a;b\r\n"1\r\nsuite";"dit ""oui"""\r\n2;""\r\n'
    assert rows("csv", body) == [{"a": "1\r\nsuite", "b": 'dit "oui"'}, {"a": "2", "b": None}]


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        pytest.param("a;b\né;€\n".encode("cp1252"), None, id="cp1252-needs-no-setting-but-for-the-euro"),
        pytest.param("a;b\né;€\n".encode("utf-8-sig"), "same", id="a-mark"),
        pytest.param("a;b\né;€\n".encode("utf-16"), "same", id="a-wide-mark"),
        pytest.param("a;b\né;€\n".encode("utf-16-le"), None, id="wide-without-a-mark"),
        pytest.param("a;b\né;¤\n".encode("latin-1"), None, id="what-the-euro-of-latin-9-looks-like"),
    ],
)
def test_an_encoding_is_found_when_it_is_the_only_one_and_asked_for_otherwise(body: bytes, encoding: str | None) -> None:
    if encoding is None and b"\x80" not in body:
        with pytest.raises(Unsettled, match="encoding"):
            rows("csv", body)
    else:
        assert rows("csv", body) == [{"a": "é", "b": "€"}]


def test_a_separator_that_two_signs_could_be_is_asked_for() -> None:
    assert rows("csv", b"a;b\n1,5;2,5\n") == [{"a": "1,5", "b": "2,5"}]
    assert rows("csv", b"seule\n1\n2\n") == [{"seule": "1"}, {"seule": "2"}]
    for body in (b"a;b,c\n1;2,3\n", b"a;b\tc\n1\n2;3;4;5\n"):
        with pytest.raises(Unsettled, match="separator"):
            rows("csv", body)


def test_titles_that_cannot_be_told_apart_or_are_ours_are_refused() -> None:
    for titles in (b"a;a", b"a;;b", b"_key;b"):
        with pytest.raises(Unreadable):
            rows("csv", titles + b"\n" + b";".join([b"1"] * (titles.count(b";") + 1)) + b"\n")
    assert rows("csv", b"a;b;\n1;2;\n") == [{"a": "1", "b": "2"}]
    assert aside("csv", b"a;b;\n1;2;3\n4;5;\n") == [(2, "columns")]


def test_codes_that_look_like_numbers_stay_text_until_someone_says_otherwise() -> None:
    body = b"insee;siret;annee\n01004;12345678901234;2026\n2A004;00000000000000;2025\n"
    assert rows("csv", body)[0] == {"insee": "01004", "siret": "12345678901234", "annee": "2026"}
    typed = declared(of("csv").columns(body, Reading()), Reading({"insee": "int"}))
    assert [(each.line, each.reason, each.field) for each in typed.rejected] == [(3, "number", "insee")]


def test_a_file_of_which_nearly_all_is_wrong_is_refused_whole() -> None:
    with pytest.raises(Unreadable, match="too many"):
        rows("csv", b"a;b\n" + b"1\n" * 100_001, separator=";")
    with pytest.raises(Unreadable, match="too many quotes"):
        rows("csv", b"a;b\n" + b'"1"x;2\n' * 1_001, separator=";")


def test_csv_for_a_spreadsheet_runs_nothing() -> None:
    run = ["=cmd|'/c calc'!A0", "+1+1", "-1-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "\uff1d1"]
    cells = [*run, "-12,5", "+33123456789", "-1e5", "plain"]
    body = of("csv").write(["a", "=b"], [{"a": cell} for cell in cells]).decode()
    assert "'=b" in body.splitlines()[0]
    read = rows("csv", body.encode(), separator=",")
    assert [row["a"] for row in read] == [f"'{cell}" for cell in run] + cells[len(run) :]


def test_a_value_that_does_not_fit_its_column_is_refused_without_being_shown() -> None:
    options = Reading(options={"widths": {"a": 4}})
    assert of("fixed").write(["a"], [{"a": "ab"}, {"a": 12}], options) == b"ab  \r\n  12\r\n"
    with pytest.raises(Unreadable) as refusal:
        of("fixed").write(["a"], [{"a": CANARY}], options)
    assert CANARY not in str(refusal.value.fields)
    with pytest.raises(SettingsError):
        of("fixed").columns(b"a", Reading())
    with pytest.raises(Unreadable):
        of("geojson").write(["geometry"], [{"geometry": "POINT(1 2)"}])
