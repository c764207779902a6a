"""Letters and their files, read as they were planned (`maarch_planning`).

1. Rows and files come together: a page ends where files were fetched, so that a stop costs a few of them.
2. A deleted letter is a status (`DEL`): its row and its file stay.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from saas_connectors.asking import Answer
from saas_connectors.connector import Evidence, Filed, Json, Page, Reading, Slice, Stream
from saas_connectors.mail.maarch_calls import Calls
from saas_connectors.mail.maarch_files import ALTERED, Files, Taken, Wanted, batches
from saas_connectors.mail.maarch_settings import Settings
from saas_connectors.mail.maarch_streams import Tables
from saas_connectors.mail.maarch_walk import Letter, Walk

CONTENT: Final = "GET/resources/{resId}/originalContent"


@dataclass(frozen=True, slots=True)
class Letters:
    """Reads `resources` and `documents`."""

    calls: Calls
    settings: Settings

    def read(self, part: Slice, streams: Sequence[Stream], position: Json) -> Reading:
        """Read one part of the letters; the last gives what was found, and the cursors."""
        detail, start = part.detail, position or {"range": 0, "after": None}
        reader = _Reader(self.calls, self.settings, {stream.name: stream for stream in streams})
        for n, (first, last) in enumerate(detail["ranges"]):
            if n < start["range"]:
                continue
            after = start["after"] if n == start["range"] and start["after"] is not None else first - 1
            conditions = (detail["moved"],) if "moved" in detail else ()
            walk = Walk(self.calls, reader.columns, self.settings.limit, after, last, conditions)
            yield from reader.walked(walk, n)
        end = detail.get("end")
        if end is None:
            return {}
        if "done" not in start:
            yield from _ended(end, streams)
        return {stream.name: found for stream in streams if (found := end[stream.name]["cursor"]) is not None}


class _Reader:
    """Turns letters into pages of the streams asked for."""

    def __init__(self, calls: Calls, settings: Settings, streams: dict[str, Stream]) -> None:
        self.calls, self.settings, self.streams = calls, settings, streams
        self._tables = {name: Tables(name, each.schema, self.settings.server_zone) for name, each in self.streams.items()}
        self._files = Files("documents", CONTENT, self.settings.verify)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns to ask for."""
        needed = ("res_id", "fingerprint", "filesize", "format", "filename", "modification_date")
        resources = self.streams.get("resources")
        named = tuple(resources.schema.names) if resources else ()
        return tuple(dict.fromkeys((*named, *(needed if "documents" in self.streams else ()))))

    def walked(self, walk: Walk, n: int) -> Reading:
        """Give the pages of a walk, cut where files are fetched."""
        while letters := (yield from walk.page()):
            for check, holds, detail in walk.facts:
                yield from (Evidence(name, check, holds, detail) for name in self.streams)
            walk.facts.clear()
            if "documents" not in self.streams:
                yield from self._page("resources", [row for _, row in letters], {"range": n, "after": letters[-1][0]})
                continue
            wanted = [self._wanted(*letter) for letter in letters]
            held = yield from self._files.held(wanted)
            for cut in batches(wanted, held):
                yield from self._batch(letters[cut], wanted[cut], held, n)
        for check, holds, detail in walk.facts:
            yield from (Evidence(name, check, holds, detail) for name in self.streams)
        return {}

    def _batch(
        self, letters: Sequence[Letter], wanted: Sequence[Wanted | None], held: dict[str, Filed], n: int
    ) -> Answer[None]:
        taken = yield from self._files.take(wanted, held)
        for state, count in sorted(self._files.troubles.items()):
            if state == ALTERED:
                yield Evidence("documents", "document_differs", False, {"count": count, "kept": True, "setting": "verify"})
            else:
                yield Evidence("documents", f"document_{state}", False, {"count": count})
        self._files.troubles.clear()
        if "resources" in self.streams:
            yield from self._page("resources", [row for _, row in letters], None)
        filed = [_document(number, row, each) for (number, row), each in zip(letters, taken, strict=True)]
        yield from self._page("documents", filed, {"range": n, "after": letters[-1][0]})

    def _page(self, name: str, rows: Sequence[Any], position: Json) -> Iterator[Page | Evidence]:
        tables = self._tables[name]
        made = tables.table(rows)
        if tables.suspect:
            yield Evidence(name, "suspect_values", None, {"count": tables.suspect, "rules": {"type": tables.suspect}})
            tables.suspect = 0
        yield Page(name, made, position)

    def _wanted(self, number: int, row: Any) -> Wanted | None:  # noqa: ANN401 - a row of the vendor
        fingerprint = row.get("fingerprint") or None
        if not (fingerprint or row.get("filename") or row.get("filesize")):
            return None
        size = row.get("filesize")
        return Wanted(
            self.calls.get(f"resources/{number}/originalContent", document=True),
            f"{number}.{row.get('format') or 'bin'}",
            f"fingerprint:{str(fingerprint).lower()}" if fingerprint else None,
            str(fingerprint) if fingerprint else None,
            size if isinstance(size, int) else None,
        )


def _document(number: int, row: Any, taken: Taken) -> dict[str, Json]:  # noqa: ANN401 - a row of the vendor
    filed = taken.filed
    return {
        "res_id": number,
        "document": filed.document if filed else None,
        "size": filed.size if filed else None,
        "sha256": filed.sha256 if filed else None,
        "fingerprint": row.get("fingerprint"),
        "format": row.get("format"),
        "state": taken.state,
        "modification_date": row.get("modification_date"),
    }


def _ended(end: Json, streams: Sequence[Stream]) -> Iterator[Page | Evidence]:
    """What the planning found out, and the letters that the vendor says are gone."""
    left = [stream for stream in streams if end[stream.name]["removed"]]
    for stream in streams:
        for check, holds, detail in end[stream.name]["facts"]:
            yield Evidence(stream.name, check, holds, detail)
    for stream in left:
        removed = pa.table({"res_id": pa.array(end[stream.name]["removed"], pa.int64())})
        position = {"range": 0, "after": None, "done": True} if stream is left[-1] else None
        yield Page(stream.name, stream.schema.empty_table(), position, removed)
