"""What is done with the files of one SFTP directory: listed, read, put. It speaks through a session's client, and dials none.

1. A name is walked one step at a time from the directory, each looked at by LSTAT: a symbolic link is refused wherever it
   stands. The server alone could swap a step meanwhile; it is the vendor, and could give what it likes anyway.
2. A file that changes while it is read is `Broken`, never half of it. Its tag is its size and its time: the tag of a file
   touched within the last `FRESH` seconds is not given, since SFTP's times are whole seconds.
3. A file is put aside first (hidden, `.NAME.RANDOM.part`), checked, synced where the server can, then renamed: a new one by
   RENAME, which takes no other's place, one that stands there by posix-rename. A server without it replaces nothing: 501.
4. Until the rename is asked for, whatever fails left the directory as it was (`Put.left` is False). What an attempt that was
   killed left aside is removed by the next one of the same name, a day later by the server's own clock.
"""

import asyncio
import re
import secrets
import stat
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson

from saas_connectors.request import Request
from sovereign.egress.errors import Broken, Refused, TooLarge
from sovereign.egress.policy import EgressPolicy
from vault.spool import Spool, Spooled

if TYPE_CHECKING:
    from asyncssh import SFTPAttrs, SFTPClient

T = TypeVar("T")
FRESH: Final = 3.0
"""How old a file must be, in seconds, for its size and time to name its bytes."""
MOST: Final = 100_000
"""The most names that one directory may hold."""
_STALE: Final = 86_400
_PIECE: Final = 1024 * 1024
Answer = tuple[int, bytes | Spooled, tuple[tuple[str, str], ...]]
"""A status, a body, headers."""


@dataclass(slots=True)
class Put:
    """How far a PUT got. left: its rename was asked for, so that the file may stand there."""

    left: bool = False


@dataclass(frozen=True, slots=True)
class Files:
    """The files below one directory. directory: its path at the server, without a slash at its end."""

    policy: EgressPolicy
    client: "SFTPClient"
    directory: str
    now: float

    async def listing(self, cap: int) -> Answer:
        """The regular files of the directory, as JSON, by name; errors: Refused, TooLarge."""
        files: list[dict[str, object]] = []
        seen = 0
        entries = aiter(self.client.scandir(self._path("").encode()))
        while True:
            try:
                entry = await self._step(anext(entries))
            except StopAsyncIteration:
                break
            seen += 1
            if seen > MOST:
                raise TooLarge(host=self.policy.own.host, connection=self.policy.connection, limit=MOST, what="names")
            raw, attributes = entry.filename, entry.attrs
            if not isinstance(raw, bytes) or raw.startswith(b".") or b"/" in raw or not _regular(attributes):
                continue
            try:
                name = raw.decode()
            except UnicodeDecodeError:
                raise self._refused("egress.name") from None
            if not named(name):
                continue
            modified = datetime.fromtimestamp(attributes.mtime or 0, UTC).isoformat()
            files.append({"name": name, "size": attributes.size, "modified": modified, "tag": self._tag(attributes)})
        body = orjson.dumps(sorted(files, key=lambda each: str(each["name"])))
        if len(body) > cap:
            raise TooLarge(host=self.policy.own.host, connection=self.policy.connection, limit=cap, what="names")
        return 200, body, (("Content-Type", "application/json"),)

    async def read(self, request: Request, name: str, cap: int) -> Answer:
        """The bytes of one file; errors: Refused, TooLarge, Broken, the server's."""
        path = await self._walk(name)
        before = await self._held(path)
        if before is None:
            return 404, b"", ()
        tag = self._tag(before)
        modified = datetime.fromtimestamp(before.mtime or 0, UTC)
        headers = [("Last-Modified", f"{modified:%a, %d %b %Y %H:%M:%S} GMT")]
        if tag is not None:
            headers.append(("ETag", f'"{tag}"'))
            wanted = next((value for header, value in request.headers if header.lower() == "if-none-match"), "")
            if f'"{tag}"' in (part.strip() for part in wanted.split(",")):
                return 304, b"", tuple(headers)
        size = before.size or 0
        if size > cap:
            raise TooLarge(host=self.policy.own.host, connection=self.policy.connection, limit=cap, what=name)
        if request.method == "HEAD":
            return 200, b"", (*headers, ("Content-Length", str(size)))
        spool = Spool(self.policy.spool if request.spooled else None)
        file = await self._step(self.client.open(path.encode(), "rb", encoding=None))
        await self._copied(file, size, spool)
        after = await self._step(file.stat())
        await self._step(file.close())
        if spool.size != size or (after.size, after.mtime) != (before.size, before.mtime):
            raise self._changed()
        return 200, spool.close(), (*headers, ("Content-Length", str(size)))

    async def _copied(self, file: Any, size: int, spool: Spool) -> None:  # noqa: ANN401 - asyncssh's file
        """Put a file's bytes in a spool, in their order; errors: Broken, the server's."""
        early: dict[int, bytes] = {}
        pieces = aiter(await file.read_parallel(size + 1, 0))
        while True:
            try:
                offset, piece = await self._step(anext(pieces))
            except StopAsyncIteration:
                break
            if offset + len(piece) > size:
                raise self._changed()
            early[offset] = piece
            while spool.size in early:  # they come in any order, a few ahead of others
                spool.write(early.pop(spool.size))
        if early:
            raise self._changed()

    async def put(self, request: Request, name: str, put: Put) -> Answer:
        """Put one file, whole or not at all; errors: Refused, the server's."""
        from asyncssh import SFTPAttrs, SFTPBadMessage, SFTPConnectionLost, SFTPError, SFTPNoConnection

        last = name.rpartition("/")[2]
        if last.startswith("."):
            raise self._refused("egress.path")
        path = await self._walk(name)
        before = await self._held(path)
        tag = None if before is None else self._tag(before)
        if not _holds(request, there=before is not None, tag=tag):
            return 412, b"", ()
        data = request.body or b""
        place = path[: len(path) - len(last)]
        aside = f"{place}.{last[:100]}.{secrets.token_hex(8)}.part".encode()
        mode = 0o644 if before is None else stat.S_IMODE(before.permissions or 0o644) & 0o666
        try:
            await self._aside(aside, data, SFTPAttrs(permissions=mode))
            written = await self._step(self.client.lstat(aside))
            if written.size != len(data):
                await self._away(aside)
                return 507, b"", ()
            put.left = True
            rename = self.client.rename if before is None else self.client.posix_rename
            try:
                await self._step(rename(aside, path.encode()))
            except (SFTPBadMessage, SFTPConnectionLost, SFTPNoConnection):
                raise
            except SFTPError as error:
                put.left = False
                return await self._not_renamed(request, path, aside, error)
        except SFTPError as error:
            if not isinstance(error, SFTPBadMessage | SFTPConnectionLost | SFTPNoConnection):
                await self._away(aside)
            raise
        await self._sweep(place, last, written.mtime or 0)
        return (201 if before is None else 204), b"", ()

    async def _not_renamed(self, request: Request, path: str, aside: bytes, error: Exception) -> Answer:
        """Why the server refused the rename: nothing changed."""
        from asyncssh import SFTPOpUnsupported, SFTPPermissionDenied

        await self._away(aside)
        if isinstance(error, SFTPOpUnsupported):
            return 501, b"", ()
        if isinstance(error, SFTPPermissionDenied):
            return 403, b"", ()
        taken = await self._held(path) is not None and ("if-none-match", "*") in _asked(request).items()
        return (412 if taken else 409), b"", ()

    async def _aside(self, aside: bytes, data: bytes, attributes: "SFTPAttrs") -> None:
        from asyncssh import SFTPOpUnsupported

        file = await self._step(self.client.open(aside, "xb", attributes, encoding=None))
        for start in range(0, len(data), _PIECE):
            await self._step(file.write(data[start : start + _PIECE], start))
        with suppress(SFTPOpUnsupported):
            await self._step(file.fsync())
        await self._step(file.close())

    async def _away(self, aside: bytes) -> None:
        from asyncssh import Error

        with suppress(Error, OSError, TimeoutError):
            await self._step(self.client.remove(aside))

    async def _sweep(self, place: str, last: str, present: int) -> None:
        """Remove what attempts of this name left aside; present: the server's clock."""
        from asyncssh import Error

        ours = re.compile(re.escape(f".{last[:100]}.").encode() + rb"[0-9a-f]{16}\.part\Z")
        with suppress(Error, OSError, TimeoutError):
            for entry in await self._step(self.client.readdir(place.encode() or b".")):
                name, attributes = entry.filename, entry.attrs
                old = _regular(attributes) and (attributes.mtime or present) < present - _STALE
                if isinstance(name, bytes) and ours.match(name) and old:
                    await self._step(self.client.remove(place.encode() + name))

    async def _walk(self, name: str) -> str:
        """The path of a name, every folder on the way looked at; errors: Refused, the server's SFTPNoSuchFile."""
        steps = name.split("/")
        if len(steps) > 32 or not all(named(step) for step in steps):
            raise self._refused("egress.path")
        path = self._path(steps[0])
        for step in steps[1:]:
            found = await self._step(self.client.lstat(path.encode()))
            if not stat.S_ISDIR(found.permissions or 0):
                raise self._refused("egress.path")
            path = f"{path}/{step}"
        return path

    async def _held(self, path: str) -> "SFTPAttrs | None":
        """What stands at a path, None when nothing does; errors: Refused when it is no regular file."""
        from asyncssh import SFTPNoSuchFile

        try:
            found = await self._step(self.client.lstat(path.encode()))
        except SFTPNoSuchFile:
            return None
        if not _regular(found):
            raise self._refused("egress.kind")
        return found

    def _path(self, name: str) -> str:
        return f"{self.directory}/{name}" if self.directory else name or "."

    def _tag(self, attributes: "SFTPAttrs") -> str | None:
        size, mtime = attributes.size, attributes.mtime
        if size is None or mtime is None or not 0 < mtime < self.now - FRESH:
            return None
        return f"{size:x}-{int(mtime):x}"

    async def _step(self, awaited: Awaitable[T]) -> T:
        """One question to the server, within the patience for silence.

        What the library still asks when it is cut off (to close a handle) is not waited for: a silent server would not answer.
        """
        asked = asyncio.ensure_future(awaited)
        try:
            done, _ = await asyncio.wait((asked,), timeout=self.policy.timeout)
        except asyncio.CancelledError:
            _let_go(asked)
            raise
        if not done:
            _let_go(asked)
            raise TimeoutError
        return asked.result()

    def _changed(self) -> Broken:
        return Broken(host=self.policy.own.host, connection=self.policy.connection, reason="changed while read")

    def _refused(self, rule: str) -> Refused:
        return Refused(rule, self.policy.own.host, self.policy.connection)


def _let_go(asked: "asyncio.Future[Any]") -> None:
    asked.cancel()
    asked.add_done_callback(lambda ended: ended.cancelled() or ended.exception())


def named(step: str) -> bool:
    """Whether a text names something in a folder, and nothing outside it."""
    return step not in ("", ".", "..") and "\0" not in step and "\n" not in step and "\r" not in step


def _regular(attributes: "SFTPAttrs") -> bool:
    return attributes.permissions is not None and stat.S_ISREG(attributes.permissions)


def _asked(request: Request) -> dict[str, str]:
    return {name.lower(): value.strip() for name, value in request.headers}


def _holds(request: Request, *, there: bool, tag: str | None) -> bool:
    """Whether the request's conditions hold (RFC 9110 section 13.1). A file without a tag is none that `If-Match` names."""
    asked = _asked(request)
    mine = None if tag is None else f'"{tag}"'
    if "if-match" in asked and (not there or (asked["if-match"] != "*" and asked["if-match"] != mine)):
        return False
    return not ("if-none-match" in asked and there and asked["if-none-match"] in ("*", mine))
