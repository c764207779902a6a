"""What the letters were the last time they were looked at, small enough to travel in a cursor.

1. `modification_date` does not tell everything: closing a letter, deleting it (status `DEL`) or giving it an external
   identifier moves nothing. So all letters are looked at, by their light columns, and what they were is kept as a digest for
   each 256 identifiers: where a digest moved, those letters are read again.
2. The identifiers themselves are kept as a bitmap: one that no list shows any more is `missing`. It stays so until the vendor
   says that it is gone, or shows it again.
3. A cursor that cannot be read, or made of other columns, is none: all is read again.
"""

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from saas_connectors.connector import Json

WIDTH: Final = 256
SPAN: Final = 1 << 27
"""Identifiers from here on are not kept, only counted: those letters are read at each run."""
_SIZE: Final = 8
_ENCODER: Final = msgspec.json.Encoder()


@dataclass(slots=True)
class Bitmap:
    """A set of identifiers."""

    bits: bytearray = field(default_factory=bytearray)

    def add(self, number: int) -> None:
        """Put one in."""
        place = number >> 3
        if place >= len(self.bits):
            self.bits.extend(bytes(place + 1 - len(self.bits)))
        self.bits[place] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self.bits) and bool(self.bits[place] >> (number & 7) & 1)

    def __iter__(self) -> Iterator[int]:
        for place, held in enumerate(self.bits):
            if held:
                yield from (8 * place + bit for bit in range(8) if held >> bit & 1)

    def __len__(self) -> int:
        return int.from_bytes(self.bits, "little").bit_count()

    def minus(self, other: "Bitmap") -> "Bitmap":
        """Those that the other has not."""
        mine, theirs = int.from_bytes(self.bits, "little"), int.from_bytes(other.bits, "little")
        return Bitmap(bytearray((mine & ~theirs).to_bytes(len(self.bits), "little")))

    def plus(self, other: "Bitmap") -> "Bitmap":
        """Those of either."""
        mine, theirs = int.from_bytes(self.bits, "little"), int.from_bytes(other.bits, "little")
        return Bitmap(bytearray((mine | theirs).to_bytes(max(len(self.bits), len(other.bits)), "little")))

    def to_json(self) -> str:
        """Write it, compressed."""
        return base64.b64encode(zlib.compress(bytes(self.bits).rstrip(b"\x00"), 9)).decode()

    @classmethod
    def from_json(cls, written: str) -> "Bitmap":
        """Read it back; ValueError when it is not one."""
        inflater = zlib.decompressobj()
        try:
            bits = inflater.decompress(base64.b64decode(written, validate=True), SPAN // 8)
        except (zlib.error, binascii.Error) as error:
            raise ValueError("not a bitmap") from error
        if inflater.unconsumed_tail or not inflater.eof:
            raise ValueError("not a bitmap")
        return cls(bytearray(bits))


@dataclass(slots=True)
class Survey:
    """The letters as they were: `columns` are those looked at, `latest` the newest `modification_date` as it was written."""

    columns: tuple[str, ...]
    digests: dict[int, bytes] = field(default_factory=dict)
    ids: Bitmap = field(default_factory=Bitmap)
    missing: Bitmap = field(default_factory=Bitmap)
    latest: str = ""
    at: str = ""
    """When it was made (ISO 8601, UTC)."""
    ceiling: str = "9"
    """Later than this, an instant is a mistake: it is no `latest`."""
    page: int = 0
    """The largest page that the server gave whole."""
    beyond: int = 0
    """Letters whose identifiers are not kept."""
    _open: dict[int, Any] = field(default_factory=dict)

    def look(self, number: int, row: Mapping[str, Any]) -> None:
        """Look at one letter; they come in the order of their identifiers."""
        changed = row.get("modification_date")
        if isinstance(changed, str) and self.latest < changed < self.ceiling:
            self.latest = changed
        if number >= SPAN:
            self.beyond += 1
            return
        self.ids.add(number)
        bucket = number // WIDTH
        if bucket not in self._open:
            self._close()
            self._open[bucket] = hashlib.blake2b(digest_size=_SIZE)
        self._open[bucket].update(_ENCODER.encode([row.get(name) for name in self.columns]))

    def done(self) -> "Survey":
        """End it."""
        self._close()
        return self

    def _close(self) -> None:
        for bucket, digest in self._open.items():
            self.digests[bucket] = digest.digest()
        self._open.clear()

    def changed(self, before: "Survey") -> list[list[int]]:
        """Stretches of identifiers [first, last] where something is not as before and letters stand."""
        found: list[list[int]] = []
        for bucket, digest in sorted(self.digests.items()):
            if before.digests.get(bucket) == digest:
                continue
            held = [n for n in range(bucket * WIDTH, (bucket + 1) * WIDTH) if n in self.ids]
            if found and found[-1][1] // WIDTH == bucket - 1:
                found[-1][1] = held[-1]
            else:
                found.append([held[0], held[-1]])
        return found

    def to_json(self) -> Json:
        """Write it."""
        buckets = sorted(self.digests)
        return {
            "columns": list(self.columns), "latest": self.latest, "at": self.at, "width": WIDTH,
            "buckets": Bitmap.to_json(_set(buckets)),
            "digests": base64.b64encode(b"".join(self.digests[each] for each in buckets)).decode(),
            "ids": self.ids.to_json(), "missing": self.missing.to_json(), "page": self.page,
        }  # fmt: skip

    @classmethod
    def from_json(cls, written: Json, columns: Sequence[str]) -> "Survey | None":
        """Read one back; None when it is none, or not of these columns."""
        try:
            if written["width"] != WIDTH or tuple(written["columns"]) != tuple(columns):
                return None
            digests = base64.b64decode(written["digests"], validate=True)
            buckets = list(Bitmap.from_json(written["buckets"]))
            if len(digests) != _SIZE * len(buckets):
                return None
            known = {each: digests[_SIZE * n : _SIZE * (n + 1)] for n, each in enumerate(buckets)}
            ids, missing = Bitmap.from_json(written["ids"]), Bitmap.from_json(written["missing"])
            page = int(written.get("page", 0))
            return cls(tuple(columns), known, ids, missing, str(written["latest"]), str(written["at"]), page=page)
        except (KeyError, TypeError, ValueError):
            return None


def _set(numbers: Sequence[int]) -> Bitmap:
    made = Bitmap()
    for number in numbers:
        made.add(number)
    return made
