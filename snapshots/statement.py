"""Which SQL a session runs: one question, that reads, and that asks nothing of the machine.

1. DuckDB's own parser decides: a statement is a question when DuckDB can write its tree (`json_serialize_sql` accepts nothing
   but SELECT, to which FROM, VALUES, TABLE, WITH, PIVOT … IN, SHOW, DESCRIBE and SUMMARIZE belong). EXPLAIN is unwrapped and
   what it explains judged the same way. PRAGMA, COPY, ATTACH, SET, CALL, CREATE, INSERT and all others are refused.
2. Of the functions that give a table, only those listed here: no file, no catalogue of paths, no SQL inside a string.
3. Of the other functions, all but those that read settings, write logs, or raise a text of one's choosing.
4. A table's name is a name, never a file's.

The session enforces the same by DuckDB's settings: this module is the first of two fences, and the one that can explain itself.
It opens nothing: names are only listed, not looked up.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

import duckdb
import msgspec

from snapshots.refusals import BadQuery, NotAllowed

MAX_CHARACTERS = 1 << 20

TABLE_FUNCTIONS = frozenset(
    {
        "duckdb_columns",
        "duckdb_constraints",
        "duckdb_functions",
        "duckdb_keywords",
        "duckdb_schemas",
        "duckdb_tables",
        "duckdb_types",
        "duckdb_views",
        "generate_series",
        "icu_calendar_names",
        "json_each",
        "json_tree",
        "pg_timezone_names",
        "pragma_collations",
        "pragma_table_info",
        "pragma_version",
        "range",
        "repeat",
        "repeat_row",
        "unnest",
    }
)
"""The only functions allowed where a table stands."""

REFUSED_FUNCTIONS = frozenset(
    {
        "current_setting",
        "error",
        "getvariable",
        "inet_client_addr",
        "inet_client_port",
        "inet_server_addr",
        "inet_server_port",
        "nextval",
        "currval",
        "parse_duckdb_log_message",
        "write_log",
    }
)
"""Functions refused everywhere else: settings and logs of the engine, errors that would carry a value."""

REFUSED_VIEWS = frozenset(
    {
        "duckdb_databases",
        "duckdb_logs",
        "duckdb_logs_parsed",
        "duckdb_profiling_settings",
        "pg_prepared_statements",
        "pg_settings",
        "pragma_database_list",
    }
)
"""Views of the engine that show paths, settings or the session's other questions."""

SYSTEM_SCHEMAS = frozenset({"", "main", "pg_catalog", "information_schema", "system", "temp"})


@dataclass(frozen=True, slots=True)
class Statement:
    """A question that was read and allowed.

    `tables` holds (schema, table) as written, schema "" when none was given, without the names of its own WITH clauses.
    `listing` is not None when the question is SHOW TABLES: it holds the connection asked about, or "" for all.
    `catalogue` says that it looks at the catalogue: what it answers depends on every dataset attached.
    """

    sql: str
    tables: frozenset[tuple[str, str]]
    explain: bool = False
    listing: str | None = None
    catalogue: bool = False


@lru_cache(maxsize=256)
def parse(sql: str) -> Statement:
    """Read one statement and decide whether a session runs it; the last ones read are remembered, refusals are not.

    Raises BadQuery with the place of the mistake, or NotAllowed with the reason.
    """
    if len(sql) > MAX_CHARACTERS:
        raise NotAllowed(
            what_fr="la question dépasse un million de caractères", what_en="the question exceeds a million characters"
        )
    text, explain = _unwrap_explain(sql)
    tree = _tree(text)
    tables: set[tuple[str, str]] = set()
    own: set[str] = set()
    catalogue = False
    for node in _nodes(tree):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            schema, table = node["schema_name"].lower(), node["table_name"].lower()
            _allow_table(schema, table)
            catalogue |= _is_catalogue(schema, table)
            tables.add((schema, table))
        elif kind == "TABLE_FUNCTION":
            catalogue |= _allow_table_function(node["function"]["function_name"].lower())
        elif kind == "FUNCTION" and node["function_name"].lower() in REFUSED_FUNCTIONS:
            _refuse_function(node["function_name"].lower())
        elif kind == "SHOW_REF":
            catalogue |= node["query"] is None
        if "cte_map" in node:
            own |= {entry["key"].lower() for entry in node["cte_map"]["map"]}
    tables = {(schema, table) for schema, table in tables if schema or table not in own}
    return Statement(sql, frozenset(tables), explain, None if explain else _listing(tree), catalogue)


def referenced_tables(sql: str) -> frozenset[tuple[str, str]]:
    """List the (schema, table) that a question reads, as it writes them; raises as `parse` does."""
    return parse(sql).tables


def _tree(sql: str) -> dict[str, Any]:
    """The statement's tree, as DuckDB's parser draws it."""
    cursor = _parser().cursor()
    try:
        drawn = cursor.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    except duckdb.Error:
        raise BadQuery(place="", message="too long or too deep") from None
    finally:
        cursor.close()
    try:
        told: dict[str, Any] = msgspec.json.decode(drawn[0] if drawn else b"{}")
    except (msgspec.DecodeError, RecursionError):
        raise BadQuery(place="", message="too long or too deep") from None
    if told["error"]:
        if told["error_type"] == "not implemented":
            raise NotAllowed(what_fr="cette instruction n'est pas une question", what_en="this statement is not a question")
        raise BadQuery(place=_place(sql, told.get("position")), message=str(told["error_message"]).split("\n")[0])
    if len(told["statements"]) != 1:
        raise NotAllowed(
            what_fr=f"une instruction à la fois, et il y en a {len(told['statements'])}",
            what_en=f"one statement at a time, and there are {len(told['statements'])}",
        )
    tree: dict[str, Any] = told["statements"][0]
    return tree


def _place(sql: str, position: str | None) -> str:
    """Line and column of a character of the statement, both from 1."""
    if position is None or not position.isdigit():
        return ""
    before = sql[: int(position)]
    return f" ({before.count(chr(10)) + 1}:{len(before) - (before.rfind(chr(10)) + 1) + 1})"


def _unwrap_explain(sql: str) -> tuple[str, bool]:
    """Cut EXPLAIN, ANALYZE and their options from the front; say whether they were there."""
    raw = sql.encode()
    tokens = [offset for offset, _ in duckdb.tokenize(sql)]
    ends = [*tokens[1:], len(raw)] if tokens else []
    words = [raw[a:b].split(b"--")[0].split(b"/*")[0].strip().lower() for a, b in zip(tokens, ends, strict=True)]
    if not words or words[0] != b"explain":
        return sql, False
    at = 1
    if at < len(words) and words[at] in {b"analyze", b"analyse"}:
        at += 1
    if at < len(words) and words[at] == b"(" and (at + 1 == len(words) or words[at + 1] in {b"format", b"analyze", b"analyse"}):
        at = next((i + 1 for i in range(at, len(words)) if words[i].endswith(b")")), len(words))
    return (raw[tokens[at] :].decode() if at < len(tokens) else ""), True


def _nodes(tree: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every object of the tree, without recursion: its depth is the asker's choice."""
    waiting: list[Any] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _allow_table(schema: str, table: str) -> None:
    if schema in SYSTEM_SCHEMAS and table in REFUSED_VIEWS:
        raise NotAllowed(
            what_fr=f"{table} montre le moteur, pas les données", what_en=f"{table} shows the engine, not the data"
        )
    if not schema and any(sign in table for sign in "./\\:*"):
        raise NotAllowed(what_fr="un nom de table n'est pas un fichier", what_en="a table's name is not a file")


def _is_catalogue(schema: str, table: str) -> bool:
    return schema in {"information_schema", "pg_catalog"} or (
        schema in SYSTEM_SCHEMAS and table.startswith(("duckdb_", "pg_", "sqlite_"))
    )


def _allow_table_function(name: str) -> bool:
    """Refuse what is not listed; say whether it looks at the catalogue."""
    if name not in TABLE_FUNCTIONS:
        _refuse_function(name)
    return name.startswith(("duckdb_", "pragma_"))


def _refuse_function(name: str) -> None:
    raise NotAllowed(what_fr=f"la fonction {name} n'y est pas admise", what_en=f"function {name} is not allowed there")


def _listing(tree: dict[str, Any]) -> str | None:
    shown = tree["node"].get("from_table") or {}
    if shown.get("type") != "SHOW_REF" or shown["query"] is not None:
        return None
    if shown["show_type"] == "SHOW_FROM":
        return str(shown["schema_name"] or shown["catalog_name"]).lower()
    return "" if shown["table_name"] in {'"tables"', "__show_tables_expanded", "__show_tables_from_database"} else None


_PARSER = threading.Lock()


@cache
def _open_parser() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    for setting in ("python_enable_replacements=false", "enable_external_access=false", "threads=1", "lock_configuration=true"):
        connection.execute(f"SET {setting}")
    return connection


def _parser() -> duckdb.DuckDBPyConnection:
    """A locked instance that reads statements and never runs one."""
    with _PARSER:
        return _open_parser()
