"""Reads of the GeoReport v2 interface that the local copy can answer, in JSON or in XML.

1. One request by its identifier, requests by equality of status and service, the services, and the attributes of one. A window
   of time is the server's alone. A list of requests gives at most the cap of the standard.
2. An answer says no more than the copy, under the element names of the standard.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl, unquote
from xml.sax.saxutils import escape

import msgspec

from saas_connectors.connector import Json, MirrorQuery, Presented
from saas_connectors.urban.open311.settings import Said
from saas_connectors.writing import READS, below

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_ROOTS: Final = {"services": ("services", "service"), "requests": ("service_requests", "request")}
_INNER: Final = {"attributes": "attribute", "values": "value"}


@dataclass(frozen=True, slots=True)
class Mirroring:
    """What is known of one server: the settings of its connection."""

    said: Said

    def is_read(self, method: str, _path: str, /) -> bool:
        """GET and HEAD, as the standard promises."""
        return method in READS

    def mirror(self, method: str, path: str, /) -> MirrorQuery | None:
        """See `saas_connectors.connector.Writer`."""
        cut = below(self.said.settings.url, path)
        if method not in READS or cut is None:
            return None
        place, dot, form = cut[0].strip("/").rpartition(".")
        asked = parse_qsl(cut[1], keep_blank_values=True)
        params = {name: value for name, value in asked if value}
        if not dot or form not in ("json", "xml") or len(params) != len(asked):
            return None
        if params.pop("jurisdiction_id", self.said.settings.jurisdiction_id) != self.said.settings.jurisdiction_id:
            return None
        steps = [unquote(step) for step in place.split("/")]
        match steps:
            case ["services"] if not params and "services" in self.said.names:
                return MirrorQuery("list", "services", detail=[form])
            case ["services", code] if not params and "service_definitions" in self.said.names:
                return MirrorQuery("list", "service_definitions", (("service_code", code),), detail=[form, code])
            case ["requests"] if "requests" in self.said.names:
                return self._requests(form, params)
            case ["requests", identifier] if not params and "requests" in self.said.names:
                return MirrorQuery("record", "requests", (("service_request_id", identifier),), detail=[form])
        return None

    def _requests(self, form: str, params: Mapping[str, str]) -> MirrorQuery | None:
        if any("," in value for value in params.values()):
            return None
        if "service_request_id" in params:  # it overrides all else
            return MirrorQuery("list", "requests", (("service_request_id", params["service_request_id"]),), detail=[form])
        if params.keys() - {"status", "service_code"}:
            return None
        return MirrorQuery("list", "requests", tuple(sorted(params.items())), self.said.settings.cap, detail=[form])

    def present(self, query: MirrorQuery, rows: Sequence[Mapping[str, Json]], _total: int, /) -> Presented:
        """See `saas_connectors.connector.Writer`."""
        form = query.detail[0]
        if query.stream == "service_definitions":
            code = query.detail[1]
            attributes = [{name: value for name, value in _plain(row).items() if name != "service_code"} for row in rows]
            attributes.sort(key=lambda one: one.get("order") or 0)
            if not rows:
                return _missing(form)
            return _answer(form, "service_definition", "", {"service_code": code, "attributes": attributes})
        if query.kind == "record" and not rows:
            return _missing(form)
        root, tag = _ROOTS[query.stream]
        return _answer(form, root, tag, [_plain(row) for row in rows])


def _plain(row: Mapping[str, Json]) -> dict[str, Json]:
    """A row as the server wrote it: with what it had added, instants as text."""
    made: dict[str, Json] = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    more = made.pop("extensions", None)
    for name in ("lat", "long"):
        if isinstance(made.get(name), Decimal):
            made[name] = made[name].normalize()
    added = msgspec.json.decode(more) if isinstance(more, str) and more[:1] == "{" else {}
    return made | {name: value for name, value in added.items() if name not in made}


def _missing(form: str) -> Presented:
    return _answer(form, "errors", "error", [{"code": 404, "description": "not in the local copy"}], 404)


def _answer(form: str, root: str, tag: str, held: Json, status: int = 200) -> Presented:
    if form == "json":
        return Presented(status, "application/json; charset=utf-8", _ENCODER.encode(held))
    inside = "".join(_element(tag, one) for one in held) if isinstance(held, list) else _inside(held, root)
    body = f'<?xml version="1.0" encoding="utf-8"?>\n<{root}>{inside}</{root}>'
    return Presented(status, "text/xml; charset=utf-8", body.encode())


def _element(name: str, value: Json) -> str:
    safe = name if name.isidentifier() else "field"
    return f"<{safe}>{_inside(value, name)}</{safe}>"


def _inside(value: Json, name: str) -> str:
    if isinstance(value, Mapping):
        return "".join(_element(key, held) for key, held in value.items())
    if isinstance(value, list):
        return "".join(_element(_INNER.get(name, "item"), held) for held in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    return "" if value is None else escape("".join(one for one in str(value) if one >= " " or one in "\t\n\r"))
