"""Looking for a record by what names it, at a vendor whose filters are not believed on their word.

1. A record is found when one of those given bears all that was looked for, whatever else was given.
2. It is missing only when the filter was seen to work: with no filter the list is empty, or a record known to be in the list
   was asked for by the same filter and came back. Records that do not satisfy the filter, or a control that fails, leave it
   unsure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from saas_connectors.connector import Exchange, Fetch, Json
from saas_connectors.request import Request, Response

Names: TypeAlias = Mapping[str, str]
"""What names a record: fields, their values as text."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """How one list is searched: its request for some names (for none, the whole list), its records, the names of each."""

    request: Callable[[Names], Request]
    records: Callable[[Request, Response], Sequence[Json]]
    names: Callable[[Json], Names | None]

    def find(self, wanted: Names, *, prove: bool = True) -> Exchange[tuple[Literal["found", "missing", "unsure"], Json]]:
        """Look for a record; `prove` costs two requests more when it does not come, without it nothing is ever `missing`."""
        given = yield from self._ask(wanted)
        for record in given:
            if self.names(record) == wanted:
                return "found", record
        if given or not prove:
            return "unsure", None
        listed = yield from self._ask({})
        if not listed:
            return "missing", None
        for record in listed:  # it came since, or the filter misses it
            if self.names(record) == wanted:
                return "found", record
        known = next((names for record in listed if (names := self.names(record)) is not None), None)
        if known is None:
            return "unsure", None
        control = yield from self._ask(known)
        return ("missing" if any(self.names(record) == known for record in control) else "unsure"), None

    def _ask(self, names: Names) -> Exchange[Sequence[Json]]:
        request = self.request(names)
        (response,) = yield Fetch((request,))
        return self.records(request, response)
