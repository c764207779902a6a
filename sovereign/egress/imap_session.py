"""One IMAP session (RFC 9051, RFC 3501): a guarded connection, TLS, login, then one command at a time, its answer raw.

1. The connection is link.py's. `imap:` asks for STARTTLS and goes no further without, unless clear traffic is allowed and the
   peer is local or private.
2. An answer is every line that the server sends until the one that bears our tag, literals inside, as they are. Each read is
   held to the deadline, the whole to a cap, a line to `LINE`.
3. The credential goes on the wire as AUTHENTICATE PLAIN, or LOGIN with literals; a token as AUTHENTICATE OAUTHBEARER (RFC 7628)
   or XOAUTH2. It is in no error, no `repr`, no answer.
4. Folders are opened by EXAMINE alone: nothing here can set a flag.
"""

import base64
import re
import ssl
from dataclasses import dataclass, field
from typing import Final

from sovereign.egress import errors
from sovereign.egress.dial import Dialler
from sovereign.egress.link import Link, LoginRefused
from sovereign.egress.origin import Origin
from sovereign.egress.policy import EgressPolicy

LINE: Final = 4 * 1024 * 1024
"""The most bytes of one line, beside its literals: a search of half a million messages."""
TAG: Final = b"A"
_SMALL: Final = 1024 * 1024
_LITERAL: Final = re.compile(rb"\{(\d{1,12})\}\r?\n\Z")
_DONE: Final = re.compile(rb"A (OK|NO|BAD)(?: \[([A-Z0-9-]{1,40})[^\]\r\n]*\])?", re.IGNORECASE)
PASSING: Final = frozenset({"UNAVAILABLE", "LIMIT", "CONTACTADMIN", "INUSE", "SERVERBUG"})


@dataclass(frozen=True, slots=True)
class Said:
    """The end of a command: `OK`, `NO` or `BAD`, its response code or "", and the raw answer."""

    status: str
    code: str
    raw: bytes = field(repr=False)


class Session(Link):
    """A session that is logged in. `folder`, `validity`: what is open, as EXAMINE said. Not safe to share between threads."""

    def __init__(
        self,
        policy: EgressPolicy,
        own: Origin,
        dialler: Dialler,
        secure: ssl.SSLContext,
        proxy: tuple[str, dict[str, str]] | None,
    ) -> None:
        super().__init__(policy, own, dialler, secure, proxy)
        self.folder: bytes | None = None
        self.validity: int | None = None

    def open(self, user: str, password: str, *, token: bool = False) -> None:
        """Connect, secure, log in, with a password or a token; errors: EgressError, LoginRefused."""
        self._connect()
        if self._own.scheme == "imaps":
            self._wrap()
        greeting = self._line(_SMALL).upper()
        if not greeting.startswith((b"* OK", b"* PREAUTH")):
            raise errors.NotSent(host=self._own.host, connection=self._policy.connection, reason="no IMAP greeting")
        if self._own.scheme == "imap":
            self._start_tls()
        capable = self._capable()
        if not greeting.startswith(b"* PREAUTH"):
            self._show(user, password, capable) if token else self._log_in(user, password, capable)
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

    def _farewell(self) -> bytes:
        return TAG + b" LOGOUT\r\n"

    def _start_tls(self) -> None:
        if b"STARTTLS" in self._capable():
            if self.command(b"STARTTLS", _SMALL).status != "OK":
                raise self._insecure("starttls")
            self._wrap()
            return
        self._in_clear()

    def _capable(self) -> frozenset[bytes]:
        said = self.command(b"CAPABILITY", _SMALL)
        found = re.search(rb"^\* CAPABILITY ([^\r\n]*)", said.raw, re.IGNORECASE | re.MULTILINE)
        return frozenset(found[1].upper().split()) if found else frozenset()

    def _log_in(self, user: str, password: str, capable: frozenset[bytes]) -> None:
        name, word = user.encode(), password.encode()
        if b"LOGINDISABLED" in capable and b"AUTH=PLAIN" not in capable:
            raise LoginRefused(401)
        if b"AUTH=PLAIN" in capable:
            shown = base64.b64encode(b"\0" + name + b"\0" + word)
            if b"SASL-IR" in capable:
                said = self.command(b"AUTHENTICATE PLAIN " + shown, _SMALL)
            else:
                said = self._dialogue(b"AUTHENTICATE PLAIN", shown)
        else:
            said = self._dialogue(b"LOGIN {%d}" % len(name), name + b" {%d}" % len(word), word)
        if said.status != "OK":
            raise LoginRefused(503 if said.code in PASSING else 401)

    def _show(self, user: str, token: str, capable: frozenset[bytes]) -> None:
        """Log in with a token; a server that refuses it says why first, and waits for a word before its NO."""
        if b"AUTH=OAUTHBEARER" in capable:
            named = user.replace("=", "=3D").replace(",", "=2C")
            place = f"host={self._own.host}\x01port={self._own.port}"
            mechanism, said, heard = b"OAUTHBEARER", f"n,a={named},\x01{place}\x01auth=Bearer {token}\x01\x01", b"AQ=="
        elif b"AUTH=XOAUTH2" in capable:
            mechanism, said, heard = b"XOAUTH2", f"user={user}\x01auth=Bearer {token}\x01\x01", b""
        else:
            raise errors.Refused("egress.credential", self._own.host, self._policy.connection)
        shown = base64.b64encode(said.encode())
        command = b"AUTHENTICATE " + mechanism
        lines = [command + b" " + shown] if b"SASL-IR" in capable else [command, shown]
        answer = self._dialogue(*lines, heard)
        if answer.status != "OK":
            raise LoginRefused(503 if answer.code in PASSING else 401)

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
                    raise self._too_large(cap, "literal")
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
            raise self._too_large(cap, "received")


def quoted(name: bytes) -> bytes:
    """Write a folder's name as a quoted string (its bytes are checked by who calls)."""
    return b'"' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
