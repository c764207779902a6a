"""One connection of a caller: what arrives is well formed, whole, in time, and cannot hide a second request; or it is refused.

uvicorn and llhttp read HTTP/1.1; this adds what they leave to whoever stands in front, and nobody stands in front of us:

1. One `Host`, one of ours; no absolute target, no CONNECT, no upgrade.
2. A length is said once: `Content-Length` given twice or beside `Transfer-Encoding`, and codings other than `chunked`, are
   refused (RFC 9112 section 6.3), and so is a field that may be given once and comes twice.
3. A head arrives within its time and its size, a body within its time, and `SLOWEST` bytes of it buy one second more (slow
   senders are cut, long bodies are not); connections are counted, and those from one address have a share of them.
4. The certificate that the TLS handshake proved reaches the application in `scope["state"]["certificate"]`, DER, else None.

After a refusal the connection closes: what follows on it is not read.
"""

import asyncio
from asyncio.events import TimerHandle
from collections import Counter
from typing import Any, ClassVar, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from sovereign.api.errors import ApiError, TooMuchHead, TooSlow, WrongHost, bad
from sovereign.api.limits import origin_of
from sovereign.api.problems import preferred, problem
from sovereign.settings import GatewaySettings

HEAD: Final = 64 * 1024
"""Bytes of a head, request line included."""
SLOWEST: Final = 64 * 1024
"""Bytes of a body that buy its sender one second more."""
FIELDS: Final = 128
"""Fields of a head."""
_ONCE: Final = frozenset(
    {
        b"host", b"content-length", b"transfer-encoding", b"authorization", b"content-type", b"idempotency-key", b"expect",
        b"sovereign-person", b"sovereign-dry-run", b"sovereign-callback",
    }
)  # fmt: skip
_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


def answers_to(settings: GatewaySettings) -> frozenset[str]:
    """The names by which the gateway may be called, without port, in lower case."""
    listened = settings.listen.rpartition(":")[0].lower()
    own = {listened} if listened not in ("0.0.0.0", "[::]", "") else set()  # noqa: S104 - recognised, not bound
    return frozenset(own | {name.lower() for name in settings.hosts}) | (_LOCAL if listened in _LOCAL else frozenset())


class Line(HttpToolsProtocol):
    """A connection. Made by `line`, which gives it the settings."""

    settings: ClassVar[GatewaySettings]
    hosts: ClassVar[frozenset[str]]
    origins: ClassVar[Counter[str]]
    """Connections that are open, by whence they come."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._deadline: TimerHandle | None = None
        self._refusal: ApiError | None = None
        self._certificate: bytes | None = None
        self._head, self._in_head, self._origin = 0, True, ""
        self._body, self._since = 0, 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Count it, and give its first head a deadline."""
        super().connection_made(transport)
        host = (transport.get_extra_info("peername") or ("",))[0]
        self._origin = origin_of(str(host))
        self.origins[self._origin] += 1
        if (
            len(self.connections) > self.settings.connections
            or self.origins[self._origin] > self.settings.connections_per_address
        ):
            transport.abort()
            return
        tls = transport.get_extra_info("ssl_object")
        self._certificate = tls.getpeercert(binary_form=True) if tls is not None else None
        self._by(self.settings.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget its deadline, and count it no more."""
        self._by(None)
        self.origins[self._origin] -= 1
        if not self.origins[self._origin]:
            del self.origins[self._origin]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, unless the head grows too long or the connection was refused."""
        if self._refusal is not None or self.transport.is_closing():
            return
        if self._in_head:
            self._head += len(data)
        super().data_received(data)
        if self._in_head and self._head > HEAD and self._refusal is None:
            self._refusal = TooMuchHead(most=HEAD)
            self.send_400_response("")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self.scope["state"]["certificate"] = self._certificate
        self._in_head, self._head = True, 0
        self._by(self.settings.head_seconds)

    def on_headers_complete(self) -> None:
        """A head is whole: judge it."""
        try:
            self._judge()
        except ApiError as refused:
            self._refusal = refused
            raise
        self._in_head = False
        self._body, self._since = 0, self.loop.time()
        self._by(self.settings.body_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of a body is there."""
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._by(None)
        self._in_head, self._head = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Say why the connection closes, when no answer is under way on it."""
        del msg
        self._by(None)
        refusal = self._refusal = self._refusal or bad(
            "elle n'est pas du HTTP/1.1 bien formé", "it is not well-formed HTTP/1.1"
        )
        if self.transport.is_closing():
            return
        if self.cycle is not None and not self.cycle.response_complete and self.cycle.response_started:
            self.transport.abort()
            return
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        accepted = next((value for name, value in self.headers or () if name == b"accept-language"), b"")
        status, headers, body = problem(refusal, preferred(accepted.decode("latin-1")))
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in (*headers, (b"connection", b"close")))
        self.transport.write(STATUS_LINE[status] + lines + b"\r\n" + body)
        self.transport.close()

    def _judge(self) -> None:
        if not self.url.startswith(b"/") or self.parser.get_method() == b"CONNECT":
            raise bad("seule une adresse qui commence par « / » est servie", "only an address that starts with `/` is served")
        if b"#" in self.url:
            raise bad("un fragment n'a pas de place dans une requête", "a fragment has no place in a request")
        if len(self.headers) > FIELDS or sum(len(n) + len(v) + 4 for n, v in self.headers) + len(self.url) > HEAD:
            raise TooMuchHead(most=HEAD)
        seen: dict[bytes, bytes] = {}
        for name, value in self.headers:
            if name in _ONCE and name in seen:
                raise bad(
                    "un en-tête qui ne peut être donné qu'une fois l'est deux fois", "a field that may come once comes twice"
                )
            if b"\r" in value or b"\n" in value or b"\0" in value:
                raise bad("un en-tête sur plusieurs lignes", "a field on several lines")
            seen[name] = value
        if b"upgrade" in seen:
            raise bad("aucun autre protocole n'est servi ici", "no other protocol is served here")
        if b"transfer-encoding" in seen and (b"content-length" in seen or seen[b"transfer-encoding"].lower() != b"chunked"):
            raise bad("la longueur du corps est dite de deux façons", "the length of the body is said in two ways")
        if not _named(seen.get(b"host", b""), self.hosts):
            raise WrongHost

    def _by(self, seconds: float | None) -> None:
        """Give what comes next a deadline; None: nothing is awaited."""
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._late, seconds)

    def _late(self, seconds: float) -> None:
        left = 0.0
        if not self._in_head:
            seconds = self.settings.body_seconds + self._body // SLOWEST
            left = self._since + seconds - self.loop.time()
        if left > 0:
            self._by(left)
        elif self._refusal is None:
            self._refusal = TooSlow(seconds=f"{seconds:g}")
            self.send_400_response("")


def line(settings: GatewaySettings) -> type[Line]:
    """The kind of connection that a gateway with these settings serves."""
    return type("ServedLine", (Line,), {"settings": settings, "hosts": answers_to(settings), "origins": Counter()})


def _named(host: bytes, ours: frozenset[str]) -> bool:
    """Whether a Host field names us, with any port."""
    try:
        text = host.decode("ascii").lower()
    except UnicodeDecodeError:
        return False
    name, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    return (name if colon else text) in ours and (not colon or (port.isdigit() and len(port) <= 5))
