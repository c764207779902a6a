"""Work on a body: here when it is short, beside the loop when it is long, so that one long body keeps nobody else waiting."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
LARGE: Final = 65_536
"""Bodies longer than this are read, looked into and sealed in a thread, in bytes."""


async def beside(size: int, work: Callable[..., T], *given: object) -> T:
    """Give what the work gives, on a body of so many bytes."""
    return work(*given) if size <= LARGE else await asyncio.to_thread(work, *given)
