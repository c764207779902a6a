"""A pack: documents written one after the other, each in an envelope of its own, and the index beside them.

    <period>_<instant>_<random>.pack     "SOVPACK" 1, then frames: address(16) length(8, big-endian) envelope
                               .keys     the key file: one data key a document, and one for the index
                               .index    an envelope over the index: where each document is, and what names it

1. A pack is written once. It exists from the moment its key file does, which comes after the pack is on the disk; a pack
   without a key file is what a crash left.
2. Each document has a data key of its own, bound to its address: destroying it is dropping that entry of the key file, and the
   frame that is left opens for nobody. A frame may be copied from a pack to another together with its entry.
3. The index can be made again from the pack and its key file (`rebuilt`). Only what was added of documents that lie elsewhere,
   and the days of destruction, is then lost.
4. Names of files hold an instant and chance; an address is a keyed digest of the content. Nothing else is in clear.

Format: docs/formats/document-pack.md.
"""

import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import msgspec

from snapshots import keyfile
from snapshots.durable import read_bounded
from snapshots.errors import Damaged
from vault import envelope, files
from vault.content import Content, blocks
from vault.errors import Corrupt, Fault, UnknownVersion
from vault.keys import Keys, Scope, Wrapped

FORMAT = "sovereign-documents/1"
LIMIT = 256 << 20
"""The longest index that is read, in bytes."""

_MAGIC = b"SOVPACK\x01"
EMPTY = len(_MAGIC)
"""Bytes of a pack that holds nothing."""
_HEAD = 24
_LONG = 1 << 20
"""Bytes of a document that is sealed as it is written, rather than whole."""
_BUFFER = 1 << 20


class About(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a frame says of its document: the stream whose records name it, in which field, the connector's tag, its kind."""

    stream: str
    field: str
    tag: str
    media_type: str


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """A document of a pack, not destroyed.

    Its frame begins at `at` and takes `length` bytes; `size` and `sha256` are of its content.
    """

    address: str
    at: int
    length: int
    size: int
    sha256: bytes
    media_type: str


class Name(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    """What a connector calls a document, in one stream."""

    stream: str
    tag: str
    address: str


class Gone(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A document that retention destroyed, and when (ISO 8601, UTC)."""

    address: str
    when: str


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a pack holds. `fields`: by stream, the field of its records that names documents."""

    format: str
    pack: str
    entries: list[Entry]
    names: list[Name]
    fields: dict[str, str]
    gone: list[Gone] = []


@dataclass(frozen=True, slots=True)
class Place:
    """Where the packs of one class of a connection are, and the names under which their keys are wrapped."""

    folder: Path
    connection: str
    class_name: str

    @classmethod
    def of(cls, root: Path, connection: str, class_name: str) -> "Place":
        """Give the place of a class under the folder of snapshots."""
        return cls(root / connection / ".documents" / class_name, connection, class_name)

    def key_name(self, name: str) -> str:
        """Name the data key of a document (by its address) or of an index (by its pack); it is also its context."""
        return f"{self.connection}/.documents/{self.class_name}/{name}"

    def pack(self, name: str) -> Path:
        """Give the path of a pack's documents."""
        return self.folder / f"{name}.pack"

    def keys(self, name: str) -> Path:
        """Give the path of a pack's key file."""
        return self.folder / f"{name}.keys"

    def index(self, name: str) -> Path:
        """Give the path of a pack's index."""
        return self.folder / f"{name}.index"

    def names(self) -> list[str]:
        """Give the packs that exist, oldest first."""
        found = [path.stem for path in self.folder.glob("*.keys") if not path.name.startswith(".")]
        return sorted(found, key=lambda name: name.partition("_")[2])

    def leftovers(self) -> list[Path]:
        """Give what a crash left: packs and indexes without a key file. Only who writes here may call it."""
        there = set(self.names())
        found = [*self.folder.glob("*.pack"), *self.folder.glob("*.index")]
        return sorted(path for path in found if path.stem not in there)


def period_of(name: str) -> str:
    """Give the key period of a pack."""
    return name.partition("_")[0]


@dataclass(slots=True)
class PackWriter:
    """Writes one pack; only `close` makes it exist."""

    place: Place
    keys: Keys
    period: str
    present: datetime
    entries: list[Entry] = field(default_factory=list)
    names: list[Name] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    gone: list[Gone] = field(default_factory=list)
    wraps: dict[str, Wrapped] = field(default_factory=dict)
    name: str = ""
    size: int = 0
    _file: BinaryIO | None = None

    def __post_init__(self) -> None:
        stamp = self.present.astimezone(UTC).strftime("%Y%m%d-%H%M%S%f")[:-3]
        self.name = f"{self.period}_{stamp}_{secrets.token_hex(4)}"
        path = self.place.pack(self.name)
        files.folder(path.parent)
        (path.parent / "lock").touch(0o600)  # there before any key file, so that a rotation finds it
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        self._file = os.fdopen(handle, "wb", _BUFFER)
        self.write(_MAGIC)

    def add(self, address: str, about: About, content: bytes | Content, digest: bytes) -> None:
        """Seal a document, under a key of its own."""
        name = self.place.key_name(address)
        scope = Scope(self.place.connection, self.place.class_name, self.period)
        key, self.wraps[name] = self.keys.new_data_key(scope, name.encode())
        said = msgspec.msgpack.encode(about)
        head = len(said).to_bytes(4, "big") + said
        long = content.size if not isinstance(content, bytes) else len(content)
        size = envelope.length(len(head) + long)
        entry = Entry(address, self.size, _HEAD + size, long, digest, about.media_type)
        self.write(bytes.fromhex(address[1:]) + size.to_bytes(8, "big"))
        if isinstance(content, bytes) and long < _LONG:
            self.write(envelope.seal(key, name.encode(), head + content))
        else:
            with envelope.Sealer(key, name.encode(), self) as sealer:
                sealer.write(head)
                for block in (content,) if isinstance(content, bytes) else blocks(content):
                    sealer.write(block)
        self.entries.append(entry)

    def copy(self, entry: Entry, frame: memoryview, wrapped: Wrapped) -> None:
        """Take a frame of another pack as it is, with the wrapped key that opens it."""
        self.wraps[self.place.key_name(entry.address)] = wrapped
        moved = msgspec.structs.replace(entry, at=self.size)
        self.write(frame)
        self.entries.append(moved)

    def close(self) -> Index:
        """Put the pack on the disk, then its key file, then its index."""
        assert self._file is not None  # noqa: S101 - closed once
        name = self.place.key_name(self.name)
        scope = Scope(self.place.connection, self.place.class_name, self.period)
        key, self.wraps[name] = self.keys.new_data_key(scope, name.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._file = None
        keyfile.write(self.place.keys(self.name), self.wraps)
        index = Index(FORMAT, self.name, self.entries, self.names, self.fields, self.gone)
        write_index(self.place, index, key)
        return index

    def abandon(self) -> None:
        """Drop what was written."""
        if self._file is not None:
            with suppress(OSError):  # a disk that is full refuses what waited, too
                self._file.close()
            self._file = None
            self.place.pack(self.name).unlink(missing_ok=True)

    def write(self, data: bytes | memoryview) -> None:
        """Put bytes at the end of the pack."""
        assert self._file is not None  # noqa: S101 - written to before it is closed
        self._file.write(data)
        self.size += len(data)


def write_index(place: Place, index: Index, key: bytes) -> None:
    """Write or replace a pack's index, in one step. key: that of the index."""
    context = place.key_name(index.pack).encode()
    files.write(place.index(index.pack), envelope.seal(key, context, msgspec.msgpack.encode(index)))


def read_index(place: Place, name: str, wraps: Mapping[str, Wrapped], keys: Keys) -> Index:
    """Read a pack's index, or make it again when it is missing or damaged; nothing is written.

    Arguments: wraps: the pack's key file. Errors: Shredded, NoKey, WrongKey; Damaged when the pack does not give it back.
    """
    key = index_key(place, name, wraps, keys)
    try:
        return open_index(place, name, key)
    except Corrupt:
        return rebuilt(place, name, wraps, keys)


def index_key(place: Place, name: str, wraps: Mapping[str, Wrapped], keys: Keys) -> bytes:
    """Give the data key of a pack's index; errors: Damaged when the key file lacks it, and those of `Keys.unwrap`."""
    wrapped = wraps.get(place.key_name(name))
    if wrapped is None:
        raise Damaged(
            file=place.keys(name).name, reason_fr="il lui manque la clé de l'index", reason_en="it lacks the key of the index"
        )
    return keys.unwrap(wrapped, place.key_name(name).encode())


def open_index(place: Place, name: str, key: bytes) -> Index:
    """Read a pack's index as it is on the disk; errors: Damaged, Corrupt, WrongKey, UnknownVersion."""
    path = place.index(name)
    try:
        data = envelope.open(key, place.key_name(name).encode(), read_bounded(path, LIMIT), what=path.name)
        index = msgspec.msgpack.decode(data, type=Index)
    except msgspec.DecodeError:
        raise Corrupt(what=path.name) from None
    if index.format != FORMAT:
        raise UnknownVersion(what=path.name, found=index.format)
    if index.pack != name:
        raise _foreign(path)
    return index


def rebuilt(place: Place, name: str, wraps: Mapping[str, Wrapped], keys: Keys) -> Index:
    """Make the index of a pack again from its frames; a frame without a key is a document that was destroyed."""
    entries, names, gone = list[Entry](), list[Name](), list[Gone]()
    fields: dict[str, str] = {}
    for address, at, sealed in frames(place, name):
        wrapped = wraps.get(place.key_name(address))
        if wrapped is None:
            gone.append(Gone(address, ""))
            continue
        about, content = unsealed(place, address, sealed, keys.unwrap(wrapped, place.key_name(address).encode()))
        entries.append(
            Entry(address, at, _HEAD + len(sealed), len(content), hashlib.sha256(content).digest(), about.media_type)
        )
        names.append(Name(about.stream, about.tag, address))
        fields[about.stream] = about.field
    return Index(FORMAT, name, entries, names, fields, gone)


def frames(place: Place, name: str) -> Iterator[tuple[str, int, bytes]]:
    """Give each frame of a pack: its address, where it begins, its envelope; raises Damaged."""
    path = place.pack(name)
    try:
        with path.open("rb") as file:
            whole = os.fstat(file.fileno()).st_size
            if file.read(len(_MAGIC)) != _MAGIC:
                raise _foreign(path)
            at = len(_MAGIC)
            while head := file.read(_HEAD):
                length = int.from_bytes(head[16:], "big")
                if len(head) < _HEAD or at + _HEAD + length > whole:
                    raise _cut(path)
                yield f"d{head[:16].hex()}", at, file.read(length)
                at += _HEAD + length
    except FileNotFoundError:
        raise Damaged(file=path.name, reason_fr="fichier absent", reason_en="the file is missing") from None


def frame(place: Place, name: str, entry: Entry) -> bytes:
    """Give the frame of a document, head included; raises Damaged when the pack does not hold it there."""
    path = place.pack(name)
    try:
        with path.open("rb") as file:
            file.seek(entry.at)
            data = file.read(entry.length)
    except FileNotFoundError:
        raise Damaged(file=path.name, reason_fr="fichier absent", reason_en="the file is missing") from None
    if len(data) != entry.length:
        raise _cut(path)
    if data[:16].hex() != entry.address[1:] or int.from_bytes(data[16:_HEAD], "big") != entry.length - _HEAD:
        raise _foreign(path)
    return data


def document(place: Place, name: str, entry: Entry, key: bytes) -> bytes:
    """Open a document; errors: Damaged, Corrupt, WrongKey."""
    return unsealed(place, entry.address, frame(place, name, entry)[_HEAD:], key)[1]


def unsealed(place: Place, address: str, sealed: bytes, key: bytes) -> tuple[About, bytes]:
    """Open an envelope: what is said of the document, and its content."""
    data = envelope.open(key, place.key_name(address).encode(), sealed, what=address)
    size = int.from_bytes(data[:4], "big")
    try:
        return msgspec.msgpack.decode(data[4 : 4 + size], type=About), data[4 + size :]
    except msgspec.DecodeError:
        raise Corrupt(what=address) from None


def _cut(path: Path) -> Fault:
    return Damaged(file=path.name, reason_fr="coupé", reason_en="cut")


def _foreign(path: Path) -> Fault:
    return Damaged(file=path.name, reason_fr="ce n'est pas ce qui est attendu là", reason_en="it is not what is expected there")
