"""The NIR, which identifies a person for life: 13 characters and a key of 2.

Source: INSEE, "numéro d'inscription au répertoire" (sex, year, month, department, commune, order, key = 97 - n mod 97); Corsica
is 2A or 2B, counted as 19 and 18; months 20, 30 to 42, 50 to 99 stand for civil records that are incomplete.
"""

import re
from collections.abc import Iterator
from typing import Final

from stdnum.fr import nir

from sovereign.gateway.dlp import fields
from sovereign.gateway.dlp.fields import Hints
from sovereign.gateway.dlp.hits import SEPARATORS, Hit, compact

_S: Final = f"([{re.escape(SEPARATORS)}]?)"
_SHAPE: Final = re.compile(
    rf"(?<![0-9A-Za-z])[1-478]{_S}[0-9]{{2}}{_S}[0-9]{{2}}{_S}(?:[0-9]{{2}}|2[ABab]){_S}[0-9]{{3}}{_S}[0-9]{{3}}(?:{_S}[0-9]{{2}})?"
    r"(?![0-9A-Za-z])"
)
_KEYED: Final = 15
_BEFORE: Final = 48


def find(text: str, hints: Hints) -> Iterator[Hit]:
    """Find the NIRs of a text; `hints` is what the field's name tells."""
    if "nir" in hints and (whole := compact(text)) and _plausible(whole):
        start = len(text) - len(text.lstrip())
        # Under its own name a number whose key is wrong is a NIR with a slip: still to be looked at.
        yield Hit("nir", start, len(text.rstrip()), len(whole) < _KEYED or nir.is_valid(whole))
        return
    for match in _SHAPE.finditer(text):
        number, grouped = compact(match[0]), any(match.groups())
        if not _plausible(number):
            continue
        told = (
            hints if hints & {"nir", "other"} else hints | fields.around(text[max(0, match.start() - _BEFORE) : match.start()])
        )
        if len(number) < _KEYED:
            if "nir" in told or (grouped and _ordinary(number) and _spaced(match)):
                yield Hit("nir", *match.span(), "nir" in told)
        elif nir.is_valid(number):
            sure = "nir" in told or (_ordinary(number) and ("other" not in told or _spaced(match)))
            if sure or "other" not in told:
                yield Hit("nir", *match.span(), sure)
        elif "nir" in told:
            yield Hit("nir", *match.span(), sure=False)


def _spaced(match: re.Match[str]) -> bool:
    """Each group stands apart, by the same separator: nobody writes another number so."""
    written = [each for each in match.groups() if each is not None]
    return bool(written[0]) and len(set(written[:5])) == 1


def _ordinary(number: str) -> bool:
    return number[0] in "12" and 1 <= int(number[3:5]) <= 12


def _plausible(number: str) -> bool:
    if len(number) not in (13, _KEYED) or number[0] not in "123478":
        return False
    department = {"2A": "19", "2B": "18"}.get(number[5:7], number[5:7])
    if not (number[:5] + department + number[7:]).isdecimal():
        return False
    month, where = int(number[3:5]), int(department)
    if not (1 <= month <= 12 or month == 20 or 30 <= month <= 42 or month >= 50):
        return False
    return (
        where > 0 and number[7:10] != "000" and number[10:13] != "000" and (len(number) < _KEYED or "01" <= number[13:] <= "97")
    )
