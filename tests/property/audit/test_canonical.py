"""The fast way to canonical JSON gives the bytes of the reference, or lets the reference give them."""

import math
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as some

from sovereign.audit import canonical

text = some.text(some.characters(exclude_categories=())) | some.text(some.characters(codec="ascii"))
numbers = some.integers(-(2**53) + 1, 2**53 - 1) | some.floats(allow_nan=False, allow_infinity=False)
values = some.recursive(
    some.none() | some.booleans() | numbers | text,
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(text, inner, max_size=5),
    max_leaves=12,
)


@given(value=values)
@example(value={"😀": 1, "\ufb33": 2, "€": 3, "a": 4, "\x7f": "\x7f", "\u2028": "\u2028"})
@example(value={'a"b': "\b\f\n\r\t\x00\x1f\\/", "": [1.0, 1e21, 1e-7, -0.0, 5e-324]})
def test_every_value_has_the_bytes_of_the_reference_implementation(value: object) -> None:
    try:
        expected = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(ValueError, match="JSON"):
            canonical.dumps(value)
    else:
        assert canonical.dumps(value) == expected


@given(value=some.dictionaries(some.text(some.characters(codec="ascii")), some.text() | some.integers(0, 10**9) | some.none()))
def test_ordinary_entries_take_the_fast_way(value: dict[str, Any]) -> None:
    assert canonical._alike(value, 1)
    assert orjson.dumps(value, option=orjson.OPT_SORT_KEYS) == rfc8785.dumps(value)


def test_instants_and_tuples_are_written_plainly() -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    assert canonical.dumps({"b": (1, 2), "a": at}) == b'{"a":"2026-11-23T00:00:00Z","b":[1,2]}'


def test_what_has_no_end_or_no_form_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for value in (endless, {"a": math.nan}, {"a": 2**53}, {"a": object()}, {"a": "\ud800"}):
        with pytest.raises(ValueError, match="JSON"):
            canonical.dumps(value)
