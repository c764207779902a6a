"""Nothing but the marts is within a session's reach, through both fences, and through the engine's own locks alone."""

import dataclasses
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from snapshots import statement
from snapshots.engine import Session
from snapshots.mart import Mart
from snapshots.refusals import BadQuery, MartUnreadable, NotAllowed, QueryFault, UnknownName
from vault.errors import Fault

QUESTIONS = [
    "FROM read_csv('{loot}/secret.csv')",
    "FROM read_json('{loot}/secret.json')",
    "FROM read_text('{loot}/secret.txt')",
    "FROM read_blob('{loot}/*')",
    "FROM read_parquet('{loot}/x.parquet')",
    "FROM parquet_metadata('{loot}/x.parquet')",
    "FROM read_duckdb('{mart}', table_name => 'data')",
    "FROM sniff_csv('{loot}/secret.csv')",
    "FROM glob('{loot}/*')",
    "FROM glob('{spill}/*')",
    "FROM read_blob('{mart}')",
    "FROM '{loot}/secret.csv'",
    "FROM 'secret.csv'",
    'FROM "secret.csv"',
    "SELECT * FROM town.visits JOIN 'secret.csv' ON true",
    "SELECT (SELECT max(content) FROM read_text('{loot}/secret.txt'))",
    "WITH x AS (FROM read_text('{loot}/secret.txt')) FROM x",
    "SELECT 1 ORDER BY (SELECT count(*) FROM glob('/*'))",
    "DESCRIBE FROM read_csv('{loot}/secret.csv')",
    "SUMMARIZE FROM 'secret.csv'",
    "EXPLAIN ANALYZE FROM read_csv('{loot}/secret.csv')",
    "FROM read_csv('https://example.org/x.csv')",
    "FROM read_text('http://127.0.0.1:9/x')",
    "FROM 's3://bucket/x.parquet'",
    "FROM 'https://example.org/x.parquet'",
    "FROM query('FROM read_text(''{loot}/secret.txt'')')",
    "FROM query_table('secret.csv')",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "FROM arrow_scan(1::UBIGINT::POINTER, 2::UBIGINT::POINTER, 3::UBIGINT::POINTER)",
    "FROM pandas_scan(1)",
    "FROM seq_scan()",
    "FROM enable_logging()",
    "FROM duckdb_logs()",
    "FROM duckdb_settings()",
    "FROM duckdb_secrets()",
    "FROM duckdb_databases()",
    "FROM duckdb_databases",
    "FROM pragma_database_list",
    "FROM pg_catalog.pg_settings",
    "FROM duckdb_temporary_files()",
    "FROM duckdb_extensions()",
    "FROM which_secret('s3://x', 's3')",
    "SELECT current_setting('temp_directory')",
    "SELECT current_setting('secret_directory')",
    "SELECT getenv('HOME')",
    "SELECT write_log('x')",
    "SELECT error(name) FROM town.visits",
    "SELECT 1; SELECT 2",
    "",
    "-- nothing",
]
ORDERS = [
    "COPY town.visits TO '{loot}/out.csv'",
    "COPY (FROM town.visits) TO '{spill}/out.parquet'",
    "EXPORT DATABASE '{loot}/out'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '{loot}/out.csv'",
    "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{loot}/out.csv'",
    "ATTACH '{loot}/new.db' AS x",
    "ATTACH '{mart}' AS x (READ_ONLY)",
    'DETACH "mart-0"',
    "INSTALL httpfs",
    "INSTALL spatial FROM community",
    "LOAD httpfs",
    "LOAD '{loot}/extension.duckdb_extension'",
    "SET memory_limit='64GB'",
    "SET enable_external_access=true",
    "SET lock_configuration=false",
    "SET temp_directory='{loot}'",
    "SET force_mbedtls_unsafe=true",
    "RESET memory_limit",
    "SET VARIABLE x = 1",
    "PRAGMA database_list",
    "PRAGMA enable_profiling",
    "PRAGMA temp_directory='{loot}'",
    "PRAGMA add_parquet_key('k', '0123456789112345')",
    "PRAGMA enable_verification",
    "CALL enable_logging(level => 'debug', storage => 'file', storage_path => '{loot}')",
    "CREATE TABLE x AS SELECT 1",
    'CREATE TABLE "mart-0".main.x AS SELECT 1',
    "CREATE SECRET s (TYPE s3)",
    "CREATE PERSISTENT SECRET s (TYPE s3)",
    "CREATE MACRO m() AS 1",
    "INSERT INTO town.visits VALUES (1, 'x')",
    'DELETE FROM "mart-0".main.data',
    "UPDATE town.visits SET id = 1",
    "DROP VIEW town.visits",
    "USE memory",
    "CHECKPOINT",
    "VACUUM",
    "BEGIN",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "IMPORT DATABASE '{loot}'",
    "PIVOT town.visits ON name",
]


@pytest.mark.parametrize("attempt", QUESTIONS + ORDERS)
def test_no_statement_reads_or_writes_outside_the_marts(
    attempt: str, session: Session, visits: Mart, loot: Path, site: Path
) -> None:
    sql = attempt.replace("{loot}", str(loot)).replace("{mart}", str(visits.path)).replace("{spill}", str(site / "spill"))
    before = {path: path.stat().st_mtime_ns for path in site.rglob("*")}
    with pytest.raises((NotAllowed, BadQuery, UnknownName)) as refused:
        session.execute(sql).reader.read_all()
    said = refused.value.diagnostics("fr").what + refused.value.diagnostics("en").what
    assert visits.key not in said
    assert str(visits.path) not in said
    assert "CANARY" not in said
    assert {path: path.stat().st_mtime_ns for path in site.rglob("*")} == before


OUT_OF_REACH = [
    sql
    for sql in QUESTIONS
    if "which" not in sql and any(sign in sql for sign in ("secret.", "http", "s3:", "loot}", "glob('/*'"))
]


@pytest.mark.parametrize("attempt", OUT_OF_REACH)
def test_the_locked_engine_alone_also_keeps_files_and_network_away(attempt: str, bare: Session, loot: Path) -> None:
    with pytest.raises(Fault):
        bare.execute(attempt.replace("{loot}", str(loot))).reader.read_all()


@pytest.mark.parametrize(
    "order",
    [
        "SET enable_external_access=true",
        "SET lock_configuration=false",
        "SET force_mbedtls_unsafe=true",
        "SET temp_file_encryption=false",
        "SET allow_community_extensions=true",
        "SET python_enable_replacements=true",
        "RESET ALL",
        "INSTALL spatial",
        "LOAD spatial",
        "ATTACH '{loot}/new.db' AS x",
        "COPY (SELECT 1) TO '{loot}/x.csv'",
        "EXPORT DATABASE '{loot}/x'",
        "CREATE PERSISTENT SECRET s (TYPE s3)",
        "INSERT INTO \"mart-0\".main.data VALUES (1, 'x')",
        'DROP TABLE "mart-0".main.data',
    ],
)
def test_the_locked_engine_alone_also_refuses_to_be_unlocked_or_to_write(order: str, bare: Session, loot: Path) -> None:
    before = sorted(loot.rglob("*"))
    with pytest.raises(Fault):
        bare.execute(order.replace("{loot}", str(loot))).reader.read_all()
    assert before == sorted(loot.rglob("*"))


def test_a_variable_of_the_program_is_not_a_table(session: Session) -> None:
    payroll = pa.table({"salary": [1]})
    assert payroll.num_rows == 1
    for sql in ("FROM payroll", "SELECT salary FROM payroll", "DESCRIBE payroll"):
        with pytest.raises(UnknownName):
            session.execute(sql).reader.read_all()
    assert duckdb.sql("SELECT salary FROM payroll").fetchall() == [(1,)]  # the same name, in a session that is not ours


def test_no_catalogue_that_is_allowed_shows_a_key_a_path_or_a_setting(session: Session, visits: Mart, site: Path) -> None:
    """Whatever may stand in FROM without a dataset is read whole, and searched."""
    rows = session.execute("SELECT schema_name, view_name FROM duckdb_views() WHERE internal").reader.read_all().to_pylist()
    system = [f"{row['schema_name']}.{row['view_name']}" for row in rows]
    assert len(system) > 30
    calls = [
        f"{name}()"
        for name in sorted(statement.TABLE_FUNCTIONS)
        if name.startswith(("duckdb_", "pragma_c", "pragma_v", "icu", "pg_"))
    ]
    read = 0
    for source in system + calls:
        try:
            told = str(session.execute(f"FROM {source}").reader.read_all().to_pylist())
        except NotAllowed:
            continue
        read += 1
        for secret in (visits.key, visits.path.name, str(site)):
            assert secret not in told, source
    assert read > 30


@pytest.mark.parametrize(
    "sql",
    [
        "EXPLAIN FROM town.visits",
        "EXPLAIN ANALYZE SELECT count(*) FROM town.visits",
        "SHOW TABLES",
        "SHOW DATABASES",
        "DESCRIBE town.visits",
        "SELECT current_query()",
        "SELECT * FROM information_schema.tables",
    ],
)
def test_what_explains_or_lists_shows_neither_key_nor_path(sql: str, session: Session, visits: Mart, site: Path) -> None:
    told = str(session.execute(sql).reader.read_all().to_pylist())
    assert told != "[]"
    assert visits.key not in told
    assert str(site) not in told


def test_every_function_of_this_engine_was_looked_at() -> None:
    """A new DuckDB brings new functions: whoever upgrades it reads those that appear, then renews this digest."""
    found = (
        duckdb.connect(":memory:")
        .execute(
            "SELECT count(DISTINCT function_name), md5(string_agg(DISTINCT function_name, ',' ORDER BY function_name)) "
            "FROM duckdb_functions() WHERE function_type IN ('scalar', 'macro', 'table', 'table_macro', 'aggregate', 'pragma')"
        )
        .fetchone()
    )
    assert (duckdb.__version__, found) == ("1.5.5", (945, "5dddae2ca807d6bf1d93e92943766d74"))


def test_a_session_sees_only_its_own_marts(tmp_path: Path) -> None:
    with Session({}, spill=tmp_path / "spill") as empty, pytest.raises(UnknownName):
        empty.execute("FROM town.visits")
    with Session({}, spill=tmp_path / "spill") as empty:
        assert empty.execute("SHOW TABLES").reader.read_all().num_rows == 0


def test_another_manifest_another_clearance_or_another_key_does_not_open(tmp_path: Path, visits: Mart) -> None:
    for changes in ({"manifest": "b" * 64}, {"clearance": "personal"}, {"key": "0" * 64}, {"path": tmp_path / "gone.mart"}):
        wrong = dataclasses.replace(visits, **changes)  # type: ignore[arg-type]  # fields of several types
        with pytest.raises(MartUnreadable) as refused:
            Session({("town", "visits"): wrong}, spill=tmp_path / "spill")
        assert str(tmp_path) not in str(refused.value)
        assert refused.value.__cause__ is None
        assert list((tmp_path / "spill").iterdir()) == []


def test_an_altered_mart_is_refused_and_never_answers_wrongly(tmp_path: Path, visits: Mart) -> None:
    sound = visits.path.read_bytes()
    altered = tmp_path / "altered.mart"
    question = "SELECT count(DISTINCT name), sum(id) FROM town.visits"
    with Session({("town", "visits"): visits}, spill=tmp_path / "spill") as session:
        truth = session.execute(question).reader.read_all()
    refused = 0
    for at in range(64, len(sound), len(sound) // 40):
        altered.write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        try:
            with Session({("town", "visits"): dataclasses.replace(visits, path=altered)}, spill=tmp_path / "spill") as session:
                assert session.execute(question).reader.read_all() == truth  # a block that the question does not need
        except MartUnreadable:
            refused += 1
    assert refused > 5


def test_a_fault_met_while_streaming_hides_the_values_too(session: Session) -> None:
    with pytest.raises(QueryFault) as fault:
        session.execute("SELECT CASE WHEN id < 900 THEN 1 ELSE name::INT END FROM town.visits").reader.read_all()
    for language in ("fr", "en"):
        assert "CANARI" not in fault.value.diagnostics(language).what
    assert "CANARI" not in repr(fault.value.fields)
    assert fault.value.__cause__ is None
    assert fault.value.__suppress_context__
