"""Secrets: private keys, tokens whose form tells them, and values without order beside a name that announces a secret."""

import base64
import binascii
import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from sovereign.gateway.dlp.fields import Hints
from sovereign.gateway.dlp.hits import Hit

_KEY: Final = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]{0,20000}-----END (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----)?"
)
_JWT: Final = re.compile(r"(?<![\w-])(eyJ[\w-]{8,2000})\.[\w-]{8,8000}\.[\w-]{0,2000}")
# Prefixes that services publish so that leaks are found.
_MARKED: Final = re.compile(
    r"(?<![\w-])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255}|glpat-[\w-]{20,64}|xox[abeprs]-[\w-]{20,200}|(?:AKIA|ASIA)[A-Z2-7]{16}"
    r"|AIza[\w-]{35}|ya29\.[\w-]{20,500}|[sr]k_(?:live|test)_[A-Za-z0-9]{20,200}|sk-(?:ant-|proj-)?[\w-]{32,200}|SG\.[\w-]{22}\.[\w-]{43}"
    r"|npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,300}|hv[sb]\.[\w-]{20,200}|dop_v1_[0-9a-f]{64}|shpat_[0-9a-f]{32}|xkeysib-[0-9a-f]{64}-\w{16}"
    r"|AGE-SECRET-KEY-1[0-9A-Z]{58}|svn_\w{1,64}_[\w-]{43})(?![\w-])"
)
_MARKS: Final = (
    "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA", "AIza", "ya29.", "k_live_",
    "k_test_", "sk-", "SG.", "npm_", "pypi-AgE", "hvs.", "hvb.", "dop_v1_", "shpat_", "xkeysib-", "AGE-SECRET-KEY-1", "svn_",
)  # fmt: skip
"""What each of those begins with: looked for first, for a pattern that finds nothing in a letter costs a hundred times more."""
_IN_URL: Final = re.compile(r"[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"']{1,128}:([^\s/@\"']{3,256})@")
_SAID: Final = re.compile(
    r"(?:(?:pass ?word|passwd|pwd|mdp|mot de passe|api[_ -]?key|secret|token|jeton|cl[ée] d['\u2019 ]?api)\"? ?[:=] ?"
    r"|\b(?:Bearer|Basic) )"
    r"[\"']?([^\s\"',;<>]{8,256})",
    re.IGNORECASE,
)
_FILLING: Final = re.compile(
    r"(?i)^(?:[*x•.·#-]+|<.*>|\{.*\}|\[.*\]|\$\{?\w+\}?|null|none|true|false|n/?a|masqu[ée]e?|redacted|hidden|vide|aucun)$"
)
_UUID: Final = re.compile(r"(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_CLASSES: Final = (re.compile(r"[a-z]"), re.compile(r"[A-Z]"), re.compile(r"[0-9]"), re.compile(r"[^A-Za-z0-9\s]"))


def find(text: str, hints: Hints) -> Iterator[Hit]:
    """Find the secrets of a text."""
    taken: list[tuple[int, int]] = []
    for hit in _formed(text):
        if not any(start < hit.end and hit.start < end for start, end in taken):
            taken.append((hit.start, hit.end))
            yield hit
    if taken:
        return
    value = text.strip()
    named = hints & {"password", "token"}
    if named and not _FILLING.match(value):
        weight = _weight(value, "password" in hints)
        if weight:
            start = text.index(value)
            yield Hit("secret", start, start + len(value), weight > 1)
            return
    if not _saying(text):
        return
    for match in _SAID.finditer(text):
        value = match[1]
        if not _FILLING.match(value) and (weight := _weight(value, password=False)):
            yield Hit("secret", *match.span(1), weight > 1)


def entropy(value: str) -> float:
    """Give the bits a character of a value (Shannon, from its own counts)."""
    return -sum(n / len(value) * math.log2(n / len(value)) for n in Counter(value).values()) if value else 0.0


def _saying(text: str) -> bool:
    """Whether a sentence could announce a secret: something stands before a colon, an equals sign, or after Bearer or Basic."""
    if ":" in text or "=" in text:
        return True
    low = text.lower()
    return "bearer " in low or "basic " in low


def _formed(text: str) -> Iterator[Hit]:
    if "-----BEGIN" in text:
        yield from (Hit("secret", *match.span(), sure=True) for match in _KEY.finditer(text))
    if "eyJ" in text:
        yield from (Hit("secret", *match.span(), sure=True) for match in _JWT.finditer(text) if _is_header(match[1]))
    if len(text) >= 20 and any(mark in text for mark in _MARKS):
        yield from (Hit("secret", *match.span(), sure=True) for match in _MARKED.finditer(text))
    if "://" in text:
        for match in _IN_URL.finditer(text):
            if not _FILLING.match(match[1]):
                yield Hit("secret", *match.span(1), sure=True)


def _weight(value: str, password: bool) -> int:
    """0: not a secret; 1: perhaps; 2: surely. A password is short and chosen, a token long and drawn."""
    if password:
        if not 4 <= len(value) <= 256 or value.count(" ") > 8:
            return 0
        kinds = sum(bool(each.search(value)) for each in _CLASSES)
        return 2 if len(value) >= 8 and kinds >= 2 and " " not in value and entropy(value) >= 2.3 else 1
    if not 12 <= len(value) <= 8192 or any(map(str.isspace, value)) or "://" in value:
        return 0
    if _UUID.match(value):
        return 1
    kinds = sum(bool(each.search(value)) for each in _CLASSES[:3])
    if len(value) >= 16 and kinds >= 2 and _CLASSES[2].search(value) and entropy(value) >= 3.0:
        return 2
    return 1 if kinds >= 2 and entropy(value) >= 3.0 else 0


def _is_header(part: str) -> bool:
    try:
        return b'"alg"' in base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        return False
