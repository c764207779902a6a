"""The description of the door (OpenAPI 3.1), made of the operations that one application may call."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from saas_connectors.connector import Operation

_PROBLEM: Final = {
    "description": "RFC 9457",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}
_RECEIPT: Final = {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Receipt"}}}}
_HEADERS: Final = [
    {"name": "Idempotency-Key", "in": "header", "required": True,
     "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"}},
    {"name": "Sovereign-Dry-Run", "in": "header", "required": False, "schema": {"type": "string", "enum": ["0", "1"]}},
    {"name": "Prefer", "in": "header", "required": False, "schema": {"type": "string", "enum": ["respond-async", "wait=5"]}},
]  # fmt: skip
_SCHEMAS: Final = {
    "Problem": {
        "type": "object",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {
            "type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "detail": {"type": "string"}, "code": {"type": "string"}, "todo": {"type": "string"},
        },
    },
    "Receipt": {
        "type": "object",
        "required": ["intent", "state"],
        "properties": {
            "intent": {"type": "string"}, "state": {"type": "string"}, "status": {"type": ["integer", "null"]},
            "entry": {"type": ["integer", "null"]}, "delivery": {"type": "string"},
        },
    },
}  # fmt: skip


def description(offered: Mapping[str, Iterable[Operation]], origin: str, wanted: str) -> dict[str, Any]:
    """The whole description. offered: operations by connection; wanted: `fr` or `en`."""
    paths: dict[str, Any] = {
        "/v1/connections": _read("listConnections"),
        "/v1/deliveries/{id}": {
            **_read("showDelivery"),
            "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        },
        "/health": {"get": {"operationId": "health", "security": [], "responses": {"200": {"description": "OK"}}}},
    }
    for connection, operations in sorted(offered.items()):
        for each in operations:
            paths[f"/v1/connections/{connection}/operations/{each.name}"] = {"post": _write(connection, each, wanted)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sovereign", "version": "1"},
        "servers": [{"url": origin}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}, "schemas": _SCHEMAS},
    }


def _read(name: str) -> dict[str, Any]:
    answers = {"200": {"description": "OK"}, "401": _PROBLEM, "404": _PROBLEM, "429": _PROBLEM, "default": _PROBLEM}
    return {"get": {"operationId": name, "responses": answers}}


def _write(connection: str, each: Operation, wanted: str) -> dict[str, Any]:
    return {
        "operationId": f"{connection}.{each.name}",
        "summary": each.title_fr if wanted == "fr" else each.title_en,
        "parameters": _HEADERS,
        "requestBody": {"required": True, "content": {"application/json": {"schema": dict(each.schema)}}},
        "responses": {
            "200": {"description": "delivered", **_RECEIPT},
            "202": {"description": "waiting", **_RECEIPT},
            "default": _PROBLEM,
        },
    }
