"""The laws of a connector before a vendor that misbehaves, each a function that raises `Violation`; `run` holds it to all.

1. Nothing is lost in silence. Whatever befalls an answer, at whatever moment, the read gives every record that the honest one
   gives, or fails with a `ConnectorError`, or gives evidence that speaks against completeness.
2. Nothing of a wrong answer is shown.
3. Counts are hints: when they lie, the records are the same.
4. Records in another order, or given twice, are the same records.
5. A field that appears, or that changes its type, between two pages: its values are in the copy as the vendor gave them, unless
   the connector names the columns it asks for (`closed`), or says that records were refused.
6. A connection that breaks at any request: the read goes on from its last position; both parts are the whole, nothing twice.
7. A vendor that went back in time (restored from a backup) is said to, unless the copy follows it at once by removing what is
   gone; and what it is given next comes into the copy: no cursor from the future stalls the read (`restored`).

What a driver does of throttling and of refused tokens is the driver's own: these laws know it as a connection that breaks.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

import msgspec

from saas_connectors.conformance import tampering
from saas_connectors.conformance.driver import Recorder, Send, Shelf, converse, follow, withdraw
from saas_connectors.conformance.suite import MARK, hold, said
from saas_connectors.conformance.tampering import Counts, Cut, Fields, Lists, Records, Tampered
from saas_connectors.connector import Connector, Evidence, Json, Page, ReadPlan, Slice, Withdrawn
from saas_connectors.errors import ConnectorError

NOW: Final = datetime(2026, 11, 23, tzinfo=UTC)
Again: TypeAlias = Callable[[Send], "Pulled"]
"""Pulls once more, over a vendor that was tampered with."""
_SAYS: Final = {"went_backwards", "filter_ignored", "order_unstable", "vanished"}
"""Evidence by which a connector says that a vendor is not where it was."""


@dataclass
class Pulled:
    """What a pull gave, to its end or to its first error."""

    plan: ReadPlan | None = None
    pages: list[Page] = field(default_factory=list)
    evidence: list[Evidence] = field(default_factory=list)
    cursors: dict[str, Json] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def doubtful(self) -> bool:
        """Whether something that was said speaks against completeness."""
        return any(fact.holds is False for fact in self.evidence)

    @property
    def keys(self) -> Mapping[str, set[str]]:
        """Primary keys, by stream."""
        names = {stream.name: stream.primary_key for stream in self.plan.streams} if self.plan else {}
        found: dict[str, set[str]] = {name: set() for name in names}
        for page in self.pages:
            for row in page.records.select(names[page.stream]).to_pylist():
                found[page.stream].add(repr(row))
        return found

    @property
    def partial(self) -> bool:
        """Whether only what changed was asked for."""
        return self.plan is not None and bool(self.plan.cursors)

    @property
    def rows(self) -> Counter[str]:
        """Every record, with the number of times it came; fields without a value left out."""
        return Counter(_row(page.stream, row) for page in self.pages for row in page.records.to_pylist())


def _row(stream: str, row: Mapping[str, Json]) -> str:
    return stream + repr(sorted((name, value) for name, value in row.items() if value is not None))


def pull(
    connector: Connector, send: Send, *, started_at: datetime = NOW, cursors: Mapping[str, Json] | None = None
) -> Pulled:  # fmt: skip
    """Discover, cut and read all; in full, or what changed since `cursors` where a stream can be asked that."""
    pulled = Pulled()
    try:
        catalog = converse(connector.discover(), send)
        known = cursors or {}
        modes = {s.name: s.modes[-1] if s.name in known else s.modes[0] for s in catalog.streams}
        pulled.plan = ReadPlan(catalog.streams, modes, known, started_at)
        shelf = Shelf()
        for part in converse(connector.slices(pulled.plan), send):
            _take(pulled, follow(connector, pulled.plan, part, None, send, shelf))
    except Exception as error:  # noqa: BLE001 - the laws look at it
        pulled.error = error
    return pulled


def _take(pulled: Pulled, following: Iterator[Page | Withdrawn | Evidence]) -> None:
    while True:
        try:
            given = next(following)
        except StopIteration as end:
            pulled.cursors |= end.value
            return
        if isinstance(given, Page):
            pulled.pages.append(given)
        elif isinstance(given, Withdrawn):
            withdraw(pulled.pages)
        else:
            pulled.evidence.append(given)


def run(
    connector: Connector,
    send: Send,
    lists: Sequence[Lists],
    *,
    started_at: datetime = NOW,
    cursors: Mapping[str, Json] | None = None,
    most: int = 3,
    closed: bool = False,
) -> Pulled:
    """Hold a connector to laws 1 to 6 over a vendor that holds still; gives the honest pull; raises `Violation`.

    cursors: those of a pull before, to read what changed since; None to read all. most: how many moments of the pull are
    struck in each way.
    """
    recorder = Recorder(send)

    def again(struck: Send) -> Pulled:
        return pull(connector, struck, started_at=started_at, cursors=cursors)

    honest = again(recorder)
    hold(f"an honest vendor is read ({type(honest.error).__name__})", honest.error is None)
    hold("an honest vendor gives records", honest.rows)
    total = len(recorder.exchanges)
    for at in _moments(total, most):
        for what, wrong in tampering.WRONG.items():
            struck = Tampered(send, wrong, {at})
            sure(f"{what}, answer {at}", honest, again(struck))
    lied(again, send, lists, honest)
    moved(again, send, lists, honest)
    changed(again, send, lists, honest, total, closed=closed)
    broken(connector, send, honest, most)
    return honest


def _moments(total: int, most: int) -> list[int]:
    """At most so many numbers of requests, from the first to the last."""
    if total <= most:
        return list(range(total))
    return sorted({round(n * (total - 1) / (most - 1)) for n in range(most)})


def sure(what: str, honest: Pulled, found: Pulled) -> None:
    """Laws 1 and 2."""
    if found.error is not None:
        hold(
            f"{what}: ends in a fault of the port, not in {type(found.error).__name__}", isinstance(found.error, ConnectorError)
        )
        hold(f"{what}: shows in the error", not any(MARK in each for each in said(found.error)))
        return
    lost = {name: len(keys - found.keys.get(name, set())) for name, keys in honest.keys.items()}
    hold(f"{what}: nothing is lost in silence ({lost})", found.doubtful or not any(lost.values()))
    hold(f"{what}: shows in the evidence", MARK not in repr([(fact.check, fact.detail) for fact in found.evidence]))


def _same(honest: Pulled, found: Pulled) -> bool:
    """The same records; asked for what changed, a connector that doubts may read more."""
    return set(honest.rows) <= set(found.rows) and (honest.partial or set(found.rows) == set(honest.rows))


def lied(again: Again, send: Send, lists: Sequence[Lists], honest: Pulled) -> None:
    """Law 3."""
    for more in (40, -40, 10**9):
        struck = Tampered(send, Counts(lists, more))
        found = again(struck)
        hold("some answers count, where it is said that they do", struck.struck or not any(each.counts for each in lists))
        hold(f"counts off by {more}: the read ends well", found.error is None)
        hold(f"counts off by {more}: the records are the same", _same(honest, found))


def moved(again: Again, send: Send, lists: Sequence[Lists], honest: Pulled) -> None:
    """Law 4; a vendor whose pages follow its own order may also be said not to keep it."""
    for change in (tampering.reordered, tampering.repeated):
        what = f"records {change.__name__}"
        struck = Tampered(send, Records(lists, change))
        found = again(struck)
        hold(f"{what}: some answers hold records", struck.struck)
        sure(what, honest, found)
        same = found.error is not None or found.doubtful or _same(honest, found)
        hold(f"{what}: they are the same records", same)


def changed(again: Again, send: Send, lists: Sequence[Lists], honest: Pulled, total: int, *, closed: bool) -> None:
    """Law 5: from the first answer, and from the middle of the pull."""
    for added in (True, False):
        if not added and not any(each.plain for each in lists):
            continue
        for at in (range(total), range(total // 2, total)):
            what = f"a field {'appears' if added else 'changes its type'} from answer {at.start}"
            struck = Tampered(send, Fields(lists, added), at)
            found = again(struck)
            hold(f"{what}: some answers hold such records", struck.struck or at.start)
            sure(what, honest, found)
            kept = any(tampering.SURPRISE in row for row in found.rows)
            hold(f"{what}: its values are in the copy", found.error or found.doubtful or kept or closed or not struck.struck)


def broken(connector: Connector, send: Send, honest: Pulled, most: int) -> None:
    """Law 6."""
    plan = honest.plan
    if plan is None:
        return
    for part in converse(connector.slices(plan), send):
        whole, _ = _until_cut(connector, plan, part, None, send)
        counting = Tampered(send, lambda _, response: response)
        _until_cut(connector, plan, part, None, counting)
        for at in _moments(counting.sent, most):
            given, ended = _until_cut(connector, plan, part, None, Tampered(send, tampering.cut, {at}))
            hold(f"slice {part.key}, request {at} cut: the read does not go on", not ended)
            last = max((n for n, page in enumerate(given) if page.position is not None), default=-1)
            position = msgspec.json.encode(given[last].position) if last >= 0 else b"null"
            rest, ended = _until_cut(connector, plan, part, msgspec.json.decode(position), send)
            hold(f"slice {part.key}, request {at} cut: the read ends when it goes on", ended)
            both = Pulled(plan, [*given[: last + 1], *rest])
            same = both.rows == Pulled(plan, whole).rows
            hold(f"slice {part.key}, request {at} cut: both parts are the whole, nothing twice", same)


def _until_cut(
    connector: Connector, plan: ReadPlan, part: Slice, position: Json, send: Send
) -> tuple[list[Page], bool]:  # fmt: skip
    pulled = Pulled(plan)
    try:
        _take(pulled, follow(connector, plan, part, position, send, Shelf()))
    except Cut:
        return pulled.pages, False
    return pulled.pages, True


def restored(
    connector: Connector,
    send: Send,
    back: Callable[[], None],
    onward: Callable[[], tuple[str, Mapping[str, Json]]],
    *,
    started_at: datetime = NOW,
) -> None:
    """Law 7: `back` restores the vendor's backup; `onward` has someone work there, gives the stream and the key of the record.

    Raises `Violation`.
    """
    first = pull(connector, send, started_at=started_at)
    hold("an honest vendor is read", first.error is None)
    back()
    second = pull(connector, send, started_at=started_at, cursors=first.cursors)
    hold(f"a restored vendor is read ({second.error})", second.error is None)
    told = any(fact.check in _SAYS for fact in second.evidence)
    followed = any(page.removed is not None and page.removed.num_rows for page in second.pages)
    hold("a vendor that went back in time is said to, or followed", told or followed or not _incremental(second))
    stream, key = onward()
    third = pull(connector, send, started_at=started_at, cursors=first.cursors | second.cursors)
    hold(f"what a restored vendor is given is read ({third.error})", third.error is None)
    hold(f"what a restored vendor is given comes into `{stream}`", repr(dict(key)) in third.keys.get(stream, set()))


def _incremental(pulled: Pulled) -> bool:
    return pulled.plan is not None and "incremental" in pulled.plan.modes.values()
