"""Other values in the place of real ones: the same for the same, in the same order, of the same form.

1. Equal values get equal replacements, different ones different replacements: joins, keys and tokens still meet.
2. Order holds: of whole numbers, dates, and texts of ASCII letters and digits (a letter stays a letter of its case, a digit a
   digit, all else stays). Dates and times all move back by one amount each.
3. Form holds: length, e-mail, IBAN, SIREN, SIRET and NIR with their check digits, dates, UUIDs, hexadecimal.
4. All values are learned before the first is replaced; the key of a recording is random, and thrown away.
5. A value may be given its replacement (`stand`): the digest of a file is then that of the file that stands for it.

A short value can fall on itself (one letter among 26, three digits that are all taken): nothing under six signs is promised.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from sovereign.authoring.errors import Unscrubbed

MOST: Final = 200_000
"""Distinct values that a recording may hold."""
_DEPTH: Final = 24
_LOWER: Final = "abcdefghijklmnopqrstuvwxyzàâäçéèêëîïôöùûüÿ"
_UPPER: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZÀÂÄÇÉÈÊËÎÏÔÖÙÛÜŸ"
_ISO: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:([T ])(\d\d):(\d\d)(?::(\d\d))?(\.\d+)?(Z|z|[+-]\d\d:?\d\d)?)?")
_FRENCH: Final = re.compile(r"(\d\d)/(\d\d)/(\d{4})(?: (\d\d):(\d\d)(?::(\d\d))?)?")
_NUMBER: Final = re.compile(r"(-?)(0|[1-9]\d*)(?:\.(\d+))?([eE][+-]?\d+)?")
_MAIL: Final = re.compile(r"([^@\s<>\"]+)@((?:[\w-]+\.)*[\w-]+)\.(\w+)")
_IBAN: Final = re.compile(r"([A-Z]{2})(\d\d)([A-Z0-9]{10,30})")
_HEX: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16,}")
_SENTINEL: Final = range(1800, 9000)


@dataclass(slots=True)
class _Node:
    inner: dict[str, "_Node"] = field(default_factory=dict)
    replaced: dict[str, str] | None = None


class Pseudonyms:
    """Learns values, then replaces them; `key`: random bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._root = _Node()
        self._known: set[str] = set()
        self._stands: dict[str, str] = {}
        drawn = int.from_bytes(self._hash(b"shift")[:8], "big")
        self._days = timedelta(days=40 + drawn % 360)
        self._time = self._days + timedelta(seconds=1801 + drawn % 78_001)

    def __contains__(self, text: str) -> bool:
        return text in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, text: str) -> None:
        """Take a value in, before the first is replaced; raises `Unscrubbed` beyond `MOST`."""
        if text in self._known:
            return
        if len(self._known) >= MOST:
            raise Unscrubbed(place="read", why_fr=f"plus de {MOST} valeurs distinctes", why_en=f"over {MOST} distinct values")
        self._known.add(text)
        for marker, piece in _pieces(text):
            node = self._root.inner.setdefault(marker, _Node())
            for sign in piece[:_DEPTH]:
                node = node.inner.setdefault(sign, _Node())

    def stand(self, text: str, other: str) -> None:
        """Take a value in, and what stands in its place."""
        self.learn(text)
        self._stands[text] = other

    def of(self, text: str) -> str:
        """Give what stands in the place of a value that was learned."""
        if text in self._stands:
            return self._stands[text]
        if found := _ISO.fullmatch(text):
            return self._iso(text, found)
        if found := _FRENCH.fullmatch(text):
            return self._french(text, found)
        pieces = [self._walk(marker, piece) for marker, piece in _pieces(text)]
        if found := _MAIL.fullmatch(text):
            return f"{pieces[0]}@{pieces[1]}.example"
        if _number(text) is not None:
            return self._numbered(text, pieces)
        if (found := _IBAN.fullmatch(text)) and _mod97(f"{found[3]}{found[1]}{found[2]}") == 1:
            return f"{found[1]}{98 - _mod97(f'{pieces[0]}{found[1]}00'):02}{pieces[0]}"
        return pieces[0] if pieces else text

    def _numbered(self, text: str, pieces: list[str]) -> str:
        sign, whole, fraction, power = _NUMBER.fullmatch(text).groups()  # type: ignore[union-attr]  # `_number` matched it
        made = pieces[0] if pieces else whole
        if fraction is None and len(whole) in (9, 14) and _luhn(whole):
            made = next(f"{made[:-1]}{last}" for last in range(10) if _luhn(f"{made[:-1]}{last}"))
        if fraction is None and len(whole) == 15 and _nir(whole):
            made = f"{whole[0]}{made[1:13]}"
            made += f"{97 - int(made) % 97:02}"
        tail = f".{self._walk('fraction', fraction)}" if fraction is not None else ""
        return f"{sign}{made}{tail}{power or ''}"

    def _iso(self, text: str, found: re.Match[str]) -> str:
        year, month, day, gap, hour, minute, second, fraction, zone = found.groups()
        if int(year) not in _SENTINEL:
            return text
        try:
            at = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001 - its zone is kept beside
        except ValueError:
            return self._walk("text", text)
        if gap is None:
            return f"{at - self._days:%Y-%m-%d}"
        at -= self._time
        clock = f"{at:%H:%M:%S}" if second is not None else f"{at:%H:%M}"
        return f"{at:%Y-%m-%d}{gap}{clock}{fraction or ''}{zone or ''}"

    def _french(self, text: str, found: re.Match[str]) -> str:
        day, month, year, hour, minute, second = found.groups()
        if int(year) not in _SENTINEL:
            return text
        try:
            at = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001 - no zone is written
        except ValueError:
            return self._walk("text", text)
        if hour is None:
            return f"{at - self._days:%d/%m/%Y}"
        return f"{at - self._time:%d/%m/%Y %H:%M:%S}" if second is not None else f"{at - self._time:%d/%m/%Y %H:%M}"

    def _walk(self, marker: str, piece: str) -> str:
        node, path, made = self._root.inner.get(marker, _Node()), marker, []
        for at, sign in enumerate(piece[:_DEPTH]):
            if node.replaced is None:
                node.replaced = self._drawn(path, node, marker, first=at == 0)
            made.append(node.replaced.get(sign) or self._stray(marker, path, sign))
            node, path = node.inner.get(sign, _Node()), path + sign
        if len(piece) > _DEPTH:
            drawn = hashlib.shake_256(self._key + f"{marker}\0{piece}".encode()).digest(len(piece))
            made += [_pool(marker, sign)[byte % _plain(marker, sign)] if _pool(marker, sign) else sign
                     for sign, byte in zip(piece[_DEPTH:], drawn[_DEPTH:], strict=True)]  # fmt: skip
        return "".join(made)

    def _drawn(self, path: str, node: _Node, marker: str, *, first: bool) -> dict[str, str]:
        """The children of a node, each class of signs onto as many of its pool, in order."""
        grouped: dict[str, list[str]] = {}
        for sign in sorted(node.inner):
            grouped.setdefault(_pool(marker, sign), []).append(sign)
        replaced: dict[str, str] = {}
        for pool, signs in grouped.items():
            if not pool:
                replaced |= dict(zip(signs, signs, strict=True))
                continue
            zero = first and pool == "0123456789" and marker.startswith("number")
            kept = [sign for sign in signs if zero and sign == "0"]
            rest = signs[len(kept) :]
            choice = pool[1:9] if zero and marker == "number19" else pool[1:] if zero else pool
            plain = min(len(choice), 26)
            choice = choice[:plain] if len(rest) <= plain else choice
            if len(rest) > len(choice):
                raise Unscrubbed(
                    place="read", why_fr="trop de signes d'une autre écriture", why_en="too many signs of another script"
                )
            keys = self._hash(path.encode())
            drawn = sorted(sorted(range(len(choice)), key=lambda at: (keys[at % 64], at))[: len(rest)])
            replaced |= dict(zip(kept, kept, strict=True))
            replaced |= dict(zip(rest, (choice[at] for at in drawn), strict=True))
        return replaced

    def _stray(self, marker: str, path: str, sign: str) -> str:
        """For what was not learned: only a value asked for by mistake comes here, and it is replaced all the same."""
        pool = _pool(marker, sign)
        return pool[self._hash(f"{path}{sign}".encode())[0] % _plain(marker, sign)] if pool else sign

    def _hash(self, data: bytes) -> bytes:
        return hashlib.blake2b(data, key=self._key).digest()


def _plain(marker: str, sign: str) -> int:
    return min(len(_pool(marker, sign)), 26)


def _pool(marker: str, sign: str) -> str:
    if sign.isdecimal():
        return "0123456789"
    if not sign.isalpha():
        return ""
    if marker == "hex":
        return "abcdef"
    return _UPPER if sign.isupper() else _LOWER


def _number(text: str) -> re.Match[str] | None:
    return _NUMBER.fullmatch(text)


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """The parts of a value that are replaced, each with the space in which it is unique."""
    if found := _MAIL.fullmatch(text):
        yield "mail", found[1]
        yield "host", found[2]
    elif found := _number(text):
        yield f"number{len(found[2])}", found[2]
        if found[3] is not None:
            yield "fraction", found[3]
    elif (found := _IBAN.fullmatch(text)) and _mod97(f"{found[3]}{found[1]}{found[2]}") == 1:
        yield f"iban{found[1]}", found[3]
    elif _HEX.fullmatch(text):
        yield "hex", text
    elif text:
        yield "text", text


def _mod97(text: str) -> int:
    return int("".join(str(int(sign, 36)) for sign in text)) % 97


def _luhn(digits: str) -> bool:
    doubled = (int(digit) * (2 if at % 2 else 1) for at, digit in enumerate(reversed(digits)))
    return sum(each - 9 if each > 9 else each for each in doubled) % 10 == 0


def _nir(digits: str) -> bool:
    return digits[0] in "1278" and 97 - int(digits[:13]) % 97 == int(digits[13:])
