"""Resources of RFC 7643 become rows, under the names of the standard.

1. Names of attributes are compared without case, as the standard has it, and written as it writes them. Attributes that it does
   not know keep the name that came.
2. An extension is a column: `enterprise` for that of the standard, else what its URN says (`urn:…:extension:acme:2.0:User` is
   `acme`), or the whole URN made a name.
3. `last_modified`, `version` and `created` stand beside `meta`, which is kept. An instant that cannot be read is null.
4. A password is never kept, whatever a server shows. `active` written as text ("True") is what it means.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from saas_connectors.connector import Class, Json, Stream

ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
USER: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
_TEXT, _FLAG, _INSTANT = pa.string(), pa.bool_(), pa.timestamp("us", "UTC")
_META: Final = pa.struct([(name, _TEXT) for name in ("resourceType", "created", "lastModified", "location", "version")])


def _struct(*names: str, **others: pa.DataType) -> pa.DataType:
    return pa.struct([*((name, _TEXT) for name in names), *others.items()])


_VALUES: Final = pa.list_(_struct("value", "display", "type", primary=_FLAG))
_STATE: Final = {"last_modified": _INSTANT, "version": _TEXT, "meta": _META, "schemas": pa.list_(_TEXT)}
_USER: Final = {
    "id": _TEXT, "externalId": _TEXT, "userName": _TEXT, "active": _FLAG,
    "name": _struct("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"),
    "displayName": _TEXT, "nickName": _TEXT, "profileUrl": _TEXT, "title": _TEXT, "userType": _TEXT,
    "preferredLanguage": _TEXT, "locale": _TEXT, "timezone": _TEXT, "emails": _VALUES, "phoneNumbers": _VALUES,
    "groups": pa.list_(_struct("value", "display", "type", "ref")), "roles": _VALUES, "entitlements": _VALUES,
    "enterprise": _struct(
        "employeeNumber", "costCenter", "organization", "division", "department",
        manager=_struct("value", "displayName", "ref"),
    ),
    **_STATE,
}  # fmt: skip
STREAMS: Final[Mapping[str, pa.Schema]] = {
    "users": pa.schema(list(_USER.items())),
    "groups": pa.schema([("id", _TEXT), ("externalId", _TEXT), ("displayName", _TEXT), *_STATE.items()]),
    "group_members": pa.schema([(name, _TEXT) for name in ("group_id", "member_id", "type", "display", "ref")]),
}
TYPES: Final = {"last_modified": "timestamp"}
_KEYS: Final = {"users": ("id",), "groups": ("id",), "group_members": ("group_id", "member_id")}
_TITLES: Final = {
    "users": "Comptes (users)", "groups": "Groupes (groups)", "group_members": "Membres des groupes (group members)"
}  # fmt: skip
_PLAIN: Final = frozenset({"id", "active", "meta", "last_modified", "version", "schemas"})
_INTERNAL: Final[Mapping[str, frozenset[str]]] = {
    "users": _PLAIN,
    "groups": _PLAIN | {"displayName", "externalId"},
    "group_members": frozenset({"group_id", "member_id", "type"}),
}
_SECRET: Final = frozenset({"password"})
_URN: Final = re.compile(r"urn:.*:extension:([a-z0-9_.-]+):[^:]*:(?:user|group)$", re.IGNORECASE)


def stream(name: str, classes: Mapping[str, Class], *, incremental: bool = False) -> Stream:
    """Describe one stream; classes: those that the settings give."""
    schema = STREAMS[name]
    held: dict[str, Class] = {each: "internal" if each in _INTERNAL[name] else "personal" for each in schema.names}
    return Stream(
        name=name,
        title=_TITLES[name],
        primary_key=_KEYS[name],
        schema=schema,
        classes={**held, **classes},
        modes=("full_refresh", "incremental") if incremental else ("full_refresh",),
        cursor="last_modified" if incremental else None,
        group=None if name == "users" else "groups",
    )


def column(attribute: str, kind: str = "users") -> str:
    """The column of an attribute, or of an extension by its URN."""
    known: dict[str, str] = {name.lower(): name for name in STREAMS[kind].names}
    if attribute.lower() == ENTERPRISE.lower():
        return "enterprise"
    if attribute.lower().startswith("urn:"):
        found = _URN.match(attribute)
        plain = re.sub(r"[^a-z0-9]+", "_", (found[1] if found else attribute).lower()).strip("_")
        return f"{plain}_extension" if plain in known or not plain else plain
    return known.get(attribute.lower(), attribute)


def row(resource: Mapping[str, Json], kind: str) -> dict[str, Json]:
    """Make the row of a resource; its members are not in it."""
    made: dict[str, Json] = {}
    for attribute, value in resource.items():
        if attribute.lower() in _SECRET or (kind == "groups" and attribute.lower() == "members"):
            continue
        made.setdefault(column(attribute, kind), _named(value))
    meta = _folded(made.get("meta"), _META)
    if meta is not None:
        made["meta"] = meta
    if "active" in made:
        made["active"] = flag(made["active"])
    changed = instant((meta or {}).get("lastModified"))
    made["last_modified"] = None if changed is None else changed.isoformat()
    version = (meta or {}).get("version")
    made["version"] = version if isinstance(version, str) else None
    return made


def flag(value: Json) -> Json:
    """A boolean, as it is meant: some servers write it as text."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def identifier(value: Json) -> str | None:
    """An identifier as text, None when it is none."""
    if isinstance(value, str) and value.strip():
        return value
    return str(value) if type(value) is int else None


def instant(value: Json) -> datetime | None:
    """An instant that a server wrote (UTC when it names no zone), None when it is none."""
    if not isinstance(value, str) or not 10 <= len(value) <= 40:
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def members(group: Mapping[str, Json]) -> tuple[list[dict[str, Json]], int]:
    """The members of a group as rows, each once, and how many have no identifier."""
    found: dict[str, dict[str, Json]] = {}
    listed = attribute(group, "members")
    wrong = 0
    for one in listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ():
        named = identifier(attribute(one, "value")) if isinstance(one, Mapping) else None
        if named is None:
            wrong += 1
            continue
        plain = _named({name: held for name, held in one.items() if name.lower() != "value"})
        found.setdefault(named, {**plain, "group_id": group.get("id"), "member_id": named})
    return list(found.values()), wrong


def attribute(resource: Mapping[str, Json], name: str) -> Json:
    """An attribute, its name compared without case; None when it is missing."""
    if name in resource:
        return resource[name]
    return next((value for held, value in resource.items() if held.lower() == name.lower()), None)


def _named(value: Json) -> Any:  # noqa: ANN401 - any JSON
    """A value with `$ref` named as a column can be."""
    if isinstance(value, Mapping):
        return {("ref" if name == "$ref" else str(name)): _named(held) for name, held in value.items()}
    return [_named(one) for one in value] if isinstance(value, list) else value


def _folded(value: Json, kind: pa.StructType) -> dict[str, Json] | None:
    if not isinstance(value, Mapping):
        return None
    known = {str(field.name).lower(): str(field.name) for field in kind}
    return {known.get(str(name).lower(), str(name)): held for name, held in value.items()}


def named(resources: Sequence[Json]) -> Iterator[dict[str, Json]]:
    """Those of a page that have an identifier, as text."""
    for one in resources:
        if isinstance(one, Mapping) and (found := identifier(attribute(one, "id"))) is not None:
            yield {**{name: value for name, value in one.items() if name.lower() != "id"}, "id": found}
