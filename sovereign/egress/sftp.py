"""The `sftp:` way in and out: the files of one directory of an SSH server, in the words of `folder:` (see `folder.py`).

    GET sftp://HOST[:22]/DIR/       a JSON array of {"name", "size", "modified", "tag"}, by name: bytes, UTC, opaque or null
    GET sftp://HOST[:22]/DIR/NAME   the bytes of one file; its tag as ETag; `If-None-Match` with that tag gives 304
    PUT sftp://HOST[:22]/DIR/NAME   the file is the request's body: 201 when it is new, 204 otherwise; 412 as for a folder

1. The address of the connection is its directory; nothing outside it can be named. Names are taken as they are, nothing in them
   is percent-decoded. `/~/` at the head of the path is the account's own folder.
2. The server is known by `network.host_key` alone (`sftp_session.py`); what becomes of files, `sftp_files.py` says.
3. Nothing there is 404, no right 403, a refused login 401, another refusal 409, a full disk or a write cut short 507, a server
   that cannot replace a file in one step 501. No answer repeats a server's words.
4. A GET is tried again as HTTP reads are. A PUT is sent once: what fails before its rename is provably not done (`NotSent`).
5. One thread drives the sessions of a connection; a session serves one call at a time, rests a minute, and is then replaced.
"""

import asyncio
import base64
import binascii
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from saas_connectors.auth import Auth
from saas_connectors.request import Headers, Request, Response
from saas_connectors.ssh import SshKey
from sovereign.clock import Clock
from sovereign.egress import errors
from sovereign.egress.admission import Admission
from sovereign.egress.budget import BASE, Budgets
from sovereign.egress.counters import Counters, Remark
from sovereign.egress.dial import Dialler
from sovereign.egress.origin import split
from sovereign.egress.policy import EgressPolicy, Resolve
from sovereign.egress.remarks import remarks
from sovereign.egress.sftp_files import Answer, Files, Put, named
from sovereign.egress.sftp_session import Door, LoginRefused, Session
from sovereign.settings.host_keys import host_keys
from vault.spool import Spooled

T = TypeVar("T")
_CAP: Final = 20.0
_REST: Final = 60.0
_POLL: Final = 0.2
_OVERHEAD: Final = 4 * 1024 * 1024
"""What an honest server sends beside the files of a call, at most, in bytes; listings have a cap of their own names."""


class SftpTransport:
    """The way out of one connection whose vendor is an SSH server; see `transport.Transport`."""

    def __init__(
        self,
        policy: EgressPolicy,
        auth: Auth | None,
        clock: Clock,
        *,
        stop: threading.Event,
        budgets: Budgets,
        resolve: Resolve,
        chance: Callable[[], float],
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.counters = Counters()
        self._policy, self._clock, self._budgets = policy, clock, budgets
        self._stop, self._chance, self._sleep = stop, chance, sleep or stop.wait
        admission = Admission(policy, auth, sessions=("sftp",))
        self._own, self._origins, self._cap = admission.own, admission.origins, admission.cap
        try:
            keys = host_keys(policy.host_key)
        except ValueError:
            raise self._refused("egress.host_key") from None
        self._account = self._shown(auth)
        self._root = policy.url.rstrip("/")
        _, _, path = split(policy.url)
        steps = [step for step in path.split("/") if step]
        if not all(map(named, steps)):
            raise self._refused("egress.path")
        self._directory = "/".join(steps[1:]) if steps[:1] == ["~"] else "".join(f"/{step}" for step in steps) or "/"
        dialler = Dialler(policy.connection, policy.private, policy.loopback, resolve, proxied=False)
        self._door = Door(policy, self._own, dialler, keys)
        self._budget = budgets.join(self._own.host, self._own.port, self, rate=policy.rate, concurrency=policy.concurrency)
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._idle: list[tuple[Session, float]] = []

    def send(self, request: Request) -> Response:
        """List the directory, read one file of it, or put one; errors: EgressError."""
        name = self._name(request)
        patience, attempt = self._policy.patience, 0
        while True:
            attempt += 1
            put = Put()
            try:
                self._unstopped()
                patience -= self._budget.enter(self._clock, self._pause, self._stop, patience)
            except errors.Interrupted:
                raise self._stopped(request, put) from None
            try:
                status, body, headers = self._run(self._once(request, name, put))
                held, aside = body.parted if isinstance(body, Spooled) else (body, None)
                return Response(status, request.full_url, held, Headers(headers), self._clock(), aside)
            except errors.Interrupted:
                raise self._stopped(request, put) from None
            except LoginRefused:
                return Response(401, request.full_url, b"", Headers(), self._clock())
            except (errors.NotSent, errors.Broken, errors.TimedOut) as fault:
                final = isinstance(fault, errors.HostKey | errors.NoCredential) or fault.fields.get("phase") == "total"
                if final or request.method == "PUT" or attempt >= self._policy.attempts:
                    raise
            finally:
                self._budget.leave()
            self._pause(self._chance() * min(_CAP, BASE * 2.0**attempt))

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        """Send requests one after the other; the answers come in their order."""
        return tuple(self.send(request) for request in requests)

    def describe(self) -> tuple[Remark, ...]:
        """What guards this way out, and what they cannot see."""
        keys = ", ".join(key.fingerprint for key in host_keys(self._policy.host_key))
        said = Remark("egress.host_key", f"Ne parle qu'au serveur de clé {keys}.", f"Speaks to the server of key {keys} alone.")
        return (*remarks(self._policy, self._origins), said)

    def close(self) -> None:
        """End the sessions, and the thread that drove them."""
        self._budgets.part(self)
        with self._lock:
            loop, thread, idle = self._loop, self._thread, self._idle
            self._loop, self._thread, self._idle = None, None, []
        if loop is None or thread is None:
            return
        with suppress(Exception):
            asyncio.run_coroutine_threadsafe(_end([session for session, _ in idle]), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _name(self, request: Request) -> str:
        """The file that a request names, "" for the directory; errors: Refused."""
        url = request.url
        if request.params:
            raise self._refused("egress.url")
        if url != self._root and not url.startswith(self._root + "/"):
            raise self._refused("egress.origin")
        name = url[len(self._root) + 1 :]
        if request.method not in ("GET", "HEAD", "PUT") or (request.method != "GET" and not name):
            raise self._refused("egress.method")
        if name and not all(map(named, name.split("/"))):
            raise self._refused("egress.path")
        return name

    def _stopped(self, request: Request, put: Put) -> errors.EgressError:
        """What to say when we were asked to stop: a file whose rename was not asked for is not there."""
        if request.method == "PUT" and not put.left:
            return errors.NotSent(host=self._own.host, connection=self._policy.connection, reason="stopped")
        return errors.Interrupted()

    async def _once(self, request: Request, name: str, put: Put) -> Answer:
        """One call, on a session that rests or on a new one."""
        policy = self._policy
        ends = time.monotonic() + policy.total_timeout
        session: Session | None = None
        whole = False
        try:
            async with asyncio.timeout(policy.total_timeout):
                session = await self._resting() or await self._door.open(self._account)
                cap = self._cap(request)
                session.begin(_OVERHEAD + 2 * cap)
                files = Files(policy, session.client, self._directory.rstrip("/"), self._clock().timestamp())
                answer = await self._carry(files, request, name, cap, put)
            whole = True
        except (errors.EgressError, LoginRefused) as fault:
            whole = isinstance(fault, errors.Refused | errors.TooLarge)
            raise
        except Exception as fault:
            if not isinstance(fault, (*_lost(), OSError)):
                raise
            over = session is not None and session.over
            raise self._fault(request, fault, over=over, left=put.left, late=time.monotonic() >= ends) from None
        finally:
            if session is not None:
                self.counters.add(*session.counted)
                if whole and session.alive:
                    self._idle.append((session, time.monotonic()))
                else:
                    session.drop()
        return answer

    def _fault(self, request: Request, fault: Exception, *, over: bool, left: bool, late: bool) -> errors.EgressError:
        """Say what happened, in our words. left: a rename was asked for; late: the time of the whole is over."""
        host, connection, policy = self._own.host, self._policy.connection, self._policy
        silent = isinstance(fault, TimeoutError)
        if over:
            return errors.TooLarge(host=host, connection=connection, limit=self._cap(request), what="received")
        if request.method == "PUT" and not left:
            return errors.NotSent(host=host, connection=connection, reason="timeout" if silent else "reset")
        if silent:
            phase, seconds = ("total", policy.total_timeout) if late else ("read", policy.timeout)
            return errors.TimedOut(host=host, connection=connection, phase=phase, seconds=seconds)
        return errors.Broken(host=host, connection=connection, reason="reset")

    async def _carry(self, files: Files, request: Request, name: str, cap: int, put: Put) -> Answer:
        import asyncssh

        try:
            if not name:
                return await files.listing(cap)
            if request.method == "PUT":
                return await files.put(request, name, put)
            return await files.read(request, name, cap)
        except _lost():
            raise
        except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            return 404, b"", ()
        except asyncssh.SFTPPermissionDenied:
            return 403, b"", ()
        except asyncssh.SFTPError:
            return (507 if request.method == "PUT" else 409), b"", ()

    async def _resting(self) -> Session | None:
        """Take a session that rests; what rested too long is ended."""
        present = time.monotonic()
        while self._idle:
            session, since = self._idle.pop()
            if present - since <= _REST and session.alive:
                return session
            await session.close()
        return None

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out work on the sessions' own thread; errors: Interrupted, and the work's."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_drive, args=(self._loop,), name=f"egress-{self._policy.connection}", daemon=True
                )
                self._thread.start()
            ended = threading.Event()
            future: Future[T] = asyncio.run_coroutine_threadsafe(_told(work, ended), self._loop)
        while not wait((future,), _POLL).done:
            if self._stop.is_set():
                future.cancel()
                ended.wait()  # until then it may still ask for its rename
                raise errors.Interrupted
        try:
            return future.result()
        except CancelledError:
            raise errors.Interrupted from None

    def _shown(self, auth: Auth | None) -> tuple[str, str | None, str | None]:
        """The account, and its password or its private key."""
        if isinstance(auth, SshKey):
            return auth.user, None, auth.private
        if auth is not None:
            flow = auth.flow(Request("GET", self._policy.url))
            try:
                shown = dict(next(flow).headers).get("Authorization", "")
                user, colon, password = base64.b64decode(shown.removeprefix("Basic "), validate=True).decode().partition(":")
            except (StopIteration, binascii.Error, UnicodeDecodeError):
                colon = ""
            finally:
                flow.close()
            if colon:
                return user, password, None
        raise self._refused("egress.credential")

    def _refused(self, rule: str) -> errors.Refused:
        return errors.Refused(rule, self._own.host, self._policy.connection)

    def _pause(self, seconds: float) -> None:
        self._sleep(min(seconds, threading.TIMEOUT_MAX))
        self._unstopped()

    def _unstopped(self) -> None:
        if self._stop.is_set():
            raise errors.Interrupted


def _lost() -> tuple[type[Exception], ...]:
    """What says that a session is no longer one."""
    import asyncssh

    return asyncssh.SFTPConnectionLost, asyncssh.SFTPNoConnection, asyncssh.SFTPBadMessage, asyncssh.DisconnectError


async def _told(work: Coroutine[Any, Any, T], ended: threading.Event) -> T:
    """Carry out work, and say when it is at an end, however it ends."""
    try:
        return await work
    finally:
        ended.set()


def _drive(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        pending = asyncio.all_tasks(loop)
        for task in pending:
            task.cancel()
        if pending:
            loop.run_until_complete(asyncio.gather(*pending, return_exceptions=True))
        loop.run_until_complete(_flushed())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


async def _flushed() -> None:
    """Let the connections that were cut be closed: the loop does it in its next turns."""
    for _ in range(3):
        await asyncio.sleep(0)


async def _end(sessions: list[Session]) -> None:
    for session in sessions:
        await session.close()
