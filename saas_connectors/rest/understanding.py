"""One answer of a list, understood the same way by exploration and by reading."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa

from saas_connectors.answer import MISSING, Document, accept, arrays, cut, held
from saas_connectors.connector import Json
from saas_connectors.paging import Keyset, Paging, Seen, Single
from saas_connectors.records import Records
from saas_connectors.request import Request, Response
from saas_connectors.rest.cursors import written
from saas_connectors.rest.legible import Form, legible
from saas_connectors.rest.patterns import total_path

_FLOWING: Final = 2 << 20
"""Bytes of a list put aside that become one table."""


@dataclass(slots=True)
class Understanding:
    """Where the records are, where the total is (None: to be found on the first page), and the types seen so far."""

    path: str
    total: str | None
    paging: Paging
    records: Records
    form: Form | None = None
    keyed: str = ""

    def page(self, request: Request, response: Response) -> tuple[Seen, pa.Table]:
        """Turn an answer into records, and what paging needs of it; raises the faults of `answer`."""
        accept(request, response)
        response = held(response)
        if response.status == 204 or (response.status == 202 and not response.body):
            return Seen(request, response, Document({}, b"[]"), 0), pa.table({})
        response = legible(request, response, self.form, self.keyed, self.path)
        document = cut(request, response, self.path)
        table = self.records.table(request, response, document.records)
        if self.total is None:
            self.total = total_path(_Around(document), table.num_rows)
        total = document.find(self.total) if self.total else MISSING
        last = None
        if isinstance(self.paging, Keyset) and table.num_rows and self.paging.field in table.column_names:
            last = written(table.column(self.paging.field)[-1].as_py())
        return Seen(request, response, document, table.num_rows, last, _count(total)), table

    def tables(self, request: Request, response: Response) -> Iterator[pa.Table]:
        """Turn a list that was put aside into tables, as it is read; raises `Malformed`, at its last byte if need be."""
        accept(request, response)
        for lump in arrays(request, response, _FLOWING):
            yield self.records.table(request, response, lump)


def long(request: Request, paging: Paging | None, path: str | None, form: Form | None, keyed: str) -> Request:
    """Ask for a list in such a way that it may be put aside: one that comes all at once, as a JSON array."""
    return replace(request, spooled=isinstance(paging, Single) and not path and form in (None, "json") and not keyed)


def flows(response: Response) -> bool:
    """Whether an answer was put aside, and can be read as it is: a JSON array in UTF-8, as far as it tells."""
    if response.content is None:
        return False
    said = response.headers.get("content-type", "").lower().replace(" ", "").replace('"', "")
    kind, _, charset = said.partition(";charset=")
    plain = kind.partition(";")[0] in ("", "application/json", "text/json", "application/octet-stream")
    with response.content.open() as file:
        array = file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"[")
    return array and plain and charset in ("", "utf-8", "utf8", "us-ascii")


def _count(value: Json) -> int | None:
    """Read a count: a number, or the text of one."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


class _Around(dict[str, Any]):
    """A document seen as the object it is, each value decoded when it is looked at."""

    def __init__(self, document: Document) -> None:
        super().__init__(dict.fromkeys(document.keys))
        self._document = document

    def __getitem__(self, name: str) -> Json:
        return self._document.find(name)
