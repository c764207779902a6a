"""The `ldap:` and `ldaps:` way out: a directory, read and written. A request stands alone; sessions are this module's affair.

    SEARCH ldaps://HOST/   {"base", "scope", "filter", "attributes", "binary", "page", "cookie", "limit", "dirsync",
                            "show_deleted"}
    MODIFY ldaps://HOST/   {"dn", "changes": [{"do", "attribute", "values"}], "permissive"}, or {"several": [the same, …]}
    MOVE   ldaps://HOST/   {"dn", "rdn", "delete_old", "parent"}
    ADD    ldaps://HOST/   {"dn", "attributes": {name: [values]}}
    WHOAMI ldaps://HOST/   {}

1. Bodies are JSON (ldap_orders.py); an entry's name stands in a body alone, never in an address. Nothing deletes an entry.
2. A search answers 200 with its entries, or a status of its result code without any; `Ldap-Code` has the code. The server's
   words are not given on: they may repeat what it was sent.
3. A search is tried again as HTTP reads are; a session that broke is replaced. A write is sent once, on a session that the
   server has not ended, and its faults say whether it may have arrived.
4. The cookie of a page belongs to the session that gave it, which is kept for it alone; when it is gone, the answer is 410.
5. Several changes go in their order, and stop at the first that is refused. When none came before it, its status is the answer;
   else it is 502, `Ldap-Done` says how many were done, and no one may take it for a refusal of the whole.
6. A login that was refused is not tried again for half a minute, then for five, then for a quarter of an hour each time:
   directories lock accounts, and count over half an hour. Another credential is tried at once, by one call before the others.
"""

import base64
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from saas_connectors.request import Headers, Request, Response
from sovereign.egress import errors
from sovereign.egress import ldap_messages as ldap
from sovereign.egress.ber import Malformed
from sovereign.egress.ldap_orders import Misasked, Order, order
from sovereign.egress.ldap_session import Session, Told, shown, status
from sovereign.egress.link import LoginRefused
from sovereign.egress.origin import origin, split
from sovereign.egress.sessions import SessionsTransport

SCHEMES: Final = ("ldap", "ldaps")
_PINS: Final = 16
_PINNED: Final = 600.0
"""How long a page may be waited for, in seconds."""
_SPARED: Final = (30.0, 300.0, 900.0)
"""For how long a login is not tried again after one refusal, two, more, in seconds: fewer than five in half an hour."""
_LATER: Final = "30"
"""When to come back to a server that is busy or closed for now, in seconds: it did nothing of what was asked."""
_MOST: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class _Pin:
    """A session that stands at a page of a search. since: when it was left there, by a clock that nobody sets."""

    search: bytes
    cookie: bytes
    session: Session
    since: float


@dataclass(frozen=True, slots=True)
class _Refusal:
    """A login that was refused, so many times in a row. since: by a clock that nobody sets."""

    credential: tuple[str, str]
    said: LoginRefused
    times: int
    since: float

    def stands(self) -> bool:
        """Whether it is too early to try again."""
        return time.monotonic() - self.since < _SPARED[min(self.times, len(_SPARED)) - 1]


class LdapTransport(SessionsTransport[Session]):
    """The way out of one connection whose vendor is a directory; see `transport.Transport`."""

    schemes = SCHEMES
    _pins: tuple[_Pin, ...] = ()
    _busy: frozenset[Session] = frozenset()
    _refusal: _Refusal | None = None
    _proven: tuple[str, str] | None = None

    def send(self, request: Request) -> Response:
        """Carry one operation to the server and give its answer; errors: EgressError."""
        asked = self._order(request)
        if asked.cookie is not None:
            return self._patiently(request, lambda: self._next(request, asked), again=False)
        return self._patiently(request, lambda: self._once(request, asked), again=not asked.writes)

    def close(self) -> None:
        """Take leave; what is in flight breaks."""
        super().close()
        with self._lock:
            pins, self._pins, busy = self._pins, (), self._busy
        for session in busy:
            session.interrupt()
        for pin in pins:
            pin.session.close()

    def _order(self, request: Request) -> Order:
        """Understand a request; errors: Refused."""
        scheme, authority, target = split(request.full_url)
        if origin(scheme, authority) != self._own:
            raise self._refused("egress.origin")
        if target != "/":
            raise self._refused("egress.url")
        try:
            asked = order(request.method, request.body or b"", min(int(self._policy.total_timeout) + 1, _MOST))
        except Misasked:
            raise self._refused("egress.body") from None
        if asked is None or (asked.writes and request.reads):
            raise self._refused("egress.method")
        return asked

    def _once(self, request: Request, asked: Order) -> Response:
        """One operation, on a session that rests or on a new one."""
        while (session := self._resting()) is not None:
            if not session.alive():
                session.drop()
                continue
            if asked.writes:
                return self._on(session, request, asked)
            with suppress(errors.Broken):  # the server may have let it go just now: another is tried at once
                return self._on(session, request, asked)
        return self._on(self._session(), request, asked, fresh=True)

    def _next(self, request: Request, asked: Order) -> Response:
        """The page after, on the session that gave the one before."""
        present = time.monotonic()
        with self._lock:
            old = [pin for pin in self._pins if present - pin.since > _PINNED]
            kept = [pin for pin in self._pins if pin not in old]
            found = next((pin for pin in kept if pin.search == asked.search and pin.cookie == asked.cookie), None)
            self._pins = tuple(pin for pin in kept if pin is not found)
        for pin in old:
            pin.session.close()
        if found is not None:
            with suppress(errors.Broken):
                return self._on(found.session, request, asked)
        return self._status(request, 410)

    def _session(self) -> Session:
        return Session(self._policy, self._own, self._dialler, self._secure, self._proxy)

    def _on(self, session: Session, request: Request, asked: Order, *, fresh: bool = False) -> Response:
        session.begin()
        with self._lock:
            self._busy |= {session}
        try:
            if fresh:
                self._open(session, request)
            told, done = session.perform(asked, self._cap(request)), 0
            for following in asked.more:
                if told.result.code == 0:
                    told, done = session.perform(following, self._cap(request)), done + 1
            response, cookie = self._answered(request, asked, told)
            if done and 400 <= response.status < 500:
                response = self._status(request, 502, *shown(told.result), ("Ldap-Done", str(done)))
        except BaseException:
            session.drop()
            raise
        finally:
            self.counters.add(session.received, session.sent)
            with self._lock:
                self._busy -= {session}
        if cookie:
            self._pin(_Pin(asked.search, cookie, session, time.monotonic()))
        else:
            self._rest(session)
        return response

    def _open(self, session: Session, request: Request) -> None:
        credential = self._credential(request)
        if credential == self._proven:
            self._log_in(session, credential)
        else:
            with self._logins:  # several that are refused at once would be counted as several
                self._log_in(session, credential)

    def _log_in(self, session: Session, credential: tuple[str, str]) -> None:
        with self._lock:
            last = self._refusal if self._refusal is not None and self._refusal.credential == credential else None
        if last is not None and last.stands():
            raise LoginRefused(last.said.status, *last.said.headers)
        try:
            session.open(*credential)
        except LoginRefused as said:
            if said.status == 401:
                with self._lock:
                    self._proven = None
                    self._refusal = _Refusal(credential, said, 1 if last is None else last.times + 1, time.monotonic())
            raise self._heard(said) from None
        with self._lock:
            self._refusal, self._proven = None, credential

    def _pin(self, pin: _Pin) -> None:
        with self._lock:
            first, self._pins = self._pins[: -(_PINS - 1)], (*self._pins[-(_PINS - 1) :], pin)
        for each in first:
            each.session.close()

    def _heard(self, said: LoginRefused) -> LoginRefused:
        return LoginRefused(503, *said.headers, ("Retry-After", _LATER)) if said.status == 503 else said

    def _answered(self, request: Request, asked: Order, told: Told) -> tuple[Response, bytes]:
        """The answer to give, and the cookie of the next page if there is one."""
        end = told.result
        code = status(end.code)
        if code != 200:
            headers = (*shown(end), ("Retry-After", _LATER)) if code == 503 else shown(end)
            return self._status(request, code, *headers), b""
        try:
            body, cookie = _body(asked, told)
        except (Malformed, UnicodeDecodeError):
            raise errors.Broken(host=self._own.host, connection=self._policy.connection, reason="malformed") from None
        cap = self._cap(request)
        if len(body) > cap:
            raise errors.TooLarge(host=self._own.host, connection=self._policy.connection, limit=cap, what="entries")
        headers = (("Content-Type", "application/json"), *shown(end))
        return Response(200, request.full_url, body, Headers(headers), self._clock()), cookie


def _body(asked: Order, told: Told) -> tuple[bytes, bytes]:
    """What a success answers, and the cookie of the next page; errors: Malformed, UnicodeDecodeError."""
    end = told.result
    if asked.answer == ldap.EXTENDED:
        return msgspec.json.encode({"authzid": end.value.decode()}), b""
    if asked.writes:
        return b"{}", b""
    held = end.controls
    cookie = ldap.page(held[ldap.PAGED]) if asked.paged and ldap.PAGED in held else b""
    sync = None
    if ldap.DIRSYNC in held:
        more, at = ldap.synced(held[ldap.DIRSYNC])
        sync = {"more": more, "cookie": base64.b64encode(at).decode()}
    rest = {"cookie": base64.b64encode(cookie).decode(), "dirsync": sync, "referrals": told.referrals}
    return b'{"entries":[' + b",".join(told.entries) + b"]," + msgspec.json.encode(rest)[1:], cookie
