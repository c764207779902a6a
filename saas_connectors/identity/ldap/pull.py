"""The pull of all people, of all groups and their members, or of all units, below each base in turn.

1. A list is walked to its end; a server that stops at a limit, or loses the walk, is a fault, never an end.
2. All is then listed again, by keys alone. As many must have been read as stood there when the run began, and no more than
   stand there now: only then is the read complete. What is missing speaks against it, and nothing is taken for gone.
3. Elsewhere than in Active Directory all is read each time. An account locked by wrong passwords, or a right taken from ours,
   moves no timestamp that could be asked for; who is gone is not told. Groups are always read whole: when someone moves, the
   names in a group change, and the group does not.
4. Members are followed to the end of their ranges. A group that leaves meanwhile is said (`vanished`).
5. Another server's part of the tree (a referral) is not read, and that speaks against completeness, but in Active Directory,
   whose root always points to its own other parts.
6. A walk cannot be resumed in its middle: a position is given at the end of each base.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Evidence, Json, Page, ReadPlan
from saas_connectors.identity.ldap import calls, records
from saas_connectors.identity.ldap.calls import Entry, Found
from saas_connectors.identity.ldap.filters import Tree
from saas_connectors.payloads import encode
from saas_connectors.records import Records, pieces
from saas_connectors.request import Request, Response

_SUM: Final = 1 << 48  # within the integers that canonical JSON keeps (RFC 8785)
_MOST_RANGES: Final = 10_000
_SECOND: Final = timedelta(seconds=1)
"""What a timestamp leaves out."""


class Where(msgspec.Struct, frozen=True):
    """What a directory is, as `slices` found it. `top`: the root of its tree; `server`, `usn`: see `calls.Root`."""

    active: bool
    bases: tuple[str, ...]
    top: str
    server: str = ""
    usn: int = 0
    dirsync: bool = False
    deleted: bool = False


class State(msgspec.Struct):
    """Where a pull stands: all that a position holds. `base`: how many are done; `low`, `high`: see law 2; `tally`: of keys."""

    base: int = 0
    invalid: int = 0
    vanished: int = 0
    referrals: int = 0
    counted: bool = False
    low: int = 0
    high: int = 0
    size: int = 0
    sum: int = 0
    more: dict[str, Json] = {}


@dataclass(slots=True)
class Pull:
    """One pull of `kind`: `people`, `groups` or `units`."""

    url: str
    kind: str
    plan: ReadPlan
    where: Where
    shape: records.Shape
    tree: Tree
    page: int
    state: State = field(default_factory=State)
    _shapes: dict[str, Records] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    def start(self, position: Json) -> None:
        """Take up a position."""
        for stream in self.plan.streams:
            self._shapes[stream.name] = Records(records.TYPES, schema=stream.schema)
        self.state = State() if position is None else msgspec.convert(position, State)

    def all(self, position: Json) -> Answer[None]:
        """Give the pages of all bases, then what was found."""
        self.start(position)
        yield from self.listed()
        yield from self.counted()
        yield from self.told()

    def listed(self) -> Answer[None]:
        """Give the pages of the bases that are left."""
        while self.state.base < len(self.where.bases):
            base, held = self.where.bases[self.state.base], list[Page]()
            wanted = self.shape.attributes(self.kind)
            self.state.referrals += yield from calls.walk(
                self.url, base, self.tree, wanted, self.page, self.kind, self._taken
            )  # fmt: skip
            if self.kind == "groups":
                held = yield from self._grouped()
            self.state.base += 1
            yield from placed([*held, *self._last()], msgspec.to_builtins(self.state))

    _waiting: list[Page] = field(default_factory=list)
    _groups: list[Entry] = field(default_factory=list)
    _exchange: tuple[Request, Response] | None = None

    def _taken(self, request: Request, response: Response, told: Found) -> Iterator[Page]:
        """Make pages of an answer; the last one waits, to bear a position when it is the last of all."""
        entries = self._known(told.entries)
        self._exchange = (request, response)
        if self.kind == "groups":
            self._groups += entries
            return
        pages = self.pages(self.kind, [self.row(entry) for entry in entries], request, response)
        if pages:
            waiting, self._waiting = self._waiting, pages[-1:]
            yield from (*waiting, *pages[:-1])

    def _last(self) -> list[Page]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _known(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries that have a key, each once."""
        found = []
        for entry in entries:
            key = self.shape.id(entry)
            if key is None:
                self.state.invalid += 1
            elif key not in self._seen:
                self._seen.add(key)
                found.append(entry)
        return found

    def row(self, entry: Entry) -> dict[str, Json]:
        """The row of a person or of a unit."""
        return self.shape.person(entry) if self.kind == "people" else self.shape.unit(entry)

    def pages(self, stream: str, rows: Sequence[Json], request: Request, response: Response) -> list[Page]:
        """The pages of some rows, without a position."""
        shape = self._shapes.get(stream)
        if shape is None or not rows:
            return []
        return [Page(stream, table) for table in pieces(shape.table(request, response, encode(rows)))]

    def _grouped(self) -> Answer[list[Page]]:
        """Make the pages of the groups of one base, and of their members."""
        groups, members = list[Json](), list[Json]()
        entries, self._groups = self._groups, []
        for entry in entries:
            held = yield from self._members(entry)
            groups.append(self.shape.group(entry, len(held)))
            members += [
                {"group_id": self.shape.id(entry), "member": member, "kind": kind} for member, kind in held.items()
            ]  # fmt: skip
        if self._exchange is None:
            return []
        return [*self.pages("groups", groups, *self._exchange), *self.pages("group_members", members, *self._exchange)]

    def _members(self, entry: Entry) -> Answer[dict[str, str]]:
        """Who is in a group, to the end of its ranges, and what each is said by."""
        found: dict[str, str] = {}
        for name, kind in records.MEMBERS.items():
            values, after = entry.onward(name)
            for _ in range(_MOST_RANGES):
                found |= dict.fromkeys(values, kind)
                if after is None:
                    break
                wanted = [f"{name};range={after}-*"]
                request = calls.search(self.url, entry.dn, calls.ANY, wanted, scope="base")
                (response,) = yield from fetch(request)
                told = () if response.status == 404 else calls.read(request, response, "groups").entries
                before = after
                values, after = told[0].onward(name) if told else ((), None)
                if not values or (after is not None and after <= before):
                    self.state.vanished += 1  # it left, or its ranges lead nowhere
                    break
        return found

    def counted(self) -> Answer[None]:
        """List all again, by keys alone: how many stood there at the start of the run (`low`), how many do now (`high`)."""
        if self.state.counted:
            return
        tally = Tally()
        seen = set[str]()

        def take(_request: Request, _response: Response, told: Found) -> Iterator[Page]:
            for entry in told.entries:
                key = self.shape.id(entry)
                if key is not None and key not in seen:
                    seen.add(key)
                    self.state.high += 1
                    if self.before(entry, self.where.usn, self.plan.started_at):
                        self.state.low += 1
                        tally.add(key)
            yield from ()

        for base in self.where.bases:
            yield from calls.walk(self.url, base, self.tree, self.marks, self.page, self.kind, take)
        self.state.size, self.state.sum, self.state.counted = tally.size, tally.sum, True

    @property
    def marks(self) -> list[str]:
        """The key, and when an entry was made."""
        return [self.shape.key, "uSNCreated" if self.where.usn else self.shape.created]

    def before(self, entry: Entry, usn: int, at: datetime) -> bool:
        """Whether an entry was there already; one that does not say was not."""
        if self.where.usn:
            made = entry.number("uSNCreated")
            return made is not None and made <= usn
        created = records.instant(entry.text(self.shape.created))
        return created is not None and datetime.fromisoformat(created) < at - _SECOND

    def told(self) -> Iterator[Evidence]:
        """Say what was found."""
        state = self.state
        if state.invalid:
            yield Evidence(
                self.kind, "invalid_records", False, {"count": state.invalid, "rules": {self.shape.key: state.invalid}}
            )
        if state.vanished:
            yield Evidence("group_members", "vanished", False, {"count": state.vanished})
        if state.referrals and not self.where.active:
            yield Evidence(self.kind, "vanished", False, {"count": state.referrals, "referrals": True})
        if state.counted:
            for count in dict.fromkeys((state.low, state.high)):
                yield Evidence(self.kind, "vendor_count", None, {"count": count})


@dataclass(slots=True)
class Tally:
    """How many keys, and their sum whatever their order."""

    size: int = 0
    sum: int = 0

    def add(self, key: str) -> None:
        """Count one."""
        self.size += 1
        self.sum = (self.sum + weight(key)) % _SUM

    def lacks(self, size: int, total: int) -> tuple[int, int]:
        """How many keys are missing of a former tally, and their sum."""
        return size - self.size, (total - self.sum) % _SUM


def weight(key: str) -> int:
    """What a key adds to a sum."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=6).digest())


def placed(pages: Sequence[Page], position: Json) -> Iterator[Page]:
    """Pages that come together: the last of them bears the position."""
    yield from pages[:-1]
    yield from (Page(page.stream, page.records, position, page.removed) for page in pages[-1:])
