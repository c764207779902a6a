"""JSON lines: one object a line, in UTF-8.

A line that is not one is set aside; when it is the last and has no end, the file was cut.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Final

import msgspec

from saas_connectors.formats import text
from saas_connectors.formats.columns import Raw, gather
from saas_connectors.formats.format import Reading, Rejected, Row, Truncated, Values
from saas_connectors.formats.json_rows import encoded

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)


class _JsonLines:
    """See the law above."""

    name = "jsonl"

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """See `Format`."""
        options = {"encoding": "utf-8", **settings.options}
        held = text.read(body, options, settings.limits)
        if not held.text.strip():
            raise Truncated(why_fr="il est vide", why_en="it is empty")
        count = 0
        for row in told(held.text, held.skipped + 1):
            count += 1
            yield row
        text.counted(held, count)

    def columns(self, body: bytes, settings: Reading) -> Raw:
        """See `Format`."""
        return gather(self.rows(body, settings), settings.limits)

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:  # noqa: ARG002
        """See `Format`."""
        return b"".join(encoded({name: row.get(name) for name in columns}) + b"\n" for row in rows)


JSONL: Final = _JsonLines()


def told(held: str, first: int, *, last: bool = True) -> Iterator[Row | Rejected]:
    """Give the rows of some lines. first: the number of the first; last: no others follow, so a cut one is Truncated."""
    lines = held.split("\n")
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        if text.undecoded(line):
            yield Rejected(number, "undecodable", "", text.shown(line))
            continue
        try:
            value = _DECODER.decode(line)
        except (msgspec.DecodeError, RecursionError):
            if last and number == first + len(lines) - 1:
                raise Truncated(why_fr="la dernière ligne n'est pas entière", why_en="its last line is not whole") from None
            yield Rejected(number, "value", "", line)
            continue
        yield Row(number, value) if isinstance(value, dict) else Rejected(number, "shape", "", line)
