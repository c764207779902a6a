"""Pseudonyms that must never change: another one would make every row of a dataset new."""

from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from snapshots.dataset import pseudonyms

SECRET = bytes(range(32))
INSTANT = datetime(2026, 11, 23, 8, tzinfo=UTC)


@pytest.mark.parametrize("scale", [1, 2, 9])
def test_a_decimal_key_has_one_pseudonym_whatever_its_scale(scale: int) -> None:
    keys = pa.table({"k": pa.array([Decimal("1.5"), Decimal(120), Decimal(0)], pa.decimal128(38, scale))})
    plain = pa.table({"k": ["1.5", "120", "0"]})
    assert pseudonyms(plain, SECRET).to_pylist() == pseudonyms(keys, SECRET).to_pylist()


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Paris"])
def test_an_instant_has_one_pseudonym_whatever_its_unit(unit: str, zone: str | None) -> None:
    utc = pa.array([INSTANT], pa.timestamp(unit, "UTC"))
    keys = pa.table({"k": utc.cast(pa.int64()).cast(pa.timestamp(unit, zone))})
    plain = pa.table({"k": ["1795420800000000000"]})
    assert pseudonyms(plain, SECRET).to_pylist() == pseudonyms(keys, SECRET).to_pylist()


def test_pseudonyms_are_those_written_down() -> None:
    keys = pa.table({"a": ["x", "1.5"], "b": [7, -1]})
    assert pseudonyms(keys, SECRET).to_pylist() == ["307725e734b8a4243cf14648f7d5b4c0", "ac10eac7e481f911631045cb04d3d5e0"]
