"""The laws of a connector, each a function that raises `Violation`; `run` holds a connector to all of them.

1. `check` and `discover` end; names, keys, modes and cursors are sound; every field has a class.
2. Slices have stable, unique keys, cover the streams planned, and their detail survives JSON.
3. Pages hold what the catalog says: known streams, tables within bounds, keys present, and unique over all slices of a full
   read.
4. A read from the position of any page gives exactly what came after it.
5. No request carries a credential.
6. Whatever the vendor answers, at whatever moment, a connector fails with a `ConnectorError` that holds nothing of the answer.
7. The same responses give the same pages and the same evidence.
8. A stream's `document` is a text field of its schema; what its records have there was filed for that stream. Read again with
   the same store, no file that it holds is asked for, and the records are the same.

The vendor must hold still while the suite runs.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlsplit

import msgspec
import pyarrow as pa

from saas_connectors.conformance.driver import Read, Recorder, Replay, Send, Shelf, converse, read
from saas_connectors.connector import Catalog, Checked, Connector, Json, Page, ReadPlan, Slice, SyncMode
from saas_connectors.errors import ConnectorError
from saas_connectors.records import MAX_TABLE
from saas_connectors.request import Headers, Request, Response

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_HEADERS: Final = {"authorization", "proxy-authorization", "cookie", "x-api-key"}
MARK: Final = "jeanne.martin-2-85-05-78-006-084"
"""What no error may show."""
_BYTES: Final = MARK.encode()
HOSTILE: Final[Mapping[str, tuple[int, bytes]]] = {
    "an HTML page": (200, b"<!DOCTYPE html><a href='http://user:" + _BYTES + b"@host/'>"),
    "an HTML error": (404, b"<html>" + _BYTES),
    "a refusal": (403, b'{"errors":"' + _BYTES + b'"}'),
    "a crash": (500, b'{"message":"' + _BYTES + b'"}'),
    "an error in a success": (200, b'{"error":{"message":"' + _BYTES + b'"}}'),
    "half a document": (200, b'{"items":[{"id":"' + _BYTES),
    "not UTF-8": (200, b'{"items":[{"id":"' + _BYTES + b'\xff\xfe"}]}'),
    "an abyss": (200, b'{"' + _BYTES + b'":' + b"[" * 200_000),
    "a scalar": (200, b'"' + _BYTES + b'"'),
    "records that are not": (200, b'{"items":["' + _BYTES + b'",null,3]}'),
    "nothing": (200, b""),
}


class Violation(AssertionError):
    """A connector breaks a law."""


def hold(law: str, kept: object) -> None:
    """Raise `Violation` unless a law is kept."""
    if not kept:
        raise Violation(law)


@dataclass(frozen=True, slots=True)
class Report:
    """What was seen of a connector that keeps the laws."""

    catalog: Catalog
    slices: tuple[Slice, ...]
    reads: Mapping[str, Read]

    @property
    def rows(self) -> dict[str, int]:
        """Records by stream."""
        found = dict.fromkeys((stream.name for stream in self.catalog.streams), 0)
        for one in self.reads.values():
            for page in one.pages:
                found[page.stream] += page.records.num_rows
        return found


def run(
    connector: Connector,
    send: Send,
    *,
    secrets: Sequence[str] = (),
    started_at: datetime = datetime(2026, 11, 23, tzinfo=UTC),
    resumes: int = 40,
    mode: SyncMode = "full_refresh",
    cursors: Mapping[str, Json] | None = None,
) -> Report:
    """Hold a connector to the laws; `resumes` bounds the positions tried in each slice; raises `Violation`."""
    recorder = Recorder(send)
    checked = converse(connector.check(), recorder)
    hold("`check` gives what the vendor is", isinstance(checked, Checked) and checked.vendor)
    catalog = converse(connector.discover(), recorder)
    sound(catalog)
    plan = ReadPlan(catalog.streams, {stream.name: mode for stream in catalog.streams}, cursors or {}, started_at)
    before = len(recorder.exchanges)
    slices = converse(connector.slices(plan), recorder)
    sliced(plan, slices)
    shelf = Shelf()
    reads = {part.key: read(connector, plan, part, None, recorder, shelf) for part in slices}
    paged(plan, slices, reads, whole=mode == "full_refresh")
    filed(plan, reads, shelf)
    modest(recorder.exchanges, secrets)
    for part in slices:
        resumable(connector, plan, part, reads[part.key], send, resumes)
    repeatable(connector, plan, recorder.exchanges[before:], reads)
    held(connector, plan, slices, reads, send, shelf)
    discreet(connector, plan, slices, send)
    return Report(catalog, slices, reads)


def sound(catalog: Catalog) -> None:
    """Law 1."""
    names = [stream.name for stream in catalog.streams]
    hold("a catalog offers streams, each of its own name", names and len(set(names)) == len(names))
    for stream in catalog.streams:
        hold(f"`{stream.name}` is a stream's name", _NAME.fullmatch(stream.name))
        hold(f"`{stream.name}` has a primary key", stream.primary_key)
        fields = set(stream.schema.names)
        hold(f"the key of `{stream.name}` is in its schema", not fields or fields.issuperset(stream.primary_key))
        hold(f"every field of `{stream.name}` has a class", fields <= stream.classes.keys())
        hold(f"`{stream.name}` is pulled somehow", stream.modes)
        hold(f"`{stream.name}` has a cursor when it is incremental", "incremental" not in stream.modes or stream.cursor)
        if stream.document is not None:
            at = stream.schema.get_field_index(stream.document)
            hold(f"`{stream.name}` names documents in a field of its schema", at >= 0 or not fields)
            hold(f"`{stream.name}` names documents in text", at < 0 or pa.types.is_string(stream.schema.field(at).type))
            hold(f"the documents of `{stream.name}` have a class", stream.document in stream.classes)


def sliced(plan: ReadPlan, slices: Sequence[Slice]) -> None:
    """Law 2."""
    hold("slices have unique keys", len({part.key for part in slices}) == len(slices))
    hold("slices cover the plan", {s.name for s in plan.streams} <= {name for part in slices for name in part.streams})
    for part in slices:
        again = msgspec.json.decode(msgspec.json.encode(part.detail))
        hold(f"the detail of slice {part.key} survives JSON", again == part.detail)


def paged(plan: ReadPlan, slices: Sequence[Slice], reads: Mapping[str, Read], *, whole: bool) -> None:
    """Law 3."""
    streams = {stream.name: stream for stream in plan.streams}
    keys: dict[str, set[tuple[object, ...]]] = {name: set() for name in streams}
    for part in slices:
        pages = reads[part.key].pages
        hold(f"slice {part.key} ends on a position", not pages or pages[-1].position is not None)
        for page in pages:
            hold(f"slice {part.key} reads its own streams", page.stream in part.streams)
            table, key = page.records, streams[page.stream].primary_key
            hold("a page holds a table", isinstance(table, pa.Table))
            hold("a page holds at most 64 MiB", table.nbytes <= MAX_TABLE or table.num_rows == 1)
            hold(f"pages of `{page.stream}` hold its key", not table.num_rows or set(key) <= set(table.column_names))
            again = msgspec.json.decode(msgspec.json.encode(page.position))
            hold("a position survives JSON", again == page.position)
            if not table.num_rows:
                continue
            names = list(zip(*(table.column(name).to_pylist() for name in key), strict=True))
            hold(f"keys of `{page.stream}` are never null", all(None not in name for name in names))
            hold(f"keys of `{page.stream}` come once", not whole or keys[page.stream].isdisjoint(names))
            hold(f"keys of `{page.stream}` come once in a page", not whole or len(set(names)) == len(names))
            keys[page.stream].update(names)
        for name in reads[part.key].cursors:
            hold(f"slice {part.key} gives cursors of its own streams", name in part.streams)


def filed(plan: ReadPlan, reads: Mapping[str, Read], shelf: Shelf) -> None:
    """Law 8, of what was read."""
    for stream in plan.streams:
        known = {each.document for (name, _), each in shelf.filed.items() if name == stream.name}
        hold(f"`{stream.name}` says in which field it names documents", stream.document is not None or not known)
        for page in (page for one in reads.values() for page in one.pages if page.stream == stream.name):
            if stream.document in page.records.column_names:
                named = set(page.records.column(stream.document).to_pylist()) - {None}
                hold(f"each document that `{stream.name}` names was filed for it", named <= known)


def held(
    connector: Connector, plan: ReadPlan, slices: Sequence[Slice], reads: Mapping[str, Read], send: Send, shelf: Shelf
) -> None:
    """Law 8, of a second read; files that became no document may be asked for again."""
    if not shelf.filed:
        return
    contents = set(shelf.contents.values())
    again = Recorder(send)
    for part in slices:
        second = read(connector, plan, part, None, again, shelf)
        hold(f"slice {part.key} gives the same records of what is held", _rows(second.pages) == _rows(reads[part.key].pages))
    asked = [answer for request, answer in again.exchanges if request.document and 200 <= answer.status < 300]
    hold("no document that is held is asked for again", not any(answer.body in contents for answer in asked))


def resumable(connector: Connector, plan: ReadPlan, part: Slice, done: Read, send: Send, most: int) -> None:
    """Law 4; the cursor at the end is the same as well."""
    at = [number for number, page in enumerate(done.pages) if page.position is not None]
    step = max(1, -(-len(at) // most))
    for number in {*at[::step], *at[-1:]}:
        rest = read(connector, plan, part, done.pages[number].position, send)
        hold(
            f"slice {part.key} resumed after page {number} gives exactly the rest",
            _rows(rest.pages) == _rows(done.pages[number + 1 :]),
        )
        hold(f"slice {part.key} resumed after page {number} ends on the same cursors", rest.cursors == done.cursors)


def _rows(pages: Sequence[Page]) -> dict[str, list[Json]]:
    found: dict[str, list[Json]] = {}
    for page in pages:
        for row in page.records.to_pylist():
            found.setdefault(page.stream, []).append({name: value for name, value in row.items() if value is not None})
    return found


def modest(exchanges: Sequence[tuple[Request, Response]], secrets: Sequence[str]) -> None:
    """Law 5."""
    for request, _ in exchanges:
        hold("requests carry no credential in a header", not any(name.lower() in _HEADERS for name, _ in request.headers))
        hold("requests carry no credential in their address", "@" not in urlsplit(request.url).netloc)
        written = f"{request.full_url} {request.headers} ".encode() + (request.body or b"")
        hold("requests carry no secret", not any(secret.encode() in written for secret in secrets))


def repeatable(
    connector: Connector, plan: ReadPlan, exchanges: list[tuple[Request, Response]], reads: Mapping[str, Read]
) -> None:
    """Law 7."""
    replay, shelf = Replay(exchanges), Shelf()
    for part in converse(connector.slices(plan), replay):
        again, first = read(connector, plan, part, None, replay, shelf), reads[part.key]
        same = all(
            a.records.equals(b.records) and a.position == b.position for a, b in zip(again.pages, first.pages, strict=True)
        )
        hold(f"slice {part.key} replayed gives the same pages", same)
        hold(f"slice {part.key} replayed gives the same evidence", again.evidence == first.evidence)


class _Spoilt:
    """Sends as told, but for the answer number `at`."""

    def __init__(self, send: Send, at: int, status: int, body: bytes) -> None:
        self._send, self._left, self._status, self._body = send, at, status, body

    def __call__(self, request: Request) -> Response:
        self._left -= 1
        if self._left == -1:
            return Response(self._status, request.full_url, self._body, Headers([("Content-Type", "text/html")]))
        return self._send(request)


def discreet(connector: Connector, plan: ReadPlan, slices: Sequence[Slice], send: Send) -> None:
    """Law 6: the first and the second answer of each verb are spoilt in every way of `HOSTILE`."""
    acts: dict[str, Callable[[Send], object]] = {
        "check": lambda spoilt: converse(connector.check(), spoilt),
        "discover": lambda spoilt: converse(connector.discover(), spoilt),
        "slices": lambda spoilt: converse(connector.slices(plan), spoilt),
        "read": lambda spoilt: read(connector, plan, slices[0], None, spoilt),
    }
    for what, (status, body) in HOSTILE.items():
        for verb, act in acts.items():
            for at in (0, 1):
                try:
                    act(_Spoilt(send, at, status, body))
                except ConnectorError as error:
                    hold(f"{verb}: {what} shows in the error", not any(MARK in said for said in said(error)))
                except Exception as error:
                    raise Violation(f"{verb}: {what} ends in {type(error).__name__}") from error


def said(error: BaseException | None) -> Iterator[str]:
    """Give all that an error could show, down its chain."""
    while error is not None:
        yield f"{error} {error!r} {getattr(error, 'fields', '')}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
