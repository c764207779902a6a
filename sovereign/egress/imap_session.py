"""One IMAP session (RFC 9051, RFC 3501): a guarded connection, TLS, login, then one command at a time, its answer raw.

1. The socket comes from the dialler, or from the proxy's CONNECT; TLS is verified before a byte of ours leaves. `imap:` asks
   for STARTTLS and goes no further without, unless clear traffic is allowed and the peer is local or private; what came in
   clear before TLS is never read as if it came after.
2. An answer is every line that the server sends until the one that bears our tag, literals inside, as they are. Each read is
   held to the deadline, the whole to a cap, a line to `LINE`.
3. The credential goes on the wire as AUTHENTICATE PLAIN, or LOGIN with literals; it is in no error, no `repr`, no answer.
4. Folders are opened by EXAMINE alone: nothing here can set a flag.
"""

import base64
import re
import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from sovereign.egress import errors, guard, tls
from sovereign.egress.dial import Dialler
from sovereign.egress.origin import Origin, declared
from sovereign.egress.policy import EgressPolicy

LINE: Final = 4 * 1024 * 1024
"""The most bytes of one line, beside its literals: a search of half a million messages."""
TAG: Final = b"A"
_SMALL: Final = 1024 * 1024
_PIECE: Final = 256 * 1024
_LITERAL: Final = re.compile(rb"\{(\d{1,12})\}\r?\n\Z")
_DONE: Final = re.compile(rb"A (OK|NO|BAD)(?: \[([A-Z0-9-]{1,40})[^\]\r\n]*\])?", re.IGNORECASE)
PASSING: Final = frozenset({"UNAVAILABLE", "LIMIT", "CONTACTADMIN", "INUSE", "SERVERBUG"})


@dataclass(frozen=True, slots=True)
class Said:
    """The end of a command: `OK`, `NO` or `BAD`, its response code or "", and the raw answer."""

    status: str
    code: str
    raw: bytes = field(repr=False)


class LoginRefused(Exception):
    """The server did not let us in; passing: it may, later."""

    def __init__(self, *, passing: bool) -> None:
        super().__init__()
        self.passing = passing


class Session:
    """A session that is logged in. `folder`, `validity`: what is open, as EXAMINE said. Not safe to share between threads."""

    def __init__(
        self,
        policy: EgressPolicy,
        own: Origin,
        dialler: Dialler,
        secure: ssl.SSLContext,
        proxy: tuple[str, dict[str, str]] | None,
    ) -> None:
        self._policy, self._own, self._dialler, self._secure, self._proxy = policy, own, dialler, secure, proxy
        self.folder: bytes | None = None
        self.validity: int | None = None
        self.received = self.sent = 0
        self.committed = False
        self._buffer = bytearray()
        self._deadline = 0.0
        self._sock: socket.socket | None = None

    def begin(self) -> None:
        """Start a call: its time, and its bytes."""
        self._deadline = time.monotonic() + self._policy.total_timeout
        self.received = self.sent = 0
        self.committed = False

    def open(self, user: str, password: str) -> None:
        """Connect, secure, log in; errors: EgressError, LoginRefused."""
        self._sock = self._connected()
        if self._own.scheme == "imaps":
            self._wrap()
        greeting = self._line(_SMALL).upper()
        if not greeting.startswith((b"* OK", b"* PREAUTH")):
            raise errors.NotSent(host=self._own.host, connection=self._policy.connection, reason="no IMAP greeting")
        if self._own.scheme == "imap":
            self._start_tls()
        capable = self._capable()
        if not greeting.startswith(b"* PREAUTH"):
            self._log_in(user, password, capable)
            capable = self._capable()
        if b"ENABLE" in capable:
            for name in (b"QRESYNC", b"CONDSTORE"):
                if name in capable:
                    self.command(b"ENABLE " + name, _SMALL)
                    break

    def command(self, line: bytes, cap: int) -> Said:
        """Send one command and give its whole answer; errors: EgressError."""
        self._send(TAG + b" " + line + b"\r\n")
        return self._answer(cap)

    def examine(self, folder: bytes) -> Said:
        """Open a folder, to read alone."""
        self.folder = self.validity = None
        said = self.command(b"EXAMINE " + quoted(folder), _SMALL)
        if said.status == "OK":
            self.folder = folder
            found = re.search(rb"\[UIDVALIDITY (\d{1,10})\]", said.raw, re.IGNORECASE)
            self.validity = int(found[1]) if found else None
        return said

    def leave(self) -> None:
        """Leave the folder that is open: CLOSE removes nothing from what EXAMINE opened (RFC 9051 section 6.4.1)."""
        self.folder = self.validity = None
        self.command(b"CLOSE", _SMALL)

    def close(self) -> None:
        """Let the connection go; LOGOUT is not waited for."""
        if self._sock is not None:
            with suppress(OSError, errors.EgressError):
                self._sock.settimeout(1.0)
                self._sock.sendall(TAG + b" LOGOUT\r\n")
            with suppress(OSError):
                self._sock.close()
            self._sock = None

    def drop(self) -> None:
        """Cut the connection: what is left of an answer would be taken for the next one."""
        if self._sock is not None:
            with suppress(OSError):
                self._sock.close()
            self._sock = None

    def _connected(self) -> socket.socket:
        own, seconds = self._own, self._policy.connect_timeout
        if self._proxy is None:
            return self._dialler(own.host, own.port, seconds, ())
        address, headers = self._proxy
        place = declared(address)
        if place.scheme != "http":
            raise errors.NotSent(host=place.host, connection=self._policy.connection, reason="proxy")
        self._sock = sock = self._dialler(place.host, place.port, seconds, ())
        host = f"[{own.host}]" if ":" in own.host else own.host
        head = [f"CONNECT {host}:{own.port} HTTP/1.1", f"Host: {host}:{own.port}"]
        head += [f"{name}: {value}" for name, value in headers.items()]
        self._send("\r\n".join([*head, "", ""]).encode("latin-1"))
        status = self._line(_SMALL).split(b" ")
        while self._line(_SMALL).strip():
            pass
        if len(status) < 2 or status[1] != b"200":
            said = status[1].decode("ascii", "replace")[:3] if len(status) > 1 else "?"
            raise errors.NotSent(host=own.host, connection=self._policy.connection, reason=f"proxy {said}")
        return sock

    def _wrap(self) -> None:
        own, connection = self._own, self._policy.connection
        if self._buffer or self._sock is None:
            raise errors.TlsFailed(host=own.host, connection=connection, reason="bytes before TLS")
        try:
            self._sock.settimeout(self._policy.connect_timeout)
            self._sock = self._secure.wrap_socket(self._sock, server_hostname=own.host)
        except ssl.SSLError as error:
            raise errors.TlsFailed(host=own.host, connection=connection, reason=tls.reason(error)) from None
        except OSError:
            raise errors.TlsFailed(host=own.host, connection=connection, reason="network") from None

    def _start_tls(self) -> None:
        if b"STARTTLS" in self._capable():
            if self.command(b"STARTTLS", _SMALL).status != "OK":
                raise errors.TlsFailed(host=self._own.host, connection=self._policy.connection, reason="starttls")
            self._wrap()
            return
        if not self._policy.plaintext or self._proxy is not None:
            raise errors.TlsFailed(host=self._own.host, connection=self._policy.connection, reason="no starttls")
        if self._sock is None or not local(str(self._sock.getpeername()[0])):
            raise errors.Refused("egress.plaintext", self._own.host, self._policy.connection)

    def _capable(self) -> frozenset[bytes]:
        said = self.command(b"CAPABILITY", _SMALL)
        found = re.search(rb"^\* CAPABILITY ([^\r\n]*)", said.raw, re.IGNORECASE | re.MULTILINE)
        return frozenset(found[1].upper().split()) if found else frozenset()

    def _log_in(self, user: str, password: str, capable: frozenset[bytes]) -> None:
        name, word = user.encode(), password.encode()
        if b"LOGINDISABLED" in capable and b"AUTH=PLAIN" not in capable:
            raise LoginRefused(passing=False)
        if b"AUTH=PLAIN" in capable:
            shown = base64.b64encode(b"\0" + name + b"\0" + word)
            if b"SASL-IR" in capable:
                said = self.command(b"AUTHENTICATE PLAIN " + shown, _SMALL)
            else:
                said = self._dialogue(b"AUTHENTICATE PLAIN", shown)
        else:
            said = self._dialogue(b"LOGIN {%d}" % len(name), name + b" {%d}" % len(word), word)
        if said.status != "OK":
            raise LoginRefused(passing=said.code in PASSING)

    def _dialogue(self, *lines: bytes) -> Said:
        """Send a command in several lines, each once the server asks for it (`+`)."""
        first, *rest = lines
        self._send(TAG + b" " + first + b"\r\n")
        for line in rest:
            said = self._answer(_SMALL, asked=True)
            if said.status != "+":
                return said
            self._send(line + b"\r\n")
        return self._answer(_SMALL)

    def _answer(self, cap: int, *, asked: bool = False) -> Said:
        """Read until our tag; asked: or until the server asks for more."""
        raw = bytearray()
        while True:
            line = self._line(min(LINE, cap))
            first = line
            self._bounded(raw, line, cap)
            while (found := _LITERAL.search(line)) is not None:
                size = int(found[1])
                if len(raw) + size > cap:
                    raise errors.TooLarge(host=self._own.host, connection=self._policy.connection, limit=cap, what="literal")
                raw += self._exactly(size)
                line = self._line(min(LINE, cap))
                self._bounded(raw, line, cap)
            if asked and first.startswith(b"+"):
                return Said("+", "", b"")
            done = _DONE.match(first)
            if done is not None:
                return Said(done[1].decode().upper(), (done[2] or b"").decode().upper(), bytes(raw))

    def _bounded(self, raw: bytearray, line: bytes, cap: int) -> None:
        raw += line
        if len(raw) > cap:
            raise errors.TooLarge(host=self._own.host, connection=self._policy.connection, limit=cap, what="received")

    def _line(self, most: int) -> bytes:
        start = 0
        while (at := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            if start > most:
                raise errors.TooLarge(host=self._own.host, connection=self._policy.connection, limit=most, what="line")
            self._more()
        line = bytes(self._buffer[: at + 1])
        del self._buffer[: at + 1]
        return line

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _more(self) -> None:
        host, connection, policy = self._own.host, self._policy.connection, self._policy
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise errors.TimedOut(host=host, connection=connection, phase="total", seconds=policy.total_timeout)
        if self._sock is None:
            raise errors.Broken(host=host, connection=connection, reason="closed")
        try:
            self._sock.settimeout(min(left, policy.timeout))
            data = self._sock.recv(_PIECE)
        except TimeoutError:
            late = time.monotonic() >= self._deadline
            phase, seconds = ("total", policy.total_timeout) if late else ("read", policy.timeout)
            raise errors.TimedOut(host=host, connection=connection, phase=phase, seconds=seconds) from None
        except OSError:
            raise errors.Broken(host=host, connection=connection, reason="reset") from None
        if not data:
            raise errors.Broken(host=host, connection=connection, reason="closed")
        self.received += len(data)
        self._buffer += data

    def _send(self, data: bytes) -> None:
        if self._sock is None:
            raise errors.Broken(host=self._own.host, connection=self._policy.connection, reason="closed")
        self.committed = True
        try:
            self._sock.settimeout(min(max(self._deadline - time.monotonic(), 0.05), self._policy.timeout))
            self._sock.sendall(data)
        except OSError:
            raise errors.Broken(host=self._own.host, connection=self._policy.connection, reason="reset") from None
        self.sent += len(data)


def local(address: str) -> bool:
    """Whether an address is of a private network or of this machine, where traffic in clear may be allowed."""
    try:
        guard.check(address)
    except errors.Refused as refusal:
        return refusal.rule in ("egress.address.private", "egress.address.loopback")
    return False


def quoted(name: bytes) -> bytes:
    """Write a folder's name as a quoted string (its bytes are checked by who calls)."""
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
