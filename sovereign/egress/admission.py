"""What may leave for one connection, where to, and dressed how: the rules that both drivers share, without any socket.

1. Only the connection's own origin and those it allows are reached, and its token endpoint by the authentication alone, never
   by a connector.
2. The credential is added here, for the connection's own origin alone (and, by the authentication itself, its token endpoint).
3. Of a token request, all but the address counts as credential.
"""

import re
from base64 import b64encode
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from saas_connectors.auth import Auth
from saas_connectors.request import Request, Response
from sovereign.egress import guard, headers
from sovereign.egress.body import ACCEPTED
from sovereign.egress.errors import Redirected, Refused
from sovereign.egress.origin import Origin, declared, origin, split
from sovereign.egress.policy import EgressPolicy

_METHOD: Final = re.compile(r"[A-Z]{3,10}\Z")
_REDIRECTS: Final = frozenset({301, 302, 303, 305, 307, 308})


@dataclass(frozen=True, slots=True)
class Step:
    """One request to put on the wire.

    asked: as the connector made it; sent: with its credential. own: the authentication's, and not the connector's. again: it
    changes nothing at the vendor, so that it may be sent more than once.
    """

    place: Origin
    target: str
    asked: Request
    sent: Request
    own: bool
    again: bool


class Admission:
    """The rules of one connection. Errors when made: Refused."""

    def __init__(self, policy: EgressPolicy, auth: Auth | None, *, sessions: tuple[str, ...] = ()) -> None:
        """Read what the connection may reach; sessions: the schemes, beside HTTP's, of a driver that holds sessions."""
        self._policy, self._auth, self._sessions = policy, auth, sessions
        self.own = self._admit(policy.own)
        tokens = [declared(url) for url in policy.credential_urls]
        tokens += [declared(host) for host in (auth.hosts if auth else ()) if host not in {token.host for token in tokens}]
        self._credential = {self.own, *map(self._admit, tokens)}
        self._allowed = {self.own} | {self._admit(declared(text)) for text in policy.allow}
        self.proxy = None if policy.proxy is None else str(declared(policy.proxy))
        self.proxy_headers = {}
        if policy.proxy_credential is not None:
            self.proxy_headers["Proxy-Authorization"] = "Basic " + b64encode(policy.proxy_credential.encode()).decode()
        self._headers = {"user-agent": policy.user_agent, "accept": "*/*", "accept-encoding": ACCEPTED}
        self._known: dict[tuple[str, str], Origin] = {}

    @property
    def origins(self) -> list[str]:
        """All that may be reached, as text."""
        return sorted(map(str, self._allowed | self._credential))

    def steps(self, request: Request) -> Generator[Step, Response, Response]:
        """Yield what to put on the wire, be sent each answer; the last is the answer. Errors: Refused, and the auth's own."""
        place, target = self._way(request, self._allowed, "egress.origin")
        reads = request.method in ("GET", "HEAD") or request.reads
        if self._auth is None or place != self.own:
            return (yield Step(place, target, request, request, own=False, again=reads))
        flow = self._auth.flow(request)
        response: Response | None = None
        try:
            sent = next(flow)
            while True:
                # A token request is the flow's own, and may be repeated; the request itself as its method allows, be its key in
                # the form it carries.
                own = sent.method != request.method or (sent.body is not request.body and sent.url != request.url)
                stage, target = self._way(sent, self._credential, "egress.credential")
                asked = Request(sent.method, sent.url, max_bytes=sent.max_bytes) if own else request
                response = yield Step(stage, target, asked, sent, own, own or reads)
                sent = flow.send(response)
        except StopIteration:
            if response is None:
                raise Refused("egress.credential", place.host, self._policy.connection) from None
            return response
        finally:
            flow.close()

    def dress(self, request: Request, place: Origin) -> dict[str, str]:
        """The headers as they go on the wire, names in lower case; errors: Refused."""
        if not _METHOD.match(request.method) or request.method in ("CONNECT", "TRACE"):
            raise Refused("egress.method", place.host, self._policy.connection)
        dressed = dict(self._headers)
        for name, value in request.headers:
            key = name.lower()
            if not headers.well_formed(name, value) or headers.reserved(key):
                raise Refused("egress.header", place.host, self._policy.connection)
            dressed[key] = value
        return dressed

    def cap(self, asked: Request) -> int:
        """The most that an answer may hold, in bytes."""
        return min(asked.max_bytes or self._policy.max_bytes, self._policy.max_bytes)

    def unredirected(self, status: int, location: str, place: Origin) -> None:
        """Let an answer pass that is no redirection; errors: Redirected, with the target's host and nothing else of it."""
        if status not in _REDIRECTS:
            return
        target = place.host
        with suppress(Refused):
            scheme, authority, _ = split(location)
            target = origin(scheme, authority.rpartition("@")[2]).host
        raise Redirected(host=place.host, connection=self._policy.connection, status=status, target=target)

    def _admit(self, place: Origin) -> Origin:
        """Let a declared origin pass, or raise Refused."""
        policy = self._policy
        if place.scheme not in ("https", "http", *self._sessions):
            raise Refused("egress.url", place.host, policy.connection)
        if place.scheme == "http" and (not policy.plaintext or policy.proxy is not None):
            raise Refused("egress.plaintext", place.host, policy.connection)
        if place.literal:
            try:
                guard.check(place.host, private=policy.private, loopback=policy.loopback)
            except Refused as refusal:
                raise Refused(refusal.rule, place.host, policy.connection) from None
        return place

    def _way(self, request: Request, allowed: set[Origin], rule: str) -> tuple[Origin, str]:
        """A request's origin, and its target. rule: what forbids the origins not `allowed`; errors: Refused."""
        scheme, authority, target = split(request.full_url)
        place = self._known.get((scheme, authority))
        if place is None:
            place = origin(scheme, authority)
            if place in allowed and len(self._known) < 256:
                self._known[scheme, authority] = place
        if place not in allowed:
            clear = place.scheme == "http" and not self._policy.plaintext
            raise Refused("egress.plaintext" if clear else rule, place.host, self._policy.connection)
        return place, target
