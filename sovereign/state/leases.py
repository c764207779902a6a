"""Leases: one holder at a time for what must not be done twice at once, and never for longer than the holder lives.

1. A lease has a term and is renewed. A holder whose process is gone from this machine loses it at once, whatever the term:
   after a `kill -9` nothing waits.
2. Each taking has a greater `token` (fencing): `check`, inside the transaction that publishes, refuses whoever lost the lease.
3. A process is known by its machine's boot and process-id namespace, its number and its birth, so that a number used again is
   not mistaken for the holder. Of a holder elsewhere, only the term is known.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path

from sqlalchemy import Connection, insert, select, update

from sovereign.clock import Clock
from sovereign.state.errors import LeaseHeld, LeaseLost, StateError
from sovereign.state.schema import leases
from sovereign.state.statements import Statement
from sovereign.state.store import State


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease as it was taken: its name, who holds it, and the token that fences."""

    name: str
    holder: str
    token: int


class Leases:
    """The leases of a site."""

    def __init__(self, state: State, clock: Clock) -> None:
        self._state, self._clock = state, clock
        self._held = Statement(state, "SELECT token, holder FROM leases WHERE name = :name")
        self._left: set[tuple[str, int]] = set()
        """Leases that were given back when the disk had no room to say so."""

    def acquire(self, name: str, holder: str, ttl: timedelta) -> Lease:
        """Take a lease; errors: LeaseHeld while another holder, alive, has it."""
        present = self._clock()
        mine = {"holder": holder, "place": place(), "pid": os.getpid(), "born": born(os.getpid()), "expires_at": present + ttl}
        with self._state.begin() as connection:
            row = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).one_or_none()
            if row is None:
                connection.execute(insert(leases).values(name=name, token=1, **mine))
                return Lease(name, holder, 1)
            left = (name, row.token) in self._left or _gone(row.place, row.pid, row.born)
            if row.holder is not None and row.expires_at > present and not left:
                raise LeaseHeld(what=f"{name} ({row.holder})")
            connection.execute(update(leases).where(leases.c.name == name).values(token=row.token + 1, **mine))
            return Lease(name, holder, row.token + 1)

    def renew(self, lease: Lease, ttl: timedelta) -> None:
        """Begin the term again; errors: LeaseLost."""
        with self._state.begin() as connection:
            self.check(lease, connection)
            connection.execute(update(leases).where(leases.c.name == lease.name).values(expires_at=self._clock() + ttl))

    def release(self, lease: Lease) -> None:
        """Give the lease back; one that was lost is left to its new holder."""
        ours = (leases.c.name == lease.name) & (leases.c.token == lease.token)
        with self._state.begin() as connection:
            connection.execute(update(leases).where(ours).values(holder=None))

    def check(self, lease: Lease, connection: Connection) -> None:
        """Make sure, in the transaction that relies on it, that the lease is still held; errors: LeaseLost."""
        row = self._held(connection, name=lease.name).fetchone()
        if row is None or row[0] != lease.token or row[1] is None:
            raise LeaseLost(name=lease.name)

    def holder(self, name: str) -> str | None:
        """Who holds a lease now, alive and within its term; None when it is free."""
        with self._state.read() as connection:
            row = connection.execute(select(leases).where(leases.c.name == name)).one_or_none()
        if row is None or row.holder is None or row.expires_at <= self._clock() or _gone(row.place, row.pid, row.born):
            return None
        return str(row.holder)

    @contextmanager
    def hold(self, name: str, holder: str, ttl: timedelta = timedelta(seconds=60)) -> Iterator[Lease]:
        """Hold a lease for a block, renewed from a thread three times a term; errors: LeaseHeld.

        A lease lost meanwhile is noticed by `check`: a block that publishes calls it in its transaction.
        """
        lease = self.acquire(name, holder, ttl)
        done = threading.Event()

        def keep() -> None:
            while not done.wait(ttl.total_seconds() / 3):
                try:
                    self.renew(lease, ttl)
                except LeaseLost:
                    return
                except StateError:
                    continue  # The disk is full, or another writes for long: the next turn may be better.

        keeper = threading.Thread(target=keep, name=f"lease-{name}", daemon=True)
        keeper.start()
        try:
            yield lease
        finally:
            done.set()
            keeper.join()
            try:
                self.release(lease)
            except StateError:  # no room left: what the block gave counts more, and the lease ends with its term or its process
                self._left.add((lease.name, lease.token))


@cache
def place() -> str:
    """Where process numbers mean something: this boot of this machine, and this process-id namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def born(pid: int) -> int:
    """When a process began, in the kernel's ticks; 0 when it cannot be seen, -1 when it ended (proc(5), /proc/pid/stat)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("latin-1").rpartition(")")[2].split()
    except OSError:
        return 0
    # A process that ended and was not reaped (Z, X) does nothing any more.
    return -1 if fields[0] in "ZX" else int(fields[19])


def _gone(where: str, pid: int, birth: int) -> bool:
    """Whether a holder of this place no longer runs; False when it cannot be known."""
    if not place() or where != place():
        return False
    present = born(pid)
    if present != 0:
        return present != birth
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
