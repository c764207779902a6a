"""The `folder:` way in and out: files in one folder that is the vendor; nothing outside it can be named.

    GET folder:        a JSON array of {"name", "size", "modified", "sha256"}, by name: bytes, UTC, hex;
                       the SHA-256 of one that changes meanwhile is null, and it hides no other
    GET folder:NAME    the bytes of one file, ETag its SHA-256; `If-None-Match` with that tag gives 304
    PUT folder:NAME    the file is the request's body: 201 when it is new, 204 otherwise; under `If-Match` or
                       `If-None-Match: *` that does not hold, 412 and nothing changes

1. A name is resolved one step at a time from the folder's own handle, no symbolic link followed: no name, and no swap in
   between, leads outside. Hidden files are not listed; what is not a regular file is refused.
2. A file that changes while it is read is `Broken`, never half of it.
3. A file is put whole or not at all: written aside, synced, then renamed over. It keeps the mode of the one it replaces. No
   folder is made, nothing is deleted, hidden names are refused.
4. Names are taken as they are, without percent-decoding; the folder's own address before the name is accepted too.
"""

import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import orjson

from saas_connectors.request import Headers, Request, Response
from sovereign.clock import Clock
from sovereign.egress.counters import Counters, Remark
from sovereign.egress.errors import Broken, NotSent, Refused, TooLarge
from sovereign.egress.policy import EgressPolicy
from vault.spool import Spool, Spooled

_STEP = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PIECE = 1024 * 1024
_Stamp = tuple[int, int, int, int, int]


class FolderTransport:
    """The way in and out of one connection whose vendor is a folder; see `transport.Transport`."""

    def __init__(self, policy: EgressPolicy, clock: Clock) -> None:
        self.counters = Counters()
        self._policy, self._clock = policy, clock
        self._root = policy.url.removeprefix("folder:").removeprefix("//")
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._digests: dict[str, tuple[_Stamp, str]] = {}

    def send(self, request: Request) -> Response:
        """List the folder, read one file of it, or put one; errors: Refused, NotSent, TooLarge, Broken."""
        name = self._name(request.url)
        if request.method not in ("GET", "HEAD") and (request.method != "PUT" or not name):
            raise self._refused("egress.method")
        cap = min(request.max_bytes or self._policy.max_bytes, self._policy.max_bytes)
        with self._open_root() as root:
            if not name:
                return self._answer(request, orjson.dumps(self._listing(root)), (("Content-Type", "application/json"),))
            try:
                if request.method == "PUT":
                    return self._put(request, root, name, request.body or b"")
                return self._file(request, root, name, cap)
            except FileNotFoundError:
                return Response(404, request.full_url, b"", Headers(), self._clock())

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        """Send requests one after the other; the answers come in their order."""
        return tuple(self.send(request) for request in requests)

    def describe(self) -> tuple[Remark, ...]:
        """What this way in and out reaches."""
        path = Path(self._root).resolve()
        return (Remark("egress.folder", f"N'atteint que les fichiers de {path}.", f"Reaches the files of {path} alone."),)

    def close(self) -> None:
        """Nothing stays open."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _name(self, url: str) -> str:
        if not url.startswith("folder:"):
            raise self._refused("egress.origin")
        if url.removesuffix("/") == self._policy.url.removesuffix("/"):
            return ""
        return url.removeprefix(self._policy.url.removesuffix("/") + "/").removeprefix("folder:")

    def _file(self, request: Request, root: int, name: str, cap: int) -> Response:
        with self._open(root, name) as file:
            before = os.fstat(file)
            if before.st_size > cap:
                raise TooLarge(host=self._policy.connection, connection=self._policy.connection, limit=cap, what=name)
            spool = Spool(self._policy.spool if request.spooled else None)
            for piece in self._pieces(file, before, cap):
                spool.write(piece)
            data = spool.close()
        digest = data.sha256
        self._remember(name, before, digest)
        tag = f'"{digest}"'
        modified = datetime.fromtimestamp(before.st_mtime, UTC)
        headers = (("ETag", tag), ("Last-Modified", f"{modified:%a, %d %b %Y %H:%M:%S} GMT"))
        wanted = next((value for header, value in request.headers if header.lower() == "if-none-match"), "")
        if tag in (part.strip() for part in wanted.split(",")):
            return Response(304, request.full_url, b"", Headers(headers), self._clock())
        body, aside = data.parted
        return self._answer(request, body, headers, aside)

    def _put(self, request: Request, root: int, name: str, data: bytes) -> Response:
        """Write a file aside, then rename it over; errors: Refused, FileNotFoundError, NotSent (nothing changed), Broken."""
        place, _, last = name.rpartition("/")
        if not last or last.startswith(".") or "\0" in name:
            raise self._refused("egress.path")
        with self._writing, self._folder(root, place) as folder:
            mode, tag = self._held(root, folder, name, last)
            if not _holds(request, tag):
                return Response(412, request.full_url, b"", Headers(), self._clock())
            aside = f".{last[:100]}.{secrets.token_hex(8)}.part"
            try:
                file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=folder)
                try:
                    with os.fdopen(file, "wb") as out:
                        out.write(data)
                        out.flush()
                        os.fsync(out.fileno())
                    os.rename(aside, last, src_dir_fd=folder, dst_dir_fd=folder)
                except OSError:
                    with suppress(OSError):
                        os.unlink(aside, dir_fd=folder)
                    raise
            except OSError:
                raise NotSent(host=self._root, connection=self._policy.connection, reason="folder") from None
            try:
                os.fsync(folder)
            except OSError:
                raise Broken(host=self._policy.connection, connection=self._policy.connection, reason="sync") from None
        self.counters.add(0, len(data))
        digest = ("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        return Response(201 if tag is None else 204, request.full_url, b"", Headers((digest,)), self._clock())

    def _held(self, root: int, folder: int, name: str, last: str) -> tuple[int, str | None]:
        """The mode and the tag of the file that stands there; None for its tag when there is none."""
        try:
            status = os.stat(last, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return 0o644, None
        except OSError:
            raise self._refused("egress.path") from None
        if not stat.S_ISREG(status.st_mode):
            raise self._refused("egress.kind")
        return stat.S_IMODE(status.st_mode) & 0o666, f'"{self._digest(root, name, status)}"'

    def _answer(
        self, request: Request, data: bytes, headers: tuple[tuple[str, str], ...], aside: Spooled | None = None
    ) -> Response:
        size = len(data) if aside is None else aside.size
        self.counters.add(size, 0)
        kept = Headers((*headers, ("Content-Length", str(size))))
        if request.method != "GET":
            return Response(200, request.full_url, b"", kept, self._clock())
        return Response(200, request.full_url, data, kept, self._clock(), aside)

    def _listing(self, root: int) -> list[dict[str, object]]:
        files = []
        for name in sorted(os.listdir(root)):
            try:
                status = os.stat(name, dir_fd=root, follow_symlinks=False)
                if name.startswith(".") or not stat.S_ISREG(status.st_mode):
                    continue
                digest = self._listed(root, name, status)
            except FileNotFoundError:
                # It left, or took its final name, since the folder was read.
                continue
            try:
                name.encode()
            except UnicodeEncodeError:
                raise self._refused("egress.name") from None
            modified = datetime.fromtimestamp(status.st_mtime, UTC).isoformat()
            files.append({"name": name, "size": status.st_size, "modified": modified, "sha256": digest})
        return files

    def _listed(self, root: int, name: str, status: os.stat_result) -> str | None:
        """The SHA-256 of a file, None while someone writes to it."""
        try:
            return self._digest(root, name, status)
        except Broken:
            return None

    def _digest(self, root: int, name: str, status: os.stat_result) -> str:
        """The SHA-256 of a file, computed again only when the file changed."""
        with self._lock:
            known = self._digests.get(name)
        if known is not None and known[0] == _stamp(status):
            return known[1]
        running = hashlib.sha256()
        with self._open(root, name) as file:
            before = os.fstat(file)
            for piece in self._pieces(file, before, before.st_size):
                running.update(piece)
        self._remember(name, before, running.hexdigest())
        return running.hexdigest()

    def _remember(self, name: str, status: os.stat_result, digest: str) -> None:
        with self._lock:
            self._digests[name] = (_stamp(status), digest)

    def _pieces(self, file: int, before: os.stat_result, cap: int) -> Iterator[bytes]:
        """The bytes of a file; Broken when it changed meanwhile."""
        total = 0
        while total <= cap and (piece := os.read(file, _PIECE)):
            total += len(piece)
            yield piece
        if total != before.st_size or _stamp(os.fstat(file)) != _stamp(before):
            raise Broken(host=self._policy.connection, connection=self._policy.connection, reason="changed while read")

    @contextmanager
    def _open_root(self) -> Iterator[int]:
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            raise NotSent(host=self._root, connection=self._policy.connection, reason="folder") from None
        try:
            yield root
        finally:
            os.close(root)

    @contextmanager
    def _folder(self, root: int, place: str) -> Iterator[int]:
        """Open a folder below the root, or the root itself; errors: Refused, FileNotFoundError."""
        steps = place.split("/") if place else []
        if len(steps) > 31 or "\0" in place or any(step in ("", ".", "..") for step in steps):
            raise self._refused("egress.path")
        held = [root]
        try:
            for step in steps:
                try:
                    held.append(os.open(step, _STEP | os.O_DIRECTORY, dir_fd=held[-1]))
                except FileNotFoundError:
                    raise
                except OSError:
                    raise self._refused("egress.path") from None
            yield held[-1]
        finally:
            for handle in held[1:]:
                os.close(handle)

    @contextmanager
    def _open(self, root: int, name: str) -> Iterator[int]:
        """Open a regular file below the folder; errors: Refused, FileNotFoundError."""
        steps = name.split("/")
        if len(steps) > 32 or "\0" in name or any(step in ("", ".", "..") for step in steps):
            raise self._refused("egress.path")
        held = [root]
        try:
            for position, step in enumerate(steps):
                last = position == len(steps) - 1
                try:
                    held.append(os.open(step, _STEP if last else _STEP | os.O_DIRECTORY, dir_fd=held[-1]))
                except FileNotFoundError:
                    raise
                except OSError:
                    # A link (ELOOP), a file in the place of a folder (ENOTDIR), or what we may not read.
                    raise self._refused("egress.path") from None
            if not stat.S_ISREG(os.fstat(held[-1]).st_mode):
                raise self._refused("egress.kind")
            yield held[-1]
        finally:
            for handle in held[1:]:
                os.close(handle)

    def _refused(self, rule: str) -> Refused:
        return Refused(rule, "folder", self._policy.connection)


def _holds(request: Request, tag: str | None) -> bool:
    """Whether the request's conditions hold of a file with this tag, None for no file (RFC 9110 section 13.1)."""
    asked = {name.lower(): value.strip() for name, value in request.headers}
    if "if-match" in asked and (tag is None or asked["if-match"] not in ("*", tag)):
        return False
    return not ("if-none-match" in asked and tag is not None and asked["if-none-match"] in ("*", tag))


def _stamp(status: os.stat_result) -> _Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
