"""What GeoReport v2 lets be written: a request, created; and the form that its payload becomes.

1. A place is coordinates, an address, or an address's identifier, as the standard has it; a photograph is an https address.
2. Coordinates are written with the digits that came. Several values of an attribute are several fields of one name.
"""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlencode

from saas_connectors.connector import Json, Operation
from saas_connectors.payloads import closed
from saas_connectors.urban.open311.records import text

CREATE: Final = "create_request"
FORM: Final = "application/x-www-form-urlencoded; charset=utf-8"
_SHORT: Final = {"type": "string", "minLength": 1, "maxLength": 200}
_VALUE: Final = {"type": ["string", "number", "boolean"], "maxLength": 4000}
_SCHEMA: Final = {
    "type": "object",
    "required": ["service_code"],
    "properties": {
        "service_code": {"type": "string", "pattern": r"^[\w.:~+@= -]{1,100}$", "not": {"enum": [".", ".."]}},
        "lat": {"type": "number", "minimum": -90, "maximum": 90},
        "long": {"type": "number", "minimum": -180, "maximum": 180},
        "address_string": {"type": "string", "minLength": 1, "maxLength": 1000},
        "address_id": _SHORT,
        "attribute": {
            "type": "object",
            "propertyNames": {"pattern": r"^[\w.:-]{1,100}$"},
            "maxProperties": 100,
            "additionalProperties": {"anyOf": [_VALUE, {"type": "array", "maxItems": 100, "items": _VALUE}]},
        },
        "description": {"type": "string", "minLength": 1, "maxLength": 4000},
        "media_url": {"type": "string", "pattern": r"^https://[!-~]{1,2000}$"},
        "email": {**_SHORT, "format": "email"},
        "first_name": _SHORT,
        "last_name": _SHORT,
        "phone": _SHORT,
        "device_id": _SHORT,
        "account_id": _SHORT,
    },
    "anyOf": [{"required": ["lat", "long"]}, {"required": ["address_string"]}, {"required": ["address_id"]}],
    "dependentRequired": {"lat": ["long"], "long": ["lat"]},
}


def operations(*, opened: bool) -> dict[str, Operation]:
    """Give the operation, by name, when the settings open it."""
    if not opened:
        return {}
    made = Operation(
        CREATE, "Signaler (créer une demande)", "Report (create a service request)", closed(_SCHEMA), stream="requests"
    )
    return {CREATE: made}


def form(payload: Mapping[str, Json], jurisdiction: str | None) -> bytes:
    """Write a payload as the form that is posted; the key is added by who sends it."""
    return urlencode(list(_fields(payload, jurisdiction))).encode()


def _fields(payload: Mapping[str, Json], jurisdiction: str | None) -> Iterator[tuple[str, str]]:
    if jurisdiction:
        yield "jurisdiction_id", jurisdiction
    for name, value in payload.items():
        if name != "attribute":
            yield name, _plain(value)
    for code, value in payload.get("attribute", {}).items():
        if isinstance(value, list):
            yield from ((f"attribute[{code}][]", _plain(one)) for one in value)
        else:
            yield f"attribute[{code}]", _plain(value)


def _plain(value: Json) -> str:
    return text(value) or ""
