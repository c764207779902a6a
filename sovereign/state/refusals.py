"""Credentials that vendors refused, by connection and by way: `write` for what the gateway sends, `pull` for what runs read.

1. `mark` says which credential it was, and of which settings, as a keyed digest; the credential is nowhere here.
2. Until `until` it is not shown again. Whoever shows it then moves `until` first, so that no crash shows it twice.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from sqlalchemy import Connection, delete, insert, select

from sovereign.state.outbound import refusals

Way = Literal["write", "pull"]
LOOK: Final = timedelta(hours=1)
"""How long a refused credential is not shown again: accounts are locked by three to ten wrong passwords in half an hour."""


CODE: Final = "credential.refused"
"""Why a write waits, when it does for that."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A credential that is not shown. since: when it was first refused. times: how often it was. why: a code."""

    connection: str
    way: str
    mark: str
    since: datetime
    until: datetime
    times: int
    why: str


def refusal(reader: Connection, connection: str, way: Way) -> Refusal | None:
    """The refusal that stands for a connection; None when there is none."""
    c = refusals.c
    row = reader.execute(select(refusals).where(c.connection == connection, c.way == way)).one_or_none()
    return None if row is None else Refusal(*row)


def standing(reader: Connection) -> tuple[Refusal, ...]:
    """Every refusal, by connection, then way."""
    rows = reader.execute(select(refusals).order_by(refusals.c.connection, refusals.c.way))
    return tuple(Refusal(*row) for row in rows)


def shut(reader: Connection) -> frozenset[str]:
    """The connections whose writes wait, for their credential is refused."""
    return frozenset(reader.execute(select(refusals.c.connection).where(refusals.c.way == "write")).scalars())


def because(state: str, why: str | None, connection: str, closed: frozenset[str]) -> str | None:
    """Why a write stands where it does. closed: what `shut` gave."""
    return CODE if connection in closed and state in ("queued", "to_retry") else why


def keep(transaction: Connection, kept: Refusal) -> None:
    """Keep a refusal in the place of a former one."""
    forget(transaction, kept.connection, kept.way)
    values = {"mark": kept.mark, "since": kept.since, "until": kept.until, "times": kept.times, "why": kept.why}
    transaction.execute(insert(refusals).values(connection=kept.connection, way=kept.way, **values))


def forget(transaction: Connection, connection: str, way: str | None = None) -> bool:
    """Forget the refusals of a connection, of one way when it is named; gives whether there were any."""
    c = refusals.c
    mine = (c.connection == connection) if way is None else (c.connection == connection) & (c.way == way)
    return bool(transaction.execute(delete(refusals).where(mine)).rowcount)
