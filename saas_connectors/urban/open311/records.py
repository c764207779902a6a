"""What GeoReport v2 says of services, of their attributes, and of requests, as rows of fixed columns.

1. Identifiers and codes are text, whether the server writes 17, "17" or "017": leading zeros are kept where they came.
2. Coordinates keep the decimals that came (18 at most); instants are UTC, those written without a zone take the stream's. What
   cannot be read as such is null, and counted.
3. What a server adds to the standard is kept in `extensions`, as JSON text.
4. A request without an identifier is set aside and counted; of one made lately it is only remarked, for some servers show
   requests before they name them.
5. A value alone in a list is that value; some names that servers use instead of the standard's are taken for them.

It asks nothing and decides nothing about completeness.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa

from saas_connectors.connector import Class, Json, Stream
from saas_connectors.values import INSTANT

Raw = Mapping[str, Any]
"""An object of the server: from JSON, or from XML with its leaves as text."""

PLACE: Final = pa.decimal128(38, 18)
_LAST: Final = Decimal(1).scaleb(-18)
_JSON: Final = msgspec.json.Encoder(decimal_format="number", order="sorted")
_TEXT = pa.string()
_INSTEAD: Final = {"address_string": "address", "adress_id": "address_id", "status_note": "status_notes"}
_ZONE: Final = re.compile(r" (?:([+-]\d\d:?\d\d)|UTC|GMT)$")
_TIMES: Final = ("requested_datetime", "updated_datetime", "expected_datetime")
_PLACES: Final = ("lat", "long")

SERVICES: Final = pa.schema(
    [(name, _TEXT) for name in ("service_code", "service_name", "description")]
    + [("metadata", pa.bool_())]
    + [(name, _TEXT) for name in ("type", "keywords", "group", "extensions")]
)
DEFINITIONS: Final = pa.schema(
    [
        ("service_code", _TEXT),
        ("code", _TEXT),
        ("variable", pa.bool_()),
        ("datatype", _TEXT),
        ("required", pa.bool_()),
        ("datatype_description", _TEXT),
        ("order", pa.int64()),
        ("description", _TEXT),
        ("values", pa.list_(pa.struct([("key", _TEXT), ("name", _TEXT)]))),
        ("extensions", _TEXT),
    ]
)
REQUESTS: Final = pa.schema(
    [(name, _TEXT) for name in ("service_request_id", "status", "status_notes", "service_name", "service_code")]
    + [(name, _TEXT) for name in ("description", "agency_responsible", "service_notice")]
    + [(name, INSTANT) for name in _TIMES]
    + [(name, _TEXT) for name in ("address", "address_id", "zipcode")]
    + [(name, PLACE) for name in _PLACES]
    + [(name, _TEXT) for name in ("media_url", "extensions")]
)
_PUBLIC: Final = {
    "service_request_id", "status", "service_name", "service_code", "agency_responsible", *_TIMES,
}  # fmt: skip
_KEYS: Final = {
    "services": ("service_code",),
    "service_definitions": ("service_code", "code"),
    "requests": ("service_request_id",),
}
_TITLES: Final = {
    "services": "Types de demandes / Service types",
    "service_definitions": "Attributs des types de demandes / Attributes of service types",
    "requests": "Demandes / Service requests",
}
STREAMS: Final = {"services": SERVICES, "service_definitions": DEFINITIONS, "requests": REQUESTS}


def stream(name: str, classes: Mapping[str, Class]) -> Stream:
    """Describe a stream; `classes`: those that the settings say of it.

    The catalogue of services is internal; of a request, what people write and where they are is personal.
    """
    schema = STREAMS[name]
    known: dict[str, Class] = {
        column: "internal" if (name != "requests" and column != "extensions") or column in _PUBLIC else "personal"
        for column in schema.names
    }
    return Stream(
        name=name,
        title=_TITLES[name],
        primary_key=_KEYS[name],
        schema=schema,
        classes=known | dict(classes),
        modes=("full_refresh", "incremental") if name == "requests" else ("full_refresh",),
        cursor="requested_datetime" if name == "requests" else None,
    )


@dataclass(frozen=True, slots=True)
class Reported:
    """One request: its identifier, when it was made and last changed (None: unknown), whether it is closed, its row."""

    id: str
    at: datetime | None
    updated: datetime | None
    open: bool
    row: Mapping[str, Json]


@dataclass(slots=True)
class Registry:
    """Turns requests of the server into rows, and counts what could not be read.

    zone: places naive instants. lately: seconds since 1970, from when a request may not be named yet; None: never.
    """

    zone: ZoneInfo
    lately: float | None = None
    invalid: int = 0
    suspect: dict[str, int] = field(default_factory=dict)

    def requests(self, found: Iterable[Raw]) -> list[Reported]:
        """Give the requests of an answer, each identifier once, the last said."""
        made: dict[str, Reported] = {}
        for said in found:
            raw = _renamed(said)
            identifier = text(raw.get("service_request_id"))
            if identifier is None:
                self._unnamed(raw)
                continue
            row: dict[str, Json] = {}
            for column in REQUESTS.names[:-1]:
                value = raw.get(column)
                if column in _TIMES:
                    row[column] = self._read(column, value, lambda held: instant(held, self.zone))
                elif column in _PLACES:
                    row[column] = self._read(column, value, place)
                else:
                    row[column] = text(value)
            row["extensions"] = _others(raw, REQUESTS)
            status = (row["status"] or "").strip().lower()
            made[identifier] = Reported(identifier, row["requested_datetime"], row["updated_datetime"], status != "closed", row)
        return list(made.values())

    def _unnamed(self, raw: Raw) -> None:
        at = instant(raw.get("requested_datetime"), self.zone)
        if self.lately is not None and at is not None and at.timestamp() >= self.lately:
            self.suspect["service_request_id"] = self.suspect.get("service_request_id", 0) + 1
        else:
            self.invalid += 1

    def _read(self, column: str, value: Json, read: Any) -> Json:  # noqa: ANN401 - a reader of one value
        if text(value) is None:
            return None
        found = read(value)
        if found is None:
            self.suspect[column] = self.suspect.get(column, 0) + 1
        return found


def services(found: Iterable[Raw]) -> tuple[list[dict[str, Json]], int]:
    """Give the rows of the services, each code once, and how many had none."""
    made: dict[str, dict[str, Json]] = {}
    invalid = 0
    for raw in found:
        code = text(raw.get("service_code"))
        if code is None:
            invalid += 1
            continue
        row: dict[str, Json] = {column: text(raw.get(column)) for column in SERVICES.names}
        row["keywords"] = _words(raw.get("keywords"))
        made[code] = row | {"metadata": truth(raw.get("metadata")), "extensions": _others(raw, SERVICES)}
    return list(made.values()), invalid


def definitions(code: str, definition: Raw) -> tuple[list[dict[str, Json]], int]:
    """Give the rows of the attributes of one service, each once, and how many had no code."""
    made: dict[str, dict[str, Json]] = {}
    invalid = 0
    for raw in listed(definition.get("attributes"), "attribute"):
        named = text(raw.get("code"))
        if named is None:
            invalid += 1
            continue
        row: dict[str, Json] = {column: text(raw.get(column)) for column in DEFINITIONS.names}
        order = row["order"] or ""
        made[named] = row | {
            "service_code": code,
            "variable": truth(raw.get("variable")),
            "required": truth(raw.get("required")),
            "order": int(order) if order.isascii() and order.isdigit() and len(order) < 18 else None,
            "values": [
                {"key": text(value.get("key")), "name": text(value.get("name"))} for value in listed(raw.get("values"), "value")
            ],
            "extensions": _others(raw, DEFINITIONS),
        }
    return list(made.values()), invalid


def listed(value: Json, inner: str) -> list[Raw]:
    """Give the objects of a list, however it was wrapped: `[…]`, `{"attribute": […]}`, one object alone, nothing."""
    if isinstance(value, Mapping) and inner in value and len(value) == 1:
        value = value[inner]
    if isinstance(value, Mapping):
        value = [value]
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def text(value: Json) -> str | None:
    """Give a plain value as text, None for nothing; a whole number has no decimals."""
    value = _alone(value)
    if value is None or value == "" or isinstance(value, list | Mapping):
        return None if not value else _JSON.encode(value).decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value() and abs(value) < 10**18:
        return str(int(value))
    return str(value)


def truth(value: Json) -> bool | None:
    """Read true or false, None for anything else."""
    return {"true": True, "1": True, "false": False, "0": False}.get((text(value) or "").strip().lower())


def place(value: Json) -> Decimal | None:
    """Read a coordinate in degrees, None when it is not one."""
    value = _alone(value)
    try:
        found = Decimal(str(value).strip())
    except InvalidOperation:
        return None
    if isinstance(value, bool) or not found.is_finite() or abs(found) > 360:
        return None
    exponent = found.as_tuple().exponent
    return found.quantize(_LAST, ROUND_HALF_EVEN) if isinstance(exponent, int) and exponent < -18 else found


def instant(value: Json, zone: ZoneInfo) -> datetime | None:
    """Read an ISO 8601 instant as UTC, in `zone` when it names none; None when it is not one.

    A space before the zone, and UTC for Z, are let pass: some servers write so.
    """
    try:
        found = datetime.fromisoformat(_ZONE.sub(lambda zone: zone[1] or "Z", str(_alone(value)).strip()))
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _alone(value: Json) -> Json:
    """What a list of one plain value holds (a server writes each value of its services so)."""
    plain = isinstance(value, list) and len(value) == 1 and not isinstance(value[0], list | Mapping)
    return value[0] if plain else value


def _renamed(raw: Raw) -> Raw:
    """An object of the server under the names of the standard, where it has other names and not those."""
    others = {name: column for name, column in _INSTEAD.items() if name in raw and text(raw.get(column)) is None}
    if not others:
        return raw
    return {others.get(name, name): value for name, value in raw.items() if name not in others.values()}


def _words(value: Json) -> str | None:
    return ",".join(str(word) for word in value) if isinstance(value, list) and value else text(value)


def _others(raw: Raw, schema: pa.Schema) -> str | None:
    known = {*schema.names} - {"extensions"}
    found = {name: value for name, value in raw.items() if name not in known and value not in (None, "", [], {})}
    return _JSON.encode(found).decode() if found else None
