"""What each writer says that a write changes, in the words of the local copy."""

import pytest

from saas_connectors.connector import Change, Json, Writer
from saas_connectors.registry import writer

POINT = {"type": "Point", "coordinates": [2.35, 48.85]}


def urban() -> Writer:
    tables = {"trees": {"reference": "code"}, "roads": {"collection": "voirie"}}
    return writer("ogc-features", "town", {"url": "http://vendor.example/ogc", "writes": ["trees", "roads"], "streams": tables})


def rest() -> Writer:
    schema = {"properties": {"id": {"type": "string"}, "subject": {"type": "string"}}, "required": ["id"]}
    new = {"properties": {"subject": {"type": "string"}}}
    streams = {"letters": {"path": "/letters", "primary_key": ["id"], "records": "items", "item": "/letters/{id}"}}
    close = {"path": "/letters/{id}", "expect": {"status": "closed"}}
    operations = {
        "create": {"method": "POST", "path": "/letters", "stream": "letters", "schema": new},
        "amend": {"method": "PATCH", "path": "/letters/{id}", "stream": "letters", "schema": schema},
        "put": {"method": "PUT", "path": "/letters/{id}", "stream": "letters", "schema": schema},
        "drop": {"method": "DELETE", "path": "/letters/{id}", "stream": "letters", "schema": schema},
        "close": {"method": "POST", "path": "/letters/{id}/close", "stream": "letters", "schema": schema, "look": close},
        "ping": {"method": "POST", "path": "/ping", "schema": new},
    }
    return writer("rest", "town", {"url": "http://vendor.example", "streams": streams, "operations": operations})


@pytest.mark.parametrize(
    ("operation", "payload", "expected"),
    [
        (
            "create_item",
            {"collection": "trees", "feature": {"geometry": POINT, "properties": {"code": "T1", "height": 4}}},
            Change("create", "trees", (("code", "T1"),), {"code": "T1", "height": 4, "geometry": POINT}),
        ),
        (
            "replace_item",
            {"collection": "trees", "id": "7", "feature": {"geometry": None, "properties": {"code": "T1"}}},
            Change("replace", "trees", (("id", "7"),), {"code": "T1", "geometry": None}),
        ),
        (
            "update_item",
            {"collection": "roads", "id": "7", "changes": {"properties": {"name": "rue Haute"}}},
            Change("update", "roads", (("id", "7"),), {"name": "rue Haute"}),
        ),
        ("delete_item", {"collection": "trees", "id": "7"}, Change("delete", "trees", (("id", "7"),))),
    ],
)
def test_a_feature_written_is_told_by_the_columns_of_its_copy(operation: str, payload: Json, expected: Change) -> None:
    assert urban().changes(operation, payload) == (expected,)


@pytest.mark.parametrize(
    ("method", "path", "body", "expected"),
    [
        (
            "PATCH", "/ogc/collections/voirie/items/7?f=json", {"properties": {"name": "rue Haute"}},
            Change("update", "roads", (("id", "7"),), {"name": "rue Haute"}),
        ),
        ("DELETE", "/ogc/collections/trees/items/7", None, Change("delete", "trees", (("id", "7"),))),
        (
            "POST", "/ogc/collections/trees/items", {"type": "Feature", "geometry": POINT, "properties": {"code": "T1"}},
            Change("create", "trees", (), {"code": "T1", "geometry": POINT}),
        ),
        ("PUT", "/ogc/collections/trees/items", {"features": []}, None),
        ("PUT", "/ogc/collections/trees/items/7", ["no", "object"], None),
        ("POST", "/ogc/processes/purge/execution", {}, None),
    ],
)  # fmt: skip
def test_a_call_of_the_pass_through_is_told_where_its_path_is_one_of_the_copy(
    method: str, path: str, body: Json, expected: Change | None
) -> None:
    assert urban().passed(method, path, body) == (() if expected is None else (expected,))


@pytest.mark.parametrize(
    ("operation", "payload", "expected"),
    [
        ("create", {"subject": "s"}, Change("create", "letters", (), {"subject": "s"})),
        ("amend", {"id": "l1", "subject": "s"}, Change("update", "letters", (("id", "l1"),), {"subject": "s"})),
        ("put", {"id": "l1", "subject": "s"}, Change("replace", "letters", (("id", "l1"),), {"subject": "s"})),
        ("drop", {"id": "l1"}, Change("delete", "letters", (("id", "l1"),))),
        ("close", {"id": "l1"}, Change("update", "letters", (("id", "l1"),), {"status": "closed"})),
        ("ping", {"subject": "s"}, None),
    ],
)
def test_a_declared_operation_is_told_by_its_stream_and_by_what_it_expects(
    operation: str, payload: Json, expected: Change | None
) -> None:
    assert rest().changes(operation, payload) == (() if expected is None else (expected,))


def test_a_call_to_a_record_of_a_declared_source_is_told_and_any_other_is_not() -> None:
    told = Change("update", "letters", (("id", "l 1"),), {"subject": "s"})
    assert rest().passed("PATCH", "/letters/l%201", {"subject": "s"}) == (told,)
    assert rest().passed("POST", "/ping", {"subject": "s"}) == ()
