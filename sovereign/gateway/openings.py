"""Requests to open a flow: what policy denied for want of a policy, filed by the application, decided by the security officer.

1. One request a flow while it is open: asking again counts once more and gives the same one. A client has at most `MOST` open,
   and files at most `A_DAY` in a day, whatever became of them.
2. To accept is to have the reviewed policy in the site's folder: that is done first, by the composition; here it is noted.
3. Each act is an entry: filed, accepted, refused. Why it is asked, and why it is refused, are sealed.
4. A denial by a red line, or by an error, opens no request: nothing that could be opened was missing.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.gateway.errors import BadOpening, TooManyOpenings, UnknownOpening
from sovereign.gateway.policy.sentences import DEFAULT, EXPIRED
from sovereign.state import State
from sovereign.state.outbound import openings
from vault import envelope
from vault.keys import Keys

MOST: Final = 20
"""Requests that one client may have open."""
A_DAY: Final = 50
"""Requests that one client may file in a day."""
REASON: Final = r"[^\u0000-\u0020\u007f][^\u0000-\u001f\u007f]{0,499}"
"""A reason: at most 500 characters, no control among them, the first of them no space."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A flow that is asked for. owner: who answers for the client. entity: the kind of thing written to, when it is known."""

    client: str
    connection: str
    operation: str
    owner: str
    reads: bool = False
    entity: str | None = None


@dataclass(frozen=True, slots=True)
class Opening:
    """A request. state: `open`, `accepted` or `refused`. times: how often it was asked. policy: the file that opened it."""

    id: str
    wanted: Wanted
    asked_at: datetime
    times: int
    state: str
    reason: str = field(repr=False)
    decided_at: datetime | None = None
    decided_by: str | None = field(default=None, repr=False)
    policy: str | None = None
    answer: str | None = field(default=None, repr=False)


def opens(policies: Sequence[str]) -> bool:
    """Whether what decided a denial is the want of a policy. policies: the ids of what decided, the first one first."""
    return bool(policies) and policies[0] in (DEFAULT.id, EXPIRED.id)


class Openings:
    """The requests of a site. Safe to use from several threads."""

    def __init__(self, state: State, audit: AuditLog, keys: Keys, clock: Clock, entropy: Callable[[int], bytes]) -> None:
        self._state, self._audit, self._clock, self._entropy = state, audit, clock, entropy
        self._key = keys.derive("gateway/opening")

    def file(self, wanted: Wanted, reason: str, *, by: str) -> Opening:
        """Ask for a flow, or once more for the same. by: who files it. Errors: BadOpening, TooManyOpenings."""
        _checked(reason)
        with self._state.begin() as transaction:
            c, now = openings.c, self._clock()
            same = (
                (c.client == wanted.client) & (c.connection == wanted.connection) & (c.operation == wanted.operation)
                & (c.reads == int(wanted.reads)) & (c.state == "open")
            )  # fmt: skip
            known = transaction.execute(select(openings).where(same)).one_or_none()
            if known is not None:
                transaction.execute(update(openings).where(c.id == known.id).values(times=known.times + 1))
                return self._read(transaction.execute(select(openings).where(c.id == known.id)).one())
            mine = select(func.count()).where(c.client == wanted.client)
            still = transaction.execute(mine.where(c.state == "open")).scalar_one()
            today = transaction.execute(mine.where(c.asked_at > now - _DAY)).scalar_one()
            if still >= MOST or today >= A_DAY:
                raise TooManyOpenings(client=wanted.client, most=MOST, a_day=A_DAY, retry_after=3600)
            name = f"o-{self._entropy(8).hex()}"
            row = {
                "id": name, "client": wanted.client, "connection": wanted.connection, "operation": wanted.operation,
                "reads": int(wanted.reads), "entity": wanted.entity, "owner": wanted.owner, "asked_at": now, "times": 1,
                "state": "open", "sealed_reason": self._seal(name, "reason", reason),
            }  # fmt: skip
            transaction.execute(insert(openings).values(**row))
            facts = {"client": wanted.client, "operation": wanted.operation, "reads": wanted.reads}
            self._enter(transaction, "opening.filed", name, wanted.connection, facts, {"by": by, "reason": reason})
            return self._read(transaction.execute(select(openings).where(c.id == name)).one())

    def list(self, *, open_only: bool = True, client: str | None = None, most: int | None = None) -> tuple[Opening, ...]:
        """The requests, oldest first; the latest ones when there are more than `most`."""
        query = select(openings).order_by(openings.c.asked_at.desc(), openings.c.id.desc()).limit(most)
        if open_only:
            query = query.where(openings.c.state == "open")
        if client is not None:
            query = query.where(openings.c.client == client)
        with self._state.read() as reader:
            return tuple(reversed([self._read(row) for row in reader.execute(query)]))

    def get(self, name: str) -> Opening:
        """One request. Errors: UnknownOpening."""
        with self._state.read() as reader:
            return self._read(self._found(reader, name))

    def accepted(self, name: str, policy: str, *, by: str) -> Opening:
        """Note that the flow was opened. policy: the file that opens it. Errors: UnknownOpening, BadOpening."""
        return self._decided(name, "accepted", by, {"policy": policy}, {}, policy=policy)

    def refused(self, name: str, reason: str, *, by: str) -> Opening:
        """Refuse it, for a reason. Errors: UnknownOpening, BadOpening."""
        _checked(reason)
        sealed = self._seal(name, "answer", reason)
        return self._decided(name, "refused", by, {}, {"reason": reason}, sealed_answer=sealed)

    def _decided(
        self, name: str, state: str, by: str, facts: dict[str, Any], body: dict[str, Any], **columns: object
    ) -> Opening:
        with self._state.begin() as transaction:
            row = self._found(transaction, name)
            if row.state != "open":
                raise BadOpening(reason_fr="elle est déjà tranchée", reason_en="it is decided already")
            mine = openings.c.id == name
            values = {"state": state, "decided_at": self._clock(), "decided_by": by, **columns}
            transaction.execute(update(openings).where(mine).values(**values))
            known = {"client": row.client, "operation": row.operation, "reads": bool(row.reads), **facts}
            self._enter(transaction, f"opening.{state}", name, row.connection, known, {"by": by, **body})
            return self._read(transaction.execute(select(openings).where(mine)).one())

    def _found(self, reader: Connection, name: str) -> Row[Any]:
        row = reader.execute(select(openings).where(openings.c.id == name)).one_or_none()
        if row is None:
            raise UnknownOpening(opening=name)
        return row

    def _read(self, row: Row[Any]) -> Opening:
        wanted = Wanted(row.client, row.connection, row.operation, row.owner, bool(row.reads), row.entity)
        return Opening(
            row.id, wanted, row.asked_at, row.times, row.state, self._open(row.id, "reason", row.sealed_reason) or "",
            row.decided_at, row.decided_by, row.policy, self._open(row.id, "answer", row.sealed_answer),
        )  # fmt: skip

    def _enter(
        self, transaction: Connection, act: str, name: str, connection: str, facts: dict[str, Any], body: dict[str, Any]
    ) -> None:
        self._audit.append(act, {"connection": connection, "opening": name}, facts, body, within=transaction)

    def _seal(self, name: str, column: str, said: str) -> bytes:
        return envelope.seal(self._key, f"sovereign-opening/1:{name}:{column}".encode(), said.encode())

    def _open(self, name: str, column: str, sealed: bytes | None) -> str | None:
        if sealed is None:
            return None
        return envelope.open(self._key, f"sovereign-opening/1:{name}:{column}".encode(), sealed, what=name).decode()


def _checked(reason: str) -> None:
    if not re.fullmatch(REASON, reason):
        raise BadOpening(
            reason_fr="une raison est un texte d'une ligne, d'au plus 500 caractères",
            reason_en="a reason is a text of one line, of at most 500 characters",
        )
