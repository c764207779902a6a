"""Payloads of operations: read exactly, held to a closed JSON Schema (2020-12), written as they came.

1. Fractions are decimals from the caller to the vendor: an amount is never rounded on the way.
2. A refusal names the first place that does not fit and what was expected there, in the schema's words: never a value, nor a
   field that the schema does not know.
3. A schema refers to nothing outside itself, patterns run in linear time, and objects that list their fields take no other.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs
import msgspec

from saas_connectors.connector import Json, Operation
from saas_connectors.errors import BadPayload, SettingsError

MOST_DEPTH: Final = 64
_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"[ \t\r\n]*+(:?)', re.DOTALL)
_CLOSING: Final = ("additionalProperties", "unevaluatedProperties")
_COMPOSED: Final = ("allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas")
_LIMITS: Final = {
    "minLength": ("au moins {} caractères", "at least {} characters"),
    "maxLength": ("au plus {} caractères", "at most {} characters"),
    "minimum": ("au moins {}", "at least {}"),
    "maximum": ("au plus {}", "at most {}"),
    "exclusiveMinimum": ("plus de {}", "more than {}"),
    "exclusiveMaximum": ("moins de {}", "less than {}"),
    "minItems": ("au moins {} éléments", "at least {} items"),
    "maxItems": ("au plus {} éléments", "at most {} items"),
    "minProperties": ("au moins {} champs", "at least {} fields"),
    "maxProperties": ("au plus {} champs", "at most {} fields"),
}


def decode(body: bytes) -> Json:
    """Read a payload (UTF-8 JSON, fractions as Decimal); raises BadPayload."""
    return read(body)[0]


def read(body: bytes, most: int = MOST_DEPTH) -> tuple[Json, int]:
    """Read a payload of at most `most` levels; gives it, and how many names its objects hold; raises BadPayload."""
    try:
        body.decode()
        value = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadPayload(pointer="", expected_fr="du JSON entier en UTF-8", expected_en="whole JSON in UTF-8") from None
    return value, _shallow(value, min(most, MOST_DEPTH))


def said(body: bytes) -> int:
    """How many names the objects of whole JSON say: more than they hold when one is said twice (RFC 8259 section 4)."""
    return _STRING.findall(body).count(b":")


def encode(value: Json) -> bytes:
    """Write a value as UTF-8 JSON, decimals as numbers."""
    return _ENCODER.encode(value)


def pointer(steps: Sequence[str | int]) -> str:
    """Write a JSON pointer (RFC 6901)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in steps)


def closed(schema: Mapping[str, Json]) -> dict[str, Json]:
    """Close every object of a schema that lists its fields and does not say whether it takes others."""
    made: dict[str, Json] = {}
    for name, held in schema.items():
        if name in ("properties", "$defs", "patternProperties", "dependentSchemas") and isinstance(held, Mapping):
            made[name] = {key: closed(value) if isinstance(value, Mapping) else value for key, value in held.items()}
        elif name in ("items", "additionalProperties", "contains") and isinstance(held, Mapping):
            made[name] = closed(held)
        else:
            made[name] = held
    if "properties" in made and not any(name in made for name in _CLOSING):
        made["unevaluatedProperties" if any(name in made for name in _COMPOSED) else "additionalProperties"] = False
    return made


def sound(schema: Mapping[str, Json], field: str) -> dict[str, Json]:
    """Close a schema that settings declare and see that it is one; raises SettingsError, `field` being its dotted place."""
    made = closed({"type": "object", **schema})
    try:
        if made["type"] == "object" and made.get("additionalProperties") is not True:
            _compile(made)
            return made
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as refusal:
        field = ".".join([field, *map(str, getattr(refusal, "instance_path", ()))])
    raise SettingsError(
        field=field,
        expected_fr="un schéma JSON (2020-12) d'objet, fermé, sans référence externe ni motif à retour arrière",
        expected_en="a JSON Schema (2020-12) of an object, closed, without external reference or backtracking pattern",
    ) from None


def check(operation: Operation, payload: Json) -> None:
    """Hold a payload to an operation's schema; raises BadPayload."""
    _shallow(payload, MOST_DEPTH)
    validator = _validators(_Schema(operation.schema))
    if validator.is_valid(payload):
        return
    for refusal in validator.iter_errors(payload):
        at, expected = _expected(refusal, operation.schema)
        raise BadPayload(pointer=at, expected_fr=expected[0], expected_en=expected[1]) from None


class _Schema:
    """A schema as the key of a cache: by identity, an operation keeping its own for as long as its connection lives."""

    __slots__ = ("held",)

    def __init__(self, held: Mapping[str, Json]) -> None:
        self.held = held

    def __hash__(self) -> int:
        return id(self.held)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Schema) and other.held is self.held


@lru_cache(maxsize=512)
def _validators(schema: _Schema) -> jsonschema_rs.Draft202012Validator:
    return _compile(schema.held)


def _compile(schema: Mapping[str, Json]) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(
        dict(schema), validate_formats=True, offline=True, pattern_options=jsonschema_rs.RegexOptions()
    )


def _expected(refusal: jsonschema_rs.ValidationError, schema: Mapping[str, Json]) -> tuple[str, tuple[str, str]]:
    """Where a payload does not fit, and what was expected (French, English)."""
    at, kind = list(refusal.instance_path), refusal.kind
    name = kind.name
    if name == "required":
        return pointer([*at, getattr(kind, "property", "")]), ("ce champ", "this field")
    if name in _CLOSING:
        known = ", ".join(_known(schema, refusal.schema_path)) or "—"
        return pointer(at), (f"aucun autre champ que {known}", f"no other field than {known}")
    return pointer(at), _sentence(name, kind)


def _sentence(name: str, kind: object) -> tuple[str, str]:
    if name in _LIMITS:
        fr, en = _LIMITS[name]
        limit = getattr(kind, "limit", "?")
        return fr.format(limit), en.format(limit)
    if name == "type":
        kinds = ", ".join(getattr(kind, "types", ()))
        return f"une valeur de type {kinds}", f"a value of type {kinds}"
    if name == "enum":
        options = ", ".join(map(str, getattr(kind, "options", ())))
        return f"une valeur parmi {options}", f"one of {options}"
    if name in ("pattern", "format", "const"):
        form = getattr(kind, {"pattern": "pattern", "format": "format", "const": "expected_value"}[name], "")
        return f"la forme « {form} »", f"the form `{form}`"
    return f"ce que dit la règle « {name} » du schéma", f"what the rule `{name}` of the schema says"


def _known(schema: Json, path: Sequence[str | int]) -> Iterator[str]:
    """The fields that the object closed at `path` lists."""
    for step in path[:-1]:
        if isinstance(schema, Mapping) and step in schema:
            schema = schema[str(step)]
        elif isinstance(schema, list) and isinstance(step, int) and step < len(schema):
            schema = schema[step]
        else:
            return
    yield from schema.get("properties", ()) if isinstance(schema, Mapping) else ()


def _shallow(value: Any, most: int) -> int:  # noqa: ANN401 - any JSON
    """Refuse what is nested deeper than so many levels; gives how many names the objects hold."""
    names, waiting = 0, [(value, 0)] if isinstance(value, dict | list) else []
    while waiting:
        held, depth = waiting.pop()
        if depth >= most:
            raise BadPayload(pointer="", expected_fr=f"au plus {most} niveaux", expected_en=f"at most {most} levels")
        names += len(held) if isinstance(held, dict) else 0
        inside = held.values() if isinstance(held, dict) else held
        waiting.extend((inner, depth + 1) for inner in inside if isinstance(inner, dict | list))
    return names
