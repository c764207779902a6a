"""What stands for a body that is no text: of the same kind, with nothing real in it.

1. A workbook of one sheet, a Parquet and a text of another charset are read, and written again around other values; so is what
   lies in a gzip or a ZIP, whose names are replaced too.
2. Whatever else (an image, a PDF, a signature) is never looked into: as many zero bytes stand for it.
"""

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from saas_connectors.errors import ConnectorError
from saas_connectors.formats import of, text
from saas_connectors.formats.format import LIMITS, Reading, Row
from saas_connectors.formats.wrapping import archive, gunzipped, part
from sovereign.authoring.errors import Unscrubbed

Values = Mapping[str, Any]
_BOOKS: Final = {"xl/workbook.xml": "xlsx", "content.xml": "ods"}
_TEXTS: Final = (".csv", ".txt", ".json", ".jsonl", ".xml")


def instead(
    body: bytes,
    name: str,
    place: str,
    other: Callable[[bytes, str], bytes],
    row: Callable[[Values], Values],
    named: Callable[[str], str],
) -> bytes:
    """Give another body; raises `Unscrubbed`.

    name: of the file, as its address says it; other: gives another text, or another of what lies within; row: another record;
    named: another name of what lies within.
    """
    try:
        if body[:2] == b"\x1f\x8b":
            return gzip.compress(other(gunzipped(body, LIMITS), name.removesuffix(".gz")), mtime=0)
        if body[:4] == b"PK\x03\x04":
            held = archive(body, LIMITS)
            found = [kind for entry, kind in _BOOKS.items() if entry in {each.filename for each in held.entries}]
            if found:
                return _table(found[0], body, row)
            sink = io.BytesIO()
            with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as made:
                for entry in held.entries:
                    made.writestr(part(named(entry.filename)), other(held.read(entry), entry.filename))
            return sink.getvalue()
        if body[:4] == b"PAR1":
            return _table("parquet", body, row)
        if name.endswith(_TEXTS):
            encoding = text.encoding_of(body)
            return other(body.decode(encoding).encode(), name).decode().encode(encoding)
    except ConnectorError as refusal:
        fr, en = (str(refusal.fields.get(f"why_{each}", "")) for each in ("fr", "en"))
        raise Unscrubbed(place=place, why_fr=fr or "un fichier illisible", why_en=en or "an unreadable file") from None
    except UnicodeError:
        raise Unscrubbed(place=place, why_fr="un codage qui n'est pas sûr", why_en="a charset that is not sure") from None
    return bytes(len(body))


def legible(body: bytes) -> bytes:
    """What a body that is no text holds, as far as this module writes such: for whoever looks for what must not be there."""
    if body[:2] == b"\x1f\x8b":
        return legible(gunzipped(body, LIMITS))
    if body[:4] == b"PK\x03\x04":
        held = archive(body, LIMITS)
        return b"\n".join(each for entry in held.entries for each in (entry.filename.encode(), legible(held.read(entry))))
    if body[:4] == b"PAR1":
        return "\n".join(repr(each.values) for each in of("parquet").rows(body, Reading()) if isinstance(each, Row)).encode()
    return body


def _table(kind: str, body: bytes, row: Callable[[Values], Values]) -> bytes:
    found = list(of(kind).rows(body, Reading()))
    rows = [each.values for each in found if isinstance(each, Row)]
    columns = list(dict.fromkeys(name for each in rows for name in each))
    return of(kind).write(columns, [row(each) for each in rows], Reading())


def plain(value: Any) -> Any:  # noqa: ANN401 - whatever a cell holds
    """A cell as JSON has it."""
    if isinstance(value, date):  # an instant is a date
        return value.isoformat()
    return Decimal(repr(value)) if isinstance(value, float) else value


def like(value: Any, made: Any) -> Any:  # noqa: ANN401 - as above
    """A cell of the kind of `value`, out of what stands for it in JSON."""
    if isinstance(value, datetime):
        return datetime.fromisoformat(made)
    if isinstance(value, date):
        return date.fromisoformat(made)
    return float(made) if isinstance(value, float) else made
