"""What SCIM lets be written, and in what shape.

1. A user is said by its `id`, its `userName` or its `externalId`: one of them, and no other.
2. What is written of a user bears the names of the standard, `enterprise` standing for its extension. No password is taken.
"""

from collections.abc import Collection, Mapping
from typing import Final

from saas_connectors.connector import Json, Operation
from saas_connectors.payloads import closed

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f]+$"}
_ID: Final = {**_NAME, "not": {"enum": [".", ".."]}}
_SHORT: Final = {"type": ["string", "null"], "maxLength": 1000}
WHO: Final = ("id", "userName", "externalId")
_WHO: Final = {"id": _ID, "userName": _NAME, "externalId": _NAME}
_ONE: Final = [{"required": [name]} for name in WHO]
_GROUP: Final = [{"required": ["group"]}, {"required": ["groupName"]}]
_VERSION: Final = {"type": "string", "pattern": r'^(W/)?"[!#-~]{0,200}"$'}


def _object(*names: str, **others: Json) -> dict[str, Json]:
    return {"type": "object", "properties": {**dict.fromkeys(names, _SHORT), **others}, "minProperties": 1}


_VALUES: Final = {
    "type": "array", "maxItems": 100,
    "items": {
        "type": "object", "required": ["value"],
        "properties": {
            "value": {"type": "string", "minLength": 1, "maxLength": 1000}, "type": _SHORT, "display": _SHORT,
            "primary": {"type": "boolean"},
        },
    },
}  # fmt: skip
_ATTRIBUTES: Final = {
    "displayName": _SHORT, "nickName": _SHORT, "title": _SHORT, "userType": _SHORT, "preferredLanguage": _SHORT,
    "locale": _SHORT, "timezone": _SHORT,
    "name": _object("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix"),
    "emails": _VALUES, "phoneNumbers": _VALUES,
    "enterprise": _object(
        "employeeNumber", "costCenter", "organization", "division", "department",
        manager={"type": "object", "required": ["value"], "properties": {"value": _ID}},
    ),
}  # fmt: skip


def _made(
    name: str, fr: str, en: str, schema: Mapping[str, Json], *,
    removes: bool = False, departure: bool = False, idempotent: bool = True,
) -> Operation:  # fmt: skip
    stream = "group_members" if "groupName" in schema["properties"] else "users"
    held = closed({"type": "object", **schema})
    return Operation(name, fr, en, held, stream, idempotent=idempotent, removes=removes, departure=departure)


_USER: Final = {"properties": {**_WHO, "version": _VERSION}, "oneOf": _ONE}
_MEMBER: Final = {
    "properties": {**_WHO, "group": _ID, "groupName": _NAME},
    "allOf": [{"oneOf": _ONE}, {"oneOf": _GROUP}],
}
OPERATIONS: Final[Mapping[str, Operation]] = {
    made.name: made
    for made in (
        _made("disable_user", "Désactiver un compte", "Disable an account", _USER, departure=True),
        _made("enable_user", "Réactiver un compte", "Enable an account", _USER),
        _made(
            "create_user", "Créer un compte", "Create an account",
            {
                "required": ["userName"],
                "properties": {"userName": _NAME, "externalId": _NAME, "active": {"type": "boolean"}, **_ATTRIBUTES},
            },
            idempotent=False,
        ),
        _made(
            "update_user", "Modifier un compte", "Update an account",
            {
                "required": ["changes"], "oneOf": _ONE,
                "properties": {
                    **_WHO, "version": _VERSION,
                    "changes": {
                        "type": "object", "minProperties": 1,
                        "properties": {"userName": _NAME, "externalId": _NAME, **_ATTRIBUTES},
                    },
                },
            },
        ),
        _made("delete_user", "Supprimer un compte", "Delete an account", _USER, removes=True),
        _made("add_to_group", "Ajouter un compte à un groupe", "Add an account to a group", _MEMBER),
        _made("remove_from_group", "Retirer un compte d'un groupe", "Remove an account from a group", _MEMBER, removes=True),
    )
}  # fmt: skip
"""All of them, by name; a connection opens some (`writes`)."""


def operations(opened: Collection[str]) -> dict[str, Operation]:
    """Give those that the settings open."""
    return {name: made for name, made in OPERATIONS.items() if name in opened}
