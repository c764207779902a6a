"""What may be written to a directory, in what shape.

A person is said by `id` (the key), `login`, `upn` or `employee_number`; a group by `group` (its key) or `group_name`.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from saas_connectors.connector import Json, Operation
from saas_connectors.payloads import closed

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f]+$"}
_DN: Final = {"type": "string", "minLength": 3, "maxLength": 2048, "pattern": r"^[^\x00-\x1f\x7f]+$"}
_VALUE: Final = {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": r"^[^\x00]+$"}
_LINE: Final = {**_VALUE, "pattern": r"^[^\x00-\x1f\x7f]+$"}
"""What may become a name: Active Directory marks with a line feed what is deleted or in conflict."""
_ID: Final = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"}
_INSTANT: Final = {"type": ["string", "null"], "format": "date-time", "maxLength": 40}
WHO: Final = ("id", "login", "upn", "employee_number")
_WHO: Final = {"id": _ID, "login": _NAME, "upn": _NAME, "employee_number": _NAME}
_ONE: Final = [{"required": [name]} for name in WHO]
_GROUP: Final = {"group": _ID, "group_name": _NAME}
FIELDS: Final[Mapping[str, str]] = {
    "mail": "mail", "display_name": "displayName", "given_name": "givenName", "surname": "sn", "title": "title",
    "department": "department", "phone": "telephoneNumber", "mobile": "mobile", "office": "physicalDeliveryOfficeName",
    "description": "description", "street": "streetAddress", "postal_code": "postalCode", "city": "l",
}  # fmt: skip
"""What a person's entry may be given, and the attribute that holds it."""


def _field(name: str) -> dict[str, Any]:
    return {**(_VALUE if name in ("description", "street") else _LINE)}


def _made(
    name: str, fr: str, en: str, schema: Mapping[str, Json] | None = None, *, removes: bool = False, departure: bool = False,
    looks: bool = True,
) -> Operation:  # fmt: skip
    said = schema or {}
    properties = {**_WHO, **said.get("properties", {})}
    held: dict[str, Any] = {"type": "object", "oneOf": _ONE, **said, "properties": properties}
    return Operation(
        name, fr, en, closed(held), "people", idempotent=True, removes=removes, departure=departure, reads_back=looks,
        probes=looks,
    )  # fmt: skip


def _member(name: str, fr: str, en: str, *, removes: bool = False) -> Operation:
    both = [{"oneOf": _ONE}, {"oneOf": [{"required": [each]} for each in _GROUP]}]
    held = closed({"type": "object", "properties": {**_WHO, **_GROUP}, "allOf": both})
    return Operation(name, fr, en, held, "people", idempotent=True, removes=removes)


OPERATIONS: Final[Mapping[str, Operation]] = {
    made.name: made
    for made in (
        _made("disable_user", "Désactiver un compte", "Disable an account", departure=True),
        _made("enable_user", "Réactiver un compte", "Enable an account"),
        _made(
            "revoke_sessions", "Rendre son mot de passe inconnu de tous", "Make its password one that nobody knows",
            departure=True, looks=False,
        ),
        _made(
            "expire_user", "Donner une fin à un compte", "Set the end of an account",
            {"required": ["at"], "properties": {"at": _INSTANT}},
        ),
        _made(
            "move_user", "Déplacer un compte", "Move an account", {"required": ["to"], "properties": {"to": _DN}}
        ),
        _member("add_to_group", "Ajouter un compte à un groupe", "Add an account to a group"),
        _member("remove_from_group", "Retirer un compte d'un groupe", "Remove an account from a group", removes=True),
        _made(
            "remove_from_groups", "Retirer un compte de tous ses groupes", "Remove an account from all its groups", removes=True
        ),
        Operation(
            "create_user", "Créer un compte", "Create an account",
            closed(
                {
                    "type": "object", "required": ["login", "surname"],
                    "properties": {
                        **{name: _NAME for name in WHO if name != "id"}, **{name: _field(name) for name in FIELDS}, "unit": _DN,
                    },
                }
            ),
            "people",
        ),
        _made("update_user", "Modifier un compte", "Update an account"),
    )
}  # fmt: skip
"""All of them, by name; a connection opens some (`writes`)."""


def operations(opened: Collection[str], update: Collection[str]) -> dict[str, Operation]:
    """Give those that the settings open; update: the fields that `update_user` may change."""
    found = {name: made for name, made in OPERATIONS.items() if name in opened}
    if "update_user" in found:
        fields = {name: {**_field(name), "type": ["string", "null"]} for name in update}
        changes = {"type": "object", "minProperties": 1, "properties": fields}
        found["update_user"] = _made(
            "update_user", "Modifier un compte", "Update an account",
            {"required": ["changes"], "properties": {"changes": changes}},
        )  # fmt: skip
    return found
