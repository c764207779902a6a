"""IBANs and French RIBs: country, length, structure, ISO 7064 check, and the national key where there is one.

Source: ISO 13616 and SWIFT's IBAN registry (kept by python-stdnum); for France the RIB key, 97 - (89 b + 15 g + 3 c) mod 97.
"""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from stdnum import iban, numdb

from sovereign.gateway.dlp import fields
from sovereign.gateway.dlp.fields import Hints
from sovereign.gateway.dlp.hits import SEPARATORS, Hit, compact

_HEAD: Final = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?=[ .\-\u00a0\u202f\u2009]?[0-9A-Za-z])")
_PIECE: Final = re.compile(r"([0-9]+)!([nac])")
_RIB: Final = re.compile(r"[0-9]{10}[0-9A-Z]{11}[0-9]{2}")
_LETTERS: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "12345678912345678923456789")
_BEFORE: Final = 40


def find(text: str, hints: Hints) -> Iterator[Hit]:
    """Find the account numbers of a text."""
    if "iban" in hints and _RIB.fullmatch(number := compact(text)) and rib_holds(number):
        yield Hit("iban", 0, len(text), sure=True)
        return
    for match in _HEAD.finditer(text):
        country = match[0][:2].upper()
        size = length(country)
        end = _end(text, match.start(), size) if size else 0
        if not end:
            continue
        number = compact(text[match.start() : end])
        if not iban.is_valid(number):
            continue
        told = "iban" in hints or country not in ("FR", "MC") or rib_holds(number[4:])
        if not told:
            told = "iban" in fields.around(text[max(0, match.start() - _BEFORE) : match.start()])
        yield Hit("iban", match.start(), end, told)


@cache
def structure(country: str) -> str:
    """Give the structure of a country's account numbers, such as `5!n5!n11!c2!n`; empty when it has none."""
    found = numdb.get("iban").info(country)
    return str(found[0][1].get("bban", "")) if found else ""


@cache
def length(country: str) -> int:
    """Give the length of a country's IBANs; 0 when it has none."""
    size = sum(size for size, _ in pieces(structure(country)))
    return size + 4 if size else 0


def pieces(described: str) -> list[tuple[int, str]]:
    """Give the pieces of a structure: how many, and `n` digits, `a` letters or `c` either."""
    return [(int(size), kind) for size, kind in _PIECE.findall(described)]


def rib_holds(number: str) -> bool:
    """Say whether the key of a French RIB (23 characters) is right."""
    plain = number.translate(_LETTERS)
    return (
        plain.isdecimal() and (89 * int(plain[:5]) + 15 * int(plain[5:10]) + 3 * int(plain[10:21]) + int(plain[21:])) % 97 == 0
    )


def _end(text: str, start: int, size: int) -> int:
    """Give where so many letters and digits end, or 0 when they do not end there."""
    left, at, gap = size, start, False
    while left and at < len(text):
        char = text[at]
        if char.isascii() and char.isalnum():
            left, gap = left - 1, False
        elif gap or char not in SEPARATORS:
            return 0
        else:
            gap = True
        at += 1
    return 0 if left or (at < len(text) and text[at].isalnum()) else at
