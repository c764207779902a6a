"""A long file read block by block gives what it gives when it is held whole, or says that it has to be."""

import json
import random
from collections.abc import Callable, Mapping
from typing import Any, Final

import pyarrow as pa
import pytest

from saas_connectors.connector import Json
from saas_connectors.errors import ConnectorError
from saas_connectors.formats import flowing_json, flowing_lines, of
from saas_connectors.formats.cells import Unsettled
from saas_connectors.formats.columns import declared
from saas_connectors.formats.flowing import Again, Flowing, Whole, flows
from saas_connectors.formats.format import Reading, Truncated
from vault.content import Held

Told = tuple[Any, ...]
ROWS: Final = 400


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a kilobyte."""
    monkeypatch.setattr(flowing_lines, "BLOCK", 1000)
    monkeypatch.setattr(flowing_json, "_LUMP", 1000)


def held(name: str, body: bytes, reading: Reading) -> Told:
    try:
        table = declared(of(name).columns(body, reading), reading)
    except ConnectorError as fault:
        return type(fault), fault.fields
    return _said(table.records), sorted(map(repr, table.rejected))


def flown(name: str, body: bytes, reading: Reading) -> Told | None:
    begin = flows(name)
    assert begin
    flowing = Flowing(begin, Held(body), reading)
    try:
        try:
            tables = list(flowing.tables())
        except Again:
            flowing = Flowing(begin, Held(body), reading, sure=True)
            tables = list(flowing.tables())
    except Whole:
        return None
    except ConnectorError as fault:
        return type(fault), fault.fields
    assert len(tables) > 3, "it was read in blocks"
    return _said(pa.concat_tables(tables)), sorted(map(repr, flowing.rejected))


def _said(table: pa.Table) -> Told:
    return sorted((each.name, str(each.type)) for each in table.schema), table.select(sorted(table.column_names)).to_pylist()


def same(name: str, body: bytes, types: Mapping[str, str] = {}, **options: Json) -> Told:
    reading = Reading(types, options)
    whole, parts = held(name, body, reading), flown(name, body, reading)
    assert parts == whole
    return whole


def table(line: Callable[[int], str], head: str = "id;nom;montant;jour\n", rows: int = ROWS) -> str:
    return head + "".join(line(n) for n in range(rows))


def plain(n: int, nom: str = "Zoé", montant: str | None = None, jour: str | None = None, end: str = "\n") -> str:
    return f"{n};{nom} {n % 7};{montant or f'{n},{n % 10}'};{jour or f'{n % 28 + 1:02d}/{n % 12 + 1:02d}/2026'}{end}"


TYPES: Final = {"montant": "decimal(12,2)", "jour": "date"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_of_any_encoding_and_end_of_line(encoding: str, end: str) -> None:
    body = table(lambda n: plain(n, end=end), f"id;nom;montant;jour{end}").encode(encoding)
    assert len(same("csv", body, TYPES)[0][1]) == ROWS
    same("csv", body)


def test_csv_whose_settings_say_all() -> None:
    body = table(plain).encode("iso-8859-15")
    same("csv", body, TYPES, encoding="iso-8859-15", separator=";", decimal=",", dates="dd/mm/yyyy")
    same("csv", b"Export du jour\nde la paie\n" + body, TYPES, encoding="iso-8859-15", skip=2)
    same("csv", table(plain, "").encode(), columns=["id", "nom", "montant", "jour"])


def test_rows_that_do_not_fit_are_set_aside_by_their_line() -> None:
    def line(n: int) -> str:
        odd = {17: "17;trop;de;cellules;ici\n", 101: plain(101, jour="31/02/2026"), 250: plain(250, montant="xx"), 300: "\n"}
        return odd.get(n, "id;nom;montant;jour\n" if n == 350 else plain(n))

    _, rejected = same("csv", table(line).encode(), TYPES)
    assert len(rejected) == 4


def test_quotes_around_cells_with_lines_and_separators_inside() -> None:
    def line(n: int) -> str:
        return plain(n).replace(f"Zoé {n % 7}", '"a ""b"";\n c' + "x" * (n % 40) + '"') if n % 3 else plain(n)

    same("csv", table(line).encode(), TYPES)
    same("csv", table(lambda n: ";".join(f'"{each}"' for each in plain(n).strip().split(";")) + "\r\n").encode(), TYPES)
    faulty = table(lambda n: '"trop";peu\n' if n == 200 else line(n))
    _, rejected = same("csv", faulty.encode(), TYPES)
    assert len(rejected) == 1


def test_a_quote_out_of_its_place_has_the_file_held_whole() -> None:
    reading = Reading(TYPES)
    for stray in ('5" de tuyau', '"ouvert', 'a"b"c'):
        body = table(lambda n, stray=stray: plain(n, nom=stray if n == 200 else "Zoé")).encode()  # type: ignore[misc] # a default
        assert flown("csv", body, reading) in (None, held("csv", body, reading))


@pytest.mark.parametrize(
    ("body", "options"),
    [
        (table(plain) + "12;coup", {}),
        (table(plain) + "FIN 400\n", {"trailer": "FIN {count}"}),
        (table(plain) + "FIN 399\n", {"trailer": "FIN {count}"}),
        (table(plain), {"trailer": "FIN {count}"}),
        (table(plain) + "\n\n   \n", {}),
        (table(plain).rstrip("\n"), {}),
        (table(lambda n: plain(n)[:-1] + ";\n", "id;nom;montant;jour;\n"), {}),
        (table(lambda n: plain(n, nom="é" if n > 390 else "e")), {}),
    ],
)
def test_what_the_end_shows(body: str, options: dict[str, Any]) -> None:
    same("csv", body.encode(), TYPES, **options)
    same("csv", body.encode("cp1252"), TYPES, **options)


def test_a_file_that_is_cut_says_so() -> None:
    assert same("csv", (table(plain) + "12;coup").encode())[0] is Truncated
    assert same("jsonl", b'{"a": 1}\n' * 1000 + b'{"a": ')[0] is Truncated
    assert same("json", b"[" + b'{"a": 1},' * 1000 + b'{"a": 1}')[0] is Truncated
    assert same("fixed", b"abcdef\n" * 1000 + b"ab", widths={"a": 3, "b": 3})[0] is Truncated


def test_what_can_be_read_in_two_ways_is_settled_by_all_of_its_cells() -> None:
    ambiguous = table(lambda n: plain(n, montant="1,234", jour="03/04/2026")).encode()
    assert same("csv", ambiguous, {"jour": "date"})[0] is Unsettled
    assert same("csv", ambiguous, {"montant": "decimal(12,3)"})[0] is Unsettled
    late = table(lambda n: plain(n, montant="1,234" if n < 399 else "1,5", jour="03/04/2026" if n < 399 else "13/04/2026"))
    assert len(same("csv", late.encode(), {"jour": "date", "montant": "decimal(12,3)"})[0][1]) == ROWS
    instants = table(lambda n: plain(n, jour=f"{n % 28 + 1:02d}/03/2026 12:{n % 60:02d}"))
    same("csv", instants.encode(), {"jour": "timestamp", "montant": "double"})


@pytest.mark.parametrize("seed", range(12))
def test_columns_of_odd_cells_are_settled_alike(seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - cells to try
    days = ["03/04/2026", "13/04/2026", "04/13/2026", "2026-04-03", "20260403", "03042026", "3.4.2026", "x", "", "31/02/2026"]
    amounts = ["1,234", "1.234", "12", "1 234,5", "1.234,5", "1,234.5", "-3,10", "abc", "", "1e3"]
    some, others = chance.sample(days, 3), chance.sample(amounts, 3)
    body = table(lambda n: plain(n, montant=chance.choice(others) or " ", jour=chance.choice(some) or " ")).encode()
    same("csv", body, {"jour": chance.choice(["date", "timestamp"]), "montant": chance.choice(["decimal(12,3)", "double"])})


def test_fixed_width() -> None:
    body = "".join(f"{n:06d}{'Zoé':10}{n % 28 + 1:02d}/{n % 12 + 1:02d}/2026\n" for n in range(ROWS))
    widths = {"id": 6, "nom": 10, "jour": 10}
    same("fixed", body.encode(), {"jour": "date"}, widths=widths)
    same("fixed", body.encode("cp1252") + b"trop court\n" + b"000001Zo\xe9       03/04/2026\n", {"jour": "date"}, widths=widths)


def rows_of_json(n: int) -> dict[str, Any]:
    row: dict[str, Any] = {"id": n, "nom": f"Zoé {n}", "x": n if n < 300 else n + 0.5, "liste": [{"a": n}, {"b": {"c": "é"}}]}
    if n % 50 == 7:
        row["rare"] = {"n": n}
    if n == 390:
        row["id"] = "391"
    return row


@pytest.mark.parametrize("name", ["json", "jsonl"])
def test_json_whose_types_are_known_at_its_end_only(name: str) -> None:
    rows = [json.dumps(rows_of_json(n), ensure_ascii=n % 2 == 0) for n in range(ROWS)]
    rows[100:100] = ["[1]", "null"]
    body = "[\n" + ",\n ".join(rows) + "]\n" if name == "json" else "\n".join(rows) + "\n"
    _, rejected = same(name, body.encode(), {"rare": "json"})
    assert len(rejected) == 2
    same(name, body.encode(), {"id": "int"})
    _, rejected = same(name, body.encode(), {"x": "int"})
    assert len(rejected) == ROWS - 300 + 2, "a number with decimals sets aside its own row alone"


@pytest.mark.parametrize("end", [b'{"error": "x"}', b"]]", b"], 1", b",]", b',{"id": "\xff"}]', b""])
def test_an_array_that_anything_but_its_end_follows_is_refused(end: bytes) -> None:
    body = b"[" + b",".join(b'{"id": %d}' % n for n in range(ROWS)) + end
    assert issubclass(same("json", body)[0], ConnectorError)
