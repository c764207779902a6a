"""The pull of users, or of groups and their members: what changed where a filter on that is honoured, all of it otherwise.

1. `meta.lastModified gt "…"` is asked from `lookback` before the newest change known. A user that does not satisfy it, or the
   newest known that does not come back, or a refusal, ends the trust: all users are read without a filter.
2. A server leaves no trace of a user that it deleted. A full read counts identifiers and adds them up; once every `reconcile`
   seconds an incremental read lists identifiers alone and holds those that were there then against that sum. When some are
   gone it says so (`vanished`) and gives no cursor: the next read is a full one, which removes them.
3. Groups and their members are read whole: a member that leaves is no change of a row that could be shown.
4. Pages are walked by `order`. A position is given while that walk can be resumed; otherwise pages come together, at its end.
5. `totalResults` is a hint. A resource without identifier is set aside and counted.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Evidence, Json, Page, ReadPlan
from saas_connectors.identity.scim import answers, records
from saas_connectors.identity.scim.order import Order
from saas_connectors.payloads import encode
from saas_connectors.records import Records, pieces
from saas_connectors.request import Pairs, Request, Response

_SUM: Final = 1 << 48  # within the integers that canonical JSON keeps (RFC 8785)
_REFUSED_FILTER: Final = {400, 404, 405, 422, 501}
_AT_ONCE: Final = 10


class State(msgspec.Struct):
    """Where a pull stands: all that a position holds. `made`: the newest creation; `size`, `sum`: of the identifiers given."""

    phase: str
    at: int = 1
    last: str | None = None
    edge: int = 0
    given: int = 0
    newest: str | None = None
    made: str | None = None
    size: int = 0
    sum: int = 0
    invalid: int = 0
    absent: int = 0
    why: str = ""
    totals: list[int] = []


@dataclass(slots=True)
class Pull:
    """One pull of `kind` (`users` or `groups`). `past`: the cursor, None for all; `each`: members are asked group by group."""

    url: str
    kind: str
    plan: ReadPlan
    count: int
    supported: answers.Supported
    past: Mapping[str, Json] | None = None
    lookback: int = 600
    reconcile: int = 86_400
    each: bool = False
    state: State = field(default_factory=lambda: State("all"))
    cursor: Json = None
    _shapes: dict[str, Records] = field(default_factory=dict)
    _capped: bool = False
    _total: int | None = None

    def pages(self, position: Json) -> Answer[None]:
        """Give the pages, then what was found; `cursor` is then the next one."""
        for stream in self.plan.streams:
            self._shapes[stream.name] = Records(records.TYPES, schema=stream.schema)
        self.state = State("changes" if self.past else "all")
        order = self._order()
        if position is not None:
            self.state = msgspec.convert(position, State)
            state = self.state
            if state.phase == "ended":
                order.done = True
            order.at, order.last, order.edge, order.given, order.resumed = state.at, state.last, state.edge, state.given, True
        if self.state.phase == "changes" and self.past:
            yield from self._changes(order)
            order = self._order()
        if self.state.phase in ("all", "ended"):
            yield from self._all(order)
        yield from self._told()

    def _order(self) -> Order:
        return Order(self.kind, self._count)

    @property
    def _count(self) -> int:
        return min(self.count, self.supported.most or self.count)

    @property
    def _list(self) -> str:
        return "Users" if self.kind == "users" else "Groups"

    def _changes(self, order: Order) -> Answer[None]:
        past, state = dict(self.past or {}), self.state
        known = records.instant(past["after"])
        since = known - timedelta(seconds=self.lookback) if known else self.plan.started_at
        wanted = f"meta.lastModified gt {answers.quoted(since.isoformat().replace('+00:00', 'Z'))}"
        honoured = yield from self._walk(order, (("filter", wanted),), since=since)
        newest = records.instant(state.newest)
        if not honoured or newest is None or (known is not None and newest < known):
            why = "filter_ignored" if not honoured else "went_backwards"
            self.state = State("all", why=why)
            return
        self.cursor = past | {"after": state.newest}
        if self.plan.started_at.timestamp() - past["surveyed"] >= self.reconcile:
            yield from self._survey(past)
        state.phase = "over"

    def _all(self, order: Order) -> Answer[None]:
        state = self.state
        yield from self._walk(order, ())
        state = self.state
        before = records.instant(self._before)
        newest = records.instant(state.newest)
        fact = {"field": "meta.lastModified"}
        if state.why == "filter_ignored":
            yield Evidence(self.kind, "filter_ignored", None, {**fact, "read_in_full": True})
        if before and (newest is None or newest < before):
            yield Evidence(self.kind, "went_backwards", False, fact)
        if state.newest is not None and self.kind == "users":
            self.cursor = {
                "after": state.newest, "made": state.made, "size": state.size, "sum": state.sum,
                "surveyed": int(self.plan.started_at.timestamp()),
            }  # fmt: skip
        if state.why:  # what is gone is found by a full read
            self.cursor = None

    @property
    def _before(self) -> str | None:
        past = self.plan.cursors.get(self.kind)
        return past.get("after") if isinstance(past, Mapping) else None

    def _survey(self, past: dict[str, Json]) -> Answer[None]:
        """List the identifiers, and hold those that were there at the last survey against what was known of them."""
        order, made = self._order(), records.instant(past["made"])
        then, now = Tally(), Tally()
        while not order.done:
            request = self._page(order, (("attributes", "id,meta.created"),))
            (response,) = yield from fetch(request)
            if self._past_the_end(order, response):
                order.end()
                continue
            rows = list(records.named(answers.listed(request, response).resources))
            for place in order.take([row["id"] for row in rows]):
                at = records.instant(records.attribute(records.attribute(rows[place], "meta") or {}, "created"))
                now.add(rows[place]["id"], at.isoformat() if at else None)
                if at is None or made is None or at <= made:
                    then.add(rows[place]["id"], None)
        if order.unsure or (then.size, then.sum) != (past["size"], past["sum"]):
            gone = max(1, past["size"] - then.size)
            yield Evidence(self.kind, "vanished", False, {"count": gone})
            self.cursor = None
            return
        self.cursor |= {
            "made": now.made or past["made"], "size": now.size, "sum": now.sum,
            "surveyed": int(self.plan.started_at.timestamp()),
        }  # fmt: skip

    def _past_the_end(self, order: Order, response: Response) -> bool:
        """Whether a refusal only says that the list ends before that place, by the server's own count."""
        return response.status in (400, 404, 416) and self._total is not None and order.at > max(1, self._total)

    def _page(self, order: Order, params: Pairs) -> Request:
        sort: Pairs = () if self.supported.sort is False else (("sortBy", "id"),)
        return answers.page(self.url, self._list, order.at, self._count, (*sort, *params))

    def _walk(self, order: Order, params: Pairs, *, since: datetime | None = None) -> Answer[bool]:
        """Walk the list; False when the filter is not honoured, and nothing but what satisfied it was given."""
        held: list[Page] = []
        while not order.done:
            request = self._page(order, params)
            (response,) = yield from fetch(request)
            if self._past_the_end(order, response):
                order.end()
                continue
            if since is not None and response.status in _REFUSED_FILTER:
                return False
            if self._refuses_to_sort(order, response):
                self.supported = replace(self.supported, sort=False)
                continue
            listed = answers.listed(request, response)
            resources = list(records.named(listed.resources))
            if since is not None and not all(_satisfies(one, since) for one in resources):
                return False
            yield from self._counted(listed, len(resources), whole=since is None)
            kept = [resources[place] for place in order.take([one["id"] for one in resources])]
            if kept:
                held += yield from self._made(request, response, kept)
            if order.sorted:
                yield from _given(held, self._position(order))
                held = []
        yield from _given(held, self._position(order, ended=True))
        if order.repeats or order.late:
            detail = {"repeated": order.repeats, "late": order.late}
            yield Evidence(self.kind, "order_unstable", False if order.late else None, detail)
        return True

    def _refuses_to_sort(self, order: Order, response: Response) -> bool:
        return response.status in (400, 501) and self.supported.sort is None and order.at == 1 and not order.seen

    def _counted(self, listed: answers.Listed, named: int, *, whole: bool) -> Iterator[Evidence]:
        """Take the counts of an answer, and what they say against it."""
        self._total, given = listed.total, len(listed.resources)
        self.state.invalid += given - named
        if listed.total is None:
            return
        if whole and listed.total not in self.state.totals:
            self.state.totals.append(listed.total)
        if not self._capped and 0 < given < min(self._count, listed.total) and self.state.given == 0:
            yield Evidence(self.kind, "page_cap", None, {"asked": self._count, "given": given})
        self._capped = True

    def _position(self, order: Order, *, ended: bool = False) -> Json:
        state = self.state
        state.at, state.last, state.edge, state.given = order.at, order.last, order.edge, order.given
        held: dict[str, Json] = msgspec.to_builtins(state)
        return held | {"phase": "ended"} if ended and state.phase == "all" else held

    def _made(self, request: Request, response: Response, kept: list[dict[str, Json]]) -> Answer[list[Page]]:
        """Make the pages of some resources, none with a position yet."""
        names = [stream.name for stream in self.plan.streams]
        found: list[Page] = []
        rows = [records.row(one, self.kind) for one in kept]
        for row in rows:
            self._learn(row)
        if self.kind in names:
            tables = pieces(self._shapes[self.kind].table(request, response, encode(rows)))
            found += [Page(self.kind, table) for table in tables]
        if self.kind == "groups" and "group_members" in names:
            whole = (yield from self._whole(kept)) if self.each else kept
            listed: list[dict[str, Json]] = []
            for group in whole:
                members, wrong = records.members(group)
                listed, self.state.invalid = listed + members, self.state.invalid + wrong
                self.state.absent += records.attribute(group, "members") is None
            if listed:
                tables = pieces(self._shapes["group_members"].table(request, response, encode(listed)))
                found += [Page("group_members", table) for table in tables]
        return found

    def _whole(self, groups: Sequence[Mapping[str, Json]]) -> Answer[list[Mapping[str, Json]]]:
        """Ask for groups one by one; one that left meanwhile has no member."""
        found: list[Mapping[str, Json]] = []
        for start in range(0, len(groups), _AT_ONCE):
            asked = [answers.one(self.url, "Groups", str(group["id"])) for group in groups[start : start + _AT_ONCE]]
            told = yield from fetch(*asked)
            for group, request, response in zip(groups[start:], asked, told, strict=False):
                if response.status not in (404, 410):
                    found.append({**answers.resource(request, response), "id": group["id"]})
        return found

    def _learn(self, row: Mapping[str, Json]) -> None:
        state, soon = self.state, self.plan.started_at + timedelta(days=1)
        changed = records.instant(row["last_modified"])
        newest = records.instant(state.newest)
        if changed is not None and changed <= soon and (newest is None or changed > newest):
            state.newest = changed.isoformat()
        if self.kind == "users" and state.phase == "all":
            made = records.instant((row.get("meta") or {}).get("created"))
            tally = Tally(state.size, state.sum, state.made)
            tally.add(row["id"], made.isoformat() if made else None)
            state.size, state.sum, state.made = tally.size, tally.sum, tally.made

    def _told(self) -> Iterator[Evidence]:
        state = self.state
        if state.invalid:
            yield Evidence(self.kind, "invalid_records", False, {"count": state.invalid, "rules": {"id": state.invalid}})
        if state.absent and state.absent >= state.size and self.kind == "groups" and not self.each:
            yield Evidence("group_members", "suspect_values", None, {"count": state.absent, "rules": {"members": state.absent}})
        if state.phase != "over":
            for total in state.totals:
                yield Evidence(self.kind, "vendor_count", None, {"count": total})


@dataclass(slots=True)
class Tally:
    """How many identifiers, their sum whatever their order, and the newest creation (ISO 8601)."""

    size: int = 0
    sum: int = 0
    made: str | None = None

    def add(self, name: str, made: str | None) -> None:
        """Count one."""
        self.size += 1
        self.sum = (self.sum + int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest())) % _SUM
        at, newest = records.instant(made), records.instant(self.made)
        if at is not None and (newest is None or at > newest):
            self.made = made


def _satisfies(resource: Mapping[str, Json], since: datetime) -> bool:
    meta = records.attribute(resource, "meta")
    changed = records.instant(records.attribute(meta, "lastModified")) if isinstance(meta, Mapping) else None
    return changed is not None and changed >= since


def _given(pages: Sequence[Page], position: Json) -> Iterator[Page]:
    """Pages that come together: the last of them bears the position."""
    yield from pages[:-1]
    yield from (Page(page.stream, page.records, position) for page in pages[-1:])
