"""Continuity: a read of a vendor that is down, answered from the last snapshot in the vendor's own form.

1. The question is asked like any local one, at the clearance of whoever answers for the application (a person that it names is
   its word alone); without a clearance there is no answer. What lies above the clearance is absent, not empty.
2. The answer says that it is a copy, and how old the snapshot is (`Age`, `Cache-Status`).
3. What the copy cannot answer (a filter on a field that it does not hold, a path that no stream maps) it does not answer.
"""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from saas_connectors.connector import MirrorQuery
from saas_connectors.request import Response
from snapshots.dataset import DatasetId
from sovereign.gateway.reading import Read, from_copy
from sovereign.gateway.vendor import Vendor
from vault.errors import Fault

if TYPE_CHECKING:
    from snapshots.manifest import Manifest
    from sovereign.site import Site


MOST: Final = 10_000
"""Records that one answer of the copy holds at most: a longer one is the vendor's alone."""


class TooMany(Exception):
    """More records than one answer of the copy holds."""


class Copy:
    """Answers reads from the site's own copy; see `sovereign.gateway.reading.Mirror`."""

    def __init__(self, site: "Site") -> None:
        self._site = site

    async def __call__(self, vendor: Vendor, read: Read) -> Response | None:
        """Give the answer of the copy, None when it has none."""
        if vendor.writer is None:
            return None
        query = vendor.writer.mirror(read.method, read.path)
        if query is None:
            return None
        try:
            return await asyncio.to_thread(self._answer, vendor, read, query)
        except (Fault, TooMany):
            return None  # the vendor's own absence is what the caller is told; the question's entry tells the rest

    def _answer(self, vendor: Vendor, read: Read, query: MirrorQuery) -> Response | None:
        outbound, name = self._site.outbound, read.connection
        clearance = outbound.rights.clearance(outbound.clients.get(read.client).owner, connection=name)
        if clearance is None or vendor.writer is None:
            return None
        if query.kind == "streams":
            heads = {id_: head for id_, head in self._site.heads().items() if id_.connection == name}
            if not heads:
                return None
            rows: list[dict[str, Any]] = [{"stream": id_.stream, "title": id_.stream} for id_ in sorted(heads, key=str)]
            total, oldest = len(rows), min(head.created for head in heads.values())
        else:
            manifest = self._site.snapshot(DatasetId(name, query.stream))
            rows, total = self._rows(manifest, query, clearance)
            oldest = manifest.created
        shown = vendor.writer.present(query, rows, total)
        age = max(0, int((self._site.clock() - datetime.fromisoformat(oldest)).total_seconds()))
        return from_copy(shown.status, shown.content_type, shown.body, age)

    def _rows(self, manifest: "Manifest", query: MirrorQuery, clearance: str) -> tuple[list[dict[str, Any]], int]:
        """The rows that satisfy a question, and how many there are beyond its limit."""
        table = f"{_quoted(manifest.id.connection)}.{_quoted(manifest.id.stream)}"
        kept = " AND ".join(f"CAST({_quoted(field)} AS VARCHAR) = ?" for field, _ in query.filters) or "true"
        values = [value for _, value in query.filters]
        bound = f" LIMIT {min(int(query.limit), MOST + 1) if query.limit is not None else MOST + 1}"
        sql = f"SELECT * FROM {table} WHERE {kept} ORDER BY ALL{bound} OFFSET {int(query.offset)}"  # noqa: S608 - quoted names
        with self._site.query(sql, clearance=clearance, parameters=values) as answer:
            rows = [row for batch in answer.reader for row in batch.to_pylist()]
        if len(rows) > MOST:
            raise TooMany
        if query.limit is None and not query.offset:
            return rows, len(rows)
        counting = f"SELECT count(*) AS held FROM {table} WHERE {kept}"  # noqa: S608 - quoted names
        with self._site.query(counting, clearance=clearance, parameters=values) as answer:
            return rows, int(answer.reader.read_all().column(0)[0].as_py())


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
