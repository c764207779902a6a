"""E-mail addresses and telephone numbers: one is ordinary in a form, hundreds are a list that leaves."""

import re
from collections.abc import Iterator
from typing import Final

from sovereign.gateway.dlp.fields import Hints
from sovereign.gateway.dlp.hits import Hit

_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
# French numbers (plan de numérotation, ARCEP), then E.164 with its plus sign.
_PHONE: Final = re.compile(
    r"(?<![0-9A-Za-z+])(?:(?:\+|00)(?:33|262|590|594|596)[ .-]?(?:\(0\)[ .-]?)?[1-9]|0[1-9])"
    r"(?:([ .\-\u00a0\u202f]?)[0-9]{2})(?:\1[0-9]{2}){3}"
    r"(?![0-9A-Za-z])|(?<![0-9A-Za-z])\+[1-9][0-9]{0,2}(?:[ .-]?[0-9]{2,4}){3,5}(?![0-9A-Za-z])"
)


def emails(text: str) -> Iterator[Hit]:
    """Find addresses."""
    if "@" in text:
        yield from (Hit("email_volume", *match.span(), sure=True) for match in _EMAIL.finditer(text))


def phones(text: str, hints: Hints) -> Iterator[Hit]:
    """Find numbers; ten digits in a row without a telling name are suspected only."""
    for match in _PHONE.finditer(text):
        if "phone" in hints or match[0].startswith("+") or match[1]:
            yield Hit("phone_volume", *match.span(), sure=True)
        elif not hints:
            yield Hit("phone_volume", *match.span(), sure=False)
