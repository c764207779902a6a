"""What part 4 lets be written to the collections that a connection opens, and what payloads may hold.

References and identifiers are plain: no server that pastes them into a query or a path can be led astray by one.
"""

from collections.abc import Mapping
from typing import Final

from saas_connectors.connector import Json, Operation
from saas_connectors.payloads import closed
from saas_connectors.urban.pull import CollectionSettings

_ID: Final = {"type": "string", "pattern": r"^[\w.:~+@=, -]{1,200}$", "not": {"enum": [".", ".."]}}
_VERSION: Final = {"type": "string", "pattern": r'^(W/)?"[!#-~]{0,200}"$'}
_REFERENCE: Final = {"type": "string", "pattern": r"^[\w.:/-]{1,100}$"}
_SHAPES: Final = ["Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon"]
_GEOMETRY: Final = {
    "oneOf": [
        {"type": "null"},
        {
            "type": "object",
            "required": ["type", "coordinates"],
            "properties": {"type": {"enum": _SHAPES}, "coordinates": {"type": "array"}},
        },
        {
            "type": "object",
            "required": ["type", "geometries"],
            "properties": {
                "type": {"const": "GeometryCollection"},
                "geometries": {"type": "array", "items": {"type": "object"}},
            },
        },
    ]
}


def operations(writes: tuple[str, ...], tables: Mapping[str, CollectionSettings]) -> dict[str, Operation]:
    """Give the operations on the collections that may be written to, by name; none when there is no such collection."""
    if not writes:
        return {}
    collection = {"collection": {"enum": list(writes)}}
    feature = {
        "type": "object",
        "required": ["geometry", "properties"],
        "properties": {"type": {"const": "Feature"}, "geometry": _GEOMETRY, "properties": {"type": "object"}},
    }
    rules = [
        {
            "if": {"properties": {"collection": {"const": stream}}},
            "then": {"properties": {"feature": {"properties": {"properties": _referenced(tables[stream].reference)}}}},
        }
        for stream in writes
        if stream in tables and tables[stream].reference
    ]
    named = collection | {"id": _ID, "version": _VERSION}
    changes = {
        "type": "object",
        "minProperties": 1,
        "properties": {"geometry": _GEOMETRY, "properties": {"type": "object", "minProperties": 1}},
    }

    def schema(properties: Mapping[str, Json], *required: str, **more: Json) -> dict[str, Json]:
        return {**closed({"type": "object", "properties": properties, "required": ["collection", *required]}), **more}

    found = any(stream in tables and tables[stream].reference for stream in writes)
    made = (
        Operation(
            "create_item", "Créer un objet", "Create a feature",
            schema(collection | {"feature": feature}, "feature", **({"allOf": rules} if rules else {})), probes=found,
        ),
        Operation(
            "replace_item", "Remplacer un objet", "Replace a feature",
            schema(named | {"feature": feature}, "id", "feature"), idempotent=True,
        ),
        Operation(
            "update_item", "Modifier un objet", "Update a feature",
            schema(named | {"changes": changes}, "id", "changes"), idempotent=True,
        ),
        Operation(
            "delete_item", "Supprimer un objet", "Delete a feature", schema(named, "id"), idempotent=True, removes=True,
        ),
    )  # fmt: skip
    return {operation.name: operation for operation in made}


def _referenced(reference: str | None) -> dict[str, Json]:
    return {"required": [reference], "properties": {reference: _REFERENCE}}
