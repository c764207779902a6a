"""How much of a payload is looked at, and the account that a scan keeps of it.

A scan ends whatever it is given: bytes, depth, leaves and what is decoded are bounded. Reaching a bound is said, never hidden.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one scan.

    bytes: looked at; of a longer body the beginning, a form by its parts, else as text. depth: of nesting. leaves: values
    visited. decoded: bytes taken out of base64 and gzip, in all. pointers: distinct findings told apart; further ones are
    counted together under `*`.
    emails, phones: from how many on there is a volume.
    """

    bytes: int = 16 * 2**20
    depth: int = 64
    leaves: int = 400_000
    decoded: int = 8 * 2**20
    pointers: int = 256
    emails: int = 20
    phones: int = 20


class OverBounds(Exception):
    """A bound was reached."""


class Unreadable(Exception):
    """The payload is not what its content type says."""


class Budget:
    """What is left of the limits while a body is walked."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.leaves = limits.leaves
        self.decoded = limits.decoded

    def leaf(self) -> None:
        """Count one value. Errors: OverBounds."""
        self.leaves -= 1
        if self.leaves < 0:
            raise OverBounds

    def decode(self, size: int) -> None:
        """Count bytes taken out of an encoding. Errors: OverBounds."""
        self.decoded -= size
        if self.decoded < 0:
            raise OverBounds
