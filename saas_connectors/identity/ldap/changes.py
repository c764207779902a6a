"""What changed among the people of an Active Directory since the last read, and who is gone.

1. What changed is a set of keys, whoever tells it: DIRSYNC where the account has the right to it, else uSNChanged. What each
   holds now is then read by its key, in the bases and by the filter of the settings: who is found there came or changed, who is
   not left the copy, deleted, moved elsewhere or changed so that the filter no longer takes it.
2. uSNChanged is counted by one server. Another server (its invocationId, else its name), or one whose count went back, ends the
   trust: all is read, that is said, and so is the next read, in full. So it is when the settings say other people.
3. DIRSYNC tells deletions, for its right shows all. With uSNChanged, deleted entries may be hidden from the account: the keys
   that stood there then are listed at each read and held against a count and a sum. When some are missing that no change
   explains, it says so (`vanished`), and the next read is a full one.
4. The server must be the same at the end of a read as at its beginning: a name that several servers answer to is not trusted.
5. A full read begins where the changes of the next one will: what changes while it lasts comes again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import pyarrow as pa

from saas_connectors.answer import malformed
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Evidence, Json, Page
from saas_connectors.identity.ldap import calls, filters, names
from saas_connectors.identity.ldap.calls import Found
from saas_connectors.identity.ldap.filters import Tree
from saas_connectors.identity.ldap.pull import Pull, Tally, placed, weight
from saas_connectors.request import Request, Response

_OVERLAP: Final = 100
"""Changes looked at again: a transaction of a lower number may end after one of a higher."""
_AT_ONCE: Final = 40
_MOST: Final = 100_000
USERS: Final = filters.equals("objectClass", "user")
_REFUSED: Final = (400, 403, 422, 501)
_FAILED: Final = 502
"""What a token may also be answered that the server cannot read: the walk is begun without one."""
_PLACED: Final = ("name", "parentGUID", "isDeleted", "isRecycled", "objectClass")
"""What changes in an entry that is moved, renamed or deleted."""
_WAYS: Final = ("dirsync", "usn")


@dataclass(slots=True)
class Changes:
    """One pull of people, in full or by what changed.

    scope: what the settings say people are. way: the setting `changes`. classes: what changes are asked of, people at least.
    """

    pull: Pull
    scope: str
    way: str
    classes: Tree
    cursor: Json = None
    _keys: dict[str, None] = field(default_factory=dict)
    _gone: list[str] = field(default_factory=list)

    def pages(self, position: Json, past: Json, known: Json) -> Answer[None]:
        """Give the pages, then what was found; `cursor` is then the next one, None when the next read must be a full one.

        past: the cursor to ask for changes since, None to read all. known: the last cursor, whichever is read.
        """
        pull = self.pull
        pull.start(position)
        more = pull.state.more
        if position is None:
            more["why"] = "" if past is None else self._doubt(past)
            if past is not None and not more["why"]:
                changed = yield from self._since(past)
                if changed:
                    yield from self._told()
                    return
                more["why"] = "expired"
            trusted = isinstance(known, Mapping) and not more["why"] and not self._doubt(known)
            more["token"] = yield from self._begun(known.get("token", "") if trusted else "")
        elif more.get("ended"):
            self.cursor = more["cursor"]
            yield from self._told()
            return
        yield from pull.listed()
        yield from pull.counted()
        self.cursor = None if more["why"] else self._cursor(more["token"], pull.state.size, pull.state.sum)
        yield from pull.told()
        yield from self._told()

    def _doubt(self, past: Mapping[str, Any]) -> str:
        """Why a cursor is not trusted; empty when it is."""
        where = self.pull.where
        if past.get("scope") != self.scope or past.get("by") not in _WAYS or self.way not in ("auto", past["by"]):
            return "settings"
        if past.get("server") != where.server:
            return "server"
        return "backwards" if past["usn"] > where.usn else ""

    def _begun(self, known: str) -> Answer[Json]:
        """Take where changes will be asked from, before anyone is listed: a token of DIRSYNC, or None for uSNChanged.

        known: a token to go on from, empty to walk all.
        """
        if self.way == "usn" or not self._whole:
            return None
        token = yield from self._dirsync(known, keep=False)
        if token is None and known:
            token = yield from self._dirsync("", keep=False)
        if token is None and self.way == "dirsync":
            raise calls.Denied(method="SEARCH", path="/", status=403)
        return token

    @property
    def _whole(self) -> bool:
        """Whether DIRSYNC can say all: it looks at the whole tree of the server, whose part the bases are."""
        where = self.pull.where
        return self.way == "dirsync" or (where.dirsync and all(names.under(base, where.top) for base in where.bases))

    def _cursor(self, token: Json, size: int, total: int) -> Json:
        where = self.pull.where
        held = {"scope": self.scope, "server": where.server, "usn": where.usn}
        if token is not None:
            return {**held, "by": "dirsync", "token": token}
        return {**held, "by": "usn", "size": size, "sum": total}

    def _since(self, past: Mapping[str, Any]) -> Answer[bool]:
        """Give what changed since a cursor; False when the server no longer knows it."""
        pull = self.pull
        if past["by"] == "dirsync":
            token = yield from self._dirsync(str(past["token"]), keep=True)
            if token is None:
                return False
            pages = yield from self._held()
            self.cursor = self._cursor(token, 0, 0)
        else:
            yield from self._numbered(int(past["usn"]))
            pages = yield from self._held()
            yield from self._surveyed(past)
        moved = yield from self._another()
        if moved:
            self.cursor = None
        more = {**pull.state.more, "ended": True, "cursor": self.cursor}
        pull.state.more = more
        yield from placed(pages, msgspec.to_builtins(pull.state))
        return True

    def _dirsync(self, token: str, *, keep: bool) -> Answer[str | None]:
        """Walk what DIRSYNC tells since a token, keeping the keys or not; gives its last token, None when it is refused."""
        pull, given = self.pull, set[str]()
        wanted = [pull.shape.key]
        if keep:
            wanted += [*pull.shape.attributes("people"), *_PLACED, *sorted(filters.attributes(pull.tree))]
        while True:
            request = calls.search(pull.url, pull.where.top, self.classes, list(dict.fromkeys(wanted)), dirsync=token)
            (response,) = yield from fetch(request)
            if not given and (response.status in _REFUSED or (token and response.status == _FAILED)):
                return None
            told = calls.read(request, response, "people")
            if not told.dirsync:
                raise malformed(request, response, "un jeton DIRSYNC était attendu", "a token of DIRSYNC was expected")
            if keep:
                self._keep(told)
            token = told.dirsync
            if not told.more:
                return token
            if token in given or len(given) > _MOST:
                raise malformed(request, response, "les changements ne finissent pas", "changes do not end")
            given.add(token)

    def _keep(self, told: Found) -> None:
        for entry in told.entries:
            key = self.pull.shape.id(entry)
            if key is None:
                self.pull.state.invalid += 1
            else:
                self._keys[key] = None

    def _numbered(self, usn: int) -> Answer[None]:
        """Find the keys of what changed since a count, deleted entries among them where they are shown."""
        pull = self.pull
        tree = filters.every(self.classes, {"at_least": ["uSNChanged", str(max(0, usn - _OVERLAP))]})
        below = all(names.under(base, pull.where.top) for base in pull.where.bases)

        def take(_request: Request, _response: Response, told: Found) -> Iterator[Page]:
            self._keep(told)
            yield from ()

        for base in (pull.where.top,) if below else pull.where.bases:
            yield from calls.walk(
                pull.url, base, tree, [pull.shape.key], pull.page, "people", take, show_deleted=pull.where.deleted
            )  # fmt: skip

    def _held(self) -> Answer[list[Page]]:
        """Read what changed by its keys; gives the pages, who is gone with the last."""
        pull, keys, made = self.pull, list(self._keys), list[Page]()
        last: tuple[Request, Response] | None = None
        for start in range(0, len(keys), _AT_ONCE):
            several = keys[start : start + _AT_ONCE]
            rows: dict[str, Json] = {}
            for base in pull.where.bases:
                request = self._some(base, several)
                (response,) = yield from fetch(request)
                for entry in calls.read(request, response, "people", below=True).entries:  # no base, no word of who left
                    key = pull.shape.id(entry)
                    if key in several:
                        rows[key] = pull.shape.person(entry)
                last = (request, response)
            if last is not None:
                made += pull.pages("people", list(rows.values()), *last)
            self._gone += [key for key in several if key not in rows]
        if self._gone:
            schema = next(stream.schema for stream in pull.plan.streams)
            made.append(Page("people", schema.empty_table(), removed=pa.table({"id": pa.array(self._gone, pa.string())})))
        return made

    def _some(self, base: str, keys: Sequence[str]) -> Request:
        pull = self.pull
        borne: list[Tree] = [filters.equals(pull.shape.key, pull.shape.value(key)) for key in keys]
        tree = filters.every(pull.tree, filters.either(*borne))
        return calls.search(pull.url, base, tree, pull.shape.attributes("people"))

    def _surveyed(self, past: Mapping[str, Any]) -> Answer[None]:
        """Hold the keys that stood there at the last read against its count and its sum, and make the next cursor."""
        pull = self.pull
        then, now, seen = Tally(), Tally(), set[str]()

        def take(_request: Request, _response: Response, told: Found) -> Iterator[Page]:
            for entry in told.entries:
                key = pull.shape.id(entry)
                if key is None or key in seen:
                    continue
                seen.add(key)
                if pull.before(entry, int(past["usn"]), pull.plan.started_at):
                    then.add(key)
                if pull.before(entry, pull.where.usn, pull.plan.started_at):
                    now.add(key)
            yield from ()

        for base in pull.where.bases:
            yield from calls.walk(pull.url, base, pull.tree, pull.marks, pull.page, "people", take)
        size, total = then.lacks(int(past["size"]), int(past["sum"]))
        if _explained(size, total, [weight(key) for key in self._gone]):
            self.cursor = self._cursor(None, now.size, now.sum)
        else:
            pull.state.more["vanished"] = max(1, size)

    def _another(self) -> Answer[bool]:
        """Whether another server answers now."""
        root = yield from _root(self.pull.url)
        if root.server == self.pull.where.server:
            return False
        self.pull.state.more["servers"] = 2
        return True

    def _told(self) -> Iterator[Evidence]:
        more = self.pull.state.more
        if more.get("ended") and self.pull.state.invalid:
            yield from self.pull.told()
        if more.get("vanished"):
            yield Evidence("people", "vanished", False, {"count": more["vanished"]})
        if more.get("servers"):
            yield Evidence("people", "order_unstable", False, {"servers": more["servers"]})
        why = more.get("why")
        if why == "backwards":
            yield Evidence("people", "went_backwards", False, {"field": "highestCommittedUSN"})
        elif why:
            yield Evidence("people", "filter_ignored", None, {"filter": "changes", "why": why, "read_in_full": True})


def _explained(size: int, total: int, gone: Sequence[int]) -> bool:
    """Whether so many keys, of that sum, are missing because they are known to be gone: none, one, two, or all of these."""
    if size == 0:
        return total == 0
    whole = 1 << 48
    known = set(gone)
    if size == 1:
        return total in known
    if size == 2:
        return any((total - one) % whole in known - {one} for one in known)
    return size == len(gone) and sum(gone) % whole == total


def _root(url: str) -> Answer[calls.Root]:
    """Ask what the server is, within a read."""
    return calls.root(url)  # type: ignore[return-value] # it only fetches
