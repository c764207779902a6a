"""What a list is like, learnt from its first page, and from a probe or two where that page does not say how to go on.

A probe asks for a second page in the ways that are common. Only records that are all new (by primary key) prove that one
works: a vendor that ignores a parameter, or lists in no stable order, does not pass.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Final

import pyarrow as pa

from saas_connectors.answer import accept, arrays, cut, held, malformed, outline
from saas_connectors.connector import Exchange, Fetch, Json
from saas_connectors.errors import ConnectorError
from saas_connectors.paging import Offset, Page, Paging, Seen, Single
from saas_connectors.records import Records
from saas_connectors.request import Request, Response
from saas_connectors.rest.legible import legible
from saas_connectors.rest.patterns import paging_of, records_path
from saas_connectors.rest.settings import StreamSettings, describe, paging
from saas_connectors.rest.understanding import Understanding, flows, long

_PROBES: Final[tuple[Paging, ...]] = (
    Page("page", "per_page"),
    Offset("offset", "limit"),
    Offset("skip", "limit"),
    Offset("start", "rows"),
    Page("_page", "_limit"),
    Offset("$skip", "$top"),
)


@dataclass(frozen=True, slots=True)
class Found:
    """What was learnt: where the records and the total are, how pages follow, the first page."""

    understanding: Understanding
    seen: Seen
    table: pa.Table
    repeats: bool = False
    """Whether the first page came again, whatever page was asked."""

    @property
    def detail(self) -> dict[str, Json]:
        """The same, without the page, as JSON."""
        known = self.understanding
        held: dict[str, Json] = {"records": known.path, "total": known.total or "", "paging": describe(known.paging)}
        return held | {"repeats": True} if self.repeats else held


def explore(
    at: str, base: Request, settings: StreamSettings, records: Callable[[], Records], table: Mapping[str, Json]
) -> Exchange[Found]:
    """Learn what a list is like; `table` is its `paging` table, completed; raises `ConnectorError`."""
    declared = paging(at, table) if "kind" in table else None
    request = declared.request(base, declared.start()) if declared else _sized(base, table)
    request = long(request, declared, settings.records, settings.format, settings.keyed)
    (response,) = yield Fetch((request,))
    accept(request, response)
    if flows(response):  # what is long is read whole when it is pulled: its first records say what they are
        response = replace(response, body=next(arrays(request, response)), content=None)
    response = held(response)
    path = settings.records if settings.records is not None else "" if settings.keyed else None
    if path is None:
        path = _path(request, legible(request, response, settings.format, "", None))
    known = Understanding(path, settings.total, declared or Single(), records(), settings.format, settings.keyed)
    repeats = False
    seen, first = known.page(request, response)
    if declared is None:
        way, repeats = yield from _strategy(base, settings, known, seen, first)
        strategy = _completed(at, way, table)
        known.paging = strategy
        request = strategy.request(base, strategy.start())
        if request != seen.request:  # the page size is known only now
            (response,) = yield Fetch((request,))
            seen, first = known.page(request, response)
    return Found(known, seen, first, repeats)


def _sized(base: Request, table: Mapping[str, Json]) -> Request:
    size = {name: table[name] for name in ("size_param", "size") if name in table}
    return Page(param="", **size).request(base, {"page": None}) if len(size) == 2 else base


def _path(request: Request, response: Response) -> str:
    document = outline(request, response)
    path = records_path(document)
    if path is None and (named := _named(document)) is not None:
        fr = f"aucune liste, mais des objets nommés par leur clé (records = « {named} », et keyed = le champ qui prend la clé)"
        en = f"no list, but objects named by their key (records = `{named}`, and keyed = the field that takes the key)"
        raise malformed(request, response, fr, en)
    if path is None:
        cut(request, response, "")  # raises: an error inside a success, or no records
    return path or ""


def _named(document: Json) -> str | None:
    """Where objects named by their key seem to be, "" for the document itself; None when nowhere."""
    if not isinstance(document, Mapping) or not document:
        return None
    if len(document) > 1 and all(isinstance(value, Mapping) for value in document.values()):
        return ""
    held = (name for name, value in document.items() if isinstance(value, Mapping) and _named(value) == "")
    return next(held, None)


def _strategy(
    base: Request, settings: StreamSettings, known: Understanding, seen: Seen, first: pa.Table
) -> Exchange[tuple[Paging, bool]]:
    """Find how pages follow, and whether the vendor answered probes by its first page again."""
    document = {} if not known.path else outline(seen.request, seen.response)
    last = first.slice(first.num_rows - 1).to_pylist()[0] if first.num_rows else {}
    found = paging_of(document, seen.response, last)
    if found is not None:
        return found, False
    rows, repeats = first.num_rows, False
    full = rows >= 10 and (rows % 10 == 0 or rows % 25 == 0)
    if (full or (seen.total or 0) > rows) and all(name in first.column_names for name in settings.primary_key):
        for probe in _PROBES:
            position = {"page": 2} if isinstance(probe, Page) else {"offset": rows}
            request = probe.request(base, position)
            (response,) = yield Fetch((request,))
            if _is_new(known, request, response, first, settings.primary_key):
                return probe, False
            repeats = repeats or _is_same(known, request, response, seen)
    return Single(), repeats


_COMPARED: Final = 10_000
"""Rows of two pages that are compared: a vendor that ignores what it is asked begins again at the first."""


def _is_same(known: Understanding, request: Request, response: Response, seen: Seen) -> bool:
    try:
        return known.page(request, response)[0].document.records == seen.document.records
    except ConnectorError:
        return False


def _is_new(known: Understanding, request: Request, response: Response, first: pa.Table, key: list[str]) -> bool:
    try:
        _, second = known.page(request, response)
    except ConnectorError:
        return False
    if not second.num_rows or not all(name in second.column_names for name in key):
        return False
    before, after = (table.slice(0, _COMPARED).select(key).to_pylist() for table in (first, second))
    return {tuple(row.values()) for row in before}.isdisjoint(tuple(row.values()) for row in after)


def _completed(at: str, found: Paging, table: Mapping[str, Json]) -> Paging:
    """Put what the settings say over what was found, where the strategy has such a field."""
    if isinstance(found, Single):
        return found
    names = {field.name for field in fields(found)}  # type: ignore[arg-type]  # every strategy is a dataclass
    given = {name: value for name, value in table.items() if name in names}
    return paging(at, describe(found) | given)
