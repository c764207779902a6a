"""Users and groups of Microsoft Graph become rows, under the names of Graph.

1. Only what is asked for by name (`$select`) comes: `FIELDS` lists it. `manager_id` stands for the manager.
2. A boolean written as text ("true", as an official example shows one) is what it means.
3. What Graph says of an object rather than in it (`@odata.…`, `@removed`) is no column.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import pyarrow as pa

from saas_connectors.connector import Class, Json, Stream

_TEXT, _FLAG, _INSTANT = pa.string(), pa.bool_(), pa.timestamp("us", "UTC")
STREAMS: Final[Mapping[str, pa.Schema]] = {
    "users": pa.schema(
        [
            ("id", _TEXT), ("userPrincipalName", _TEXT), ("accountEnabled", _FLAG), ("displayName", _TEXT),
            ("givenName", _TEXT), ("surname", _TEXT), ("mail", _TEXT), ("jobTitle", _TEXT), ("department", _TEXT),
            ("companyName", _TEXT), ("officeLocation", _TEXT), ("employeeId", _TEXT), ("employeeType", _TEXT),
            ("mobilePhone", _TEXT), ("businessPhones", pa.list_(_TEXT)), ("userType", _TEXT), ("createdDateTime", _INSTANT),
            ("onPremisesSyncEnabled", _FLAG), ("manager_id", _TEXT),
        ]
    ),
    "groups": pa.schema(
        [
            ("id", _TEXT), ("displayName", _TEXT), ("description", _TEXT), ("mail", _TEXT), ("mailEnabled", _FLAG),
            ("securityEnabled", _FLAG), ("groupTypes", pa.list_(_TEXT)), ("createdDateTime", _INSTANT),
        ]
    ),
    "group_members": pa.schema([("group_id", _TEXT), ("member_id", _TEXT), ("type", _TEXT)]),
}  # fmt: skip
FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "users": tuple(name for name in STREAMS["users"].names if name != "manager_id"),
    "groups": tuple(STREAMS["groups"].names),
}
LINKS: Final = {"users": "manager", "groups": "members"}
TYPES: Final = {"createdDateTime": "timestamp"}
_KEYS: Final = {"users": ("id",), "groups": ("id",), "group_members": ("group_id", "member_id")}
_TITLES: Final = {
    "users": "Comptes (users)", "groups": "Groupes (groups)", "group_members": "Membres des groupes (group members)",
}  # fmt: skip
_INTERNAL: Final[Mapping[str, frozenset[str]]] = {
    "users": frozenset({"id", "accountEnabled", "userType", "createdDateTime", "onPremisesSyncEnabled"}),
    "groups": frozenset(STREAMS["groups"].names) - {"description"},
    "group_members": frozenset(STREAMS["group_members"].names),
}
_FLAGS: Final = frozenset({"accountEnabled", "mailEnabled", "securityEnabled", "onPremisesSyncEnabled"})


def stream(name: str, classes: Mapping[str, Class]) -> Stream:
    """Describe one stream; classes: those that the settings give. What moves is the vendor's token, not a field."""
    held: dict[str, Class] = {each: "internal" if each in _INTERNAL[name] else "personal" for each in STREAMS[name].names}
    return Stream(
        name=name,
        title=_TITLES[name],
        primary_key=_KEYS[name],
        schema=STREAMS[name],
        classes={**held, **classes},
        modes=("full_refresh", "incremental"),
        cursor="@odata.deltaLink",
        group=None if name == "users" else "groups",
    )


def flag(value: Json) -> Json:
    """A boolean, as it is meant."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def row(found: Mapping[str, Json]) -> dict[str, Json]:
    """Make the row of a user or of a group, without its members."""
    made = {
        name: flag(value) if name in _FLAGS else value
        for name, value in found.items()
        if "@" not in name and name not in LINKS.values()
    }
    for manager in (found.get("manager"), *_linked(found, "manager@delta")):
        if isinstance(manager, Mapping) and isinstance(manager.get("id"), str) and "@removed" not in manager:
            made["manager_id"] = manager["id"]
    return made


def members(group: Mapping[str, Json]) -> Iterator[tuple[dict[str, Json], bool]]:
    """The members that a page tells of a group, and whether each is gone."""
    for one in _linked(group, "members@delta"):
        if isinstance(one, Mapping) and isinstance(one.get("id"), str):
            kind = one.get("@odata.type")
            plain = kind.rpartition(".")[2] if isinstance(kind, str) else None
            yield {"group_id": group["id"], "member_id": one["id"], "type": plain}, "@removed" in one


def _linked(found: Mapping[str, Json], name: str) -> Sequence[Json]:
    held = found.get(name)
    return held if isinstance(held, list) else ()
