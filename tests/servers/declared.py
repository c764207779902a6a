"""A source declared in a few lines, and one run of it against a vendor that is played in memory."""

from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from saas_connectors.conformance.driver import converse, read
from saas_connectors.connector import Connector, Json, ReadPlan
from saas_connectors.registry import make
from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox import Table

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
URL = "http://vendor.example"


def people(count: int = 1040, **more: Json) -> Table:
    rows = (
        {"id": n, "name": f"n{n}", "updated_at": f"2026-{n // 100 + 1:02}-01T00:00:{n % 60:02}Z", **more} for n in range(count)
    )
    return Table.of(rows, ["id"], "updated_at")


def connect(path: str = "/page/people", at: Json = None, **stream: Json) -> Connector:
    return make(
        "rest", "town", {"url": URL, "streams": {"people": {"path": path, "primary_key": ["id"], **stream}}, **(at or {})}
    )


class Pull:
    """One run against a vendor: every slice read to its end."""

    def __init__(self, vendor: Json, connector: Json, cursor: Json = None, stream: str = "people") -> None:
        catalog = converse(connector.discover(), vendor.respond)
        mode = "incremental" if cursor is not None else "full_refresh"
        self.plan = ReadPlan(catalog.streams, {stream: mode}, {stream: cursor} if cursor is not None else {}, NOW)
        self.slices = converse(connector.slices(self.plan), vendor.respond)
        vendor.calls.clear()
        self.reads = [read(connector, self.plan, part, None, vendor.respond) for part in self.slices]
        self.calls = list(vendor.calls)
        self.rows = [row for one in self.reads for page in one.pages for row in page.records.to_pylist()]
        self.ids = [row.get("id") for row in self.rows]
        self.evidence = {e.check: e for one in self.reads for e in one.evidence}
        self.cursor = max((one.cursors[stream] for one in self.reads if stream in one.cursors), default=None)


def answered(*documents: Json, headers: Json = ()) -> Callable[[Request], Response]:
    """A vendor that gives these documents, whatever is asked, and the last one for ever."""
    left = list(documents)
    return lambda request: Response(
        200, request.full_url, orjson.dumps(left.pop(0) if len(left) > 1 else left[0]), Headers(headers)
    )
