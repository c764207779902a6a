"""The port of every connector: four verbs, no input or output.

1. A connector is a value made from its settings. Making one opens nothing.
2. Each verb is a generator. It yields a `Fetch` and is sent the responses, in the order of the requests; it returns its result.
3. `read` also yields `Page`s and `Evidence`, and is sent None for them. A page's `position` is where to start again once that
   page is safe on disk: `read(plan, slice, position)` then yields what comes after it, nothing twice, nothing missing.
4. A connector trusts no vendor: it checks that rows satisfy the filter it asked for, takes a count for a hint, and never puts a
   vendor's error body in an error of its own.
5. Retries, waiting, credentials, budgets and raw archiving are the driver's business (`sovereign.egress`, `sovereign.sync`).
"""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import pyarrow as pa

from saas_connectors.request import Request, Response

Json: TypeAlias = Any
"""A value that JSON can carry: None, bool, int, str, list or dict of them."""

Class = Literal["internal", "personal", "sensitive"]
SyncMode = Literal["full_refresh", "incremental"]
Contract = Literal["evolve", "freeze", "discard_row", "discard_value"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fetch:
    """Requests that may be sent at once; their responses come back in this order."""

    requests: tuple[Request, ...]


Exchange: TypeAlias = Generator[Fetch, tuple[Response, ...], T]
"""A conversation with a vendor that ends in a T."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One table of a vendor: what its records hold, what names them, how they are pulled.

    `schema` may be empty: it is then found from the first page. `classes` gives the class of each field; a field that no one
    classified is `personal`. `found` names the fields of `schema` that nobody declared: a sample showed them, so a change there
    is drift. `cursor` names the field that moves forward, when there is one. Streams of one `group` come out of the same
    responses and are read together.
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


@dataclass(frozen=True, slots=True)
class Catalog:
    """The streams a connection offers."""

    streams: tuple[Stream, ...]


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
class Evidence:
    """A fact that weighs on the verdict of a run.

    `check` is one of: `vendor_count` (detail: `count`), `filter_ignored`, `page_cap` (detail: `asked`, `given`),
    `page_repeated`, `order_unstable`, `invalid_records` (detail: `count`, `rules`), `suspect_values` (the same detail),
    `schema_drift`, `went_backwards`, `unchanged` (the vendor holds what it held when the cursor was given: no page comes, and
    the last snapshot stands). `holds` is False when the fact speaks against completeness, None when it is only a
    remark. `detail` is JSON without any personal value.
    """

    stream: str
    check: str
    holds: bool | None
    detail: Mapping[str, Json] = field(default_factory=dict)


Reading: TypeAlias = Generator[Fetch | Page | Evidence, tuple[Response, ...] | None, Mapping[str, Json]]
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
class Applied:
    """What the vendor answered to a write: its identifier for what was written, when it gave one."""

    status: int
    vendor_id: str | None = None


class Writer(Protocol):
    """A connector that can also write; the gateway alone calls it."""

    def apply(self, operation: str, payload: Json) -> Exchange[Applied]:
        """Carry out one declared operation; never retried by the connector."""
        ...
