"""Everything sensitive in one text, in order and without overlap."""

import re
from collections.abc import Iterable
from typing import Final

from sovereign.gateway.dlp import accounts, contacts, credentials, nir, numbers, prefilter
from sovereign.gateway.dlp.fields import Hints
from sovereign.gateway.dlp.hits import Hit, plain

_DIGITS: Final = re.compile(r"[0-9](?:[ .\-\u00a0\u202f\u2009/]?[0-9ABab]){8}")
_BBAN: Final = re.compile(r"[A-Za-z]{2}[0-9]{2}[ .\-\u00a0\u202f\u2009]?[0-9A-Za-z]{4}")
_TOLD: Final = re.compile(r"(?i)pass|pwd|mdp|cl[ée]|secret|token|jeton|api|bearer|basic")
_SHORTEST_TOKEN: Final = 20
_LONG: Final = 64
"""Texts at least this long are looked at quickly first."""
_FLOAT: Final = re.compile(r"([0-9])\.([0-9]{1,20})[eE]\+?([0-9]{1,2})")


def detect(text: str, hints: Hints) -> list[Hit]:
    """Find what is sensitive in a value; `hints` is what its field's name tells."""
    if len(text) < 4 or (not hints and len(text) >= _LONG and prefilter.silent(text)):
        return []
    found: list[Hit] = []
    text = plain(text)
    if len(text) >= _SHORTEST_TOKEN or hints & {"password", "token"} or _TOLD.search(text):
        _add(found, credentials.find(text, hints))
    if _BBAN.search(text):
        _add(found, accounts.find(text, hints))
    if _DIGITS.search(text):
        if "iban" in hints:
            _add(found, accounts.find(text, hints))
        _add(found, nir.find(text, hints))
        _add(found, numbers.find(text, hints))
        _add(found, contacts.phones(text, hints))
    _add(found, contacts.emails(text))
    found.sort(key=lambda hit: hit.start)
    return found


def spelled(number: str) -> str:
    """Give a JSON number in full when an exponent hides its digits: 1.85E+2 is 185."""
    match = _FLOAT.fullmatch(number)
    if match is None:
        return number
    digits, places = match[1] + match[2], int(match[3])
    return digits[: places + 1].ljust(places + 1, "0") if places < 40 and not digits[places + 1 :].strip("0") else number


def _add(found: list[Hit], hits: Iterable[Hit]) -> None:
    for hit in hits:
        if not any(each.start < hit.end and hit.start < each.end for each in found):
            found.append(hit)
