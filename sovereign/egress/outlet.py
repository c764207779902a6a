"""One request of the event loop on the wire, within the budget, and its answer: aiohttp's part, and none of its words.

1. A connection that was kept and turns out to be unusable before anything left is passed over for another one. After that, only
   a read is sent again, once, on a fresh connection, when the one it was given had been kept and gave no byte.
2. A path that could be read as another one (dot segments, however they are spelled) is refused: what was decided on is what
   the vendor sees.
3. No error holds the library's words: they may hold the URL and the headers.
"""

import re
import ssl
from typing import Final
from urllib.parse import quote

import aiohttp
from yarl import URL

from saas_connectors.request import Headers
from sovereign.clock import Clock
from sovereign.egress import errors, headers, redact, tls
from sovereign.egress.admission import Admission, Step
from sovereign.egress.answer import Answer, Body
from sovereign.egress.budget import BASE, Budgets, HostBudget
from sovereign.egress.counters import Counters
from sovereign.egress.origin import Origin
from sovereign.egress.policy import EgressPolicy, Resolve
from sovereign.egress.session import MAX_HEADERS, Failed, Resolver, session, timeout
from sovereign.egress.upload import SLOWEST, Upload, slices
from sovereign.egress.wire import CALL, Call, Progress

_DOTS: Final = re.compile(r"(?:/|\\|%2f|%5c)(?:\.|%2e){1,2}(?=/|\\|%2f|%5c|;|\Z)", re.IGNORECASE)
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))
_IN_HAND: Final = 512 * 1024
_TRIES: Final = 64


class Outlet:
    """Where the requests of one connection leave."""

    def __init__(self, policy: EgressPolicy, admission: Admission, clock: Clock, budgets: Budgets, resolve: Resolve) -> None:
        self.counters = Counters()
        self._policy, self._admission, self._clock, self._budgets, self._resolve = policy, admission, clock, budgets, resolve
        self._tls = tls.context(policy)
        self._hosts: dict[Origin, HostBudget] = {}
        self._session: tuple[aiohttp.ClientSession, Resolver] | None = None
        self._secrets: tuple[frozenset[object], set[bytes]] = (frozenset(), set())

    async def put(self, step: Step, upload: Upload | None, patience: float, progress: Progress) -> Answer:
        """One request on the wire, within the budget; the answer gives the place in it back."""
        place, policy = step.place, self._policy
        options = self._options(step, upload)
        url = URL(f"{place}{self._target(step)}", encoded=True)
        budget = self._budget(place)
        await budget.enter_task(self._clock, patience, policy.patience)
        cap = self._admission.cap(step.asked)
        call = Call(progress, 2 * cap + MAX_HEADERS, policy.timeout, step.again)
        response: aiohttp.ClientResponse | None = None
        body: Body | None = None
        closed = False

        def close() -> None:
            nonlocal closed
            if closed:
                return
            closed = True
            if body is not None:
                body.closed = True
            if response is not None:
                response.close()
            budget.leave()
            self.counters.add(progress.received, call.sent)

        try:
            response = await self._attempt(step, url, options, call, upload)
            pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers]
            given = Headers(pairs)
            budget.heed(response.status, given, self._clock(), 2 * BASE)
            self._admission.unredirected(response.status, given.get("location", ""), place)
            sieve = self._sieve(step)
            body = Body(
                response, host=place.host, connection=policy.connection, cap=cap, patience=policy.timeout,
                sieve=None if response.status >= 400 else sieve, fault=lambda error: self._fault(error, call, place, upload),
            )  # fmt: skip
            kept = self._relayed(response.status, pairs, body, sieve)
            answer = Answer(response.status, step.asked.full_url, kept, self._clock(), body, close=close)
            if response.status < 400:
                return answer
            page = redact.error_body(await answer.read(), given.get("content-type", ""), step.asked, step.sent)
            return Answer(answer.status, answer.url, kept, answer.received_at, page, close=close)
        except BaseException:
            close()
            raise

    def _relayed(self, status: int, pairs: list[tuple[str, str]], body: Body, sieve: redact.Sieve | None) -> Headers:
        """The headers of an answer that may go further; errors: Broken."""
        kept = headers.relayed(pairs, decoded=body.decoded)
        if status < 200 or kept is None:
            reason = "upgrade" if status < 200 else "headers"
            raise errors.Broken(host=body.host, connection=body.connection, reason=reason)
        return Headers((name, value) for name, value in kept if sieve is None or not sieve.meets(value.encode("latin-1")))

    def _budget(self, place: Origin) -> HostBudget:
        budget = self._hosts.get(place)
        if budget is None:
            limits = self._policy
            budget = self._budgets.join(place.host, place.port, self, rate=limits.rate, concurrency=limits.concurrency)
            self._hosts[place] = budget
        return budget

    async def _attempt(
        self, step: Step, url: URL, options: dict[str, object], call: Call, upload: Upload | None
    ) -> aiohttp.ClientResponse:
        """Send, on another connection while the one that was kept turns out to be unusable before anything left."""
        if self._session is None:
            self._session = session(self._policy, self._tls, self._resolve, self._admission.proxy)
        progress = call.progress
        within = CALL.set(call)
        try:
            for _ in range(_TRIES):
                call.reused, call.lost, progress.received = False, None, 0
                data = _data(step.sent.body, upload)
                try:
                    return await self._session[0].request(step.sent.method, url, data=data, **options)  # type: ignore[arg-type] # of one shape
                except (Failed, aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
                    silent = isinstance(error, Failed) and not progress.received and not call.fresh and not call.stalled
                    if call.reused and not progress.left:
                        continue
                    if call.reused and step.again and silent:
                        call.fresh, progress.left = True, False
                        continue
                    raise self._fault(error, call, step.place, upload) from None
            raise errors.NotSent(host=step.place.host, connection=self._policy.connection, reason="network")
        finally:
            CALL.reset(within)

    def _options(self, step: Step, upload: Upload | None) -> dict[str, object]:
        """How a request goes out; errors: Refused."""
        dressed = self._admission.dress(step.sent, step.place)
        for name, value in dressed.items():
            if not value.isascii():
                try:
                    # aiohttp writes UTF-8: these are then the very bytes that were asked for.
                    dressed[name] = value.encode("latin-1").decode()
                except UnicodeDecodeError:
                    raise errors.Refused("egress.header", step.place.host, self._policy.connection) from None
        length = len(step.sent.body) if step.sent.body is not None else upload.length if upload is not None else None
        if length is not None:
            dressed["content-length"] = str(length)
        options: dict[str, object] = {"headers": dressed, "allow_redirects": False}
        if upload is not None and length is not None:
            options["timeout"] = timeout(self._policy, length / SLOWEST)
        if self._admission.proxy is not None:
            options |= {"proxy": self._admission.proxy, "proxy_headers": dict(self._admission.proxy_headers)}
        return options

    def _target(self, step: Step) -> str:
        """The target as it goes on the wire; errors: Refused, when it could be read as another path than the one decided on."""
        target = step.target
        if _DOTS.search(target.partition("?")[0]):
            raise errors.Refused("egress.url", step.place.host, self._policy.connection)
        return target if target.isascii() and " " not in target else quote(target, safe=_PRINTABLE)

    def _sieve(self, step: Step) -> redact.Sieve | None:
        """What keeps the credential that was sent out of an answer; None when none was."""
        if step.own or step.sent is step.asked:
            return None
        added = frozenset({*step.sent.headers, *step.sent.params}.difference(step.asked.headers, step.asked.params))
        added |= redact.fields(step.asked, step.sent)
        if self._secrets[0] != added:
            self._secrets = added, redact.spellings(step.asked, step.sent, redact.SURE)
        return redact.Sieve(self._secrets[1]) if self._secrets[1] else None

    def _fault(self, error: Exception, call: Call, place: Origin, upload: Upload | None) -> errors.EgressError:
        """Say what happened, in our words: the library's may hold the URL and the headers."""
        host, connection = place.host, self._policy.connection
        cause = error.error if isinstance(error, Failed) else error
        if call.refusal is not None:
            return errors.Refused(call.refusal.rule, host, connection)
        secure = _secure(cause)
        if secure is None and isinstance(call.lost, ssl.SSLError) and not call.reused and not call.progress.received:
            secure = call.lost if tls.refused_by_peer(call.lost) else None
        if secure is not None:
            call.progress.left = False
            return errors.TlsFailed(host=host, connection=connection, reason=tls.reason(secure))
        if call.over:
            return errors.TooLarge(host=host, connection=connection, limit=call.most, what="received")
        if not call.progress.left:
            return errors.NotSent(
                host=host, connection=connection, reason=_unsent(cause, through=self._admission.proxy is not None)
            )
        if upload is not None and upload.broke is not None:
            return errors.Unfinished(host=host, connection=connection, reason=upload.broke)
        if call.stalled:
            return errors.TimedOut(host=host, connection=connection, phase="write", seconds=self._policy.timeout)
        if isinstance(cause, aiohttp.ServerTimeoutError):
            return errors.TimedOut(host=host, connection=connection, phase="read", seconds=self._policy.timeout)
        if isinstance(cause, TimeoutError):
            return errors.TimedOut(host=host, connection=connection, phase="total", seconds=self._policy.total_timeout)
        malformed = isinstance(cause, aiohttp.ClientResponseError | ValueError)
        reason = "malformed" if malformed else "truncated" if isinstance(cause, aiohttp.ClientPayloadError) else "reset"
        return errors.Broken(host=host, connection=connection, reason=reason)

    async def close(self) -> None:
        """Close the sockets; what is in flight breaks."""
        self._budgets.part(self)
        opened, self._session = self._session, None
        if opened is not None:
            await opened[0].close()
            await opened[1].close()


def _data(body: bytes | None, upload: Upload | None) -> object:
    """A body as aiohttp takes it; a large one by slices, so that it does not hold up the loop."""
    if upload is not None:
        return upload.pieces()
    return slices(body) if body is not None and len(body) > _IN_HAND else body


def _secure(error: Exception) -> ssl.SSLError | None:
    """The fault of a handshake."""
    found = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return found if isinstance(found, ssl.SSLError) else None


def _unsent(error: Exception, *, through: bool) -> str:
    """Why nothing was sent, in a word. through: by a proxy."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return f"proxy {error.status}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "dns"
    if isinstance(error, TimeoutError):
        return "timeout"
    refused = isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, ConnectionRefusedError)
    return "proxy" if through else "refused" if refused else "network"
