"""What may be written to Microsoft Graph, in what shape. A user is said by `id`, `userPrincipalName` or `employeeId`."""

from collections.abc import Collection, Mapping
from typing import Final

from saas_connectors.connector import Operation
from saas_connectors.payloads import closed

_NAME: Final = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f]+$"}
_ID: Final = {"type": "string", "pattern": "^[0-9A-Za-z-]{1,64}$"}
WHO: Final = ("id", "userPrincipalName", "employeeId")
_WHO: Final = {"id": _ID, "userPrincipalName": _NAME, "employeeId": _NAME}
_ONE: Final = [{"required": [name]} for name in WHO]


def _made(
    name: str, fr: str, en: str, *, group: bool = False, removes: bool = False, departure: bool = False, looks: bool = True,
    idempotent: bool = True,
) -> Operation:  # fmt: skip
    properties = {**_WHO, **({"group": _ID} if group else {})}
    schema = closed({"type": "object", "properties": properties, "required": ["group"] if group else [], "oneOf": _ONE})
    return Operation(
        name, fr, en, schema, "group_members" if group else "users", idempotent=idempotent, removes=removes,
        departure=departure, reads_back=looks, probes=looks,
    )  # fmt: skip


OPERATIONS: Final[Mapping[str, Operation]] = {
    made.name: made
    for made in (
        _made("disable_user", "Désactiver un compte", "Disable an account", departure=True),
        _made("enable_user", "Réactiver un compte", "Enable an account"),
        _made("revoke_sessions", "Fermer ses sessions", "Revoke an account's sessions", departure=True, looks=False),
        _made("add_to_group", "Ajouter un compte à un groupe", "Add an account to a group", group=True, idempotent=False),
        _made("remove_from_group", "Retirer un compte d'un groupe", "Remove an account from one", group=True, removes=True),
    )
}  # fmt: skip
"""All of them, by name; a connection opens some (`writes`)."""


def operations(opened: Collection[str]) -> dict[str, Operation]:
    """Give those that the settings open."""
    return {name: made for name, made in OPERATIONS.items() if name in opened}
