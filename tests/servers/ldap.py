"""A directory in memory behind a real LDAP server: sockets, TLS, StartTLS, simple bind, paging. What it holds is a `Tree`'s.

    class Mine(Tree):
        def search(self, session, asked): ...

    with serving(Mine(...), tmp_path) as served:
        served.url, served.clear_url, served.authority, served.directory, served.sessions

1. A critical control that the directory does not name in `known` is answered with 12, before any hook (ldap_tree.py).
2. Paging (RFC 2696) is done here when `PAGED` is in `known`: the hook gives all entries once, and pages come from them; a
   cookie belongs to its session.
3. `served.raw` replaces the answer of the next operations by bytes, to play a hostile server.
"""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from sovereign.egress import ber
from tests.servers import ldap_wire as wire
from tests.servers.ldap_tree import Code, Hangup, Outcome, Session, Tree
from tests.servers.ldap_wire import PAGED, START_TLS, WHO_AM_I, Asked, Bind, Extended, Modify, Move, Search


@dataclass
class Served:
    """A directory being served. raw: bytes to answer the next operations with, one each; `None` there closes the connection."""

    directory: Tree
    authority: Path
    port: int
    clear: int
    raw: list[bytes | None] = field(default_factory=list)
    sessions: int = 0
    tls: bool = True
    _socks: set[socket.socket] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"ldaps://localhost:{self.port}"

    @property
    def clear_url(self) -> str:
        return f"ldap://localhost:{self.clear}"

    def cut(self) -> None:
        """Close every connection."""
        for sock in list(self._socks):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


class _Talk:
    """The dialogue of one connection."""

    def __init__(self, served: Served, sock: socket.socket, context: ssl.SSLContext, *, secure: bool) -> None:
        self.served, self.sock, self.context = served, sock, context
        self.session = Session(secure)
        self.buffer = bytearray()

    def run(self) -> None:
        try:
            while (data := self._message()) is not None:
                number, asked = wire.read(data)
                if isinstance(asked, wire.Other) and asked.tag == 0x42:
                    return
                if not self._one(number, asked):
                    return
        except (OSError, ber.Malformed, UnicodeDecodeError, Hangup):
            pass
        finally:
            self.served._socks.discard(self.sock)
            with suppress(OSError):
                self.sock.close()

    def _message(self) -> bytes | None:
        while True:
            size = ber.announced(self.buffer)
            if size is not None and len(self.buffer) >= size:
                data = bytes(self.buffer[:size])
                del self.buffer[:size]
                return data
            piece = self.sock.recv(65536)
            if not piece:
                return None
            self.buffer += piece

    def _one(self, number: int, asked: Asked) -> bool:
        served, directory = self.served, self.served.directory
        if isinstance(asked, Extended) and asked.oid == START_TLS:
            self.sock.sendall(wire.ended(number, 0x78, 0 if served.tls else 2, "", {}, START_TLS))
            if served.tls:
                served._socks.discard(self.sock)
                self.sock = self.context.wrap_socket(self.sock, server_side=True)
                served._socks.add(self.sock)
                self.session.secure = True
            return True
        if not isinstance(asked, Bind) and served.raw:
            answer = served.raw.pop(0)
            if answer is None:
                return False
            self.sock.sendall(answer)
            return True
        with directory.lock:
            directory.asked.append(asked)
            try:
                outcome = self._done(directory, asked)
            except Code as refusal:
                outcome = Outcome(refusal.code, refusal.said)
        parts = [wire.entry(number, each.dn, each.attributes) for each in outcome.entries]
        parts += [wire.reference(number, url) for url in outcome.referrals]
        value = f"dn:{self.session.dn}".encode() if isinstance(asked, Extended) and outcome.code == 0 else None
        parts.append(wire.ended(number, wire.ANSWERS[type(asked)], outcome.code, outcome.said, outcome.controls, "", value))
        self.sock.sendall(b"".join(parts))
        return True

    def _done(self, directory: Tree, asked: Asked) -> Outcome:
        if isinstance(asked, Bind):
            self.session.dn, self.session.pages = "", {}
            outcome = directory.bind(self.session, asked)
            if outcome.code == 0:
                self.session.dn = asked.dn
            return outcome
        if isinstance(asked, Extended):
            return Outcome(0 if asked.oid == WHO_AM_I else 2)
        if isinstance(asked, wire.Other):
            return Outcome(2)
        unknown = [each for each in asked.controls.values() if each.critical and each.oid not in directory.known]
        if unknown:
            return Outcome(12)
        if isinstance(asked, Search):
            return self._searched(directory, asked)
        if isinstance(asked, Modify):
            return directory.modify(self.session, asked)
        return directory.move(self.session, asked) if isinstance(asked, Move) else directory.add(self.session, asked)

    def _searched(self, directory: Tree, asked: Search) -> Outcome:
        control = asked.controls.get(PAGED)
        if control is None or PAGED not in directory.known:
            return directory.search(self.session, asked)
        size, cookie = wire.page(control.value)
        if cookie:
            if cookie not in self.session.pages:
                raise Code(53)
            outcome = Outcome(entries=self.session.pages.pop(cookie))
        else:
            outcome = directory.search(self.session, asked)
        if outcome.code:
            return outcome
        page, rest = outcome.entries[:size], outcome.entries[size:]
        following = directory.cookie() if rest else b""
        if rest:
            self.session.pages[following] = rest
        outcome.entries = page
        outcome.controls = {**outcome.controls, PAGED: wire.paged(following)}
        return outcome


@contextmanager
def serving(directory: Tree, folder: Path, *, tls: bool = True) -> Iterator[Served]:
    """Serve a directory on two random ports of loopback, `ldaps:` and `ldap:`; its authority is written to `folder`.

    tls: whether StartTLS is offered on the second.
    """
    ca = trustme.CA()
    authority = folder / "ldap-ca.pem"
    ca.cert_pem.write_to_path(str(authority))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    secure, clear = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    served = Served(directory, authority, secure.getsockname()[1], clear.getsockname()[1], tls=tls)
    threads = [
        threading.Thread(target=_listen, args=(served, secure, context, True), daemon=True),
        threading.Thread(target=_listen, args=(served, clear, context, False), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        yield served
    finally:
        for listening in (secure, clear):
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            listening.close()
        served.cut()
        for thread in threads:
            thread.join(10)


def _listen(served: Served, listening: socket.socket, context: ssl.SSLContext, secure: bool) -> None:
    while True:
        try:
            sock, _ = listening.accept()
        except OSError:
            return
        threading.Thread(target=_talk, args=(served, sock, context, secure), daemon=True).start()


def _talk(served: Served, sock: socket.socket, context: ssl.SSLContext, secure: bool) -> None:
    try:
        if secure:
            sock = context.wrap_socket(sock, server_side=True)
    except OSError:
        sock.close()
        return
    served.sessions += 1
    served._socks.add(sock)
    _Talk(served, sock, context, secure=secure).run()
