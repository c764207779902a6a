"""ZIP and gzip: files in a file, unpacked in memory, within bounds that are checked before and while they swell.

1. A ZIP's directory is read first: how many entries, what each says it weighs, how far it swells, whether two share the
   same bytes. What goes beyond the limits, is locked, or contradicts itself is refused before an entry is opened.
2. An entry is unpacked to the size that the directory says and not a byte more; its CRC must hold.
3. A name inside is compared with the setting `inside` and shown; it is never a path. Folders, and what macOS adds, are no
   files.
4. One level: a ZIP or a gzip inside a ZIP is not opened (a workbook is a ZIP, and is a file).
5. A ZIP without its directory, and a gzip without its end, were cut.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from posixpath import basename
from typing import Final

from saas_connectors.formats.cells import Unsettled
from saas_connectors.formats.columns import beyond
from saas_connectors.formats.format import Limits, Truncated, Unreadable

_LOCAL: Final = b"PK\x03\x04"
_GZIP: Final = b"\x1f\x8b"
_SMALL: Final = 1 << 20
"""Bytes below which what swells much still is small."""
_HEADER: Final = 30
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    OSError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    EOFError,
    UnicodeError,
)


@dataclass(frozen=True, slots=True)
class Archive:
    """A ZIP whose directory was found sound."""

    body: bytes
    entries: tuple[zipfile.ZipInfo, ...]
    limits: Limits

    def read(self, entry: zipfile.ZipInfo) -> bytes:
        """Unpack one entry; raises `Unreadable`."""
        try:
            with zipfile.ZipFile(io.BytesIO(self.body)) as held, held.open(entry) as file:
                content = file.read(entry.file_size + 1)
        except _BROKEN:
            raise Unreadable(why_fr="une entrée de l'archive est abîmée", why_en="an entry of the archive is damaged") from None
        if len(content) != entry.file_size:
            raise Unreadable(why_fr="une entrée n'a pas la taille dite", why_en="an entry is not of the size it says")
        return content


def archive(body: bytes, limits: Limits) -> Archive:
    """Look at a ZIP's directory; raises Truncated, Unreadable."""
    if not body:
        raise Truncated(why_fr="il est vide", why_en="it is empty")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as held:
            entries = tuple(held.infolist())
    except _BROKEN:
        if body[:4] == _LOCAL:
            raise Truncated(why_fr="l'archive n'a pas son répertoire", why_en="the archive lacks its directory") from None
        raise Unreadable(why_fr="ce n'est pas un ZIP lisible", why_en="it is not a ZIP that can be read") from None
    if len(entries) > limits.entries:
        raise beyond(f"{limits.entries} fichiers", f"{limits.entries} files")
    if any(entry.flag_bits & 0x41 for entry in entries):
        raise Unreadable(why_fr="l'archive est protégée par un mot de passe", why_en="the archive is locked by a password")
    if any(entry.compress_type not in _METHODS for entry in entries):
        raise Unreadable(why_fr="l'archive n'est pas compressée par deflate", why_en="the archive is not compressed by deflate")
    if sum(entry.file_size for entry in entries) > limits.unpacked:
        raise beyond(f"{limits.unpacked} octets décompressés", f"{limits.unpacked} bytes once unpacked")
    for entry in entries:
        _swells(entry.file_size, entry.compress_size, limits)
    _apart(entries, len(body))
    return Archive(body, entries, limits)


def _swells(size: int, packed: int, limits: Limits) -> None:
    if size > _SMALL and size > limits.ratio * packed:
        raise beyond(f"{limits.ratio} fois sa taille une fois décompressé", f"{limits.ratio} times its size once unpacked")


def _apart(entries: tuple[zipfile.ZipInfo, ...], size: int) -> None:
    """Refuse entries that share bytes: a few kilobytes then stand for as many copies as there are entries."""
    end = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.header_offset < end or entry.header_offset + _HEADER + entry.compress_size > size:
            raise Unreadable(why_fr="l'archive se contredit", why_en="the archive contradicts itself")
        end = entry.header_offset + _HEADER + entry.compress_size


def unwrapped(body: bytes, name: str, inside: str | None, limits: Limits) -> Iterator[tuple[str, bytes]]:
    """Give the files in a body, by name; the body itself where `name` says neither .zip nor .gz. inside: a pattern of names."""
    low = name.lower()
    if low.endswith(".gz"):
        yield name[:-3], gunzipped(body, limits)
    elif low.endswith(".zip"):
        yield from _chosen(archive(body, limits), inside)
    else:
        yield name, body


def _chosen(held: Archive, inside: str | None) -> Iterator[tuple[str, bytes]]:
    files = sorted((each for each in held.entries if _file(each)), key=lambda each: each.filename)
    chosen = [each for each in files if inside is None or fnmatchcase(basename(each.filename), inside)]
    if not chosen or (len(chosen) > 1 and (inside is None or "*" not in inside)):
        raise Unsettled(
            setting="inside",
            why_fr=f"l'archive contient {len(files)} fichiers, dont {len(chosen)} désignés",
            why_en=f"the archive holds {len(files)} files, of which {len(chosen)} are meant",
        )
    for entry in chosen:
        content = held.read(entry)
        if content[:2] == _GZIP or (content[:4] == _LOCAL and entry.filename.lower().endswith(".zip")):
            raise Unreadable(why_fr="l'archive en contient une autre", why_en="the archive holds another")
        yield basename(entry.filename), content


def _file(entry: zipfile.ZipInfo) -> bool:
    last = basename(entry.filename)
    return not entry.is_dir() and bool(last) and not last.startswith(".") and not entry.filename.startswith("__MACOSX/")


def gunzipped(body: bytes, limits: Limits) -> bytes:
    """Unpack a gzip (RFC 1952), of one member or of several; raises Truncated, Unreadable."""
    if not body:
        raise Truncated(why_fr="il est vide", why_en="it is empty")
    most = min(limits.unpacked, max(_SMALL, limits.ratio * len(body)))
    made, left = bytearray(), body
    while left:
        unpacking = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            made += unpacking.decompress(left, most + 1 - len(made))
        except zlib.error:
            raise Unreadable(why_fr="ce n'est pas du gzip lisible", why_en="it is not gzip that can be read") from None
        if len(made) > most:
            raise beyond(f"{most} octets décompressés", f"{most} bytes once unpacked")
        if not unpacking.eof:
            raise Truncated(why_fr="le gzip n'a pas sa fin", why_en="the gzip lacks its end")
        left = unpacking.unused_data.lstrip(b"\0")
    return bytes(made)


def zipped(name: str, body: bytes) -> bytes:
    """Put one file in a ZIP, the same bytes each time (no date of the day)."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as held:
        held.writestr(part(basename(name)), body)
    return sink.getvalue()


def part(name: str) -> zipfile.ZipInfo:
    """An entry that says nothing of when or where it was made."""
    entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
