"""A keyed pseudonym in the form of what it replaces: same value, same pseudonym; without the key, no way back.

It is HMAC-SHA256(key, kind || 0x00 || value without separators) in the form that the vendor's own checks expect: right key or
check digit, same length, same separators. A NIR's is born in a commune abroad that does not exist (99 9xx) and so is
nobody's; an IBAN's keeps its country, a card's its network, a telephone's is among those ARCEP keeps for fiction, an address's
ends in `.invalid` (RFC 2606). The forms are small: among ten thousand NIRs about one pair in twenty runs meets.
"""

import hmac
from collections.abc import Iterator
from typing import Final

from stdnum import iban as ibans
from stdnum import luhn
from stdnum.fr import nir as nirs

from sovereign.gateway.dlp import accounts
from sovereign.gateway.dlp.hits import compact

_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MONTHS: Final = (*range(1, 13), *range(50, 100))
_FICTION: Final = ("019900", "026191", "035301", "046571", "053649", "063998")
_TRIES: Final = 2000


def pseudonym(kind: str, value: str, key: bytes) -> str:
    """Give the pseudonym of a value as found in a text. key: at least 16 bytes."""
    plain = value if kind in ("secret", "email_volume") else compact(value)
    if kind == "secret":
        return "pseudonyme-" + _digest(key, kind, plain).hex()[:24]
    if kind == "email_volume":
        return f"p-{_digest(key, kind, plain.lower()).hex()[:20]}@pseudonyme.invalid"
    if kind == "phone_volume":
        plain = "".join(filter(str.isdecimal, plain))
    same = plain[:13] if kind == "nir" else plain  # with its key or without, one person has one pseudonym
    drawn = {"nir": _nir, "iban": _iban, "siret": _siret, "card": _card, "phone_volume": _phone}[kind]
    return _laid(value, drawn(plain, _Digits(_digest(key, kind, same), key)))


class _Digits:
    """Numbers drawn from a digest, as many as asked."""

    def __init__(self, seed: bytes, key: bytes) -> None:
        self._bytes = self._flow(seed, key)

    def below(self, bound: int) -> int:
        """Give a number in [0, bound)."""
        return int.from_bytes(bytes(next(self._bytes) for _ in range(8)), "big") % bound

    def text(self, size: int) -> str:
        """Give so many digits."""
        return str(self.below(10**size)).zfill(size)

    @staticmethod
    def _flow(seed: bytes, key: bytes) -> Iterator[int]:
        while True:
            yield from seed
            seed = hmac.digest(key, b"more\0" + seed, "sha256")


def _digest(key: bytes, kind: str, value: str) -> bytes:
    return hmac.digest(key, kind.encode() + b"\0" + value.encode("utf-8", "surrogatepass"), "sha256")


def _nir(value: str, digits: _Digits) -> str:
    month = _MONTHS[digits.below(len(_MONTHS))]
    number = f"{1 + digits.below(2)}{digits.text(2)}{month:02}99{900 + digits.below(100)}{1 + digits.below(999):03}"
    return number + nirs.calc_check_digits(number + "00") if len(value) == 15 else number


def _iban(value: str, digits: _Digits) -> str:
    if value[:1].isdecimal():
        return _rib(digits)
    country = value[:2]
    for _ in range(_TRIES):
        number = _rib(digits) if country in ("FR", "MC") else "".join(_piece(accounts.structure(country), digits))
        whole = country + ibans.calc_check_digits(f"{country}00{number}") + number
        if ibans.is_valid(whole):
            break
    return whole


def _piece(structure: str, digits: _Digits) -> Iterator[str]:
    for size, kind in accounts.pieces(structure):
        if kind == "n":
            yield digits.text(size)
        else:
            yield "".join(_LETTERS[digits.below(26)] for _ in range(size))


def _rib(digits: _Digits) -> str:
    bank, desk, account = digits.text(5), digits.text(5), digits.text(11)
    return f"{bank}{desk}{account}{97 - (89 * int(bank) + 15 * int(desk) + 3 * int(account)) % 97:02}"


def _siret(value: str, digits: _Digits) -> str:
    head = str(1 + digits.below(9)) + digits.text(7)
    number = head + luhn.calc_check_digit(head)
    if len(value) == 9:
        return number
    number += digits.text(4)
    return number + luhn.calc_check_digit(number)


def _card(value: str, digits: _Digits) -> str:
    number = value[:4] + digits.text(len(value) - 5)
    return number + luhn.calc_check_digit(number)


def _phone(value: str, digits: _Digits) -> str:
    number = _FICTION[digits.below(len(_FICTION))] + digits.text(4)
    return (
        number
        if value.startswith("0") and len(value) == 10
        else ("33" + number[1:]).rjust(len(value), "0")[: max(len(value), 11)]
    )


def _laid(value: str, drawn: str) -> str:
    """Lay drawn characters where the letters and digits of a value stand, and keep its separators."""
    left = iter(drawn)
    laid = "".join(next(left, "") if char.isalnum() else char for char in value)
    return laid + "".join(left)
