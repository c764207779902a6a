"""Sealed bytes: an envelope opens whole, with its one key and in its one context, or not at all.

    envelope  = header chunk* last
    header    = "SOVSEAL" version(1) salt(32) commitment(32) checksum(8)            80 bytes
    chunk     = AES-256-GCM(stream key, nonce = counter(11) || 0, 65,536 bytes)     65,552 bytes
    last      = AES-256-GCM(stream key, nonce = counter(11) || 1, 0 to 65,536 bytes)

1. The stream key and the commitment are HKDF-SHA256(key, salt, "sovereign-envelope/1" || context): a fresh key an envelope,
   so nonces are counters and never repeat; the context is bound without being stored.
2. The commitment is compared before anything is decrypted: a wrong key or context is `WrongKey`, told apart from damage, and no
   envelope opens under two keys.
3. The last chunk alone carries the last flag, and is empty only when the whole is: a cut, even between two chunks, an added,
   moved or altered chunk is `Corrupt`. The checksum tells a damaged header from a wrong key; it proves nothing by itself.
4. `open` gives nothing before all is verified. `Opener` gives each chunk once verified: **whoever reads a stream must read it
   to its end** before relying on it, since a cut is only seen there.

It does not hide lengths, and keeps no key alive longer than the objects below. After STREAM (Hoang, Reyhanitabar, Rogaway and
Vizár, CRYPTO 2015) as age lays it out; commitment after "How to abuse and fix authenticated encryption without key
commitment" (USENIX Security 2022). Bytes and vectors: docs/formats/envelope.md.
"""

import hashlib
import io
import os
from collections.abc import Callable, Iterator
from hmac import compare_digest
from types import TracebackType
from typing import Any, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault.errors import Corrupt, UnknownVersion, WrongKey
from vault.hkdf import derive

CHUNK = 65_536
HEADER = 80
TAG = 16
FORMAT = "sovereign-envelope/1"
"""What `WrongKey` and `Corrupt` name when the caller gives no better name."""
_MAGIC = b"SOVSEAL\x01"
_BLOCK = CHUNK + TAG
_BATCH = 16

Bytes = bytes | bytearray | memoryview


class Sink(Protocol):
    """What takes sealed bytes: a binary file open for writing. It must copy what it is given before it returns."""

    def write(self, data: memoryview, /) -> object:
        """Take bytes."""


class Source(Protocol):
    """What gives sealed bytes: a binary file open for reading."""

    def read(self, size: int, /) -> bytes:
        """Give at most `size` bytes, none at the end."""
        ...


def seal(key: bytes, context: bytes, plaintext: Bytes, *, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """Seal bytes so that `key` and `context` together are needed to open them.

    key: 32 bytes. context: what these bytes are (their name and place), bound and not stored. Result: 96 bytes longer up to
    64 KiB, then 16 more for each 64 KiB.
    """
    header, cipher = _begin(key, context, entropy(32))
    view = memoryview(plaintext).cast("B")
    final = max(0, (len(view) - 1) // CHUNK)
    sealed = io.BytesIO()  # chunks in a list, joined at the end, would be held twice
    sealed.write(header)
    for n in range(final + 1):
        sealed.write(cipher.encrypt(_nonce(n, n == final), view[n * CHUNK : (n + 1) * CHUNK], None))
    return sealed.getvalue()


def length(plaintext: int) -> int:
    """How long what seals so many bytes is, in bytes."""
    return HEADER + plaintext + TAG * max(1, -(-plaintext // CHUNK))


def open(key: bytes, context: bytes, sealed: Bytes, *, what: str = FORMAT) -> bytes:  # noqa: A001 - the word of the field: seal, open
    """Open what `seal` or a `Sealer` sealed, wholly verified.

    Errors, naming `what`: `WrongKey` for another key or context, `Corrupt` for damage, `UnknownVersion` for a later format.
    """
    view = memoryview(sealed).cast("B")
    cipher = resumed(key, context, bytes(view[:HEADER]), what)
    body = view[HEADER:]
    final = max(0, (len(body) - 1) // _BLOCK)
    opened = io.BytesIO()
    for n in range(final + 1):
        opened.write(decrypted(cipher, n, body[n * _BLOCK : (n + 1) * _BLOCK], n == final, what))
    return opened.getvalue()


class Sealer:
    """Seals a stream into `sink` as it is written; only `close` makes it whole.

    Left by an exception (as a context manager) or simply dropped, what the sink received does not open: it has no last chunk.
    The sink is neither flushed nor closed.
    """

    def __init__(self, key: bytes, context: bytes, sink: Sink, *, entropy: Callable[[int], bytes] = os.urandom) -> None:
        header, self._cipher = _begin(key, context, entropy(32))
        self._sink = sink
        self._pending = bytearray()
        self._count = 0
        self._out = bytearray(_BATCH * _BLOCK)
        self.closed = False
        sink.write(memoryview(header))

    def writable(self) -> bool:
        """Say that this is a file to write to."""
        return True

    def write(self, data: Bytes, /) -> int:
        """Take bytes; whole chunks go to the sink at once. A full chunk waits until it is known not to be the last."""
        if self.closed:
            raise ValueError("this envelope is closed")
        view = memoryview(data).cast("B")
        size = len(view)
        if len(self._pending) + size <= CHUNK:
            self._pending += view
            return size
        if self._pending:
            room = CHUNK - len(self._pending)
            self._pending += view[:room]
            view = view[room:]
            self._emit(memoryview(self._pending), last=False)
            self._pending = bytearray()
        whole = (len(view) - 1) // CHUNK * CHUNK
        for start in range(0, whole, _BATCH * CHUNK):
            self._emit(view[start : min(start + _BATCH * CHUNK, whole)], last=False)
        self._pending += view[whole:]
        return size

    def flush(self) -> None:
        """Do nothing: a partial chunk cannot leave before the next or the last."""

    def close(self) -> None:
        """Write the last chunk, which makes the envelope whole."""
        if not self.closed:
            self._emit(memoryview(self._pending), last=True)
            self.closed = True

    def _emit(self, view: memoryview, *, last: bool) -> None:
        out, at = memoryview(self._out), 0
        for start in range(0, len(view) or 1, CHUNK):
            chunk = view[start : start + CHUNK]
            end = at + len(chunk) + TAG
            self._cipher.encrypt_into(_nonce(self._count, last), chunk, None, out[at:end])
            at, self._count = end, self._count + 1
        self._sink.write(out[:at])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if kind is None:
            self.close()
        self.closed = True


class Opener(io.RawIOBase):
    """Opens a stream as it is read: a file whose bytes are verified chunk by chunk, in bounded memory.

    Each read gives verified bytes; a cut is `Corrupt` at the end, so read to the end before relying on the whole. The source
    is not closed.
    """

    def __init__(self, key: bytes, context: bytes, source: Source, *, what: str = FORMAT) -> None:
        self._cipher = resumed(key, context, _exactly(source, HEADER), what)
        self._chunks = self._decrypt(source, what)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        """Say that this is a file to read from."""
        return True

    def read(self, size: int | None = -1, /) -> bytes:
        """Give `size` bytes, fewer only at the end; all that is left when `size` is negative or None."""
        wanted = -1 if size is None else size
        pieces, have = [], 0
        while wanted < 0 or have < wanted:
            if not self._rest:
                self._rest = memoryview(next(self._chunks, b""))
                if not self._rest:
                    break
            piece = self._rest if wanted < 0 else self._rest[: wanted - have]
            self._rest = self._rest[len(piece) :]
            pieces.append(piece)
            have += len(piece)
        return b"".join(pieces)

    def readall(self) -> bytes:
        """Give all that is left, verified to the end."""
        return self.read()

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - any writable buffer, as io asks
        """Fill a writable buffer, less only at the end; give the count."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def _decrypt(self, source: Source, what: str) -> Iterator[bytes]:
        count, block = 0, _exactly(source, _BLOCK)
        while True:
            following = _exactly(source, _BLOCK) if len(block) == _BLOCK else b""
            chunk = decrypted(self._cipher, count, memoryview(block), not following, what)
            if chunk:
                yield chunk
            if not following:
                return
            count, block = count + 1, following


def _begin(key: bytes, context: bytes, salt: bytes) -> tuple[bytes, AESGCM]:
    stream, commitment = _derive(key, context, salt)
    header = _MAGIC + salt + commitment
    return header + hashlib.sha256(header).digest()[:8], AESGCM(stream)


def resumed(key: bytes, context: bytes, header: bytes, what: str) -> AESGCM:
    """Give what opens the chunks of an envelope, from its first `HEADER` bytes; errors: those of `open`."""
    if header[:7] == _MAGIC[:7] and header[7:8] not in (b"", _MAGIC[7:]):
        raise UnknownVersion(what=what, found=f"sovereign-envelope/{header[7]}")
    checksum = hashlib.sha256(header[:72]).digest()[:8]
    if len(header) < HEADER or header[:8] != _MAGIC or header[72:] != checksum:
        raise Corrupt(what=what)
    stream, commitment = _derive(key, context, header[8:40])
    if not compare_digest(commitment, header[40:72]):
        raise WrongKey(what=what)
    return AESGCM(stream)


def _derive(key: bytes, context: bytes, salt: bytes) -> tuple[bytes, bytes]:
    if len(key) != 32:
        raise ValueError("an envelope takes a key of 32 bytes")
    both = derive(key, b"sovereign-envelope/1" + context, salt=salt, length=64)
    return both[:32], both[32:]


def _nonce(count: int, last: bool) -> bytes:
    return count.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def decrypted(cipher: AESGCM, count: int, block: memoryview, last: bool, what: str) -> bytes:
    """Open chunk `count`, which is the last one or is not; errors: Corrupt."""
    if len(block) < TAG or (last and count and len(block) == TAG):
        raise Corrupt(what=what)
    try:
        return cipher.decrypt(_nonce(count, last), block, None)
    except InvalidTag:
        raise Corrupt(what=what) from None


def _exactly(source: Source, size: int) -> bytes:
    """Read `size` bytes, fewer only at the end: raw files and sockets may give less at a time."""
    data = source.read(size)
    if len(data) in (0, size):
        return data
    pieces, have = [data], len(data)
    while have < size and (data := source.read(size - have)):
        pieces.append(data)
        have += len(data)
    return b"".join(pieces)
