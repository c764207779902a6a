"""Reads of a SCIM server that the local copy can answer: one account, or those that bear a value.

1. `/Users/ID`, and `/Users` with no filter or an equality on `id` or `externalId`, from a place. Any other parameter is the
   server's alone (`userName` is compared without case); so are groups, whose members the copy keeps apart.
2. An answer says no more than the copy, under the names of the standard.
3. A search by POST (`/.search`, RFC 7644 section 3.4.3) is a read; everything else but GET and HEAD is a write.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import parse_qsl, unquote

import msgspec

from saas_connectors.connector import Change, Json, MirrorQuery, Presented
from saas_connectors.identity.scim import answers, records
from saas_connectors.identity.scim.looks import wire
from saas_connectors.identity.scim.settings import Said
from saas_connectors.payloads import encode
from saas_connectors.writing import READS, below, called

_FILTER: Final = re.compile(r'\s*(id|externalId)\s+eq\s+("(?:[^"\\]|\\.)*")\s*')
_LISTED: Final = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
_ERROR: Final = "urn:ietf:params:scim:api:messages:2.0:Error"
_SIMPLE: Final = re.compile(r"[A-Za-z]\w*")
_OURS: Final = frozenset({"last_modified", "version"})


@dataclass(frozen=True, slots=True)
class Mirroring:
    """What is known of one server: the settings of its connection."""

    said: Said

    def is_read(self, method: str, path: str, /) -> bool:
        """GET and HEAD, and a search by POST."""
        return method in READS or (method == "POST" and path.partition("?")[0].endswith("/.search"))

    def mirror(self, method: str, path: str, /) -> MirrorQuery | None:
        """See `saas_connectors.connector.Writer`."""
        cut = below(self.said.url, path)
        if method not in READS or cut is None or "users" not in self.said.names:
            return None
        asked = parse_qsl(cut[1], keep_blank_values=True)
        params = dict(asked)
        match [unquote(step) for step in cut[0].strip("/").split("/")]:
            case ["Users", identifier] if not asked:
                return MirrorQuery("record", "users", (("id", identifier),))
            case ["Users"] if len(params) == len(asked) and not params.keys() - {"filter", "startIndex", "count"}:
                return self._list(params)
        return None

    def _list(self, params: Mapping[str, str]) -> MirrorQuery | None:
        filters: tuple[tuple[str, str], ...] = ()
        if "filter" in params:
            found = _FILTER.fullmatch(params["filter"])
            try:
                filters = ((found[1], msgspec.json.decode(found[2], type=str)),) if found else ()
            except msgspec.DecodeError:
                return None
            if not filters:
                return None
        try:
            start, count = int(params.get("startIndex", "1")), int(params.get("count", "100"))
        except ValueError:
            return None
        return MirrorQuery("list", "users", filters, max(0, min(count, 1000)), max(1, start) - 1)

    def passed(self, method: str, path: str, body: Json, /) -> tuple[Change, ...]:
        """See `saas_connectors.connector.Writer`; a PATCH is understood where it replaces whole attributes."""
        asked = self.mirror("GET", path.partition("?")[0])
        if method == "PATCH":
            fields = _replaced(body)
            return (
                ()
                if asked is None or asked.kind != "record" or not fields
                else (Change("update", "users", asked.filters, fields),)
            )
        return called(asked, method, body, lambda _, part: {records.column(name): value for name, value in part.items()})

    def present(self, query: MirrorQuery, rows: Sequence[Mapping[str, Json]], total: int, /) -> Presented:
        """See `saas_connectors.connector.Writer`."""
        shown = [_resource(row) for row in rows]
        if query.kind == "record":
            if shown:
                return Presented(200, answers.MEDIA, encode(shown[0]))
            return Presented(
                404, answers.MEDIA, encode({"schemas": [_ERROR], "status": "404", "detail": "not in the local copy"})
            )
        paged = {"totalResults": total, "startIndex": query.offset + 1, "itemsPerPage": len(shown)}
        return Presented(200, answers.MEDIA, encode({"schemas": [_LISTED], **paged, "Resources": shown}))


def _replaced(body: Json) -> dict[str, Json]:
    """The attributes that a PATCH replaces; none when it does anything else."""
    listed = body.get("Operations") if isinstance(body, Mapping) else None
    found: dict[str, Json] = {}
    for one in listed if isinstance(listed, list) else ():
        if not isinstance(one, Mapping) or str(one.get("op")).lower() != "replace":
            return {}
        path, value = one.get("path"), one.get("value")
        if path is None and isinstance(value, Mapping):
            found |= {records.column(name): held for name, held in value.items()}
        elif isinstance(path, str) and _SIMPLE.fullmatch(path):
            found[records.column(path)] = records.flag(value) if path.lower() == "active" else value
        else:
            return {}
    return found


def _resource(row: Mapping[str, Json]) -> dict[str, Json]:
    """A row as the server wrote it."""
    return {wire(name): _plain(value) for name, value in row.items() if value is not None and name not in _OURS}


def _plain(value: Json) -> Json:
    if isinstance(value, Mapping):
        return {("$ref" if name == "ref" else name): _plain(held) for name, held in value.items() if held is not None}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value
