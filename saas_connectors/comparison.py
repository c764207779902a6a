"""What was asked against what the vendor holds, field by field.

1. Only what was asked is compared: a vendor adds fields of its own.
2. Nothing and null are the same. Numbers are compared as numbers, whatever their writing; instants as instants, whatever their
   zone; the rest exactly. A text is never a number.
3. `tolerance` is relative, for coordinates alone: some vendors keep them as 32-bit floats.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from saas_connectors.connector import Json
from saas_connectors.payloads import pointer

COORDINATES: Final = Decimal("1.2e-7")
"""A relative distance that a 32-bit float may lose (2^-23)."""


def differences(asked: Json, held: Json, *at: str | int, tolerance: Decimal | None = None) -> tuple[str, ...]:
    """JSON pointers, starting `at`, of what differs."""
    return tuple(_walk(asked, held, at, tolerance))


def _walk(asked: Json, held: Json, at: tuple[str | int, ...], tolerance: Decimal | None) -> Iterator[str]:
    if isinstance(asked, Mapping):
        if not isinstance(held, Mapping):
            if any(value is not None for value in asked.values()) or held is not None:
                yield pointer(at)
            return
        for name, value in asked.items():
            yield from _walk(value, held.get(name), (*at, name), tolerance)
    elif isinstance(asked, Sequence) and not isinstance(asked, str):
        if not isinstance(held, list) or len(held) != len(asked):
            yield pointer(at)
            return
        for place, (ours, theirs) in enumerate(zip(asked, held, strict=True)):
            yield from _walk(ours, theirs, (*at, place), tolerance)
    elif not same(asked, held, tolerance):
        yield pointer(at)


def same(asked: Json, held: Json, tolerance: Decimal | None = None) -> bool:
    """Whether two plain values say the same."""
    if _number(asked) and _number(held):
        ours, theirs = Decimal(str(asked)), Decimal(str(held))
        return ours == theirs or (tolerance is not None and abs(ours - theirs) <= tolerance * abs(ours))
    if isinstance(asked, str) and isinstance(held, str) and asked != held:
        ours_at, theirs_at = _instant(asked), _instant(held)
        return ours_at is not None and ours_at == theirs_at
    return type(asked) is type(held) and bool(asked == held)


def _number(value: Json) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _instant(text: str) -> datetime | None:
    """The instant that a text writes with its zone; None when it does not."""
    if not 19 < len(text) < 40:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
