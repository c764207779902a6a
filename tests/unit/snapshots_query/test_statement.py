"""Which questions are read, which tables they name, and what is said of those that are not."""

import pytest

from snapshots.engine import referenced_tables
from snapshots.refusals import BadQuery, NotAllowed
from snapshots.statement import parse


@pytest.mark.parametrize(
    ("sql", "tables"),
    [
        ("SELECT * FROM town.visits", {("town", "visits")}),
        ("FROM Town.VISITS", {("town", "visits")}),
        ('SELECT * FROM "town"."visits" v JOIN decp.marches m ON m.id = v.id', {("town", "visits"), ("decp", "marches")}),
        ("WITH x AS (FROM town.visits) FROM x, y", {("town", "visits"), ("", "y")}),
        ("SELECT (SELECT max(id) FROM a.b) FROM c.d ORDER BY (SELECT 1 FROM e.f)", {("a", "b"), ("c", "d"), ("e", "f")}),
        ("DESCRIBE town.visits", {("town", "visits")}),
        ("SUMMARIZE town.visits", {("town", "visits")}),
        ("EXPLAIN ANALYZE SELECT * FROM town.visits", {("town", "visits")}),
        ("PIVOT town.visits ON place IN ('pool') USING count(*)", {("town", "visits")}),
        ("SELECT 1", set()),
        ("SHOW TABLES", set()),
        ("SELECT * FROM range(3)", set()),
    ],
)
def test_a_question_names_its_tables_wherever_they_stand(sql: str, tables: set[tuple[str, str]]) -> None:
    assert referenced_tables(sql) == tables


@pytest.mark.parametrize(
    "sql", ["SHOW TABLES", "FROM duckdb_columns()", "FROM information_schema.tables", "FROM pg_catalog.pg_class"]
)
def test_a_look_at_the_catalogue_is_told_apart_since_it_depends_on_every_dataset(sql: str) -> None:
    assert parse(sql).catalogue
    assert not parse("SELECT * FROM town.visits").catalogue


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN SELECT 1",
        "explain /* why */ analyze -- really\n SELECT 1",
        "EXPLAIN (FORMAT json) SELECT 1",
        "EXPLAIN (ANALYZE, FORMAT json) SELECT 1",
        "EXPLAIN (SELECT 1)",
        "SELECT 'EXPLAIN COPY x TO y', $$;$$",
        "SELECT 1;",
        "/* a remark */ SELECT 1 -- COPY",
        "VALUES (1)",
        "TABLE town.visits",
        "SELECT [x + 1 FOR x IN [1, 2]]",
        "WITH RECURSIVE t(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM t WHERE i < 9) FROM t",
    ],
)
def test_every_shape_of_question_is_read(sql: str) -> None:
    assert parse(sql).sql == sql


@pytest.mark.parametrize(
    ("sql", "place", "word"),
    [
        ("SELEC 1", " (1:1)", "SELEC"),
        ("SELECT *\n  FROM town.visits\n WHERE (", " (3:9)", "end of input"),
        ("SELECT 'é' a b", " (1:14)", '"b"'),
        ("EXPLAIN SELEC 1", " (1:1)", "SELEC"),
    ],
)
def test_a_mistake_is_shown_at_its_line_and_column(sql: str, place: str, word: str) -> None:
    with pytest.raises(BadQuery) as mistake:
        parse(sql)
    assert mistake.value.fields["place"] == place
    assert word in str(mistake.value.fields["message"])


def test_a_refusal_names_its_reason_in_both_languages() -> None:
    with pytest.raises(NotAllowed) as refused:
        parse("FROM read_csv('x.csv')")
    assert "la fonction read_csv" in refused.value.diagnostics("fr").what
    assert "function read_csv" in refused.value.diagnostics("en").what


@pytest.mark.parametrize(
    "sql", ["SELECT " + "(" * 200_000, "SELECT 1" + "+1" * 200_000, "SELECT " + "[" * 50_000, "x" * (1 << 21), "SELECT \x00"]
)
def test_a_monstrous_question_is_refused_and_breaks_nothing(sql: str) -> None:
    with pytest.raises((BadQuery, NotAllowed)):
        parse(sql)
    assert parse("SELECT 1").tables == frozenset()
