"""The pull of users, or of groups and their members, by delta query: all of them once, then what changed.

1. Links (`@odata.nextLink`, `@odata.deltaLink`) are opaque, and followed on the same host only. A page may be empty and have a
   next one; a page with neither link is no end: it is malformed.
2. What changed comes with the properties that changed alone, in any order, some of it several times: each object is then read
   whole by its identifier. Members are said one by one, come or gone.
3. `@removed` takes an object out of the copy, whether it can still be restored (`changed`) or not (`deleted`), once it is seen
   not to be there: pages have no order, and it may have been restored since. Of a group that is gone nobody says who was in
   it: the next read is a full one.
4. A token that is refused (410, or 400) ends the trust: all is read again, that is said, and so is the next read, in full.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import msgspec
import pyarrow as pa

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Evidence, Json, Page, ReadPlan
from saas_connectors.identity.graph import records
from saas_connectors.paging import follow
from saas_connectors.payloads import encode
from saas_connectors.records import Records, pieces
from saas_connectors.request import Request, Response

_NEXT, _DELTA = "@odata.nextLink", "@odata.deltaLink"
_EXPIRED: Final = (400, 410)
_AT_ONCE: Final = 10
Row = dict[str, Json]


class State(msgspec.Struct):
    """Where a pull stands. `link`: the next page, None when the list is at its end; `token`: the link for next time."""

    phase: str
    link: str | None = None
    token: str | None = None
    invalid: int = 0
    lost: bool = False
    expired: bool = False


@dataclass(slots=True)
class Pull:
    """One pull of `kind` (`users` or `groups`); `past`: the link that the last read ended with, None to read all."""

    url: str
    kind: str
    plan: ReadPlan
    past: str | None = None
    state: State = field(default_factory=lambda: State("all"))
    _shapes: dict[str, Records] = field(default_factory=dict)

    def pages(self, position: Json) -> Answer[None]:
        """Give the pages, then what was found."""
        for stream in self.plan.streams:
            self._shapes[stream.name] = Records(records.TYPES, schema=stream.schema)
        if position is not None:
            self.state = msgspec.convert(position, State)
        elif self.past:
            self.state = State("changes", self.past)
        else:
            self.state = State("all", self._first)
        yield from self._walk()
        yield from self._told()

    @property
    def cursor(self) -> Json:
        """What the next read starts from; None when it must read all."""
        state = self.state
        return None if state.lost or state.token is None else {"link": state.token}

    @property
    def _first(self) -> str:
        wanted = ",".join((*records.FIELDS[self.kind], records.LINKS[self.kind]))
        return Request("GET", f"{self.url}/{self.kind}/delta", params=(("$select", wanted),)).full_url

    def _walk(self) -> Answer[None]:
        seen: set[str] = set()
        while (link := self.state.link) is not None:
            if link in seen:
                yield Evidence(self.kind, "page_repeated", False, {"loop": True})
                self.state.link, self.state.lost = None, True
                return
            seen.add(link)
            request = Request("GET", link, headers=(("Accept", "application/json"),))
            (response,) = yield from fetch(request)
            if self.state.phase == "changes" and response.status in _EXPIRED:
                self.state = State("all", self._first, lost=True, expired=True)
                continue
            rows = self._page(request, response)
            yield from self._given(request, response, rows)

    def _page(self, request: Request, response: Response) -> list[Row]:
        """Read a page, and move on; raises `VendorError`."""
        accept(request, response)
        found = decode(request, response)
        listed = found.get("value") if isinstance(found, dict) else None
        if not isinstance(listed, list):
            raise malformed(request, response, "une page de Graph était attendue", "a page of Graph was expected")
        links = [self._followed(request, response, found.get(name)) for name in (_NEXT, _DELTA)]
        if links[0] is None and links[1] is None:
            raise malformed(request, response, "la page n'a pas de suite", "the page has no link to what follows")
        self.state.link, self.state.token = links[0], links[1] if links[0] is None else None
        rows = [one for one in listed if isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"]]
        self.state.invalid += len(listed) - len(rows)
        return rows

    def _followed(self, request: Request, response: Response, link: Json) -> str | None:
        if not isinstance(link, str) or not link:
            return None
        found = follow(self.url, link)
        if found is None:
            raise malformed(
                request, response, "la page suivante est sur un autre hôte, elle n'est pas suivie",
                "the next page is on another host, not followed",
            )  # fmt: skip
        return found

    def _given(self, request: Request, response: Response, rows: list[Row]) -> Answer[None]:
        gone = list(dict.fromkeys(one["id"] for one in rows if "@removed" in one))
        there = {one["id"]: one for one in rows if "@removed" not in one}
        gone = [name for name in gone if name not in there]
        if self.state.phase == "changes":
            whole, gone = yield from self._whole([*there, *gone])
        else:
            whole, gone = [one for one in _merged(rows) if _told_whole(one)], []
        pages = [self._made(request, response, self.kind, [records.row(one) for one in whole], [(name,) for name in gone])]
        if self.kind == "groups":
            self.state.lost |= bool(gone)
            told = [each for one in rows if "@removed" not in one for each in records.members(one)]
            come = {(str(each["group_id"]), str(each["member_id"])): each for each, left in told if not left}
            left = [(str(each["group_id"]), str(each["member_id"])) for each, is_left in told if is_left]
            left = [key for key in dict.fromkeys(left) if key not in come] if self.state.phase == "changes" else []
            pages.append(self._made(request, response, "group_members", list(come.values()), left))
        made = [page for several in pages for page in several]
        position = msgspec.to_builtins(self.state)
        yield from made[:-1]
        yield from (Page(page.stream, page.records, position, page.removed) for page in made[-1:])

    def _made(
        self, request: Request, response: Response, name: str, rows: Sequence[Row], gone: Sequence[tuple[str, ...]]
    ) -> list[Page]:  # fmt: skip
        """Make the pages of one stream; none when there is nothing to say of it."""
        shape = self._shapes.get(name)
        if shape is None or not (rows or gone):
            return []
        tables = list(pieces(shape.table(request, response, encode(rows)))) if rows else [records.STREAMS[name].empty_table()]
        keys = {"users": ("id",), "groups": ("id",), "group_members": ("group_id", "member_id")}[name]
        removed = pa.table({key: [one[place] for one in gone] for place, key in enumerate(keys)}) if gone else None
        return [Page(name, table, removed=removed if table is tables[-1] else None) for table in tables]

    def _whole(self, names: Sequence[str]) -> Answer[tuple[list[Row], list[str]]]:
        """Read objects by their identifiers; gives those that are there, and the identifiers of those that are not."""
        found: list[Row] = []
        missing: list[str] = []
        for start in range(0, len(names), _AT_ONCE):
            several = names[start : start + _AT_ONCE]
            asked = [self._one(name) for name in several]
            for name, request, response in zip(several, asked, (yield from fetch(*asked)), strict=True):
                if response.status in (404, 410):
                    missing.append(name)
                    continue
                accept(request, response)
                one = decode(request, response)
                if not isinstance(one, dict) or one.get("id") != name:
                    raise malformed(request, response, "un objet de Graph était attendu", "an object of Graph was expected")
                found.append(one)
        return found, missing

    def _one(self, name: str) -> Request:
        params = [("$select", ",".join(records.FIELDS[self.kind]))]
        params += [("$expand", "manager($select=id)")] if self.kind == "users" else []
        url = f"{self.url}/{self.kind}/{quote(name, safe='')}"
        return Request("GET", url, params=tuple(params), headers=(("Accept", "application/json"),))

    def _told(self) -> Iterator[Evidence]:
        state = self.state
        if state.expired:
            yield Evidence(self.kind, "filter_ignored", None, {"filter": "delta", "expired": True, "read_in_full": True})
        elif state.lost and self.kind == "groups":
            yield Evidence("group_members", "vanished", False, {"groups": True})
        if state.invalid:
            yield Evidence(self.kind, "invalid_records", False, {"count": state.invalid, "rules": {"id": state.invalid}})


def _merged(rows: Sequence[Row]) -> list[Row]:
    """The objects of a page, those that it tells in several parts made one."""
    made: dict[str, Row] = {}
    for one in rows:
        if "@removed" not in one:
            made[one["id"]] = made.get(one["id"], {}) | one
    return list(made.values())


def _told_whole(one: Row) -> bool:
    """Whether it says more than who is in it: a large group goes on, page after page, by its members alone."""
    return any(name != "id" and "@" not in name for name in one)


def past_link(cursor: Json) -> str | None:
    """The link that a cursor holds."""
    link = cursor.get("link") if isinstance(cursor, Mapping) else None
    return link if isinstance(link, str) else None
