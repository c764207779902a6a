"""How a user of MaarchCourrier is known by a token: thirty minutes long, renewed before its end, as the flows of `auth`.

1. `POST /rest/authenticate` gives a token and one to renew it with, in its headers; `GET /rest/authenticate/token` renews.
   Where `/rest` is comes from the request that needs the token.
2. A token is renewed a minute before it ends, and when the vendor refuses it with 401: by the other token first, by the
   password when that is refused too. The request is then sent once more.
3. A password that was refused is not shown again for ten minutes: wrong passwords lock an account. A web-service user is given
   no token by Maarch: it uses Basic.
4. A token is read for its end alone, unchecked; it appears in no error and no `repr`.
"""

import base64
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import msgspec

from saas_connectors.answer import accept, malformed
from saas_connectors.errors import TokenDenied
from saas_connectors.request import Request, Response

LIFE: Final = timedelta(minutes=30)
MARGIN: Final = timedelta(seconds=60)
PAUSE: Final = timedelta(minutes=10)
_MOST: Final = 1 << 16


class TokenRefused(TokenDenied):
    """Maarch gives no token to this account."""

    code = "vendor.token_refused"
    fr = "Maarch refuse d'ouvrir une session ({status}) : compte ou mot de passe refusé, ou compte bloqué."
    en = "Maarch refuses to open a session ({status}): account or password refused, or account locked."
    todo_fr = (
        "Vérifiez le secret avant de recommencer : des essais répétés bloquent le compte. Un compte de service web n'a pas de "
        'jeton : écrivez auth = {{ kind = "basic" }}.'
    )
    todo_en = (
        "Check the secret before trying again: repeated attempts lock the account. A web-service account has no token: write "
        'auth = {{ kind = "basic" }}.'
    )


@dataclass(frozen=True, slots=True)
class _Session:
    token: str = field(repr=False)
    renewing: str = field(repr=False)
    until: datetime


class MaarchTokens:
    """The tokens of one account; shared by threads, no lock held while something is awaited."""

    hosts: tuple[str, ...] = ()

    def __init__(self, user: str, password: str, clock: Callable[[], datetime]) -> None:
        self._user, self._password, self._clock = user, password, clock
        self._lock = threading.Lock()
        self._session: _Session | None = None
        self._refused: tuple[datetime, int] | None = None

    def flow(self, request: Request) -> Generator[Request, Response, None]:
        """Add the token; open or renew a session first when there is none that lasts, and once more on a 401."""
        held = self._held()
        session = held if held and self._clock() < held.until else (yield from self._renew(request, held))
        response = yield _shown(request, session)
        if response.status != 401:
            return
        held = self._held()
        # Another thread may have renewed it meanwhile: its token is then tried rather than a third one asked for.
        fresh = held if held and held is not session else (yield from self._renew(request, session))
        yield _shown(request, fresh)

    def _held(self) -> _Session | None:
        with self._lock:
            return self._session

    def _renew(self, request: Request, held: _Session | None) -> Generator[Request, Response, _Session]:
        root = _root(request.url)
        if held is not None:
            asked = self._clock()
            # An empty body tells this request from the one it is made for, which may be a GET as well.
            params = (("refreshToken", held.renewing),)
            response = yield Request("GET", f"{root}/authenticate/token", params, _JSON, b"", _MOST)
            token = _token(response, "token", "Token")
            if 200 <= response.status < 300 and token:
                return self._keep(token, held.renewing, asked)
        return (yield from self._open(root))

    def _open(self, root: str) -> Generator[Request, Response, _Session]:
        with self._lock:
            if self._refused is not None and self._clock() < self._refused[0] + PAUSE:
                raise _refused(root, self._refused[1])
        asked = self._clock()
        body = msgspec.json.encode({"login": self._user, "password": self._password})
        headers = (*_JSON, ("Content-Type", "application/json"))
        request = Request("POST", f"{root}/authenticate", headers=headers, body=body, max_bytes=_MOST)
        response = yield request
        if response.status in (400, 401, 403):
            with self._lock:
                self._session, self._refused = None, (asked, response.status)
            raise _refused(root, response.status)
        accept(request, response)
        token = _token(response, "token", "Token")
        if token is None:
            raise malformed(request, response, "aucun jeton dans la réponse", "no token in the answer")
        return self._keep(token, _token(response, "refreshToken", "Refresh-Token") or "", asked)

    def _keep(self, token: str, renewing: str, asked: datetime) -> _Session:
        end = _end(token) or asked + LIFE
        session = _Session(token, renewing, asked + max(end - asked - MARGIN, (end - asked) / 2))
        with self._lock:
            self._session, self._refused = session, None
        return session


_JSON: Final = (("Accept", "application/json"),)


def _shown(request: Request, session: _Session) -> Request:
    kept = tuple((n, v) for n, v in request.headers if n.lower() != "authorization")
    return replace(request, headers=(*kept, ("Authorization", f"Bearer {session.token}")))


def _root(url: str) -> str:
    """Where the interface stands: up to the first `/rest` of the path, else at the root of the site."""
    parts = urlsplit(url)
    before, found, _ = parts.path.partition("/rest/")
    return f"{parts.scheme}://{parts.netloc}{before if found else ''}/rest"


def _token(response: Response, name: str, header: str) -> str | None:
    """A token of an answer, in its header or its JSON; None when there is none that can be shown again."""
    value: object = response.headers.get(header)
    if value is None and response.body:
        try:
            found = msgspec.json.decode(response.body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        value = found.get(name) if isinstance(found, dict) else None
    if not isinstance(value, str) or not 0 < len(value) < _MOST or not all("!" <= letter <= "~" for letter in value):
        return None
    return value


def _end(token: str) -> datetime | None:
    """When a token says that it ends (RFC 7519 section 4.1.4); None when it does not say."""
    try:
        held = token.split(".")[1]
        told = msgspec.json.decode(base64.urlsafe_b64decode(held + "=" * (-len(held) % 4)))
        return datetime.fromtimestamp(float(told["exp"]), UTC)
    except (IndexError, ValueError, KeyError, TypeError, OverflowError, OSError, RecursionError):
        return None


def _refused(root: str, status: int) -> TokenRefused:
    return TokenRefused(method="POST", path=f"{urlsplit(root).path}/authenticate", status=status)
