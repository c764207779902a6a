"""Whoever forges fills no log: refusals are counted, and entered once a minute."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from sovereign.events.errors import NotSigned
from sovereign.events.inbox import Taking
from sovereign.settings import EventSource


class Noting:
    """A diary that notes refusals alone."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []

    def refused(self, source: str, code: str, more: int) -> None:
        self.told.append((source, code, more))


def forging(take: Callable[[str, dict[str, str], bytes], object], source: str, times: int) -> None:
    for _ in range(times):
        with pytest.raises(NotSigned):
            take(source, {}, b"{}")


def test_refusals_of_one_source_and_reason_are_entered_once_a_minute_with_their_number() -> None:
    present, diary = [datetime(2026, 11, 29, tzinfo=UTC)], Noting()
    take = Taking({"rh": EventSource()}, lambda _: [b"k" * 32], diary, lambda: present[0])  # type: ignore[arg-type]
    forging(take, "rh", 500)
    forging(take, "nobody", 500)
    assert diary.told == [("rh", "event.signature", 0)]
    present[0] += timedelta(minutes=2)
    forging(take, "rh", 3)
    assert diary.told == [("rh", "event.signature", 0), ("rh", "event.signature", 499)]
    present[0] -= timedelta(days=1)  # a clock that was set back silences nothing
    forging(take, "rh", 1)
    assert diary.told[-1] == ("rh", "event.signature", 2)
