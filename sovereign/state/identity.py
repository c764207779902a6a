"""Names of runs: sortable by time, unique by chance, readable by people.

20261123-184500123-4f9c2a7e     date, time to the millisecond (UTC), 32 random bits
"""

import os
from collections.abc import Callable

from sovereign.clock import Clock


def new_id(clock: Clock, entropy: Callable[[int], bytes] = os.urandom) -> str:
    """Make a name for a run; later ones sort after earlier ones."""
    present = clock()
    return f"{present:%Y%m%d-%H%M%S}{present.microsecond // 1000:03d}-{entropy(4).hex()}"
