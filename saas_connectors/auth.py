"""How a credential is shown to a vendor: flows without any network, as in httpx.

1. `flow(request)` yields what to send: the request with its credential, or a token request first. It is sent each response,
   and ends; the last response is the answer. The driver runs it; a connector never sees it.
2. A flow answers a 401 once, with a renewed token, when its kind can renew. It retries nothing else.
3. A token is cached with its expiry and shared by threads; no lock is held while something is awaited, so one flow serves both
   the threads of the pulls and the event loop of the gateway.
4. A credential appears in no error, no `repr`, and only in the requests a flow yields.
5. `hosts` names the hosts a flow calls besides the connection's own, for the allow-list.
"""

import base64
import difflib
import re
import threading
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, Protocol
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlencode, urlsplit

from saas_connectors.answer import decode, malformed
from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError, TokenDenied, Unauthorized
from saas_connectors.request import Pairs, Request, Response
from saas_connectors.stream_settings import unknown_to

Flow = Generator[Request, Response, None]
_LATER: Final = (408, 425, 429)
"""Statuses by which who gives tokens asks to be asked again, and refuses nothing."""


class Auth(Protocol):
    """A way to authenticate."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts called besides the connection's own."""
        ...

    def flow(self, request: Request) -> Flow:
        """Yield the request with its credential, and what it takes to have one."""
        ...


def _with_header(request: Request, name: str, value: str) -> Request:
    kept = tuple((n, v) for n, v in request.headers if n.lower() != name.lower())
    return replace(request, headers=(*kept, (name, value)))


def _with_param(request: Request, name: str, value: str) -> Request:
    """Put a parameter, and drop one of that name that a next link brought back."""
    parts = urlsplit(request.url)
    query = [(n, v) for n, v in parse_qsl(parts.query, keep_blank_values=True) if n != name]
    url = parts._replace(query=urlencode(query)).geturl() if parts.query else request.url
    return replace(request, url=url, params=(*((n, v) for n, v in request.params if n != name), (name, value)))


def _with_field(request: Request, name: str, value: str) -> Request:
    """Put a field in the form that a request carries; a request without a form goes without a key."""
    kind = next((held for header, held in request.headers if header.lower() == "content-type"), "")
    if request.body is None or kind.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return request
    kept = [
        pair for pair in request.body.split(b"&") if pair and unquote_plus(pair.partition(b"=")[0].decode("latin-1")) != name
    ]
    return replace(request, body=b"&".join([*kept, urlencode([(name, value)]).encode()]))


@dataclass(frozen=True, slots=True)
class Key:
    """A key in a header, in a parameter of the query, or in a field of the forms that are posted."""

    name: str
    value: str = field(repr=False)
    place: str = "header"
    hosts: tuple[str, ...] = ()

    def flow(self, request: Request) -> Flow:
        """Add the key."""
        put = {"query": _with_param, "form": _with_field}.get(self.place, _with_header)
        yield put(request, self.name, self.value)


def basic(user: str, password: str) -> Key:
    """HTTP Basic (RFC 7617), in UTF-8."""
    return Key("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def bearer(token: str) -> Key:
    """A bearer token that does not expire (RFC 6750 section 2.1)."""
    return Key("Authorization", f"Bearer {token}")


@dataclass(frozen=True, slots=True)
class _Token:
    value: str = field(repr=False)
    until: datetime | None


class ClientCredentials:
    """OAuth 2.0 client credentials (RFC 6749 section 4.4): the token is kept until it nears its end, and renewed on a 401."""

    MARGIN: Final = timedelta(seconds=30)

    def __init__(
        self, url: str, client: str, secret: str, clock: Callable[[], datetime], *, in_body: bool = False, extra: Pairs = ()
    ) -> None:
        self.hosts = (urlsplit(url).hostname or "",)
        self._url, self._client, self._secret, self._clock = url, client, secret, clock
        self._in_body, self._extra = in_body, extra
        self._lock = threading.Lock()
        self._token: _Token | None = None

    def flow(self, request: Request) -> Flow:
        """Add the token; ask for one when there is none or it nears its end, and once more when the vendor refuses it."""
        token = self._current()
        if token is None:
            token = yield from self._renew()
        response = yield _with_header(request, "Authorization", f"Bearer {token.value}")
        if response.status != 401:
            return
        with self._lock:
            if self._token is token:
                self._token = None
        # Another thread may have renewed it meanwhile: its token is then tried rather than a third one asked for.
        fresh = self._current()
        if fresh is None:
            fresh = yield from self._renew()
        yield _with_header(request, "Authorization", f"Bearer {fresh.value}")

    def _current(self) -> _Token | None:
        with self._lock:
            token = self._token
        return token if token and (token.until is None or self._clock() < token.until) else None

    def _renew(self) -> Generator[Request, Response, _Token]:
        form = [("grant_type", "client_credentials"), *self._extra]
        request = Request("POST", self._url, headers=(("Accept", "application/json"),), max_bytes=1 << 20)
        request = _with_header(request, "Content-Type", "application/x-www-form-urlencoded")
        if self._in_body:
            form += [("client_id", self._client), ("client_secret", self._secret)]
        else:  # RFC 6749 section 2.3.1: both are form-encoded before they are joined
            pair = f"{quote_plus(self._client)}:{quote_plus(self._secret)}"
            request = _with_header(request, "Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        asked = self._clock()
        response = yield replace(request, body=urlencode(form).encode())
        if not 200 <= response.status < 300:
            denied = 400 <= response.status < 500 and response.status not in _LATER
            kind = TokenDenied if denied else Unauthorized
            raise kind(method="POST", path=urlsplit(self._url).path or "/", status=response.status)
        answer = decode(request, response)
        value = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(value, str) or not re.fullmatch(r"[\x21-\x7e]+", value):
            raise malformed(request, response, "aucun jeton dans la réponse", "no token in the answer")
        token = _Token(value, self._end(asked, answer.get("expires_in")))
        with self._lock:
            self._token = token
        return token

    def _end(self, asked: datetime, lifetime: Json) -> datetime | None:
        """Until when a token is used: its lifetime less a margin, at least half of it; None when the vendor does not say."""
        try:
            seconds = min(float(lifetime), 31e6)
        except (TypeError, ValueError):
            return None
        life = timedelta(seconds=max(0.0, seconds))
        return asked + max(life - self.MARGIN, life / 2)


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A mailbox opened with tokens (XOAUTH2): what `tokens` show is said with whose mailbox it is for.

    Source: Google and Microsoft, "SASL XOAUTH2"; the session writes it as RFC 7628 says to a server that knows it.
    """

    user: str
    tokens: ClientCredentials

    @property
    def hosts(self) -> tuple[str, ...]:
        """The host that gives the tokens."""
        return self.tokens.hosts

    def flow(self, request: Request) -> Flow:
        """As the tokens' flow, the request itself excepted."""
        inner = self.tokens.flow(request)
        try:
            sent = next(inner)
            while True:
                if (sent.method, sent.url) == (request.method, request.url):
                    shown = dict(sent.headers)["Authorization"]
                    said = base64.b64encode(f"user={self.user}\x01auth={shown}\x01\x01".encode()).decode()
                    sent = _with_header(sent, "Authorization", f"XOAUTH2 {said}")
                sent = inner.send((yield sent))
        except StopIteration:
            return
        finally:
            inner.close()


def _key(settings: Mapping[str, Json], value: str) -> Auth:
    if "query" in settings:
        return Key(settings["query"], value, "query")
    if "form" in settings:
        return Key(settings["form"], value, "form")
    return Key(settings.get("header", "X-API-Key"), settings.get("prefix", "") + value)


def _account(settings: Mapping[str, Json], value: str, at: str) -> tuple[str, str]:
    if "user" in settings:
        return settings["user"], value
    user, colon, password = value.partition(":")
    if not colon:
        raise _wrong(
            at, "user", "le nom du compte, ou un secret « compte:mot de passe »", "the account, or a secret `account:password`"
        )
    return user, password


_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "key": ("header", "query", "prefix", "form"),
    "basic": ("user",),
    "bearer": (),
    "oauth2": ("token_url", "client", "scope", "audience", "in_body"),
    "xoauth2": ("user", "token_url", "client", "scope", "audience", "in_body"),
    "maarch": ("user",),
    "ssh-key": ("user",),
    "aws": ("access_key", "region"),
}


def make(settings: Mapping[str, Json], secret: Callable[[str], bytes], clock: Callable[[], datetime], at: str = "auth") -> Auth:
    """Make the authentication of a connection from its `auth` table; raises `SettingsError`.

    `kind` is `key` (with `header`, `prefix`, `query` or `form`), `basic` and `maarch` (with `user`, or a secret
    "user:password"), `bearer`, `ssh-key` (with `user`; its secret is a private key), `aws` (with `access_key`, and maybe
    `region`), `oauth2` (with `token_url`, `client`, and maybe `scope`, `audience`, `in_body`) or `xoauth2` (the same, with the
    `user` whose mailbox it is). `secret` names the secret in the vault; `at` is where the table stands, for errors.
    """
    kind = checked(settings, at)
    value = secret(settings["secret"]).decode().strip()
    if kind == "key":
        return _key(settings, value)
    if kind == "basic":
        return basic(*_account(settings, value, at))
    if kind == "maarch":
        from saas_connectors.mail.maarch_tokens import MaarchTokens

        return MaarchTokens(*_account(settings, value, at), clock)
    if kind == "aws":
        from saas_connectors.aws import Signature

        return Signature(settings["access_key"], value, settings.get("region", "us-east-1"), clock)
    if kind == "ssh-key":
        from saas_connectors.ssh import SshKey

        return SshKey(settings["user"], value)
    if kind == "bearer":
        return bearer(value)
    extra = tuple((key, settings[key]) for key in ("scope", "audience") if key in settings)
    in_body = settings.get("in_body") is True
    tokens = ClientCredentials(settings["token_url"], settings["client"], value, clock, in_body=in_body, extra=extra)
    return Mailbox(settings["user"], tokens) if kind == "xoauth2" else tokens


def checked(settings: Mapping[str, Json], at: str) -> str:
    """Check an `auth` table, its secret's name included, without opening the secret; gives its kind, raises `SettingsError`."""
    kind = settings.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        near = difflib.get_close_matches(kind, _KINDS, n=1) if isinstance(kind, str) else []
        fr, en = (f" (peut-être « {near[0]} »)", f" (perhaps `{near[0]}`)") if near else ("", "")
        raise _wrong(at, "kind", f"un de : {', '.join(_KINDS)}{fr}", f"one of: {', '.join(_KINDS)}{en}")
    known = ["kind", "secret", *_KINDS[kind]]
    for name in settings.keys() - set(known):
        fr, en = unknown_to(known, name)
        raise _wrong(at, name, f"{fr}, pour « {kind} »", f"{en}, for `{kind}`")
    for name in sorted(settings.keys() - {"in_body"} | {"secret"}):
        if not isinstance(settings.get(name), str):
            raise _wrong(at, name, "un texte", "a text")
    if not isinstance(settings.get("in_body", False), bool):
        raise _wrong(at, "in_body", "true ou false", "true or false")
    _complete(kind, settings, at)
    return kind


def _complete(kind: str, settings: Mapping[str, Json], at: str) -> None:
    """Check that what a kind cannot do without is there; raises `SettingsError`."""
    tokens = kind in ("oauth2", "xoauth2")
    if tokens and not settings.get("token_url", "").startswith(("https://", "http://")):
        raise _wrong(at, "token_url", "l'adresse qui donne les jetons", "the address that gives tokens")
    if kind == "ssh-key" and "user" not in settings:
        raise _wrong(at, "user", "le nom du compte", "the name of the account")
    if kind == "aws" and "access_key" not in settings:
        raise _wrong(at, "access_key", "l'identifiant de la clé", "the key's identifier")
    if tokens and "client" not in settings:
        raise _wrong(at, "client", "l'identifiant du client", "the client's identifier")
    if kind == "xoauth2" and re.fullmatch(r"[^\x00-\x20\x7f]{1,320}", settings.get("user", "")) is None:
        raise _wrong(
            at, "user", "l'adresse de la boîte, comme son serveur la connaît", "the mailbox's address, as its server knows it"
        )


def _wrong(at: str, name: str, fr: str, en: str) -> SettingsError:
    return SettingsError(field=f"{at}.{name}", expected_fr=fr, expected_en=en)
