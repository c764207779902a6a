"""Calls of Maarch's own interface that pass through the gateway: which only read, what others change, what the copy answers.

1. Maarch reads by POST and by PUT as well: lists, searches, the look for an external identifier. No other call but GET and HEAD
   is a read.
2. The copy answers what it holds exactly: a letter's sheet by its number, its notes, its attachments, the statuses, the types
   of letters. A field that the copy does not hold as Maarch shows it (a service's number) is left out.
3. Deleting a letter is a status at Maarch, and in the copy.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

import msgspec

from saas_connectors.connector import Change, Json, MirrorQuery, Presented
from saas_connectors.mail.maarch_calls import OUT
from saas_connectors.mail.maarch_streams import STREAMS, number
from saas_connectors.writing import READS, below

_READING: Final = frozenset({("POST", "/res/list"), ("POST", "/search"), ("PUT", "/resources/external")})
_LISTS: Final = {"/statuses": "statuses", "/doctypes/types": "doctypes"}
_LETTER: Final = re.compile(r"/resources/([0-9]{1,18})(?:/(notes|attachments))?")
_EDITED: Final = re.compile(r"/(notes|attachments)/([0-9]{1,18})")
COLUMNS: Final[Mapping[str, str]] = {
    "subject": "subject", "doctype": "type_id", "status": "status", "priority": "priority", "documentDate": "doc_date",
    "arrivalDate": "admission_date", "departureDate": "departure_date", "processLimitDate": "process_limit_date",
    "barcode": "barcode", "modelId": "model_id", "format": "format", "confidentiality": "confidentiality",
}  # fmt: skip
"""The columns of the copy, by the names of a sheet."""
_DATES: Final = frozenset({"doc_date", "admission_date", "departure_date", "process_limit_date"})
_SHEET: Final[Mapping[str, str]] = {
    "resId": "res_id", "modelId": "model_id", "typist": "typist", "categoryId": "category_id", "chrono": "alt_identifier",
    "status": "status", "closingDate": "closing_date", "creationDate": "creation_date", "modificationDate": "modification_date",
    "retentionFrozen": "retention_frozen", "binding": "binding", "integrations": "integrations", "subject": "subject",
    "processLimitDate": "process_limit_date", "priority": "priority", "destinationLabel": "entity_label",
}  # fmt: skip
_MORE: Final[Mapping[str, str]] = {
    "doctype": "type_id", "confidentiality": "confidentiality", "documentDate": "doc_date", "arrivalDate": "admission_date",
    "departureDate": "departure_date", "barcode": "barcode", "customFields": "custom_fields",
}  # fmt: skip
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Passing:
    """The pass-through of one connection: `root` is where the interface stands, `names` the streams, `zone` the server's."""

    root: str
    names: frozenset[str]
    zone: str

    def is_read(self, method: str, path: str, /) -> bool:
        """GET, HEAD, lists, searches, and the look for an external identifier."""
        if method in READS:
            return True
        place = below(self.root, path)
        return place is not None and (method, place[0]) in _READING

    def mirror(self, method: str, path: str, /) -> MirrorQuery | None:
        """See `saas_connectors.connector.Writer`."""
        place = below(self.root, path)
        if method not in READS or place is None:
            return None
        params = parse_qsl(place[1], keep_blank_values=True)
        if place[0] in _LISTS and not params and (stream := _LISTS[place[0]]) in self.names:
            return MirrorQuery("list", stream)
        found = _LETTER.fullmatch(place[0])
        if found is None or params not in ([], [("light", "true")]):
            return None
        letter, part = str(int(found[1])), found[2]
        if part is None and "resources" in self.names:
            return MirrorQuery("record", "resources", (("res_id", letter),), detail=bool(params))
        return MirrorQuery("list", part, (("res_id", letter),)) if part in self.names and not params else None

    def present(self, query: MirrorQuery, rows: Sequence[Mapping[str, Json]], _total: int, /) -> Presented:
        """See `saas_connectors.connector.Writer`."""
        if query.kind == "record":
            if not rows:
                return _answer(403, {"errors": OUT})
            shown, row = _SHEET if query.detail else {**_SHEET, **_MORE}, rows[0]
            return _answer(200, {name: self._plain(column, row[column]) for name, column in shown.items() if column in row})
        names = STREAMS[query.stream].names
        held = [{names.get(name, name): self._plain(name, value) for name, value in row.items()} for row in rows]
        return _answer(200, {query.stream: held})

    def passed(self, method: str, path: str, body: Json, /) -> tuple[Change, ...]:
        """See `saas_connectors.connector.Writer`."""
        place = below(self.root, path)
        if place is None:
            return ()
        if method == "DELETE" and (edited := _EDITED.fullmatch(place[0])):
            return (Change("delete", edited[1], (("id", str(int(edited[2]))),)),)
        return self._written(method, place[0], body) if isinstance(body, Mapping) else ()

    def columns(self, body: Mapping[str, Any]) -> dict[str, Json]:
        """What a letter's sheet gives, by column of the copy; left out what the copy writes otherwise: numbers of services."""
        made: dict[str, Json] = {column: body[name] for name, column in COLUMNS.items() if name in body}
        for column in _DATES & made.keys():
            made[column] = self._instant(made[column])
        if "confidentiality" in made:
            made["confidentiality"] = "Y" if made["confidentiality"] else "N"
        return made

    def _instant(self, written: Json) -> Json:
        """A date of the server with its zone; what is none as it came."""
        try:
            return datetime.fromisoformat(written).replace(tzinfo=ZoneInfo(self.zone)).isoformat(" ")
        except (ValueError, TypeError, OverflowError):
            return written

    def _written(self, method: str, path: str, body: Mapping[str, Json]) -> tuple[Change, ...]:
        match method, path:
            case "POST", "/resources":
                return (Change("create", "resources", (), self.columns(body)),)
            case "PUT", "/res/resource/status":
                return _status(body)
            case "PUT", "/res/externalInfos":
                told = body.get("externalInfos")
                listed = [each.get("res_id") for each in told if isinstance(each, Mapping)] if isinstance(told, list) else []
                return _letters(listed, {"status": body["status"]} if "status" in body else {})
            case "POST", "/notes" | "/attachments":
                return (added(path[1:], body, body.get("resId" if path == "/notes" else "resIdMaster")),)
        if method == "PUT" and (found := _LETTER.fullmatch(path)) and found[2] is None:
            return (Change("update", "resources", (("res_id", str(int(found[1]))),), self.columns(body)),)
        if method == "PUT" and (edited := _EDITED.fullmatch(path)):
            return (Change("update", edited[1], (("id", str(int(edited[2]))),), _plain(edited[1], body)),)
        return ()

    def _plain(self, column: str, value: Json) -> Json:
        if isinstance(value, datetime):
            local = value.astimezone(ZoneInfo(self.zone)) if value.tzinfo else value
            return local.replace(tzinfo=None).isoformat(" ")
        if column == "confidentiality":
            return value == "Y"
        if column in ("integrations", "custom_fields"):
            return msgspec.Raw(value.encode()) if isinstance(value, str) else {}
        return value


def added(stream: str, body: Mapping[str, Any], letter: Json) -> Change:
    """A note or an attachment that is added to a letter."""
    return Change("create", stream, (), ({"res_id": letter} if letter is not None else {}) | _plain(stream, body))


def _plain(stream: str, body: Mapping[str, Any]) -> dict[str, Json]:
    names = ("value",) if stream == "notes" else ("title", "type", "status")
    return {name: body[name] for name in names if name in body}


def _status(body: Mapping[str, Any]) -> tuple[Change, ...]:
    fields = {"status": body.get("status") or "COU"}
    chronos = body.get("chrono")
    if isinstance(chronos, list) and chronos:
        return tuple(Change("update", "resources", (("alt_identifier", each),), fields) for each in _once(chronos, str))
    return _letters(body.get("resId"), fields)


def _letters(listed: Json, fields: Mapping[str, Json]) -> tuple[Change, ...]:
    numbers = [number(each) for each in listed] if isinstance(listed, list) else []
    return tuple(Change("update", "resources", (("res_id", str(each)),), fields) for each in _once(numbers, int))


def _once(listed: Sequence[Any], kind: type) -> list[Any]:
    return list(dict.fromkeys(each for each in listed if isinstance(each, kind)))


def _answer(status: int, document: Mapping[str, Json]) -> Presented:
    return Presented(status, "application/json", _ENCODER.encode(document))
