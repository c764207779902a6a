"""The `imap:` and `imaps:` way out: a mailbox, read alone. A request stands on its own; sessions are this module's affair.

    CAPABILITY imaps://HOST/                   what the server can do
    LIST       imaps://HOST/                   body: the arguments of LIST
    STATUS     imaps://HOST/FOLDER             body: the items, between parentheses
    SEARCH     imaps://HOST/FOLDER;UIDVALIDITY=N   body: the arguments of UID SEARCH
    FETCH      imaps://HOST/FOLDER;UIDVALIDITY=N   body: the arguments of UID FETCH
    GET        imaps://HOST/FOLDER;UIDVALIDITY=N/;UID=U[/;SECTION=S]   the bytes of one message, or of one part of it

1. FOLDER is the server's own name (modified UTF-7), percent-encoded; addresses are those of RFC 5092. A folder that cannot be
   opened, or whose UIDVALIDITY is no longer N, answers 410.
2. The body of an answer is what the server wrote, every line and literal, its last line with `A` for a tag (RFC 9051); that of
   GET is the bytes alone, decoded when the request's `Content-Transfer-Encoding` says `base64` or `quoted-printable`.
3. NO is 404 (a folder or a message that is not there) or 409, BAD is 400, a refused login 401, one refused for now 503, an
   answer of FETCH or GET above its cap 413; their bodies are empty: a server's words may repeat what it was sent.
4. A command's arguments are one line of printable ASCII without literals. Nothing else can be sent, and folders are opened by
   EXAMINE: no request changes a mailbox.
5. A session shows a folder as it was when it was opened: what asks for all of it (SEARCH, FETCH to `*`) opens it anew, and
   LIST and STATUS are asked with none open (RFC 3501 section 6.3.10).
6. A command is tried again as HTTP reads are; a session that broke is replaced (sessions.py).
"""

import re
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from saas_connectors.mail.imap_text import untransferred
from saas_connectors.request import Headers, Request, Response
from sovereign.egress import errors
from sovereign.egress.imap_session import PASSING, Said, Session, quoted
from sovereign.egress.link import LoginRefused
from sovereign.egress.origin import origin, split
from sovereign.egress.sessions import SessionsTransport

SCHEMES: Final = ("imap", "imaps")
_TARGET: Final = re.compile(
    r"/(?P<folder>[^/;]*(?:/[^/;]+)*?)(?:;UIDVALIDITY=(?P<validity>\d{1,10}))?"
    r"(?:/;UID=(?P<uid>\d{1,10})(?:/;SECTION=(?P<section>\d{1,4}(?:\.\d{1,4}){0,63}))?)?\Z"
)
_ARGUMENTS: Final = re.compile(rb"[\x20-\x7e]{0,65536}\Z")
_NAME: Final = re.compile(rb"[\x20-\x7e]{1,1024}\Z")
_BODY: Final = re.compile(
    rb"BODY(?:\[[0-9.]*\])? (?:\{(\d{1,12})\}\r?\n|\"([^\"\\\r\n]*(?:\\.[^\"\\\r\n]*)*)\"|(NIL))", re.IGNORECASE
)
_ABSENT: Final = frozenset({"NONEXISTENT", "TRYCREATE", "NOPERM"})


@dataclass(frozen=True, slots=True)
class _Order:
    """A request understood: the folder it needs open, the command to send, the message whose bytes are wanted."""

    command: bytes
    folder: bytes | None = None
    validity: int | None = None
    bytes_of: bool = False
    anew: bool = False


class ImapTransport(SessionsTransport[Session]):
    """The way out of one connection whose vendor is a mail server; see `transport.Transport`."""

    schemes = SCHEMES

    def send(self, request: Request) -> Response:
        """Carry one command to the server and give its answer; errors: EgressError."""
        order = self._order(request)
        try:
            return self._patiently(request, lambda: self._once(request, order))
        except errors.TooLarge:
            if order.folder is None:
                raise
            return self._status(request, 413)

    def _once(self, request: Request, order: _Order) -> Response:
        """One command, on a session that rests or on a new one."""
        session = self._resting(lambda session: session.folder == order.folder)
        if session is not None:
            with suppress(errors.Broken):  # the server may have let it go meanwhile: a new one is opened at once
                return self._on(session, request, order)
        return self._on(self._opened(request), request, order)

    def _opened(self, request: Request) -> Session:
        """A session that is logged in; errors: EgressError, LoginRefused."""
        refused = LoginRefused(401)
        with closing(self._credentials(request)) as credentials:
            for user, shown, token in credentials:
                session = Session(self._policy, self._own, self._dialler, self._secure, self._proxy)
                session.begin()
                try:
                    session.open(user, shown, token=token)
                except LoginRefused as refusal:
                    session.drop()
                    if refusal.status != 401:
                        raise
                    refused = refusal
                except BaseException:
                    session.drop()
                    raise
                else:
                    return session
                finally:
                    self.counters.add(session.received, session.sent)
        raise refused

    def _on(self, session: Session, request: Request, order: _Order) -> Response:
        session.begin()
        try:
            response = self._carry(session, request, order)
        except BaseException:
            session.drop()
            raise
        finally:
            self.counters.add(session.received, session.sent)
        self._rest(session)
        return response

    def _carry(self, session: Session, request: Request, order: _Order) -> Response:
        if order.folder is None and session.folder is not None:
            session.leave()
        if order.folder is not None and (session.folder != order.folder or order.anew):
            said = session.examine(order.folder)
            if said.status != "OK":
                return self._status(request, 503 if said.code in PASSING else 410, *_code(said))
        if order.validity is not None and session.validity != order.validity:
            return self._status(request, 410, ("Imap-Code", "UIDVALIDITY"))
        cap = self._cap(request)
        said = session.command(order.command, cap + (64 * 1024 if order.bytes_of else 0))
        if said.status != "OK":
            if said.code == "EXPUNGEISSUED":
                session.leave()  # what is gone is shown until the folder is opened anew
            return self._refusal(request, said)
        if not order.bytes_of:
            return Response(200, request.full_url, said.raw, Headers((("Content-Type", "text/x-imap"),)), self._clock())
        content = _content(said.raw)
        if content is None:
            return self._status(request, 404)
        content = untransferred(content, dict(request.headers).get("Content-Transfer-Encoding", ""))
        if len(content) > cap:
            raise errors.TooLarge(host=self._own.host, connection=self._policy.connection, limit=cap, what="message")
        kind = "application/octet-stream" if ";SECTION=" in request.url else "message/rfc822"
        return Response(200, request.full_url, content, Headers((("Content-Type", kind),)), self._clock())

    def _order(self, request: Request) -> _Order:
        """Understand a request; errors: Refused."""
        scheme, authority, target = split(request.full_url)
        if origin(scheme, authority) != self._own:
            raise self._refused("egress.origin")
        found, arguments = _TARGET.match(target), request.body or b""
        if found is None or request.params or not _ARGUMENTS.match(arguments) or arguments.endswith(b"}"):
            raise self._refused("egress.url")
        folder, validity = unquote_to_bytes(found["folder"]), found["validity"]
        if request.method in ("CAPABILITY", "LIST") and not folder:
            return _Order(f"{request.method} ".encode() + arguments if arguments else request.method.encode())
        if not _NAME.match(folder):
            raise self._refused("egress.url")
        if request.method == "STATUS":
            return _Order(b"STATUS " + quoted(folder) + b" " + arguments)
        if validity is None:
            raise self._refused("egress.url")
        if request.method in ("SEARCH", "FETCH") and found["uid"] is None:
            anew = request.method == "SEARCH" or arguments.partition(b" ")[0].endswith(b"*")
            return _Order(b"UID " + request.method.encode() + b" " + arguments, folder, int(validity), anew=anew)
        if request.method == "GET" and found["uid"] is not None:
            section = (found["section"] or "").encode()
            command = b"UID FETCH " + found["uid"].encode() + b" (UID BODY.PEEK[" + section + b"])"
            return _Order(command, folder, int(validity), bytes_of=True)
        raise self._refused("egress.method")

    def _refusal(self, request: Request, said: Said) -> Response:
        if said.status == "BAD":
            status = 400
        elif said.code in PASSING:
            status = 503
        else:
            status = 404 if said.code in _ABSENT else 409
        return self._status(request, status, *_code(said))


def _code(said: Said) -> tuple[tuple[str, str], ...]:
    return (("Imap-Code", said.code),) if said.code else ()


def _content(raw: bytes) -> bytes | None:
    """The bytes of a message in the answer that gives them; None when there are none."""
    for found in _BODY.finditer(raw):
        if found[1] is not None:
            return raw[found.end() : found.end() + int(found[1])]
        if found[2] is not None:
            return re.sub(rb"\\(.)", rb"\1", found[2])
    return None
