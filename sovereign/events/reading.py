"""From a signed message to an event: its name, its type, its data, as CloudEvents 1.0 (JSON) says them. Pure.

1. A CloudEvent, structured (`application/cloudevents+json`) or binary (`ce-…` headers), says its own type and name. Its type is
   held to the source's declaration: that very type, or one after its prefix and among its `types`. Who signs as one source
   tells nothing of another.
2. Other JSON is an event of the type that the source's declaration gives, or says where to find: a place in the body, or a
   header, after the source's prefix. It is held to the same.
3. JSON is bounded in size (by the door) and in depth; a type is `[a-z0-9_.-]`, at most 128 characters.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from saas_connectors.connector import Class, Json
from saas_connectors.errors import BadPayload
from saas_connectors.payloads import read
from snapshots.dataset import CLASSES
from sovereign.events.errors import BadEvent
from sovereign.settings import EventSource

_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
_DEPTH: Final = 32


@dataclass(frozen=True, slots=True)
class Told:
    """What a message tells. name: None when the message does not name itself."""

    type: str
    data: Mapping[str, Json] = field(repr=False)
    name: str | None = None


def told(
    body: bytes,
    headers: Mapping[str, str],
    *,
    type_: str | None,
    type_field: str | None,
    type_header: str | None,
    prefix: str,
    types: tuple[str, ...] = (),
) -> Told:
    """Read a message; errors: BadEvent."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    value = _json(body)
    if kind == "application/cloudevents+json":
        return _held(_told(value.get("type"), value.get("data"), value.get("id"), "type"), type_, prefix, types)
    if "ce-type" in headers and "ce-id" in headers:
        return _held(_told(headers["ce-type"], value, headers["ce-id"], "ce-type"), type_, prefix, types)
    if type_ is not None:
        return _told(type_, value, None, "type")
    if type_header is not None:
        return _held(_told(prefix + headers.get(type_header.lower(), ""), value, None, type_header), None, prefix, types)
    found: Any = value
    for step in (type_field or "type").split("."):
        found = found.get(step) if isinstance(found, dict) else None
    made = _told(prefix + found if isinstance(found, str) else None, value, None, type_field or "type")
    return _held(made, None, prefix, types)


def _held(found: Told, type_: str | None, prefix: str, types: tuple[str, ...]) -> Told:
    if not _may(found.type, type_, prefix, types):
        wanted = type_ or ", ".join(types) or f"{prefix}…"
        raise BadEvent(field="type", expected_fr=f"un type que cette source déclare : {wanted}",
                       expected_en=f"a type that this source declares: {wanted}")  # fmt: skip
    return found


def tells(source: EventSource, type_: str) -> bool:
    """Whether a source may tell of events of a type."""
    return _may(type_, source.type, source.prefix, source.types)


def class_of(sources: Mapping[str, EventSource], type_: str) -> Class:
    """The highest class that sources give events of a type; that of a source that says nothing when none may tell of it."""
    found = [each.class_ for each in sources.values() if tells(each, type_)]
    return max(found or [EventSource().class_], key=CLASSES.index)


def _may(type_: str, only: str | None, prefix: str, types: tuple[str, ...]) -> bool:
    if only is not None:
        return type_ == only
    return type_.startswith(prefix) and (not types or any(_among(type_, each) for each in types))


def _among(type_: str, allowed: str) -> bool:
    return allowed in ("*", type_) or (allowed.endswith(".*") and type_.startswith(allowed[:-1]))


def _json(body: bytes) -> dict[str, Any]:
    try:
        value, _ = read(body, _DEPTH)
    except BadPayload:
        value = None
    if not isinstance(value, dict):
        raise BadEvent(
            field="body",
            expected_fr=f"un objet JSON d'au plus {_DEPTH} niveaux",
            expected_en=f"a JSON object of at most {_DEPTH} levels",
        )
    return value


def _told(type_: object, data: object, name: object, where: str) -> Told:
    said = type_.lower() if isinstance(type_, str) else ""
    if not _TYPE.fullmatch(said):
        raise BadEvent(
            field=where,
            expected_fr="un type d'événement : lettres, chiffres, . _ -",
            expected_en="an event type: letters, digits, . _ -",
        )
    if not isinstance(data, dict):
        raise BadEvent(field="data", expected_fr="un objet JSON", expected_en="a JSON object")
    if name is not None and (not isinstance(name, str) or not 1 <= len(name) <= 255):
        raise BadEvent(
            field="id", expected_fr="un texte d'au plus 255 caractères", expected_en="a text of at most 255 characters"
        )
    return Told(said, data, name)
