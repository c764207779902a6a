"""Time as a parameter: rooms are given a `Clock` and never ask the machine themselves."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present instant, in UTC."""


def now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
