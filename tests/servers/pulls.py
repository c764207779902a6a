"""Drives a connector's generators against a transport, as a run does, without storing anything."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import pyarrow as pa

from saas_connectors.connector import Catalog, Connector, Evidence, Fetch, Page, ReadPlan
from saas_connectors.request import Request, Response

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Vendor(Protocol):
    """What answers: the product's own transport, or a simulator of a vendor."""

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]: ...


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one read gave."""

    pages: tuple[Page, ...]
    evidence: tuple[Evidence, ...]
    cursors: Mapping[str, Any]

    def rows(self, stream: str) -> list[dict[str, Any]]:
        return [row for page in self.pages if page.stream == stream for row in page.records.to_pylist()]

    def table(self, stream: str) -> pa.Table:
        return pa.concat_tables([page.records for page in self.pages if page.stream == stream], promote_options="permissive")

    def found(self, check: str, stream: str | None = None) -> list[Evidence]:
        return [fact for fact in self.evidence if fact.check == check and stream in (None, fact.stream)]


def converse(exchange: Generator[Any, Any, Any], vendor: Vendor, stop_after: int | None = None) -> tuple[list[Any], Any]:
    """Run a generator to its end (or until it has given `stop_after` pages): what it gave, and its result."""
    given: list[Any] = []
    answer: tuple[Response, ...] | None = None
    while True:
        try:
            item = exchange.send(answer)
        except StopIteration as end:
            return given, end.value
        if isinstance(item, Fetch):
            answer = vendor.exchange(item.requests)
            continue
        answer = None
        given.append(item)
        if stop_after is not None and sum(isinstance(one, Page) for one in given) == stop_after:
            exchange.close()
            return given, None


def discover(connector: Connector, vendor: Vendor) -> Catalog:
    return converse(connector.discover(), vendor)[1]


def plan_of(catalog: Catalog, *streams: str, mode: str = "full_refresh", cursors: Mapping[str, Any] | None = None) -> ReadPlan:
    chosen = tuple(stream for stream in catalog.streams if not streams or stream.name in streams)
    return ReadPlan(chosen, dict.fromkeys((stream.name for stream in chosen), mode), cursors or {}, NOW)  # type: ignore[arg-type]


def pull(connector: Connector, vendor: Vendor, plan: ReadPlan | None = None) -> Pulled:
    """Read every slice of a plan (of everything, when there is none)."""
    plan = plan or plan_of(discover(connector, vendor))
    given: list[Any] = []
    cursors: dict[str, Any] = {}
    for part in converse(connector.slices(plan), vendor)[1]:
        items, found = converse(connector.read(plan, part, None), vendor)
        given += items
        cursors |= found
    return _pulled(given, cursors)


def resumed(connector: Connector, vendor: Vendor, plan: ReadPlan, pages: int) -> Pulled:
    """Read the plan's only slice, lose everything after page number `pages`, then resume from the last safe position."""
    (part,) = converse(connector.slices(plan), vendor)[1]
    before, _ = converse(connector.read(plan, part, None), vendor, stop_after=pages)
    kept = [item for item in before if isinstance(item, Page)]
    while kept and kept[-1].position is None:
        kept.pop()
    position = kept[-1].position if kept else None
    after, cursors = converse(connector.read(plan, part, position), vendor)
    return _pulled([*kept, *after], cursors)


def _pulled(given: list[Any], cursors: Mapping[str, Any]) -> Pulled:
    pages = tuple(item for item in given if isinstance(item, Page))
    return Pulled(pages, tuple(item for item in given if isinstance(item, Evidence)), cursors)
