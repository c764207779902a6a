"""One LDAP session (RFC 4511): a guarded connection, TLS, a simple bind, then one operation at a time.

1. The connection is link.py's. `ldap:` asks for StartTLS and goes no further without, unless clear traffic is allowed and the
   peer is local or private.
2. A bind is tried once. An empty password, which servers take for nobody's (RFC 4513 section 5.1.2), does not leave.
3. A message announces its length: one that passes `MESSAGE`, or what is left of the call's cap, is not waited for. Messages
   that answer nothing end the session.
4. Until the bind is through, nothing of a request has left: what breaks before is `NotSent`.
5. Entries become JSON one by one, under the same cap. Referrals are counted, never followed.
"""

import base64
import re
import select
from dataclasses import dataclass, field
from typing import Final

import msgspec

from sovereign.egress import ber, errors
from sovereign.egress import ldap_messages as ldap
from sovereign.egress.ber import Malformed
from sovereign.egress.ldap_orders import Order
from sovereign.egress.link import Link, LoginRefused

MESSAGE: Final = 64 * 1024 * 1024
"""The most bytes of one message: a group of half a million members."""
_SMALL: Final = 1024 * 1024
_NOT_OFFERED: Final = (2, 52)
"""What StartTLS is answered where there is none: unknown, or without a certificate."""
_ATTRIBUTE: Final = re.compile(r"[\x21-\x7e]{1,512}\Z")
_DETAIL: Final = re.compile(
    rb"[0-9A-Fa-f]{8}: LdapErr: DSID-[0-9A-Fa-f]{8,10}, comment: AcceptSecurityContext error, "
    rb"data (525|52e|53[0-3]|701|773|775), v[0-9a-f]{1,8}\0?\Z"
)
_JSON: Final = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Told:
    """How an operation ended, and what a search found: entries as JSON, and how many referrals stood among them."""

    result: ldap.Result
    entries: list[bytes] = field(default_factory=list, repr=False)
    referrals: int = 0


class Session(Link):
    """A session that is bound."""

    _number = 0

    def open(self, user: str, password: str) -> None:
        """Connect, secure, bind; errors: EgressError whose `may_have_arrived` is False, LoginRefused."""
        try:
            self._connect()
            if self._own.scheme == "ldaps":
                self._wrap()
            else:
                self._start_tls()
            self._bind(user, password)
        except errors.Broken as fault:
            raise self._not_sent(str(fault.fields["reason"])) from None
        except errors.TimedOut:
            raise self._not_sent("timeout") from None
        except errors.TooLarge:
            raise self._not_sent("too large") from None

    def alive(self) -> bool:
        """Whether the server has said nothing since it last answered: it ends a session with words, or by closing it."""
        if self._sock is None or self._buffer:
            return False
        waiting = select.poll()
        waiting.register(self._sock, select.POLLIN)
        return not waiting.poll(0)

    def perform(self, order: Order, cap: int) -> Told:
        """Carry one operation out; errors: EgressError."""
        self._ask(order.operation, order.controls)
        entries: list[bytes] = []
        referrals = received = written = 0
        while True:
            said = self._answer(cap - received, cap)
            received += len(said.data)
            try:
                if said.tag == ldap.SEARCH_ENTRY and order.answer == ldap.SEARCH_DONE:
                    entries.append(_JSON.encode(_entry(said, order.binary)))
                    written += len(entries[-1]) + 1
                    if written > cap:
                        raise self._too_large(cap, "entries")
                elif said.tag == ldap.REFERENCE and order.answer == ldap.SEARCH_DONE:
                    referrals += 1
                elif said.tag == order.answer:
                    return Told(ldap.result(said), entries, referrals)
                elif said.tag != ldap.INTERMEDIATE:
                    raise self._broken("malformed")
            except Malformed:
                raise self._broken("malformed") from None

    def _start_tls(self) -> None:
        self._ask(ldap.extended(ldap.START_TLS))
        code = self._end(ldap.EXTENDED).code
        if code == 0:
            self._wrap()
        elif code in _NOT_OFFERED:
            self._in_clear()
        else:
            raise self._insecure("starttls")

    def _bind(self, user: str, password: str) -> None:
        if not user or not password:
            host, connection = self._own.host, self._policy.connection
            raise errors.NoCredential(host=host, connection=connection, reason="empty password")
        self._ask(ldap.bind(user, password))
        end = self._end(ldap.BIND)
        if end.code:
            raise LoginRefused(status(end.code), *shown(end))

    def _ask(self, operation: bytes, controls: bytes = b"") -> None:
        self._number += 1
        self._send(ldap.envelope(self._number, operation, controls))

    def _end(self, tag: int) -> ldap.Result:
        """The one answer to what was asked."""
        said = self._answer(_SMALL, _SMALL)
        try:
            if said.tag != tag:
                raise self._broken("malformed")
            return ldap.result(said)
        except Malformed:
            raise self._broken("malformed") from None

    def _answer(self, left: int, cap: int) -> ldap.Message:
        """Read one message that answers what was asked last. left: what the cap leaves."""
        try:
            while (size := ber.announced(self._buffer)) is None:
                self._more()
            if self._buffer[0] != ber.SEQUENCE:
                raise self._broken("malformed")  # not a message: its length is not to be waited for
            if size > left or size > MESSAGE:
                raise self._too_large(cap, "received") if size > left else self._too_large(MESSAGE, "message")
            said = ldap.message(self._exactly(size))
        except Malformed:
            raise self._broken("malformed") from None
        if said.number != self._number:
            # Number 0 is a notice of disconnection (RFC 4511 section 4.4.1); any other answers nothing.
            raise self._broken("closed" if said.number == 0 else "malformed")
        return said

    def _farewell(self) -> bytes:
        return ldap.envelope(self._number + 1, ldap.unbind())

    def _not_sent(self, reason: str) -> errors.NotSent:
        return errors.NotSent(host=self._own.host, connection=self._policy.connection, reason=reason)


_STATUSES: Final = {
    0: 200, 2: 400, 3: 413, 4: 413, 8: 403, 10: 421, 11: 413, 12: 501, 13: 403, 16: 409, 17: 400, 18: 400, 19: 409, 20: 409,
    21: 400, 32: 404, 34: 400, 49: 401, 50: 403, 51: 503, 52: 503, 53: 422,
}  # fmt: skip


def status(code: int) -> int:
    """The status of a result code (RFC 4511 section 4.1.9)."""
    return 409 if 64 <= code <= 71 else _STATUSES.get(code, 502)


def shown(end: ldap.Result) -> tuple[tuple[str, str], ...]:
    """What may be shown of a result: its code, and the sub-code of a refused bind of Active Directory. Nothing else said."""
    found = _DETAIL.match(end.diagnostic) if end.code == 49 else None
    code = ("Ldap-Code", str(end.code))
    return (code,) if found is None else (code, ("Ldap-Detail", found[1].decode()))


def _entry(said: ldap.Message, binary: frozenset[str]) -> dict[str, object]:
    """An entry as JSON has it; errors: Malformed."""
    dn, found = ldap.entry(said)
    attributes = {}
    for name, values in found.items():
        if not _ATTRIBUTE.match(name):
            raise Malformed
        kind, _, options = name.lower().partition(";")
        raw = kind in binary or name.lower() in binary or "binary" in options.split(";")
        attributes[name] = [_value(value, raw=raw) for value in values]
    return {"dn": dn, "attributes": attributes}


def _value(value: bytes, *, raw: bool) -> str | dict[str, str]:
    if not raw and b"\0" not in value:
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return {"base64": base64.b64encode(value).decode()}
