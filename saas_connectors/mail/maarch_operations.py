"""What may be written to MaarchCourrier, and what payloads hold: those operations alone that the setting `writes` opens.

1. An operation writes to one letter. Maarch takes a list of letters for a status, changes them one after the other and stops at
   the first that it refuses: what it did of such a call could not be told.
2. A new letter bears an external identifier, under the one key that the settings name (`external_key`): Maarch creates as
   often as it is asked. The key is pasted into SQL by Maarch, and the identifier goes where people read it: both are plain.
3. A letter without a type (`doctype`) is in no list of Maarch's: a type is asked for. `DEL`, the status of a letter that was
   taken away, is `delete_letter`'s alone, so that nothing is removed by an operation that does not say so.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from saas_connectors.connector import Json, Operation
from saas_connectors.errors import SettingsError
from saas_connectors.payloads import closed

OPERATIONS: Final = (
    "create_letter", "update_letter", "change_status", "close_letter", "delete_letter", "set_external_ids", "add_note",
    "add_attachment",
)  # fmt: skip
FILED_UNDER: Final = "publikId"
"""The key under which `PUT /res/externalInfos` keeps an identifier, whatever is sent."""
DELETED: Final = "DEL"
STATUSES: Final = {"close_letter": "END", "delete_letter": DELETED}
"""The status that an operation gives by itself."""
_KEY: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")
_TAKEN: Final = frozenset({"signatureBookId", "signatureBookWorkflow", "multigest", "alfresco"})
"""Keys that Maarch itself writes to."""
_MOST_FILE: Final = 1 << 27

_NUMBER: Final = {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}
_LINE: Final = {"type": "string", "minLength": 1, "maxLength": 4_000}
_CODE: Final = {"type": "string", "pattern": r"^[A-Za-z0-9_]{1,10}$"}
_STATUS: Final = {**_CODE, "not": {"enum": [DELETED]}}
_EXTERNAL: Final = {"type": "string", "pattern": r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$"}
_DATE: Final = {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}( [0-9]{2}:[0-9]{2}:[0-9]{2})?$"}
_FORMAT: Final = {"type": "string", "pattern": r"^[A-Za-z0-9]{1,10}$"}
_FILE: Final = {"encodedFile": {"type": "string", "minLength": 4, "maxLength": _MOST_FILE}, "format": _FORMAT}
_NUMBERS: Final = {"type": "array", "items": _NUMBER, "maxItems": 200, "uniqueItems": True}
_PERSON: Final = {
    "type": "object",
    "required": ["id", "type"],
    "properties": {"id": _NUMBER, "type": {"enum": ["contact", "user", "entity"]}},
}
_PEOPLE: Final = {"type": "array", "items": _PERSON, "maxItems": 200}
_CUSTOM: Final = {
    "type": "object",
    "patternProperties": {r"^[0-9]{1,9}$": {}},
    "additionalProperties": False,
    "maxProperties": 200,
}
_DESCRIBED: Final = {
    "subject": _LINE, "doctype": _NUMBER, "priority": {"type": "string", "pattern": r"^[A-Za-z0-9_-]{1,64}$"},
    "documentDate": _DATE, "arrivalDate": _DATE, "departureDate": _DATE, "processLimitDate": _DATE,
    "barcode": {"type": "string", "minLength": 1, "maxLength": 128}, "confidentiality": {"type": "boolean"},
    "initiator": _NUMBER, "customFields": _CUSTOM, "senders": _PEOPLE, "recipients": _PEOPLE, "tags": _NUMBERS,
    "folders": _NUMBERS,
}  # fmt: skip
_CHANGED: Final = {name: shape for name, shape in _DESCRIBED.items() if name != "barcode"}
"""Maarch keeps the bar code of a letter as it was created, whatever an update says."""
_TOGETHER: Final = {"dependentRequired": {"encodedFile": ["format"], "format": ["encodedFile"]}}


def checked(at: str, writes: Json, key: str) -> tuple[str, ...]:
    """Read the settings `writes` and `external_key` of the connection `at`; raises `SettingsError`."""
    if _KEY.fullmatch(key) is None or key in _TAKEN:
        raise SettingsError(
            field=f"{at}.external_key",
            expected_fr="une clé d'au plus 40 lettres, chiffres ou « _ », que Maarch n'emploie pas lui-même",
            expected_en="a key of at most 40 letters, digits or `_` that Maarch does not use itself",
        )
    for name in writes:
        if name not in OPERATIONS:
            known = ", ".join(OPERATIONS)
            raise SettingsError(field=f"{at}.writes", expected_fr=f"parmi : {known}", expected_en=f"among: {known}")
    if key == FILED_UNDER and "set_external_ids" in writes:
        raise SettingsError(
            field=f"{at}.external_key",
            expected_fr=f"une autre clé que « {FILED_UNDER} », que set_external_ids remplace",
            expected_en=f"another key than `{FILED_UNDER}`, which set_external_ids replaces",
        )
    return tuple(dict.fromkeys(writes))


def operations(opened: Sequence[str]) -> dict[str, Operation]:
    """Give the operations that are opened, by name."""
    named = {"resId": _NUMBER}
    message = {"historyMessage": {"type": "string", "minLength": 1, "maxLength": 1_000}}
    kind = {"type": "string", "pattern": r"^[A-Za-z0-9_-]{1,64}$", "not": {"enum": ["signed_response", "summary_sheet"]}}
    made = (
        Operation(
            "create_letter", "Créer un courrier", "Create a letter",
            _schema(
                {**_DESCRIBED, **_FILE, "externalId": _EXTERNAL, "modelId": _NUMBER, "status": _STATUS,
                 "destination": _NUMBER, "chrono": {"type": "boolean"}},
                "externalId", "modelId", "doctype", "status", **_TOGETHER,
            ),
            stream="resources",
        ),
        Operation(
            "update_letter", "Modifier la fiche d'un courrier", "Update what is said of a letter",
            _schema({**named, **_CHANGED, **_FILE}, "resId", minProperties=2, **_TOGETHER),
            stream="resources", idempotent=True,
        ),
        Operation(
            "change_status", "Changer l'état d'un courrier", "Change the status of a letter",
            _schema({**named, "status": _STATUS, **message}, "resId", "status"), stream="resources", idempotent=True,
        ),
        Operation(
            "close_letter", "Clore un courrier", "Close a letter", _schema({**named, **message}, "resId"),
            stream="resources", idempotent=True,
        ),
        Operation(
            "delete_letter", "Supprimer un courrier", "Delete a letter", _schema({**named, **message}, "resId"),
            stream="resources", idempotent=True, removes=True,
        ),
        Operation(
            "set_external_ids", "Inscrire l'identifiant externe d'un courrier", "Set the external identifier of a letter",
            _schema(
                {**named, "externalId": _EXTERNAL, "status": _STATUS}, "resId", "externalId",
            ),
            stream="resources", idempotent=True,
        ),
        Operation(
            "add_note", "Annoter un courrier", "Add a note to a letter",
            _schema(
                {**named, "value": {"type": "string", "minLength": 1, "maxLength": 20_000},
                 "entities": {"type": "array", "items": {"type": "string", "pattern": r"^[\w-]{1,64}$"}, "maxItems": 50}},
                "resId", "value",
            ),
            stream="notes",
        ),
        Operation(
            "add_attachment", "Joindre une pièce à un courrier", "Add an attachment to a letter",
            _schema({**named, "title": _LINE, "type": kind, **_FILE}, "resId", "title", "type", "encodedFile", "format"),
            stream="attachments",
        ),
    )  # fmt: skip
    return {each.name: each for each in made if each.name in opened}


def status(operation: str, payload: Json) -> str | None:
    """The status that a payload asks for, None when it asks for none."""
    return STATUSES.get(operation) or payload.get("status")


def _schema(properties: Mapping[str, Json], *required: str, **more: Any) -> dict[str, Json]:  # noqa: ANN401 - JSON Schema
    return closed({"type": "object", "properties": dict(properties), "required": list(required), **more})


FIELDS: Final = frozenset(name for each in operations(OPERATIONS).values() for name in each.schema["properties"])
"""The names of all that payloads may hold."""
