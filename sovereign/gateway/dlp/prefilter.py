"""The quick look: whether a body could hold anything at all, from its bytes, in a few microseconds.

It may say yes in vain, never no in vain (`quiet`, of a whole body, but for digits written as decimals): a test compares it with
the full walk over the whole corpus. Runs of digits are looked
for after the bytes were mapped to classes, which costs a hundredth of a pattern; patterns judge only what is left.
"""

import re
from typing import Final

from sovereign.gateway.dlp.limits import Limits

_SEPARATORS: Final = b" .-/\xc2\xa0\xe2\x80\xaf\x89"
_RUNS: Final = bytes(48 if chr(byte) in "0123456789ABab" else byte for byte in range(256))
_WORDS: Final = bytes(97 if (chr(byte).isalnum() and byte < 128) or byte in b"+/" else byte for byte in range(256))
_RUN: Final = b"0" * 9
_WORD: Final = b"a" * 16
_POWER: Final = re.compile(rb"0[eE]\+?0")
_GAP: Final = rb"(?:[ ./-]|\xc2\xa0|\xe2\x80[\x89\xaf])?"
_ACCOUNT: Final = re.compile(rb"[A-Za-z]{2}[0-9]{2}%b[0-9A-Za-z]{4}(?:%b[0-9A-Za-z]){7}" % (_GAP, _GAP))
_DECIMALS: Final = re.compile(rb"\.[0-9]{1,11}(?=[\]},\r\n])")
_KINDS: Final = bytes(97 if chr(byte).isalpha() and byte < 128 else 48 if 48 <= byte < 58 else byte for byte in range(256))
_ESCAPE: Final = re.compile(rb"\\u(?:00[2-7]|00[aA]0|20[20]|[fF][fF]1|01(?:3[01]|7[fF])|212[aA])")
_NAMES: Final = (
    b"pass", b"pwd", b"mdp", b"secret", b"token", b"jeton", b"api", b"key", b"cl\xc3\xa9", b"cl\xc3\x89", b"cl\\u00e9",
    b"cl\\u00c9", b"cle", b"credential", b"authorization",
)  # fmt: skip
"""Words by which a secret is announced: by the name of its field, or before a colon or an equals sign in a sentence."""
_SIGNS: Final = (
    b"begin", b"eyj", b"://", b"bearer", b"basic ", b"\xef\xbc", b"\xef\xbd", b"\x00",
    # Prefixes of secrets whose letters may be cut by dashes and underscores.
    b"github_pat_", b"glpat-", b"xox", b"ya29.", b"aiza", b"sk-", b"sg.", b"pypi-", b"hvs.", b"hvb.", b"svn_",
)  # fmt: skip
_FOLDED: Final = (b"\xc5\xbf", b"\xc4\xb0", b"\xc4\xb1", b"\xe2\x84\xaa")
"""Letters that patterns without case take for s, i and k, and that `lower` leaves as they are."""


def quiet(body: bytes, limits: Limits) -> bool:
    """Say that a body holds nothing that any detector looks for."""
    if body.count(b"@") >= limits.emails:
        return False
    low = body.lower()
    if b"\\u" in low and _ESCAPE.search(body):
        return False
    classes = body.translate(_RUNS, _SEPARATORS)
    # The decimals of coordinates are long runs of no meaning.
    if _RUN in classes and _RUN in _DECIMALS.sub(b",", body).translate(_RUNS, _SEPARATORS):
        return False
    return not any(name in low for name in _NAMES) and _plain(body, low, classes)


def silent(text: str) -> bool:
    """Say that a text by itself, in a field whose name announces nothing, holds nothing that any detector looks for."""
    body = text.encode("utf-8", "surrogatepass")
    classes = body.translate(_RUNS, _SEPARATORS)
    if b"@" in body or _RUN in classes:
        return False
    low = body.lower()
    if (b":" in body or b"=" in body) and any(name in low for name in _NAMES):
        return False
    return _plain(body, low, classes)


def _plain(body: bytes, low: bytes, classes: bytes) -> bool:
    """Say that no sign, no number with an exponent, no account and no word that could be a secret stands in it."""
    if any(sign in low for sign in _SIGNS) or any(letter in body for letter in _FOLDED):
        return False
    if b"." in body and _POWER.search(classes):
        return False
    if b"aa00" in body.translate(_KINDS) and _ACCOUNT.search(body):
        return False
    return _WORD not in body.translate(_WORDS)
