"""SIRET and SIREN, which name establishments and companies, and the numbers of payment cards.

Sources: INSEE (SIREN and SIRET bear Luhn digits; La Poste's establishments add up to a multiple of 5 instead); ISO/IEC 7812 and
the networks' own ranges for cards. One random number in ten bears a right Luhn digit, so it is never enough.
"""

import re
from collections.abc import Iterator
from typing import Final

from stdnum import luhn
from stdnum.fr import siren, siret

from sovereign.gateway.dlp import fields
from sovereign.gateway.dlp.fields import Hints
from sovereign.gateway.dlp.hits import SEPARATORS, Hit, compact, degenerate

_S: Final = f"[{re.escape(SEPARATORS)}]"
_RUN: Final = re.compile(rf"(?<![0-9A-Za-z])(?<![0-9][.,])[0-9](?:{_S}?[0-9]){{8,22}}(?![0-9A-Za-z])(?![.,][0-9])")
_GROUPS: Final = {
    "siret": re.compile(rf"(?<![0-9A-Za-z])[0-9]{{3}}({_S})[0-9]{{3}}\1[0-9]{{3}}\1[0-9]{{5}}(?![0-9A-Za-z])"),
    "card": re.compile(
        rf"(?<![0-9A-Za-z])(?:[0-9]{{4}}({_S})[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}(?:\1[0-9]{{3}})?|3[0-9]{{3}}({_S})[0-9]{{6}}\2[0-9]{{4,5}})(?![0-9A-Za-z])"
    ),
}
_LA_POSTE: Final = "356000000"
_BEFORE: Final = 40
_ELSEWISE: Final = frozenset({"other", "iban", "nir", "phone"})
"""Names that say that digits in groups are something else, be it mistyped."""
# Networks whose numbers are told apart even in a field without a name, then those that need the name.
_WIDE: Final = re.compile(
    r"4[0-9]{15}|5[1-5][0-9]{14}|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|3[47][0-9]{13}"
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9])[0-9]{12}|35(?:2[89]|[3-8][0-9])[0-9]{12}"
)
_NAMED: Final = re.compile(
    r"4[0-9]{12}|4[0-9]{18}|3(?:0[0-5]|[689][0-9])[0-9]{11}|62[0-9]{14,17}|(?:50|5[6-9]|6[0-9])[0-9]{10,17}"
)


def find(text: str, hints: Hints) -> Iterator[Hit]:
    """Find SIRETs, SIRENs and card numbers."""
    whole = compact(text)
    if whole.isdecimal() and (kind := _named(whole, hints)):
        yield Hit(kind, 0, len(text), sure=True)
        return
    taken: list[tuple[int, int]] = []
    for kind, pattern in _GROUPS.items():
        for match in pattern.finditer(text):
            if _holds(kind, compact(match[0])):
                told = hints | fields.around(text[max(0, match.start() - _BEFORE) : match.start()])
                taken.append(match.span())
                yield Hit(kind, *match.span(), kind in told or not told & _ELSEWISE)
    for match in _RUN.finditer(text):
        if any(start < match.end() and match.start() < end for start, end in taken):
            continue
        number = compact(match[0])
        told = hints | fields.around(text[max(0, match.start() - _BEFORE) : match.start()])
        if (kind := _named(number, told)) or (kind := _unnamed(number, match[0], told)):
            yield Hit(kind, *match.span(), kind in told or number.startswith(_LA_POSTE))


def is_siret(number: str) -> bool:
    """Say whether 14 digits are a SIRET, or 9 a SIREN."""
    if degenerate(number) or number.startswith("000"):
        return False
    return siren.is_valid(number) if len(number) == 9 else siret.is_valid(number)


def is_card(number: str, *, named: bool) -> bool:
    """Say whether digits are a card's: range and length of a network, Luhn digit."""
    ranged = _WIDE.fullmatch(number) or (named and _NAMED.fullmatch(number))
    return bool(ranged) and not degenerate(number) and luhn.is_valid(number)


def _named(number: str, hints: Hints) -> str:
    if "siret" in hints and len(number) in (9, 14) and is_siret(number):
        return "siret"
    return "card" if "card" in hints and is_card(number, named=True) else ""


def _unnamed(number: str, written: str, hints: Hints) -> str:
    """A number that only its own digits tell: suspected, and not at all where the name says that it is something else."""
    if hints & {"other", "phone", "nir", "iban"} or number != written:
        return ""
    if len(number) == 14 and is_siret(number):
        return "siret"
    return "card" if is_card(number, named=False) else ""


def _holds(kind: str, number: str) -> bool:
    return is_siret(number) if kind == "siret" else is_card(number, named=True)
