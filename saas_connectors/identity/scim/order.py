"""Where a walk through a list by place stands, and which resources of a page are new: no request, no answer.

1. Sorted by identifier, each page begins with the last resource of the page before: one that does not was shifted by what left
   the list meanwhile, and the walk steps back. What came before the last identifier was given already.
2. Where identifiers do not come in order, the server does not sort, and a walk by place proves nothing: the list is walked
   again until a whole pass brings nothing new (`MOST_PASSES` at most). Such a walk cannot be resumed.
3. A page without anything, or two in a row with nothing new, end a pass. A count never does.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from saas_connectors.errors import ResumeLost

MOST_PASSES: Final = 6
_MOST_STEPS_BACK: Final = 50


@dataclass(slots=True)
class Order:
    """A walk. `at`: the next place; `last`: the greatest identifier given, seen at `edge`; `resumed`: it began elsewhere."""

    stream: str
    count: int
    at: int = 1
    last: str | None = None
    edge: int = 0
    resumed: bool = False
    sorted: bool = True
    done: bool = False
    passes: int = 1
    repeats: int = 0
    late: int = 0
    steps_back: int = 0
    given: int = 0
    seen: set[str] = field(default_factory=set)
    _idle: int = 0
    _fresh: int = 0
    _back: int = 0

    @property
    def unsure(self) -> bool:
        """Whether each pass went on to bring something new."""
        return not self.sorted and self._fresh > 0 and self.passes >= MOST_PASSES

    def take(self, names: Sequence[str]) -> list[int]:
        """Learn from a page's identifiers; gives the places, in the page, of those that are new; raises `ResumeLost`."""
        if self.sorted and not _rising(names):
            if self.resumed:
                raise ResumeLost(stream=self.stream)
            self.sorted = False
        found = self._by_order(names) if self.sorted else self._by_name(names)
        self.given = max(self.given, len(names))
        self.seen.update(names[place] for place in found)
        return found

    def end(self) -> None:
        """The server says that there is nothing from here on."""
        if self.sorted:
            self.done = True
        else:
            self._pass()

    def _by_order(self, names: Sequence[str]) -> list[int]:
        whole = self.last is None or self.at <= 1 or self.at == self.edge + 1
        if not names:
            if whole:
                self.done = True
            else:
                self._step_back()
            return []
        if not whole and self.last is not None and names[0] > self.last:
            self._step_back()
            return []
        found = [place for place, name in enumerate(names) if self.last is None or name > self.last]
        self.edge, self._back = self.at + len(names) - 1, 0
        if found:
            self.last, self._idle = names[-1], 0
            self.at = self.edge
            return found
        self._idle += 1
        short = len(names) < self.given and self.given > 1
        self.done = self._idle > 1 or short
        self.at = self.edge + 1
        return []

    def _step_back(self) -> None:
        self.steps_back += 1
        self._back = self._back * 2 or max(1, self.count // 2)
        self.at = max(1, self.at - self._back)
        if self.steps_back > _MOST_STEPS_BACK:
            self.done, self.late = True, self.late + 1

    def _by_name(self, names: Sequence[str]) -> list[int]:
        if not names:
            self._pass()
            return []
        found: dict[str, int] = {}
        for place, name in enumerate(names):
            if name not in self.seen:
                found.setdefault(name, place)
        if self.passes == 1:
            self.repeats += len(names) - len(found)
        else:
            self.late += len(found)
        self._fresh += len(found)
        self._idle = 0 if found else self._idle + 1
        self.at += max(1, len(set(names)))
        if self._idle > 1 and (self.passes == 1 or self.at > len(self.seen) + 2 * self.count):
            self._pass()
        return sorted(found.values())

    def _pass(self) -> None:
        self.done = self.passes > 1 and (self._fresh == 0 or self.passes >= MOST_PASSES)
        if not self.done:
            self.passes, self.at, self._fresh, self._idle = self.passes + 1, 1, 0, 0


def _rising(names: Sequence[str]) -> bool:
    return all(one < other for one, other in pairwise(names))
