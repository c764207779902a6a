"""How `/records` is paged: after the last value of one field, past those already seen that have the very same value."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from saas_connectors.connector import Json
from saas_connectors.paging import Seen, Step, put
from saas_connectors.request import Request
from saas_connectors.urban.odsql import every, literal, name

LIMIT: Final = 100
"""The most records in a page (Explore v2.1)."""
REACH: Final = 10_000
"""The most that `offset + limit` may be (Explore v2.1)."""
_ROWS: Final = msgspec.json.Decoder(list[dict[str, Any]])


@dataclass(frozen=True, slots=True)
class RecordPages:
    """Pages of records; see `saas_connectors.paging.Paging`. A position is `{"after": value, "skip": number}`.

    field: what the records are ordered by, of that kind; None pages by offset alone. where: what else is asked.
    """

    field: str | None
    kind: str
    where: str
    order: tuple[str, ...]

    @property
    def asked(self) -> int | None:
        """Records asked for in one page."""
        return LIMIT

    def start(self) -> Json:
        """The first page."""
        return {}

    def request(self, base: Request, position: Json) -> Request:
        """Ask for what follows."""
        after = position.get("after")
        beyond = f"{name(self.field)} >= {literal(after, self.kind)}" if self.field and after is not None else ""
        asked: dict[str, Json] = {"where": every(self.where, beyond) or None, "limit": LIMIT, "offset": position.get("skip", 0)}
        return put(base, asked | {"order_by": ", ".join(map(name, self.order)) or None})

    def step(self, position: Json, seen: Seen) -> Step:
        """What follows a page; nothing follows an empty one, nor one that the portal would refuse to reach."""
        rows = _ROWS.decode(seen.document.records)
        skip = position.get("skip", 0)
        if not rows:
            return Step(None)
        if self.field is None:
            following: dict[str, Json] = {"skip": skip + len(rows)}
        else:
            last = rows[-1].get(self.field)
            ties = sum(row.get(self.field) == last for row in rows)
            following = {"after": last, "skip": ties + (skip if last == position.get("after") else 0)}
        if following["skip"] + LIMIT > REACH:
            fact = ("order_unstable", False, {"field": self.field, "reach": REACH})
            return Step(None, facts=(fact,))
        return Step(following | ({"tail": True} if len(rows) < LIMIT else {}))

    def ranges(self, _seen: Seen, _ways: int) -> tuple[Json, ...]:
        """One read."""
        return (self.start(),)

    def passed(self, position: Json, records: bytes) -> bool:
        """Tell whether a page holds a record that stands before the position: the portal ignored what it was asked."""
        after = position.get("after")
        if self.field is None or after is None:
            return False
        values: list[Any] = [row.get(self.field) for row in _ROWS.decode(records)]
        return any(type(value) is type(after) and value < after for value in values)
