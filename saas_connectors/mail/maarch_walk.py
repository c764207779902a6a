"""A walk over letters in the order of their identifiers, each page held against what was asked.

A page shorter than asked is not the end: the walk ends on an empty page, or on the last identifier it was to reach. Rows that
the clause does not allow are dropped and told; a page that brings nothing new ends the walk, and is told. A walk that may
grow asks four times as much after each page that came whole; a server that fails at a large page, or gives something else than
a list (PHP tells on a page that memory ran out), is asked small ones again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from saas_connectors.answer import malformed
from saas_connectors.connector import Exchange, Fetch
from saas_connectors.mail.maarch_calls import LIST, Calls, rows
from saas_connectors.mail.maarch_streams import number
from saas_connectors.request import Response

Letter = tuple[int, Mapping[str, Any]]
Fact = tuple[str, bool | None, Mapping[str, Any]]


@dataclass(slots=True)
class Walk:
    """The letters after `after`, up to `until` when it is said, that satisfy `conditions`; `facts` is what was found out.

    limit: letters a page. most: what a page may grow to. large: a page that came whole in an earlier walk, to begin with.
    """

    calls: Calls
    columns: Sequence[str]
    limit: int
    after: int = 0
    until: int | None = None
    conditions: tuple[str, ...] = ()
    facts: list[Fact] = field(default_factory=list)
    most: int = 0
    large: int = 0
    _asked: int = 0
    _short: int | None = None

    def page(self) -> Exchange[list[Letter]]:
        """Give the next letters, none at the end; errors: those of `maarch_calls.rows`."""
        if self.until is not None and self.after >= self.until:
            return []
        bounds = [f"res_id > {self.after}", *([f"res_id <= {self.until}"] if self.until is not None else [])]
        self._asked = self._asked or max(self.limit, min(self.large, self.most))
        request = self.calls.list(self.columns, *bounds, *self.conditions, limit=self._asked)
        (response,) = yield Fetch((request,))
        if self._asked > self.limit and (response.status >= 500 or not _whole(response)):
            self._tell("page_cap", None, {"asked": self._asked, "given": 0})
            self._asked, self.most, self.large = self.limit, 0, 0
            request = self.calls.list(self.columns, *bounds, *self.conditions, limit=self._asked)
            (response,) = yield Fetch((request,))
        found: list[Letter] = []
        for row in rows(request, response, LIST, "resources"):
            identifier = number(row.get("res_id"))
            if identifier is None:
                raise malformed(request, response, "chaque courrier porte un « res_id »", "each letter bears a `res_id`")
            found.append((identifier, row))
        return self._kept(found)

    def _kept(self, found: list[Letter]) -> list[Letter]:
        if not found:
            return []
        if self._short is not None:
            self._tell("page_cap", None, {"asked": self._asked, "given": self._short})
        self._short = len(found) if len(found) < self._asked else None
        if self._short is None:
            self.large = max(self.large, self._asked)
            self._asked = max(self._asked, min(4 * self._asked, self.most))
        inside = [each for each in found if self.after < each[0] and (self.until is None or each[0] <= self.until)]
        if len(inside) < len(found):
            self._tell("filter_ignored", False, {"field": "res_id"})
        kept = dict(inside)
        if len(kept) < len(inside):
            self._tell("page_repeated", False, {"field": "res_id"})
        if list(kept) != sorted(kept):
            self._tell("order_unstable", False, {"field": "res_id"})
        if kept:
            self.after = max(kept)
        else:
            self._tell("page_repeated", False, {"loop": True})
        return sorted(kept.items())

    def _tell(self, check: str, holds: bool | None, detail: Mapping[str, Any]) -> None:
        if (check, holds, detail) not in self.facts:
            self.facts.append((check, holds, detail))


def _whole(response: Response) -> bool:
    """Whether a success is an object in JSON, by its two ends."""
    body = response.body.strip()
    return not 200 <= response.status < 300 or (body[:1] == b"{" and body[-1:] == b"}")
