"""A mart whose bytes changed is noticed, and is made anew."""

from collections.abc import Callable
from typing import Any, TypeAlias

import pyarrow as pa
import pytest

Town: TypeAlias = Any  # the class is in conftest.py
Visits = Callable[..., pa.Table]


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_mart_is_told(town: Town, visits: Visits, damage: str) -> None:
    landed = town.land(town.VISITS, visits(*range(20_000)))
    mart = town.marts.ensure(town.VISITS.id, "internal", landed)
    assert town.marts.damaged() == []
    sound = mart.path.read_bytes()
    middle = len(sound) // 2
    match damage:
        case "cut":
            mart.path.write_bytes(sound[:middle])
        case "flipped":
            spoilt = bytearray(sound)
            for at in range(16_384, len(spoilt), 4096):  # a bit in every block: some blocks are free
                spoilt[at] ^= 1
            mart.path.write_bytes(spoilt)
        case "gone":
            mart.path.unlink()
    assert town.marts.damaged() == [(town.VISITS.id, "internal")]
    town.marts.forget("town", "visits")
    assert town.ask("SELECT count(*) AS n FROM town.visits", town.VISITS, landed) == [{"n": 20_000}]
    assert town.marts.damaged() == []
