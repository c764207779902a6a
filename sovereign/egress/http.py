"""The HTTP way out of one connection (law 1): admitted, paced, guarded, bounded, counted, said clearly when it fails.

1. Only the connection's own origin and those it allows are reached, and its token endpoint by the authentication alone, never
   by a connector. Redirections are not followed, cookies not kept, the environment's proxies not read.
2. The credential is added here, for the connection's own origin alone (and, by the authentication itself, its token endpoint):
   another allowed origin never sees it, and no response or error shows it.
3. A read (GET, HEAD, or marked `reads`) is tried again, with full jitter, when the connection failed or broke, was silent, or
   on 502, 503, 504. A write is sent once, whatever happens.
4. 429, and `Retry-After` on 503, close the vendor's host for the whole process; a read waits within the patience, or raises
   `Waiting`.
5. An error's body reaches the connector only as data that does not hold the credential (redact.py).
"""

import re
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Retry, Timeout
from urllib3.exceptions import HTTPError, ProxyError, ReadTimeoutError, SSLError

from saas_connectors.auth import Auth
from saas_connectors.request import Headers, Request, Response
from sovereign.clock import Clock
from sovereign.egress import body, errors, guard, redact, tls
from sovereign.egress.budget import Budgets, HostBudget, retry_after
from sovereign.egress.counters import Counters, Remark
from sovereign.egress.dial import CALL, MAX_HEADERS, DialFailed, Dialler, GuardedAdapter
from sovereign.egress.origin import Origin, declared, origin, split
from sovereign.egress.policy import EgressPolicy, Resolve
from sovereign.egress.remarks import remarks

_METHOD: Final = re.compile(r"[A-Z]{3,10}\Z")
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_RESERVED: Final = frozenset(
    {
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "expect",
        "accept-encoding",
    }
)
_REDIRECTS: Final = frozenset({301, 302, 303, 305, 307, 308})
_TRANSIENT: Final = frozenset({429, 502, 503, 504})
_ONCE: Final = Retry(total=False, redirect=False)
_BASE, _CAP = 0.5, 20.0
"""The first and the longest backoff, in seconds."""


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
        self._policy, self._auth, self._clock, self._budgets = policy, auth, clock, budgets
        self._stop, self._chance, self._sleep = stop, chance, sleep or stop.wait
        self._own = self._admit(policy.own)
        tokens = [declared(url) for url in policy.credential_urls]
        tokens += [declared(host) for host in (auth.hosts if auth else ()) if host not in {token.host for token in tokens}]
        self._credential = {self._own, *map(self._admit, tokens)}
        self._allowed = {self._own} | {self._admit(declared(text)) for text in policy.allow}
        self._proxy = None if policy.proxy is None else str(declared(policy.proxy))
        proxy_headers = {}
        if policy.proxy_credential is not None:
            proxy_headers["Proxy-Authorization"] = "Basic " + b64encode(policy.proxy_credential.encode()).decode()
        dialler = Dialler(policy.connection, policy.private, policy.loopback, resolve, proxied=self._proxy is not None)
        self._adapter = GuardedAdapter(dialler, tls=tls.context(policy), size=policy.concurrency, proxy_headers=proxy_headers)
        self._timeout = Timeout(connect=policy.connect_timeout, read=policy.timeout)
        self._headers = {"user-agent": policy.user_agent, "accept": "*/*", "accept-encoding": body.ACCEPTED}
        self._lock = threading.Lock()
        self._ways: dict[Origin, _Way] = {}
        self._known: dict[tuple[str, str], _Way] = {}
        self._workers: ThreadPoolExecutor | None = None

    def send(self, request: Request) -> Response:
        """Send one request, with the credential when it goes to the vendor itself; errors: EgressError."""
        way, target = self._way(request, self._allowed, "egress.origin")
        reads = request.method in ("GET", "HEAD") or request.reads
        if self._auth is None or way.origin != self._own:
            return self._deliver(way, target, request, request, reads)
        flow = self._auth.flow(request)
        response: Response | None = None
        try:
            step = next(flow)
            while True:
                # A token request is the flow's own, and may be repeated; the request itself as its method allows.
                own = step.method != request.method or step.body is not request.body
                stage, target = self._way(step, self._credential, "egress.credential")
                # Of a token request, all but the address counts as credential.
                asked = Request(step.method, step.url, max_bytes=step.max_bytes) if own else request
                response = self._deliver(stage, target, asked, step, own or reads)
                step = flow.send(response)
        except StopIteration:
            if response is None:
                raise errors.Refused("egress.credential", way.origin.host, self._policy.connection) from None
            return response
        finally:
            flow.close()

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
        return remarks(self._policy, sorted(map(str, self._allowed | self._credential)))

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

    def _admit(self, place: Origin) -> Origin:
        """Let a declared origin pass, or raise Refused."""
        policy = self._policy
        if place.scheme == "http" and (not policy.plaintext or policy.proxy is not None):
            raise errors.Refused("egress.plaintext", place.host, policy.connection)
        if place.literal:
            try:
                guard.check(place.host, private=policy.private, loopback=policy.loopback)
            except errors.Refused as refusal:
                raise errors.Refused(refusal.rule, place.host, policy.connection) from None
        return place

    def _way(self, request: Request, allowed: set[Origin], rule: str) -> tuple[_Way, str]:
        """The way to a request's origin, and its target. rule: what forbids the origins not `allowed`; errors: Refused."""
        scheme, authority, target = split(request.full_url)
        way = self._known.get((scheme, authority))
        place = way.origin if way is not None else origin(scheme, authority)
        if place not in allowed:
            clear = place.scheme == "http" and not self._policy.plaintext
            raise errors.Refused("egress.plaintext" if clear else rule, place.host, self._policy.connection)
        if way is not None:
            return way, target
        with self._lock:
            if place not in self._ways:
                budget = self._budgets.join(
                    place.host, place.port, self, rate=self._policy.rate, concurrency=self._policy.concurrency
                )
                self._ways[place] = _Way(place, self._adapter.pool(place.scheme, place.host, place.port, self._proxy), budget)
            way = self._ways[place]
            if len(self._known) < 256:
                self._known[scheme, authority] = way
        return way, target

    def _deliver(self, way: _Way, target: str, asked: Request, sent: Request, again: bool) -> Response:
        """Send until there is an answer to give, or a reason to stop. again: whether it may be sent more than once."""
        headers = self._dress(sent, way.origin)
        patience, attempt = self._policy.patience, 0
        while True:
            attempt += 1
            last = not again or attempt >= self._policy.attempts
            if self._stop.is_set():
                raise errors.Interrupted
            patience -= way.budget.enter(self._clock, self._pause, self._stop, patience)
            try:
                response = self._once(way, target, headers, asked, sent)
            except (errors.NotSent, errors.Broken, errors.TimedOut) as fault:
                if last or isinstance(fault, errors.TlsFailed) or fault.fields.get("phase") == "total":
                    raise
                closed = False
            else:
                closed = self._heed(way, response, attempt)
                if response.status not in _TRANSIENT or not again or (last and not closed):
                    return response
            if not closed:
                self._back_off(attempt)

    def _heed(self, way: _Way, response: Response, attempt: int) -> bool:
        """Close the vendor's host for as long as it asks; returns whether it asked."""
        if response.status not in (429, 503):
            return False
        present = self._clock()
        until = retry_after(response.headers, present)
        if until is None and response.status == 429:
            # It does not say how long: our own guess, and a minute once the attempts are spent.
            spent = attempt >= self._policy.attempts
            until = present + timedelta(seconds=max(60.0, self._policy.patience + 1) if spent else _BASE * 2**attempt)
        if until is not None:
            # A vendor that says "now" again and again still costs its caller some patience.
            way.budget.close(max(until, present + timedelta(seconds=_BASE / 2)))
        return until is not None

    def _once(self, way: _Way, target: str, headers: dict[str, str], asked: Request, sent: Request) -> Response:
        """One request on the wire, one whole answer."""
        # An honest answer's framing (chunk sizes, trailers) weighs less than its body; what it waits behind has a cap too.
        CALL.begin(self._policy.total_timeout, self._policy.timeout, 2 * self._cap(asked) + MAX_HEADERS)
        try:
            raw = way.pool.urlopen(
                sent.method, target, body=sent.body, headers=headers, retries=_ONCE, redirect=False, assert_same_host=False,
                timeout=self._timeout, preload_content=False, decode_content=False,
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
        if raw.status in _REDIRECTS:
            target = _target(raw.headers.get("location", ""), place)
            raise errors.Redirected(host=place.host, connection=policy.connection, status=raw.status, target=target)
        content = body.read(raw, self._cap(asked), place.host, policy.connection)
        if raw.status >= 400:
            content = redact.error_body(content, raw.headers.get("content-type", ""), asked, sent)
        kept = Headers((name, value) for name, value in raw.headers.iteritems() if name.lower() not in redact.DROPPED)
        return Response(raw.status, asked.full_url, content, kept, self._clock())

    def _cap(self, asked: Request) -> int:
        """The most that an answer may hold, in bytes."""
        return min(asked.max_bytes or self._policy.max_bytes, self._policy.max_bytes)

    def _dress(self, request: Request, place: Origin) -> dict[str, str]:
        """The headers as they go on the wire; errors: Refused."""
        if not _METHOD.match(request.method) or request.method in ("CONNECT", "TRACE"):
            raise errors.Refused("egress.method", place.host, self._policy.connection)
        headers = dict(self._headers)
        for name, value in request.headers:
            key = name.lower()
            if not _NAME.match(name) or not _VALUE.match(value) or key in _RESERVED or key.startswith("proxy-"):
                raise errors.Refused("egress.header", place.host, self._policy.connection)
            headers[key] = value
        return headers

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
        self._pause(self._chance() * min(_CAP, _BASE * 2.0**attempt))


def _target(location: str, place: Origin) -> str:
    """The host that a redirection points to, and nothing else of it."""
    with suppress(errors.Refused):
        scheme, authority, _ = split(location)
        return origin(scheme, authority.rpartition("@")[2]).host
    return place.host
