"""Bodies that are too long for a row, at rest: one sealed file each, written as it arrives and read as it leaves.

    file    spool/<intent>, 0600: vault envelope of the body, context "sovereign-upload/1:<intent>"
    key     32 bytes of chance, one a file: in memory while the body arrives, then in the sealed row of its intent alone

1. Memory is bounded: a body passes by pieces of `PIECE` bytes, however long it is.
2. A file is whole or not there: written as `<intent>.part`, flushed, renamed, its folder flushed, all before the row that needs
   it. What a crash leaves on the way has its key nowhere: it is unreadable at once, and swept at the next start, by an entry.
3. Whoever erases the row, or destroys the key that it is sealed under, makes the file unreadable; `remove` takes its bytes.
4. `verify` reads a file to its end before any byte of it may leave. `pieces` verifies it again while it leaves, and holds the
   last piece back until the whole gave its SHA-256: what was altered in between never makes a complete request.
5. Room is looked at before a body and while it arrives, `RESERVE` bytes being left to the rest of the site: `NoRoom`.

Formats: docs/formats/upload.md.
"""

import asyncio
import hashlib
import hmac
import os
import re
import shutil
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from sqlalchemy import Connection, func, select

from sovereign.audit import AuditLog
from sovereign.gateway.errors import Altered, NoRoom, PayloadGone
from sovereign.gateway.intent import Spooled
from sovereign.state import State, StateError
from sovereign.state.outbound import deliveries, intents
from vault import envelope, files
from vault.errors import Corrupt, UnknownVersion, WrongKey

T = TypeVar("T")
PIECE: Final = 512 * 1024
"""Bytes of a body in hand at a time, on its way in or out."""
RESERVE: Final = 256 * 2**20
"""Bytes of the disk that no body may take: the site must be able to write down what happens."""
WAITING: Final = ("approved", "held", "queued", "to_retry")
"""The states of what has not left and still may."""
_FLUSH: Final = 32 * 2**20
_CONTEXT: Final = b"sovereign-upload/1:"
_PART: Final = ".part"
_NAME: Final = re.compile(r"w-[0-9a-z]{1,40}(?:\.part)?")
_MANY: Final = 500


class Arriving:
    """A body on its way in: `finish` makes it whole, `abandon` leaves nothing. One call at a time, from any thread."""

    def __init__(self, spool: "Spool", name: str, expected: int) -> None:
        self._spool, self._name = spool, name
        self.expected, self.size = expected, 0
        self._part = spool.folder / f"{name}{_PART}"
        self._hash, self._key = hashlib.sha256(), spool.entropy(32)
        self._flushed = 0
        self._lock = threading.Lock()  # a caller that goes away does not stop the thread that writes for it
        with _told():
            descriptor = os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            self._file: BinaryIO = os.fdopen(descriptor, "wb", buffering=0)
            try:
                self._sealer = envelope.Sealer(self._key, _context(name), _Whole(self._file), entropy=spool.entropy)
            except BaseException:
                self.abandon()
                raise

    def write(self, piece: bytes) -> None:
        """Take the next piece. Errors: NoRoom."""
        self._spool.room(len(piece), self)
        with self._lock, _told():
            self._sealer.write(piece)
            self._hash.update(piece)
            self.size += len(piece)
            if self.size - self._flushed >= _FLUSH:  # so that the last flush holds nobody else's up
                os.fdatasync(self._file.fileno())
                self._flushed = self.size

    def finish(self) -> Spooled:
        """Make it durable under its name. Errors: NoRoom."""
        with self._lock, _told():
            self._sealer.close()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.rename(self._spool.folder / self._name)
            files.flush(self._spool.folder)
        return Spooled(self._key, self.size, self._hash.digest())

    def abandon(self) -> None:
        """Leave nothing of it."""
        with self._lock:
            self._file.close()
            self._part.unlink(missing_ok=True)


class Spool:
    """The long bodies of a site. free: bytes that the disk has left."""

    def __init__(
        self,
        folder: Path,
        state: State,
        *,
        entropy: Callable[[int], bytes] = os.urandom,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        self.folder, self.entropy = files.folder(folder), entropy
        self._state, self._free = state, free
        self._arriving: set[Arriving] = set()
        self._holding: set[str] = set()

    # In

    @asynccontextmanager
    async def arriving(self, name: str, expected: int) -> AsyncIterator[Arriving]:
        """A body on its way in, which leaves nothing unless it was finished. expected: bytes still to come, 0 when unknown.

        Errors: NoRoom.
        """
        self.room(expected)
        body = Arriving(self, name, expected)
        self._arriving.add(body)
        try:
            yield body
        finally:
            self._arriving.discard(body)
            await asyncio.to_thread(body.abandon)

    def room(self, size: int, of: Arriving | None = None) -> None:
        """Make sure that so many more bytes fit beside what other bodies still bring. Errors: NoRoom."""
        promised = sum(max(0, each.expected - each.size) for each in self._arriving if each is not of)
        with _told():
            if self._free(self.folder) - promised - size < RESERVE:
                raise NoRoom

    def keeping(self, intent: str, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """The work that writes the row of an intent; from now until its end nobody else settles its file."""
        self._holding.add(intent)

        async def kept() -> T:
            try:
                return await work
            finally:
                self._holding.discard(intent)
                await self.settle(intent)

        return kept()

    async def settle(self, intent: str) -> None:
        """Remove the file of an intent unless a row needs it, or is about to; when in doubt the next start does."""
        if intent in self._holding:
            return
        with suppress(StateError):
            with self._state.read() as reader:
                needed = _needed(reader, [intent])
            if not needed:
                await asyncio.to_thread(self.remove, [intent])

    # Out

    def verify(self, intent: str, body: Spooled) -> None:
        """Read a file to its end, and hold it to what its row says of it. Errors: Altered, PayloadGone."""
        read = self._read(intent, body)
        while read():
            pass

    async def pieces(self, intent: str, body: Spooled) -> AsyncIterator[bytes]:
        """The body, piece by piece, the last once the whole was verified. Errors: Altered, PayloadGone."""
        read = await asyncio.to_thread(self._read, intent, body)
        held = b""
        while piece := await asyncio.to_thread(read):
            if held:
                yield held
            held = piece
        yield held

    def head(self, intent: str, body: Spooled, most: int) -> bytes:
        """The first bytes, `most` of them at the most. Errors: Altered, PayloadGone."""
        with self._opened(intent, body) as opener:
            return opener.read(most)

    # Care

    def remove(self, names: Iterable[str]) -> None:
        """Remove the files of intents, those that have one. A row that was tampered with names no file elsewhere."""
        for name in names:
            if _NAME.fullmatch(name):
                (self.folder / name).unlink(missing_ok=True)

    def sweep(self, audit: AuditLog) -> int:
        """Remove what no row needs, once entered; gives how many files. Only where no body can be on its way in."""
        found = sorted(each.name for each in self.folder.iterdir() if each.is_file() and _NAME.fullmatch(each.name))
        needed: set[str] = set()
        with self._state.read() as reader:
            for at in range(0, len(found), _MANY):
                needed |= _needed(reader, found[at : at + _MANY])
        left = [name for name in found if name not in needed]
        if left:
            audit.append("payload.swept", {}, {"files": len(left)})
            self.remove(left)
        return len(left)

    def _read(self, intent: str, body: Spooled) -> Callable[[], bytes]:
        """Gives the next piece each time, nothing at the end. Errors of each: Altered, PayloadGone."""
        pieces = self._pieces(intent, body)
        return lambda: next(pieces, b"")

    def _pieces(self, intent: str, body: Spooled) -> Iterator[bytes]:
        seen, size = hashlib.sha256(), 0
        with self._opened(intent, body) as opener:
            while piece := opener.read(PIECE):
                seen.update(piece)
                size += len(piece)
                yield piece
        if size != body.size or not hmac.compare_digest(seen.digest(), body.sha256):
            raise Altered(intent=intent)

    @contextmanager
    def _opened(self, intent: str, body: Spooled) -> Iterator[envelope.Opener]:
        try:
            with (self.folder / intent).open("rb") as file:
                yield envelope.Opener(body.key, _context(intent), file, what=intent)
        except FileNotFoundError:
            raise PayloadGone(intent=intent) from None
        except (Corrupt, UnknownVersion, WrongKey, OSError):
            raise Altered(intent=intent) from None


def missing(state: State, folder: Path) -> list[str]:
    """The writes that still wait to leave and whose file is gone. folder: of the spool, which may be absent."""
    joined = intents.join(deliveries, deliveries.c.intent == intents.c.id)
    # A row that is shorter than its body has it in a file.
    long = intents.c.sealed.is_not(None) & (intents.c.bytes > func.length(intents.c.sealed))
    query = select(intents.c.id).select_from(joined).where(long, deliveries.c.state.in_(WAITING)).order_by(intents.c.id)
    with state.read() as reader:
        return [name for name in reader.execute(query).scalars() if not (folder / name).is_file()]


class _Whole:
    """A file that takes all it is given, or fails."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def write(self, data: memoryview) -> None:
        while data:
            data = data[self._file.write(data) :]


@contextmanager
def _told() -> Iterator[None]:
    """Tell what the disk refuses in our words."""
    try:
        yield
    except OSError:
        raise NoRoom from None


def _context(intent: str) -> bytes:
    return _CONTEXT + intent.encode()


def _needed(reader: Connection, names: list[str]) -> set[str]:
    """Those whose intent may still leave, or is kept: a denied one never leaves."""
    joined = intents.join(deliveries, deliveries.c.intent == intents.c.id)
    query = select(intents.c.id).select_from(joined).where(
        intents.c.id.in_(names), intents.c.sealed.is_not(None), deliveries.c.state != "denied"
    )  # fmt: skip
    return set(reader.execute(query).scalars())
