"""The HTTP way out of one connection (law 1): admitted, paced, guarded, bounded, counted, said clearly when it fails.

1. What may leave, where to and with which credential is admission.py's to say; this is the driver that pulls use, on threads.
2. Redirections are not followed, cookies not kept, the environment's proxies not read. No response or error shows the
   credential.
3. A read (GET, HEAD, or marked `reads`) is tried again, with full jitter, when the connection failed or broke, was silent, or
   on 502, 503, 504. A write is sent once, whatever happens.
4. 429, and `Retry-After` on 503, close the vendor's host for the whole process; a read waits within the patience, or raises
   `Waiting`.
5. An error's body reaches the connector only as data that does not hold the credential (redact.py).
"""

import re
import ssl
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self, cast

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry, Timeout
from urllib3.exceptions import HTTPError, ProxyError, ReadTimeoutError, SSLError

from saas_connectors.auth import Auth
from saas_connectors.request import Headers, Request, Response
from sovereign.clock import Clock
from sovereign.egress import body, errors, redact, tls
from sovereign.egress.admission import Admission, Step
from sovereign.egress.budget import BASE, Budgets, HostBudget
from sovereign.egress.counters import Counters, Remark
from sovereign.egress.dial import CALL, MAX_HEADERS, DialFailed, Dialler, GuardedAdapter
from sovereign.egress.origin import Origin
from sovereign.egress.policy import EgressPolicy, Resolve
from sovereign.egress.remarks import remarks
from vault.spool import Spool

_TRANSIENT: Final = frozenset({429, 502, 503, 504})
_ONCE: Final = Retry(total=False, redirect=False)
_CAP = 20.0
"""The longest backoff, in seconds."""


@dataclass(frozen=True, slots=True)
class _Way:
    """An origin that may be reached, with its pool and its budget."""

    origin: Origin
    pool: HTTPConnectionPool
    budget: HostBudget


class HttpTransport:
    """The way out of one connection over HTTP; see `transport.Transport`."""

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
        self._admission = Admission(policy, auth)
        self._proxy = self._admission.proxy
        dialler = Dialler(policy.connection, policy.private, policy.loopback, resolve, proxied=self._proxy is not None)
        self._adapter = GuardedAdapter(
            dialler, tls=tls.context(policy), size=policy.concurrency, proxy_headers=self._admission.proxy_headers
        )
        self._timeout = Timeout(connect=policy.connect_timeout, read=policy.timeout)
        self._lock = threading.Lock()
        self._ways: dict[Origin, _Way] = {}
        self._workers: ThreadPoolExecutor | None = None

    def send(self, request: Request) -> Response:
        """Send one request, with the credential when it goes to the vendor itself; errors: EgressError."""
        steps = self._admission.steps(request)
        try:
            step = next(steps)
            while True:
                step = steps.send(self._deliver(self._way(step.place), step))
        except StopIteration as end:
            return cast(Response, end.value)
        finally:
            steps.close()

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        """Send requests at once, within the budget; the answers come in their order. The first error stops the others."""
        if len(requests) == 1 or self._policy.concurrency == 1:
            return tuple(self.send(request) for request in requests)
        with self._lock:
            if self._workers is None:
                self._workers = ThreadPoolExecutor(
                    self._policy.concurrency, thread_name_prefix=f"egress-{self._policy.connection}"
                )
        pending = [self._workers.submit(self.send, request) for request in requests]
        try:
            wait(pending, return_when=FIRST_EXCEPTION)
        finally:
            for future in pending:
                future.cancel()
        wait(future for future in pending if not future.cancelled())
        failed = next(
            (error for future in pending if not future.cancelled() and (error := future.exception()) is not None), None
        )
        if failed is not None:
            raise failed
        return tuple(future.result() for future in pending)

    def describe(self) -> tuple[Remark, ...]:
        """What guards this way out, and what they cannot see."""
        return remarks(self._policy, self._admission.origins)

    def close(self) -> None:
        """Close the sockets."""
        self._budgets.part(self)
        if self._workers is not None:
            self._workers.shutdown(wait=True, cancel_futures=True)
        self._adapter.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _way(self, place: Origin) -> _Way:
        """The pool and the budget of an origin."""
        way = self._ways.get(place)
        if way is None:
            with self._lock:
                if place not in self._ways:
                    budget = self._budgets.join(
                        place.host, place.port, self, rate=self._policy.rate, concurrency=self._policy.concurrency
                    )
                    pool = self._adapter.pool(place.scheme, place.host, place.port, self._proxy)
                    self._ways[place] = _Way(place, pool, budget)
                way = self._ways[place]
        return way

    def _deliver(self, way: _Way, step: Step) -> Response:
        """Send until there is an answer to give, or a reason to stop."""
        headers = self._admission.dress(step.sent, way.origin)
        patience, attempt = self._policy.patience, 0
        while True:
            attempt += 1
            last = not step.again or attempt >= self._policy.attempts
            if self._stop.is_set():
                raise errors.Interrupted
            patience -= way.budget.enter(self._clock, self._pause, self._stop, patience)
            try:
                response = self._once(way, headers, step)
            except (errors.NotSent, errors.Broken, errors.TimedOut) as fault:
                if last or isinstance(fault, errors.TlsFailed) or fault.fields.get("phase") == "total":
                    raise
                closed = False
            else:
                closed = self._heed(way, response, attempt)
                if response.status not in _TRANSIENT or not step.again or (last and not closed):
                    return response
            if not closed:
                self._back_off(attempt)

    def _heed(self, way: _Way, response: Response, attempt: int) -> bool:
        """Close the vendor's host for as long as it asks; returns whether it asked."""
        spent = attempt >= self._policy.attempts
        guess = max(60.0, self._policy.patience + 1) if spent else BASE * 2**attempt
        return way.budget.heed(response.status, response.headers, self._clock(), guess)

    def _once(self, way: _Way, headers: dict[str, str], step: Step) -> Response:
        """One request on the wire, one whole answer."""
        asked, sent = step.asked, step.sent
        # An honest answer's framing (chunk sizes, trailers) weighs less than its body; what it waits behind has a cap too.
        CALL.begin(self._policy.total_timeout, self._policy.timeout, 2 * self._admission.cap(asked) + MAX_HEADERS)
        try:
            raw = way.pool.urlopen(
                sent.method, step.target, body=sent.body, headers=headers, retries=_ONCE, redirect=False,
                assert_same_host=False, timeout=self._timeout, preload_content=False, decode_content=False,
            )  # fmt: skip
            try:
                return self._answer(raw, way.origin, asked, sent)
            finally:
                if not raw.closed:
                    # What is left unread would be taken for the next answer.
                    raw.close()
                raw.release_conn()
        except (HTTPError, OSError) as error:
            raise self._fault(error, way.origin) from None
        finally:
            way.budget.leave()
            self.counters.add(CALL.received, CALL.sent)

    def _answer(self, raw: BaseHTTPResponse, place: Origin, asked: Request, sent: Request) -> Response:
        """Read an answer whole, within the caps, and keep of it what may go further."""
        policy = self._policy
        self._admission.unredirected(raw.status, raw.headers.get("location", ""), place)
        cap, aside = self._admission.cap(asked), None
        if asked.spooled and 200 <= raw.status < 300:
            content, aside = body.aside(raw, cap, place.host, policy.connection, Spool(policy.spool)).parted
        else:
            content = body.read(raw, cap, place.host, policy.connection)
        if raw.status >= 400:
            content = redact.error_body(content, raw.headers.get("content-type", ""), asked, sent)
        kept = Headers((name, value) for name, value in raw.headers.iteritems() if name.lower() not in redact.DROPPED)
        return Response(raw.status, asked.full_url, content, kept, self._clock(), aside)

    def _fault(self, error: HTTPError | OSError, place: Origin) -> errors.EgressError:
        """Say what happened, in our words: the library's may hold the URL."""
        host, connection = place.host, self._policy.connection
        if isinstance(error, DialFailed):
            return error.fault
        cause = error.original_error if isinstance(error, ProxyError) else error
        if isinstance(cause, DialFailed):
            return cause.fault
        secure = cause.args[0] if isinstance(cause, SSLError) and cause.args else cause
        if isinstance(secure, ssl.SSLError) and (not CALL.committed or tls.refused_by_peer(secure)):
            return errors.TlsFailed(host=host, connection=connection, reason=tls.reason(secure))
        if CALL.over:
            return errors.TooLarge(host=host, connection=connection, limit=CALL.most, what="received")
        if not CALL.committed:
            refused = re.search(r"Tunnel connection failed: (\d{3})", str(cause))
            reason = f"proxy {refused[1]}" if refused else "proxy" if self._proxy else "timeout" if CALL.late else "network"
            return errors.NotSent(host=host, connection=connection, reason=reason)
        if CALL.late:
            return errors.TimedOut(host=host, connection=connection, phase="total", seconds=self._policy.total_timeout)
        if isinstance(cause, ReadTimeoutError | TimeoutError):
            return errors.TimedOut(host=host, connection=connection, phase="read", seconds=self._policy.timeout)
        return errors.Broken(host=host, connection=connection, reason="reset")

    def _pause(self, seconds: float) -> None:
        self._sleep(min(seconds, threading.TIMEOUT_MAX))
        if self._stop.is_set():
            raise errors.Interrupted

    def _back_off(self, attempt: int) -> None:
        """Wait a random part of a time that doubles."""
        self._pause(self._chance() * min(_CAP, BASE * 2.0**attempt))
