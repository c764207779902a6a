"""Where what was observed is not what was declared. Pure.

| mark | when |
|---|---|
| `unseen` | it is declared, and nothing of it was ever observed |
| `undeclared` | it was observed, and nothing declares it any more |
| `above` | data was found of a class above the highest that is declared |
| `silent` | it has a cadence, and two instants of it went by since it was last seen |
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

from sovereign.cartography.chart import Mark, highest
from sovereign.sync.cadence import Cadence

FOUND: Final[Mapping[str, str]] = {
    "nir": "sensitive", "iban": "sensitive", "card": "sensitive", "secret": "sensitive", "email_volume": "personal",
    "phone_volume": "personal",
}  # fmt: skip
"""The class that what is recognised in a payload is of, at least; other findings say nothing of a class."""


def marks(
    *,
    declared: bool,
    observed: bool,
    classes: Collection[str] | None = None,
    found: Collection[str] = (),
    silent: bool = False,
) -> tuple[Mark, ...]:
    """The marks of a box or an arrow. classes: those declared, None when nobody said; found: those observed."""
    given: list[Mark] = []
    if declared and not observed:
        given.append("unseen")
    if observed and not declared:
        given.append("undeclared")
    if classes is not None and highest(frozenset(found)) > highest(frozenset(classes)):
        given.append("above")
    if silent:
        given.append("silent")
    return tuple(given)


def silent(cadence: Cadence | None, name: str, last: datetime | None, now: datetime) -> bool:
    """Whether two instants of a cadence went by since something was last seen: one may be late, two are a silence."""
    if cadence is None or last is None:
        return False
    return cadence.after(cadence.after(last, name), name) < now
