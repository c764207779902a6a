"""What walks a body hands each value to: looks at it, and gives what stands there from now on (the same, mostly)."""

from typing import NamedTuple, Protocol

from sovereign.gateway.dlp.fields import NOTHING, Hints


class Place(NamedTuple):
    """Where a value stands. pointer: without values, `*` for each item of a list. hints: what the names above it tell."""

    pointer: str = ""
    hints: Hints = NOTHING
    number: bool = False


class Visit(Protocol):
    """Looks at one value."""

    def __call__(self, place: Place, text: str, /) -> str:
        """Give what stands there from now on. Errors: OverBounds."""
        ...


class Walked(NamedTuple):
    """What a walk gives. body: rewritten with what the visits gave. opaque: pointers of parts that cannot be read."""

    records: int
    body: bytes
    opaque: tuple[str, ...] = ()
