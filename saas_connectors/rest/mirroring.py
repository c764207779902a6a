"""Reads of a declared REST source that the local copy answers: its lists by page or by offset, its records by `item`.

Only what the settings describe wholly: where the records stand (`records`), how pages follow (`paging`, its kind and its size).
A list asked by anything else than its page and the declared parameters is the vendor's alone.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import parse_qsl, unquote

import msgspec

from saas_connectors.connector import Json, MirrorQuery, Presented
from saas_connectors.paging import Offset, Page
from saas_connectors.rest.operations import PLACE
from saas_connectors.rest.settings import ConnectionSettings, StreamSettings, paging

_MOST: Final = 10_000
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


def text(value: Json) -> str:
    """Write a plain value as a parameter."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def question(
    connection: ConnectionSettings, streams: Mapping[str, StreamSettings], path: str, query: str
) -> MirrorQuery | None:
    """The question that answers a GET of `path` (below the connection's address) with this query; None without one."""
    asked = parse_qsl(query, keep_blank_values=True)
    params = dict(asked)
    if len(params) != len(asked):
        return None
    lists = {"/" + stream.path.strip("/") for stream in streams.values()}
    for name, stream in streams.items():
        fixed = {key: text(value) for key, value in {**connection.params, **stream.params}.items()}
        left = {key: value for key, value in params.items() if fixed.get(key) != value}
        if stream.method == "GET" and path == "/" + stream.path.strip("/"):
            return _list(name, stream, left)
        if stream.item is not None and path not in lists and not left and (found := _item(stream, path)):
            return MirrorQuery("record", name, found)
    return None


def answer(stream: StreamSettings, query: MirrorQuery, rows: Sequence[Mapping[str, Json]], total: int) -> Presented:
    """Write rows as the vendor would."""
    if query.kind == "record":
        if not rows:
            return Presented(404, "application/json", b'{"error":"not in the local copy"}')
        return Presented(200, "application/json", _ENCODER.encode(rows[0]))
    if not stream.records:
        return Presented(200, "application/json", _ENCODER.encode(list(rows)))
    document: dict[str, Json] = {}
    for path, value in ((stream.records, list(rows)), *(((stream.total, total),) if stream.total else ())):
        level, steps = document, path.split(".")
        for step in steps[:-1]:
            level = level.setdefault(step, {})
        level[steps[-1]] = value
    return Presented(200, "application/json", _ENCODER.encode(document))


def _list(name: str, stream: StreamSettings, left: Mapping[str, str]) -> MirrorQuery | None:
    kind = stream.paging.get("kind")
    if stream.records is None or stream.keyed or stream.format not in (None, "json"):
        return None
    if kind == "none":
        return MirrorQuery("list", name) if not left else None
    if kind not in ("page", "offset"):
        return None
    made = paging("", stream.paging)
    if not isinstance(made, Page | Offset) or made.size is None:
        return None
    known = {made.param, made.size_param} - {None, ""}
    try:
        numbers = {key: int(value) for key, value in left.items() if key in known}
    except ValueError:
        return None
    if numbers.keys() != left.keys():
        return None
    size = numbers.get(made.size_param or "", made.size)
    at = numbers.get(made.param, made.first)
    offset = (at - made.first) * (size if isinstance(made, Page) else 1)
    return MirrorQuery("list", name, (), min(size, _MOST), offset) if size > 0 and offset >= 0 else None


def _item(stream: StreamSettings, path: str) -> tuple[tuple[str, str], ...] | None:
    template = "/" + (stream.item or "").strip("/")
    names = PLACE.findall(template)
    if sorted(names) != sorted(stream.primary_key):
        return None
    parts = PLACE.split(template)
    form = "".join(re.escape(part) if place % 2 == 0 else "([^/]+)" for place, part in enumerate(parts))
    found = re.fullmatch(form, path)
    return tuple(zip(names, map(unquote, found.groups()), strict=True)) if found else None
