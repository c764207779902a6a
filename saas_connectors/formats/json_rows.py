"""JSON: an array of objects somewhere in a document; the setting `rows` is the dotted path to it, "" for the document itself.

1. Fractions keep every digit. An element that is no object is set aside; `line` is the element's rank, from 1.
2. A document that ends before its end was cut. Anything after its end is not JSON.
3. Without `rows`, the array is the document, or the only array of objects at its first level; two are `Unsettled`.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import msgspec

from saas_connectors.connector import Json
from saas_connectors.formats.cells import Unsettled
from saas_connectors.formats.columns import Raw, beyond, content, gather, written
from saas_connectors.formats.format import Limits, Reading, Rejected, Row, Truncated, Unreadable, Values

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number", enc_hook=written)


class _Json:
    """See the laws above."""

    name = "json"

    def rows(self, body: bytes, settings: Reading) -> Iterator[Row | Rejected]:
        """See `Format`."""
        path = settings.options.get("rows")
        held = _found(decoded(body, settings.limits), path if isinstance(path, str) else None)
        for rank, element in enumerate(held, 1):
            yield Row(rank, element) if isinstance(element, dict) else Rejected(rank, "shape", "", content(element))

    def columns(self, body: bytes, settings: Reading) -> Raw:
        """See `Format`."""
        return gather(self.rows(body, settings), settings.limits)

    def write(self, columns: Sequence[str], rows: Iterable[Values], settings: Reading | None = None) -> bytes:
        """See `Format`: an array, or one below the names of the setting `rows`; fields without a value are null."""
        document: Json = [{name: row.get(name) for name in columns} for row in rows]
        path = settings.options.get("rows") if settings else None
        for step in reversed(path.split(".")) if isinstance(path, str) and path else ():
            document = {step: document}
        return encoded(document) + b"\n"


JSON: Final = _Json()


def decoded(body: bytes, limits: Limits) -> Json:
    """Decode a whole document; raises Truncated, Unreadable."""
    if len(body) > limits.unpacked:
        raise beyond(f"{limits.unpacked} octets", f"{limits.unpacked} bytes")
    body = body.removeprefix(b"\xef\xbb\xbf").strip()
    if not body:
        raise Truncated(why_fr="il est vide", why_en="it is empty")
    with named_faults():
        return _DECODER.decode(body)


@contextmanager
def named_faults() -> Iterator[None]:
    """Say in words of ours why JSON cannot be decoded: Truncated, or Unreadable."""
    try:
        yield
    except RecursionError:
        raise beyond("les niveaux admis", "the levels allowed") from None
    except msgspec.DecodeError as refusal:
        if "truncated" in str(refusal):
            raise Truncated(why_fr="le JSON n'a pas sa fin", why_en="the JSON lacks its end") from None
        raise Unreadable(why_fr="ce n'est pas du JSON", why_en="it is not JSON") from None
    except UnicodeDecodeError:
        raise Unreadable(why_fr="ce n'est pas de l'UTF-8", why_en="it is not UTF-8") from None


def encoded(value: Json) -> bytes:
    """Encode, decimals as numbers, times as ISO 8601."""
    return _ENCODER.encode(value)


def _found(document: Json, path: str | None) -> list[Any]:
    if path is None and isinstance(document, dict):
        arrays = [held for held in document.values() if isinstance(held, list) and held and isinstance(held[0], dict)]
        if len(arrays) != 1:
            raise Unsettled(
                setting="rows",
                why_fr="le document n'a pas un seul tableau d'objets à son premier niveau",
                why_en="the document does not have exactly one array of objects at its first level",
            )
        return arrays[0]
    held = document
    for step in path.split(".") if path else ():
        held = held.get(step) if isinstance(held, dict) else None
    if not isinstance(held, list):
        raise Unreadable(why_fr=f"aucun tableau sous « {path or ''} »", why_en=f"no array at `{path or ''}`")
    return held
