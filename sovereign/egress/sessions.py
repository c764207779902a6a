"""What the ways out that hold sessions have in common: admission, budget, patience, the sessions that rest, the credential.

1. Only the connection's own origin is reached, and by the authentication alone the one that gives tokens, over HTTP under the
   same policy. The credential is a login and a password (Basic) or, for mailboxes, a token (XOAUTH2), asked of the
   authentication for each session that opens; a token that is refused is renewed once.
2. A read is tried again, with full jitter, when the connection failed, broke or was silent, or the login was refused for now.
   A write is tried once.
3. A session rests between calls, for a minute at most.
"""

import base64
import binascii
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import replace
from types import TracebackType
from typing import ClassVar, Final, Generic, Self, TypeVar

from saas_connectors.auth import Auth, Flow
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
from sovereign.egress.transport import Transport

_CAP: Final = 20.0
_REST: Final = 60.0
"""How long a session may have rested and still be used, in seconds: servers let one go after some minutes."""

S = TypeVar("S", bound=Link)


class Nobody:
    """A connection without authentication: it shows nothing."""

    hosts: tuple[str, ...] = ()

    def flow(self, request: Request) -> Flow:
        """Yield the request as it is."""
        yield request


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
        self._lock, self._logins = threading.Lock(), threading.Lock()
        self._idle: list[tuple[S, float]] = []
        self._resolve = resolve
        self._tokens: Transport | None = None

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
            tokens, self._tokens = self._tokens, None
        for session, _ in idle:
            session.close()
        if tokens is not None:
            tokens.close()

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
            try:
                self._unstopped()
                patience -= self._budget.enter(self._clock, self._pause, self._stop, patience)
            except errors.Interrupted:
                if again:
                    raise
                # What is tried once has not left yet, and whoever asked must know.
                raise errors.NotSent(host=self._own.host, connection=self._policy.connection, reason="stopped") from None
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
        with closing(self._credentials(request)) as credentials:
            for user, password, token in credentials:
                if not token:
                    return user, password
                break
        raise self._refused("egress.credential")

    def _credentials(self, request: Request) -> Generator[tuple[str, str, bool], None, None]:
        """Yield the account, its password or token, and whether it is a token; resumed when that one was refused.

        A request of the authentication's own is for the one that gives tokens, and for it alone. Errors: Refused
        `egress.credential`, and those of the authentication.
        """
        asked = Request(request.method, request.url)
        flow = (self._auth or Nobody()).flow(asked)
        try:
            sent = next(flow)
            while True:
                if (sent.method, sent.url) != (asked.method, asked.url):
                    sent = flow.send(self._token(sent))
                    continue
                user, password, token = _shown(dict(sent.headers).get("Authorization", ""))
                if not user or "\0" in user + password:
                    raise self._refused("egress.credential")
                yield user, password, token
                sent = flow.send(Response(401, asked.url, b""))
        except StopIteration:
            return
        finally:
            flow.close()

    def _token(self, request: Request) -> Response:
        """Ask for a token, of the address that the settings name; errors: EgressError."""
        from sovereign.egress.http import HttpTransport

        if not self._policy.credential_urls:
            raise self._refused("egress.credential")
        with self._lock:
            if self._tokens is None:
                policy = replace(self._policy, url=self._policy.credential_urls[0], credential_urls=(), allow=())
                self._tokens = HttpTransport(
                    policy, None, self._clock, stop=self._stop, budgets=self._budgets, resolve=self._resolve,
                    chance=self._chance, sleep=self._sleep,
                )  # fmt: skip
            tokens = self._tokens
        return tokens.send(replace(request, reads=True))

    def _refused(self, rule: str) -> errors.Refused:
        return errors.Refused(rule, self._own.host, self._policy.connection)

    def _status(self, request: Request, status: int, *headers: tuple[str, str]) -> Response:
        return Response(status, request.full_url, b"", Headers(headers), self._clock())

    def _pause(self, seconds: float) -> None:
        self._sleep(min(seconds, threading.TIMEOUT_MAX))
        self._unstopped()

    def _unstopped(self) -> None:
        if self._stop.is_set():
            raise errors.Interrupted


def _shown(header: str) -> tuple[str, str, bool]:
    """Read what the authentication shows: account, password or token, whether it is a token; no account when it is neither."""
    scheme, _, said = header.partition(" ")
    try:
        text = base64.b64decode(said, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", "", False
    if scheme == "XOAUTH2":
        user, bearer, token = text.removesuffix("\x01\x01").partition("\x01auth=Bearer ")
        return (user.removeprefix("user="), token, True) if bearer else ("", "", True)
    user, colon, password = text.partition(":")
    return (user, password, False) if scheme == "Basic" and colon else ("", "", False)
