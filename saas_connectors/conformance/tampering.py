"""What is done to a vendor's answers, whichever vendor it is: errors in a success, halves, lies, records moved and changed.

A `Tampering` is a function of one exchange; `Tampered` applies it to some of them. Where a vendor's lists are is declared
(`Lists`): what happens to records happens there, the rest of the answer is left as it is.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from saas_connectors.conformance.driver import Send
from saas_connectors.conformance.suite import HOSTILE, MARK
from saas_connectors.request import Headers, Request, Response

Row = dict[str, Any]
Tampering = Callable[[Request, Response], Response]
SURPRISE: Final = "surprise_field"
"""A field that no one declared."""
_EXACT: Final = msgspec.json.Decoder(float_hook=Decimal)
_TEXT: Final = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True, slots=True)
class Lists:
    """Where the records of some answers are.

    path: a pattern of the addresses (their path) that answer a list. records: where the list is, "" for a bare array. fields:
    where the fields are in a record, "" for the record itself. counts: where the answer counts records. plain: a field that
    names nothing, whose type may change.
    """

    path: str
    records: str
    fields: str = ""
    counts: tuple[str, ...] = ()
    plain: str = ""

    def matches(self, request: Request) -> bool:
        """Tell whether a request asks for such a list."""
        return re.search(self.path, urlsplit(request.url).path) is not None


class Cut(Exception):
    """The connection broke; what a driver raises in the place of an answer."""


@dataclass
class Tampered:
    """Sends as told, but for the answers of these numbers (None: all); counts the requests, `struck` of them changed."""

    send: Send
    tampering: Tampering
    at: Collection[int] | None = None
    sent: int = 0
    struck: int = 0

    def __call__(self, request: Request) -> Response:
        """Send, and tamper with the answer."""
        number, self.sent = self.sent, self.sent + 1
        response = self.send(request)
        if self.at is not None and number not in self.at:
            return response
        changed = self.tampering(request, response)
        self.struck += changed is not response
        return changed


def cut(_request: Request, _response: Response) -> Response:
    """Break the connection."""
    raise Cut


def _in_place(status: int, body: bytes) -> Tampering:
    headers = Headers([("Content-Type", "text/html" if body.startswith(b"<") else "application/json")])
    return lambda request, _: Response(status, request.full_url, body, headers)


def _halved(_: Request, response: Response) -> Response:
    return replace(response, body=response.body[: len(response.body) // 2])


def _followed(_: Request, response: Response) -> Response:
    return replace(response, body=response.body + f'\n{{"error":"{MARK}"}}'.encode())


WRONG: Final[Mapping[str, Tampering]] = {
    **{name: _in_place(status, body) for name, (status, body) in HOSTILE.items()},
    "an error code in a success": _in_place(200, f'{{"error_code":"Broken","message":"{MARK}"}}'.encode()),
    "half of the answer": _halved,
    "an error after the answer": _followed,
}
"""Answers that are wrong whatever was asked, by what they are."""


def reordered(rows: list[Row]) -> list[Row]:
    """The records of a page, last first."""
    return rows[::-1]


def repeated(rows: list[Row]) -> list[Row]:
    """The records of a page, the first of them once more."""
    return rows + rows[:1]


@dataclass(frozen=True, slots=True)
class Records:
    """Tampers with the records of the lists; answers of another kind, or that are no success, are left as they are."""

    lists: Sequence[Lists]
    change: Callable[[list[Row]], list[Row]]

    def __call__(self, request: Request, response: Response) -> Response:
        """Change the records of an answer."""
        return _edited(self.lists, request, response, self._records)

    def _records(self, where: Lists, document: Any) -> bool:  # noqa: ANN401 - any JSON
        held, name = _reach(document, where.records)
        rows = document if not where.records else held.get(name) if isinstance(held, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            return False
        rows[:] = self.change(rows)
        return True


@dataclass(frozen=True, slots=True)
class Fields:
    """Changes the fields of each record: one more (`SURPRISE`), or another type for the one that the lists call `plain`."""

    lists: Sequence[Lists]
    added: bool

    def __call__(self, request: Request, response: Response) -> Response:
        """Change the fields of an answer's records."""
        return _edited(self.lists, request, response, self._fields)

    def _fields(self, where: Lists, document: Any) -> bool:  # noqa: ANN401 - any JSON
        def change(row: Row) -> Row:
            fields = row.get(where.fields) if where.fields else row
            if isinstance(fields, dict):
                if self.added:
                    fields[SURPRISE] = SURPRISE
                elif where.plain and fields.get(where.plain) is not None:
                    fields[where.plain] = {"was": SURPRISE}
            return row

        return Records((where,), lambda rows: [change(row) for row in rows])._records(where, document)  # noqa: SLF001


@dataclass(frozen=True, slots=True)
class Counts:
    """Adds to what the answers count."""

    lists: Sequence[Lists]
    more: int
    seen: list[str] = field(default_factory=list)

    def __call__(self, request: Request, response: Response) -> Response:
        """Change the counts of an answer."""
        return _edited(self.lists, request, response, self._counts)

    def _counts(self, where: Lists, document: Any) -> bool:  # noqa: ANN401 - any JSON
        found = False
        for path in where.counts:
            held, name = _reach(document, path)
            if isinstance(held, dict) and type(held.get(name)) is int:
                held[name] = max(0, held[name] + self.more)
                found = True
        return found


def _edited(
    lists: Sequence[Lists], request: Request, response: Response, edit: Callable[[Lists, Any], bool]
) -> Response:  # fmt: skip
    if response.status != 200:
        return response
    where = [each for each in lists if each.matches(request)]
    try:
        document = _EXACT.decode(response.body) if where else None
    except msgspec.DecodeError:
        return response
    edits = [edit(each, document) for each in where]
    return replace(response, body=_TEXT.encode(document)) if any(edits) else response


def _reach(document: Any, path: str) -> tuple[Any, str]:  # noqa: ANN401 - any JSON
    """What holds the last name of a dotted path, and that name."""
    *outer, name = path.split(".")
    for step in outer:
        document = document.get(step) if isinstance(document, dict) else None
    return document, name
