"""One walk through the pages of a list, with the guards that every strategy needs.

1. The same records twice are kept once: a page equal to the one before it, or to the first, is dropped and said
   (`page_repeated`). Two in a row end the walk: the vendor ignores the position.
2. A position seen before ends the walk: a loop.
3. Fewer records than asked, with more to come, is a cap found out (`page_cap`): said once; the read goes on with what is
   given.
4. A next link to another host is `Malformed`, and is not followed. A walk has an end: at most `most` pages.
"""

from collections.abc import Iterator

import msgspec

from saas_connectors.answer import malformed
from saas_connectors.connector import Json
from saas_connectors.paging.port import Elsewhere, Fact, Paging, Seen, Step
from saas_connectors.request import Request, Response

_PAST_THE_END = {400, 404, 416, 422}


class Walk:
    """Where a read of a list stands; `position` is None at its end."""

    def __init__(self, paging: Paging, base: Request, position: Json = None, most: int = 1_000_000) -> None:
        self.position: Json = paging.start() if position is None else position
        self._paging, self._base, self._left = paging, base, most
        self._visited = {self._name(self.position)}
        self._first: bytes | None = None
        self._before: Seen | None = None
        self._repeats = 0
        self._capped = False

    @staticmethod
    def _name(position: Json) -> int:
        kept = {name: value for name, value in position.items() if name not in {"given", "tail"}}
        return hash(msgspec.json.encode(kept, order="sorted"))

    def request(self) -> Request:
        """The request of the present position."""
        return self._paging.request(self._base, self.position)

    def ends(self, response: Response) -> bool:
        """Tell whether this refusal is only what comes after the last page."""
        return response.status in _PAST_THE_END and self.position.get("tail") is True

    def take(self, seen: Seen) -> Step:
        """Learn from a page, move on, and say what was found; raises `Malformed` for a link to another host."""
        try:
            step = self._paging.step(self.position, seen)
        except Elsewhere:
            fr, en = (
                "la page suivante est sur un autre hôte, elle n'est pas suivie",
                "the next page is on another host, not followed",
            )
            raise malformed(seen.request, seen.response, fr, en) from None
        keep, facts, following = step.keep, list(step.facts), step.position
        if seen.rows and step.keep and self._is_repeated(seen):
            tail = self.position.get("tail") is True
            self._repeats += 1
            keep = False
            facts.append(("page_repeated", None if tail else False, {}))
            if tail or self._repeats > 1:
                following = None
        else:
            facts.extend(self._cap(seen))
            self._repeats = 0
            if self._first is None:
                self._first = seen.document.records
        self._before = seen if step.keep else self._before
        if self._loops(following):
            facts.append(("page_repeated", False, {"loop": True}))
            following = None
        self.position = following
        return Step(following, keep, tuple(facts))

    def _is_repeated(self, seen: Seen) -> bool:
        before = self._before
        return seen.document.records == self._first or (before is not None and seen.document.records == before.document.records)

    def _cap(self, seen: Seen) -> Iterator[Fact]:
        asked, before = self._paging.asked, self._before
        if self._capped or not asked:
            return
        given = None
        if before and before.rows < asked and seen.rows:
            given = before.rows
        elif seen.total is not None and not before and "to" not in self.position and 0 < seen.rows < min(asked, seen.total):
            given = seen.rows
        if given is not None:
            self._capped = True
            yield "page_cap", None, {"asked": asked, "given": given}

    def _loops(self, following: Json) -> bool:
        self._left -= 1
        if following is None:
            return False
        name = self._name(following)
        known = name in self._visited
        self._visited.add(name)
        return known or self._left <= 0
