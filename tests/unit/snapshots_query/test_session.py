"""What a session answers, what it says when it cannot, and how it is stopped."""

import threading
import time
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from snapshots.engine import Session
from snapshots.refusals import BadParameters, BadQuery, BadValue, Cancelled, QueryFault, TimedOut, UnknownName

Town: TypeAlias = Any  # the class is in conftest.py
Parameters: TypeAlias = Any
Visits = Callable[..., pa.Table]
ENDLESS = "SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) % 1000003 = 5"
LONG = "SELECT i, hash(i) AS h FROM range(1000000000000) t(i)"


def rows(session: Session, sql: str, parameters: Parameters = None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = session.execute(sql, parameters).reader.read_all().to_pylist()
    return found


def test_types_are_kept_and_instants_are_shown_in_the_session_s_zone(session: Session) -> None:
    result = session.execute("SELECT spent, seen, date_trunc('day', seen) AS day FROM town.visits WHERE id = 23")
    assert result.columns == ("spent", "seen", "day")
    assert result.reader.schema.field("spent").type == pa.decimal128(12, 2)
    paris = ZoneInfo("Europe/Paris")
    assert result.reader.read_all().to_pylist() == [
        {
            "spent": Decimal("23.10"),
            "seen": datetime(2026, 1, 2, 0, tzinfo=paris),
            "day": datetime(2026, 1, 2, 0, tzinfo=paris),
        }
    ]


def test_parameters_are_bound_by_name_or_by_place_and_never_become_sql(session: Session) -> None:
    assert rows(session, "SELECT id FROM town.visits WHERE id = $id", {"id": 7}) == [{"id": 7}]
    assert rows(session, "SELECT id FROM town.visits WHERE id = ? AND place = ?", [7, "pool"]) == [{"id": 7}]
    assert rows(session, "SELECT id FROM town.visits WHERE place = ?", ["' OR 1=1 --"]) == []


@pytest.mark.parametrize("parameters", [None, [], [1, 2], {"x": 1}])
def test_parameters_that_do_not_match_are_a_fault(session: Session, parameters: Parameters) -> None:
    with pytest.raises(BadParameters):
        session.execute("SELECT id FROM town.visits WHERE id = $id", parameters)


def test_show_tables_lists_streams_with_the_columns_that_this_clearance_has(session: Session) -> None:
    expected = [{"connection": "town", "stream": "visits", "columns": ["id", "place", "spent", "seen"]}]
    for sql in ("SHOW TABLES", "SHOW ALL TABLES", "SHOW TABLES FROM town"):
        assert rows(session, sql) == expected
    assert rows(session, "SHOW TABLES FROM decp") == []


def test_each_column_says_its_class(session: Session) -> None:
    told = rows(session, "SELECT column_name, comment FROM duckdb_columns() WHERE schema_name = 'town'")
    assert {row["column_name"]: row["comment"] for row in told} == dict.fromkeys(("id", "place", "spent", "seen"), "internal")


def test_a_personal_column_and_one_that_never_existed_are_told_in_the_same_words(session: Session) -> None:
    said = []
    for name in ("illness", "ilnesss"):
        with pytest.raises(UnknownName) as unknown:
            session.execute(f"SELECT {name} FROM town.visits")  # noqa: S608 - a test
        said.append({language: str(unknown.value.diagnostics(language)).replace(name, "X") for language in ("fr", "en")})
    assert said[0] == said[1]
    assert "At clearance internal" in said[0]["en"]
    assert "--clearance personal" in said[0]["en"]
    assert "(1:8)" in said[0]["en"]
    assert "illness" not in said[0]["en"]


def test_a_near_name_is_suggested_but_never_an_inner_one(session: Session) -> None:
    with pytest.raises(UnknownName, match=r"town\.visits"):
        session.execute("FROM visits")
    with pytest.raises(UnknownName) as unknown:
        session.execute("FROM data")
    assert "mart-" not in str(unknown.value)


def test_a_question_that_duckdb_does_not_understand_keeps_its_words_and_its_place(session: Session) -> None:
    with pytest.raises(BadQuery, match=r"\(1:8\).*sum\(VARCHAR\)"):
        session.execute("SELECT sum(place) FROM town.visits")


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELECT ('Dupont' || id)::INT FROM town.visits", "cannot be converted"),
        ("SELECT strptime('Dupont' || id, '%Y') FROM town.visits", "does not accept"),
        ("SELECT (id + 1234567890::BIGINT) * 9223372036854775807 FROM town.visits", "out of its type's range"),
        ("SELECT json_extract('{Dupont' || id, '$.a') FROM town.visits", "does not accept"),
    ],
)
def test_a_value_that_does_not_suit_is_named_by_its_kind_and_never_quoted(session: Session, sql: str, words: str) -> None:
    with pytest.raises(BadValue, match=words) as fault:
        session.execute(sql).reader.read_all()
    for language in ("fr", "en"):
        what = fault.value.diagnostics(language).what
        assert "Dupont" not in what
        assert "1234567" not in what


@pytest.mark.parametrize("sql", [ENDLESS, "SELECT sum(h) FROM (SELECT hash(i) AS h FROM range(1000000000000) t(i))"])
def test_a_question_past_its_time_is_stopped_and_the_session_goes_on(hurried: Session, sql: str) -> None:
    started = time.monotonic()
    with pytest.raises(TimedOut, match="2 s"):
        hurried.execute(sql).reader.read_all()
    assert time.monotonic() - started > 1.5
    assert rows(hurried, "SELECT 1 AS one") == [{"one": 1}]


def test_time_stops_while_the_reader_thinks(hurried: Session) -> None:
    reader = hurried.execute(LONG).reader
    next(reader)
    time.sleep(2.2)
    assert next(reader).num_rows > 0


def test_a_question_is_cancelled_from_another_thread(session: Session) -> None:
    over = threading.Event()

    def insist() -> None:
        while not over.wait(0.2):  # one that comes before the question stops nothing
            session.cancel()

    canceller = threading.Thread(target=insist)
    canceller.start()
    with pytest.raises(Cancelled):
        session.execute(ENDLESS).reader.read_all()
    over.set()
    canceller.join()


def test_a_result_that_was_cancelled_or_replaced_gives_no_more_rows(session: Session) -> None:
    reader = session.execute(LONG).reader
    next(reader)
    session.cancel()
    with pytest.raises(Cancelled):
        next(reader)
    former = session.execute(LONG).reader
    assert rows(session, "SELECT 1 AS one") == [{"one": 1}]
    with pytest.raises(Cancelled):
        former.read_all()


def test_closing_while_another_thread_works_ends_both(town: Town, visits: Visits) -> None:
    mart = town.marts.ensure(town.VISITS.id, "internal", town.land(town.VISITS, visits(1)))
    session = town.session(mart)
    met: list[Exception] = []

    def work() -> None:
        try:
            session.execute(ENDLESS).reader.read_all()
        except QueryFault as fault:
            met.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    while not session._working_one.locked():
        time.sleep(0.01)
    session.close()
    thread.join(timeout=60)
    assert [type(each) for each in met] == [Cancelled]
    session.close()
    assert list((town.root / "spill").iterdir()) == []


def test_a_result_streams_without_holding_it_all(session: Session) -> None:
    reader = session.execute("SELECT range AS i, repeat('x', 100) AS filler FROM range(3000000)").reader
    assert sum(batch.num_rows for batch in reader) == 3_000_000  # 350 MB in a session of 256 MiB


@pytest.mark.parametrize("connection", ["memory", "main", "local", "mart"])
def test_a_connection_may_bear_a_name_that_the_engine_also_uses(connection: str, town: Town, visits: Visits) -> None:
    mart = town.marts.ensure(town.VISITS.id, "internal", town.land(town.VISITS, visits(1)))
    with Session({(connection, "visits"): mart}, spill=town.root / "spill") as session:
        assert rows(session, f"SELECT id FROM {connection}.visits") == [{"id": 1}]  # noqa: S608 - a test
