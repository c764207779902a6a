"""What the ways out that hold sessions have in common: admission, budget, patience, the sessions that rest, the credential.

1. Only the connection's own origin is reached. The credential is a login and a password (Basic), asked of the authentication
   for each session that opens.
2. A read is tried again, with full jitter, when the connection failed, broke or was silent, or the login was refused for now.
   A write is tried once.
3. A session rests between calls, for a minute at most.
"""

import base64
import binascii
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import ClassVar, Final, Generic, Self, TypeVar

from saas_connectors.auth import Auth
from saas_connectors.request import Headers, Request, Response
from sovereign.clock import Clock
from sovereign.egress import errors, tls
from sovereign.egress.admission import Admission
from sovereign.egress.budget import BASE, Budgets
from sovereign.egress.counters import Counters, Remark
from sovereign.egress.dial import Dialler
from sovereign.egress.link import Link, LoginRefused
from sovereign.egress.policy import EgressPolicy, Resolve
from sovereign.egress.remarks import remarks

_CAP: Final = 20.0
_REST: Final = 60.0
"""How long a session may have rested and still be used, in seconds: servers let one go after some minutes."""

S = TypeVar("S", bound=Link)


class SessionsTransport(Generic[S]):
    """The part of a way out that is the same for all that hold sessions; see `transport.Transport`."""

    schemes: ClassVar[tuple[str, ...]]

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
        self._policy, self._auth, self._clock, self._budgets = policy, auth, clock, budgets
        self._stop, self._chance, self._sleep = stop, chance, sleep or stop.wait
        admission = Admission(policy, auth, sessions=self.schemes)
        self._own, self._origins = admission.own, admission.origins
        self._cap = admission.cap
        self._proxy = None if admission.proxy is None else (admission.proxy, admission.proxy_headers)
        self._dialler = Dialler(
            policy.connection, policy.private, policy.loopback, resolve, proxied=admission.proxy is not None
        )
        self._secure = tls.context(policy, ())
        self._budget = budgets.join(self._own.host, self._own.port, self, rate=policy.rate, concurrency=policy.concurrency)
        self._lock = threading.Lock()
        self._idle: list[tuple[S, float]] = []

    def send(self, request: Request) -> Response:
        """Carry one command to the server and give its answer; errors: EgressError."""
        raise NotImplementedError

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        """Send requests one after the other; the answers come in their order."""
        return tuple(self.send(request) for request in requests)

    def describe(self) -> tuple[Remark, ...]:
        """What guards this way out, and what they cannot see."""
        return remarks(self._policy, self._origins)

    def close(self) -> None:
        """Take leave."""
        self._budgets.part(self)
        with self._lock:
            idle, self._idle = self._idle, []
        for session, _ in idle:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _patiently(self, request: Request, once: Callable[[], Response], *, again: bool = True) -> Response:
        """Do it once, within the budget; again: as often as the connection's attempts, when it failed on the way."""
        patience, attempt = self._policy.patience, 0
        while True:
            attempt += 1
            last = not again or attempt >= self._policy.attempts
            if self._stop.is_set():
                raise errors.Interrupted
            patience -= self._budget.enter(self._clock, self._pause, self._stop, patience)
            try:
                return once()
            except LoginRefused as refusal:
                if refusal.status != 503 or last:
                    return self._status(request, refusal.status, *refusal.headers)
            except (errors.NotSent, errors.Broken, errors.TimedOut) as fault:
                final = isinstance(fault, errors.TlsFailed | errors.NoCredential) or fault.fields.get("phase") == "total"
                if final or last:
                    raise
            finally:
                self._budget.leave()
            self._pause(self._chance() * min(_CAP, BASE * 2.0**attempt))

    def _resting(self, prefer: Callable[[S], bool] = lambda _: True) -> S | None:
        """Take a session that rests, one that is preferred if there is one."""
        present = time.monotonic()
        with self._lock:
            old = [session for session, since in self._idle if present - since > _REST]
            self._idle = [each for each in self._idle if present - each[1] <= _REST]
            at = next((n for n, (session, _) in enumerate(self._idle) if prefer(session)), len(self._idle) - 1)
            found = self._idle.pop(at)[0] if self._idle else None
        for session in old:
            session.close()
        return found

    def _rest(self, session: S) -> None:
        """Let a session rest until it is needed."""
        with self._lock:
            self._idle.append((session, time.monotonic()))

    def _credential(self, request: Request) -> tuple[str, str]:
        """The account and its password, as the authentication shows them: Basic alone has both."""
        if self._auth is not None:
            flow = self._auth.flow(Request(request.method, request.url))
            try:
                shown = dict(next(flow).headers).get("Authorization", "")
                user, colon, password = base64.b64decode(shown.removeprefix("Basic "), validate=True).decode().partition(":")
            except (StopIteration, binascii.Error, UnicodeDecodeError):
                colon = ""
            finally:
                flow.close()
            if colon and "\0" not in user + password:
                return user, password
        raise self._refused("egress.credential")

    def _refused(self, rule: str) -> errors.Refused:
        return errors.Refused(rule, self._own.host, self._policy.connection)

    def _status(self, request: Request, status: int, *headers: tuple[str, str]) -> Response:
        return Response(status, request.full_url, b"", Headers(headers), self._clock())

    def _pause(self, seconds: float) -> None:
        self._sleep(min(seconds, threading.TIMEOUT_MAX))
        if self._stop.is_set():
            raise errors.Interrupted
