"""The port of every connector: four verbs, no input or output.

1. A connector is a value made from its settings. Making one opens nothing.
2. Each verb is a generator. It yields a `Fetch` and is sent the responses, in the order of the requests; it returns its result.
3. `read` also yields `Page`s and `Evidence`, and is sent None for them. A page's `position` is where to start again once that
   page is safe on disk: `read(plan, slice, position)` then yields what comes after it, nothing twice, nothing missing.
   `Withdrawn` takes back the pages since the last position: what they were made of turned out not to be taken.
   A vendor's files are fetched only when they are not held: `Holding` asks the document store, `Document` gives it a file.
4. A connector trusts no vendor: it checks that rows satisfy the filter it asked for, takes a count for a hint, and never puts a
   vendor's error body in an error of its own.
5. Retries, waiting, credentials, budgets and raw archiving are the driver's business (`sovereign.egress`, `sovereign.sync`).
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import pyarrow as pa

from saas_connectors.request import Request, Response
from vault.content import Content

Json: TypeAlias = Any
"""A value that JSON can carry: None, bool, int, str, list or dict of them."""

Class = Literal["internal", "personal", "sensitive"]
SyncMode = Literal["full_refresh", "incremental"]
Contract = Literal["evolve", "freeze", "discard_row", "discard_value"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetch:
    """Requests that may be sent at once; their responses come back in this order.

    `holds`: with the one that writes, whether a look just before showed that the vendor holds already what is asked; None when
    nothing was looked at, or the look did not tell.
    """

    requests: tuple[Request, ...]
    holds: bool | None = None


Exchange: TypeAlias = Generator[Fetch, tuple[Response, ...], T]
"""A conversation with a vendor that ends in a T."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One table of a vendor: what its records hold, what names them, how they are pulled.

    `schema` may be empty: it is then found from the first page. `classes` gives the class of each field; a field that no one
    classified is `personal`. `found` names the fields of `schema` that nobody declared: a sample showed them, so a change there
    is drift. `cursor` names the field that moves forward, when there is one. Streams of one `group` come out of the same
    responses and are read together. `document` names the field (a string) that holds the `Filed.document` of each record's
    file, when the records have files; the class of that field is the class of the files. `guarded`: False for a table that may
    fall, or empty itself, from one read to the next and mean no harm: no guard puts it in quarantine.
    """

    name: str
    primary_key: tuple[str, ...]
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    classes: Mapping[str, Class] = field(default_factory=dict)
    modes: tuple[SyncMode, ...] = ("full_refresh",)
    cursor: str | None = None
    contract: Contract = "evolve"
    group: str | None = None
    title: str = ""
    found: frozenset[str] = frozenset()
    document: str | None = None
    guarded: bool = True


@dataclass(frozen=True, slots=True)
class Catalog:
    """The streams a connection offers; `words`: texts that the vendor's interface is made of (code lists, names of types).

    A recording keeps them as they are, wherever they stand whole: they are public, and say nothing of anyone.
    """

    streams: tuple[Stream, ...]
    words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Checked:
    """The connection works: what the vendor says it is, and remarks worth a person's attention (French, English)."""

    vendor: str
    remarks: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """What one run reads: the streams, how each is pulled, where each stopped last time, and when the run began (UTC)."""

    streams: tuple[Stream, ...]
    modes: Mapping[str, SyncMode]
    cursors: Mapping[str, Json]
    started_at: datetime


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the read that stands on its own: slices run concurrently, one generator each.

    `key` is stable and unique in a plan (it names the slice in resume points); `detail` is the connector's own, JSON.
    """

    key: str
    streams: tuple[str, ...]
    detail: Json = None


@dataclass(frozen=True, slots=True)
class Page:
    """Records of one stream, and where to start again after them.

    `records` is an Arrow table, at most 64 MiB; `removed` holds the primary keys of records the vendor says are gone;
    `position` is JSON, understood by the connector alone. When a response fills pages of several streams, all but the last have
    `position=None`: the whole response is the unit of resumption.
    """

    stream: str
    records: pa.Table
    position: Json = None
    removed: pa.Table | None = None


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Takes back the pages that a slice gave since its last position: none of them lands."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact that weighs on the verdict of a run.

    `check` is one of: `vendor_count` (detail: `count`), `filter_ignored`, `page_cap` (detail: `asked`, `given`),
    `page_repeated`, `order_unstable`, `invalid_records` (detail: `count`, `rules`), `suspect_values` (the same detail),
    `vanished` (records that no list shows any more, and that nothing says are gone: `count`), `document_differs` and
    `document_missing` (files that are not what their fingerprint says, or that are not given: `count`), `schema_drift`,
    `went_backwards`, `file_whole` (by what a file is known to be whole: `by`), `not_taken` (a file is not read: `why`),
    `unchanged` (the vendor holds what it held when the cursor was given, or what it holds is not taken: no page comes, and the
    last snapshot stands). `holds` is False when the fact speaks against completeness, None when it is only a remark. `detail`
    is JSON without any personal value.
    """

    stream: str
    check: str
    holds: bool | None
    detail: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Holding:
    """Asks the document store what it holds of a stream; a tuple of `Filed` or None comes back, in the order of the tags.

    A tag is the connector's name for some exact bytes: the vendor's fingerprint, or the identity of a file that never changes.
    Two contents never share a tag within a stream.
    """

    stream: str
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """A file of the vendor, for the document store: kept sealed, once for all who hold the same bytes; its `Filed` comes back.

    It belongs to the stream whose record will name it, in the field `Stream.document`. It is safe on disk before the record
    is. `media_type` and `name` are the vendor's word, unchecked. Its bytes are those of one response to a `Request` marked
    `document`, or a part of a response that is not; of a response that was put aside, its `Content`.
    """

    stream: str
    tag: str
    content: bytes | Content
    media_type: str = "application/octet-stream"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Filed:
    """A document as the store knows it: its name there (opaque, safe to show), its size in bytes, its SHA-256 (hexadecimal)."""

    document: str
    size: int
    sha256: str


Asked: TypeAlias = Fetch | Page | Withdrawn | Evidence | Holding | Document
"""What a read yields."""

Told: TypeAlias = tuple[Response, ...] | tuple[Filed | None, ...] | Filed | None
"""What a read is sent: responses to a `Fetch`, what is held to a `Holding`, its `Filed` to a `Document`, None to the rest."""

Reading: TypeAlias = Generator[Asked, Told, Mapping[str, Json]]
"""A read in progress; it returns the new cursor of each stream that has one."""


class Connector(Protocol):
    """A vendor's interface, understood."""

    name: str
    version: str

    def check(self) -> Exchange[Checked]:
        """Find out whether the vendor answers and the credential is accepted."""
        ...

    def discover(self) -> Exchange[Catalog]:
        """List the streams, with their schema, keys and classes."""
        ...

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """Cut the read into parts that may run concurrently; one slice is always right."""
        ...

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one slice, from its beginning (`position` None) or from a resume point."""
        ...


@dataclass(frozen=True, slots=True)
class Operation:
    """One way to write at a vendor, as its callers see it.

    `schema` is the JSON Schema (2020-12) of the payload, closed: what it does not name is refused. `stream` names the stream
    whose classes the payload's fields have, None when the payload itself says which. `idempotent`: sent twice, it leaves the
    vendor as sent once. `key_header`: the header in which the vendor honours an idempotency key. `removes`: it takes something
    away. `departure`: someone leaves, it goes before everything else. `reads_back`, `probes`: whether what was written, or what
    may have been, can be looked for.
    """

    name: str
    title_fr: str
    title_en: str
    schema: Mapping[str, Json]
    stream: str | None = None
    idempotent: bool = False
    key_header: str | None = None
    removes: bool = False
    departure: bool = False
    reads_back: bool = True
    probes: bool = True


@dataclass(frozen=True, slots=True)
class Applied:
    """What the vendor answered to a write: its status, and its identifier for what was written, when it gave one.

    `changed`: whether its answer says that the write changed something; None when it does not tell.
    """

    status: int
    vendor_id: str | None = None
    changed: bool | None = None


@dataclass(frozen=True, slots=True)
class ReadBack:
    """What the vendor holds after a write it accepted.

    `confirmed`: what was asked. `differs`: it is there, and not as asked; `pointers` (RFC 6901, into the payload) say where.
    `absent`: nothing of it (a lost write), or what should be gone still stands. `unsupported`: there is no way to look.
    """

    outcome: Literal["confirmed", "differs", "absent", "unsupported"]
    pointers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Probed:
    """What looking at the vendor says of a write whose outcome is unknown.

    `landed`: the vendor holds what was asked. `did_not_happen`: it provably does not, at this instant, and asking again makes
    no double. `inconclusive`: looking does not tell. A vendor may still be at work on a request that it received: a probe is
    worth something only once it can no longer be.
    """

    outcome: Literal["landed", "did_not_happen", "inconclusive"]
    vendor_id: str | None = None


@dataclass(frozen=True, slots=True)
class MirrorQuery:
    """A read of the vendor's interface that the local copy can answer as well.

    `kind`: `list` (records of `stream` that satisfy `filters`, equality on fields as text, `offset` skipped, at most `limit`),
    `record` (the one whose fields are as `filters` say), or `streams` (the list of the streams; `stream` is then empty).
    `detail` is the connector's own, for `Writer.present`.
    """

    kind: Literal["list", "record", "streams"]
    stream: str = ""
    filters: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    offset: int = 0
    detail: Json = None


@dataclass(frozen=True, slots=True)
class Presented:
    """An answer in the vendor's own form, made of the local copy."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """What a write would make of one record of a stream, in the words of the local copy.

    `names`: the fields that say which record, as text; empty when it is new and nothing names it yet. `fields`: what is
    written, by column, plain values; None empties a field. `replace` empties the fields that are not written as well.
    """

    kind: Literal["create", "update", "replace", "delete"]
    stream: str
    names: tuple[tuple[str, str], ...] = ()
    fields: Mapping[str, Json] = field(default_factory=dict)


class Writer(Protocol):
    """A connector that can also write; the gateway alone calls it. Only `apply`, `read_back` and `probe` speak to the vendor.

    1. `apply` yields one request that writes, alone in its `Fetch`; none where a look shows that the vendor already holds what
       is asked. Requests that read (GET, HEAD, or `reads`) may come before it. It sends nothing twice. A fault raised before
       the write was yielded: nothing was written. What can be undone is looked at first (`Fetch.holds`): whoever undoes it
       undoes what it changed, and no more.
    2. After the write, `apply` raises `Rejected` for a refusal: `definitive` says that the vendor did not do it and would not
       if it were asked again; otherwise its outcome is unknown, or (429, 503) it asks to wait.
    3. `BadPayload` is always definitive and names a place in the payload, never a value.
    4. `read_back` and `probe` only read. An answer that they cannot understand is a fault, or says nothing; never a landing.
    5. Paths of the pass-through (`is_read`, `mirror`, `passed`) are as sent to the vendor: from the root of its origin, with
       their query.
    """

    def operations(self) -> tuple[Operation, ...]:
        """The ways to write that this connection declares; none unless its settings open them."""
        ...

    def entity(self, operation: str, payload: Json, /) -> str:
        """What a payload is written to: writes to one entity keep their order; errors: BadPayload, UnknownOperation."""
        ...

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """Classes of the data in a payload; a field that no one classified is personal."""
        ...

    def changes(self, operation: str, payload: Json, /) -> tuple[Change, ...]:
        """The records of the local copy that a payload would change, each once; none when that cannot be said of it."""
        ...

    def passed(self, method: str, path: str, body: Json, /) -> tuple[Change, ...]:
        """The same of a call of the pass-through that writes. body: its JSON, None when it has none; never raises."""
        ...

    def apply(self, operation: str, payload: Json, key: str | None = None, /) -> Exchange[Applied]:
        """Carry out one operation; `key` goes in the operation's `key_header`."""
        ...

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Look at what the vendor made of a write that it accepted."""
        ...

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """Find out whether a write of unknown outcome happened."""
        ...

    def is_read(self, method: str, path: str, /) -> bool:
        """Whether a call of the pass-through changes nothing at the vendor."""
        ...

    def mirror(self, method: str, path: str, /) -> MirrorQuery | None:
        """The question to the local copy that answers a read of the pass-through; None when only the vendor can."""
        ...

    def present(self, query: MirrorQuery, rows: Sequence[Mapping[str, Json]], total: int, /) -> Presented:
        """Write rows of the local copy as the vendor would.

        rows: fields in clear, plain Python values; for `streams`, `{"stream", "title"}` each. total: how many records satisfy
        the question beyond its limit.
        """
        ...
