"""Where the pull of the requests stands, and what is known of those still open: all that a resume point or a cursor holds.

1. A state is JSON and small, whatever the number of requests. Of open ones it holds their identifiers while they are few
   (`ids`, at most `MOST_IDS`), and for each window they were made in (`leaves`) how many they are and a sum over their
   identifiers: 50,000 open requests cost the manifest some tens of kilobytes, and a list of the open ones shows which windows
   changed.
2. `near` holds the identifiers given whose time lies within `reach` seconds of the next window's edge: what both windows return
   is given once.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from saas_connectors.connector import Json
from saas_connectors.urban.open311.records import Reported

MOST_IDS: Final = 1000
MOST_LEAVES: Final = 2000
MOST_NEAR: Final = 20_000
_SUM: Final = 1 << 48  # within the integers that canonical JSON keeps (RFC 8785)

Sense = Literal["unproven", "honoured", "reversed", "ignored"]
Phase = Literal["windows", "open", "leaves", "updates", "whole", "done"]
Mark = tuple[str, int]
"""An identifier and a time (seconds since 1970)."""
Leaf = tuple[int, int, int, int]
"""A window (from, to; seconds since 1970), how many open requests were made in it, and the sum over their identifiers."""


class State(msgspec.Struct):
    """Where a pull stands.

    `every`: the values of `status` to ask for one after another so that every request is shown, none where it needs no saying;
    `paged`: the parameter by which more rows an answer are asked for; `lists`: whether lists of identifiers may be asked for;
    `first`: how many rows the list without a filter gave. `at`, `width`: the next window; `onward`: where what is new begins;
    `pointer`, `leaf_at`: the next of those that were open; `again`: windows to read once more; `seen`: whether the last known
    change was shown.
    """

    phase: Phase = "windows"
    form: str = "json"
    sense: Sense = "unproven"
    margin: int = 0
    cap: int = 1000
    updates: bool = False
    statuses: bool = True
    lists: bool = True
    every: list[str] = msgspec.field(default_factory=list)
    paged: str = ""
    first: int = 0
    at: int = 0
    width: int = 0
    onward: int = 0
    reach: int = 0
    near: dict[str, int] = msgspec.field(default_factory=dict)
    cleared: list[int] = msgspec.field(default_factory=list)
    pointer: Mark | None = None
    leaf_at: int = 0
    again: list[tuple[int, int]] = msgspec.field(default_factory=list)
    seen: bool = False
    full: bool = True
    newest: Mark | None = None
    touched: Mark | None = None
    old: Mark | None = None
    ids: dict[str, int] | None = msgspec.field(default_factory=dict)
    leaves: list[Leaf] = msgspec.field(default_factory=list)
    invalid: int = 0
    suspect: dict[str, int] = msgspec.field(default_factory=dict)

    def track(self, rows: Iterable[Reported], started: int) -> None:
        """Learn from rows: the newest, the last changed, those that are open."""
        for row in rows:
            made = epoch(row)
            changed = None if row.updated is None else int(row.updated.timestamp())
            if made is not None and made <= started + _DAY and (self.newest is None or (made, row.id) > self.newest[::-1]):
                self.newest = (row.id, made)
            if changed is not None and changed <= started + _DAY:
                if self.touched is None or (changed, row.id) > self.touched[::-1]:
                    self.touched = (row.id, changed)
                aged = made is not None and made < started - 100 * _DAY
                if aged and (self.old is None or (changed, row.id) > self.old[::-1]):
                    self.old = (row.id, changed)
            if self.ids is not None:
                if row.open and made is not None:
                    self.ids[row.id] = made
                else:
                    self.ids.pop(row.id, None)
                if len(self.ids) > MOST_IDS:
                    self.ids = None

    def count(self, start: int, end: int, rows: Iterable[Reported]) -> None:
        """Put what was read of a window in the place of what was known of it."""
        within = [row.id for row in rows if row.open and (made := epoch(row)) is not None and start <= made < end]
        kept = [leaf for leaf in self.leaves if leaf[1] <= start or leaf[0] >= end]
        if within:
            kept.append((start, end, len(within), total(within)))
        kept.sort()
        self.leaves = kept if len(kept) <= MOST_LEAVES else list(_merged(kept))

    def settle(self, rows: Iterable[Reported]) -> None:
        """Learn from rows read by their identifiers, or by their change: which were open and are closed, or the reverse."""
        for row in rows:
            made = epoch(row)
            if self.ids is None or made is None or row.open == (row.id in self.ids):
                continue
            number = bisect_right(self.leaves, made, key=lambda leaf: leaf[0]) - 1
            if number >= 0 and self.leaves[number][0] <= made < self.leaves[number][1]:
                start, end, size, known = self.leaves[number]
                sign = 1 if row.open else -1
                self.leaves[number] = (start, end, size + sign, (known + sign * total([row.id])) % _SUM)
            elif row.open:
                self.count(made, made + 1, [row])
        self.leaves = [leaf for leaf in self.leaves if leaf[2] > 0]

    def fresh(self, rows: Iterable[Reported], start: int, end: int) -> list[Reported]:
        """Give those of a window's rows that were not given yet, and remember those that the next window may bring again."""
        found = []
        for row in rows:
            made = epoch(row)
            if row.id in self.near:
                continue
            found.append(row)
            at = end if made is None else made
            self.reach = max(self.reach, start - at, at - end)
            self.near[row.id] = at
        near = {name: at for name, at in self.near.items() if at >= end - self.reach}
        if len(near) > MOST_NEAR:
            near = dict(sorted(near.items(), key=lambda held: held[1])[-MOST_NEAR:])
        self.near = near
        return found


_DAY: Final = 86_400


def plain(state: State) -> dict[str, Json]:
    """A state as JSON gives it back."""
    found: dict[str, Json] = msgspec.json.decode(msgspec.json.encode(state))
    return found


def epoch(row: Reported) -> int | None:
    """When a request was made, in whole seconds since 1970."""
    return None if row.at is None else int(row.at.timestamp() // 1)


def total(names: Iterable[str]) -> int:
    """The sum over some identifiers, whatever their order."""
    return sum(int.from_bytes(hashlib.blake2b(name.encode(), digest_size=6).digest()) for name in names) % _SUM


def _merged(leaves: list[Leaf]) -> Iterable[Leaf]:
    """Neighbours made one, two by two."""
    for number in range(0, len(leaves), 2):
        pair = leaves[number : number + 2]
        yield pair[0][0], pair[-1][1], sum(leaf[2] for leaf in pair), sum(leaf[3] for leaf in pair) % _SUM
