"""The checkpoints that the log signed, kept in `state.db`.

1. Nothing is signed that does not continue what was signed last: its root is drawn again from the tiles, and must be the same
   (`Forked`). A log that lost its past signs nothing more.
2. The key is derived from the site key for this use alone; its name is the log's origin, `<site's name>/audit`.
3. Kept: every checkpoint of the last day, and of each day before, the last one and the last one that a witness cosigned.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cached_property
from hmac import compare_digest
from typing import Final

from sqlalchemy import Connection, delete, func, insert, select, update

from sovereign.audit import tree
from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.errors import BadProof, Damaged, Forked
from sovereign.audit.tiles import reader, sizes
from sovereign.clock import Clock
from sovereign.state import State
from sovereign.state.schema import audit_checkpoints as kept
from sovereign.state.schema import audit_entries as entries
from vault.errors import Corrupt, NotSigned
from vault.keys import Keys
from vault.notes import Signer, Verifier

_ALL_FOR: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
_COSIGNED: Final = "%\n— %"
"""One signature line, as a pattern: the log's own is the first."""
_LATEST = select(kept.c.size, kept.c.note).order_by(kept.c.size.desc()).limit(1)


class Checkpoints:
    """The signed checkpoints of a site's log."""

    def __init__(self, state: State, keys: Keys, clock: Clock) -> None:
        self._state, self._clock = state, clock
        self._keys = keys
        self._thinned = datetime.min.replace(tzinfo=UTC)

    @cached_property
    def _signer(self) -> Signer:
        return Signer(f"{self._keys.verifier.name}/audit", self._keys.derive("audit/log"))

    @property
    def verifier(self) -> Verifier:
        """The log's public key; its name is the origin."""
        return self._signer.verifier

    def latest(self) -> Checkpoint | None:
        """The checkpoint signed last, None before the first; errors: Damaged."""
        with self._state.read() as connection:
            return self.latest_of(connection)

    def latest_of(self, connection: Connection) -> Checkpoint | None:
        """The checkpoint signed last, as a connection sees it; errors: Damaged."""
        row = connection.execute(_LATEST).one_or_none()
        return None if row is None else self._read(*row)

    def covering(self, connection: Connection, seq: int, cosignatures: int) -> Checkpoint | None:
        """The newest checkpoint over entry `seq` with as many cosignatures, or else as many as there are; errors: Damaged."""
        newest = select(kept.c.size, kept.c.note).where(kept.c.size > seq).order_by(kept.c.size.desc()).limit(1)
        for many in range(cosignatures, 0, -1):
            row = connection.execute(newest.where(kept.c.note.like(_COSIGNED * (many + 1)))).one_or_none()
            if row is not None:
                return self._read(*row)
        return self.latest_of(connection)

    def kept(self, connection: Connection) -> Iterator[Checkpoint]:
        """Every checkpoint that is kept, oldest first, as a connection sees them; errors: Damaged."""
        for size, note in connection.execute(select(kept.c.size, kept.c.note).order_by(kept.c.size)):
            yield self._read(size, note)

    def sign(self) -> Checkpoint:
        """Sign the tree as it stands, unless it was already; errors: Forked, Damaged."""
        with self._state.read() as connection:
            latest = self.latest_of(connection)
            if latest is not None and latest.size == sizes(connection)[0]:
                self._continues(connection, latest)
                return latest
        with self._state.begin() as connection:
            entered, size = sizes(connection)
            latest = self.latest_of(connection)
            if entered != size:
                raise Damaged(seq=min(entered, size), what="tree")
            if latest is not None:
                self._continues(connection, latest)
                if latest.size == size:
                    return latest
            root = _root(connection, size)
            made = Checkpoint.sign(self.verifier.name, size, root, self._signer)
            connection.execute(insert(kept), {"size": size, "note": made.note})
            present = self._clock()
            if not _HOUR > present - self._thinned >= timedelta():
                _thin(connection, present)
                self._thinned = present
        return made

    def attach(self, size: int, lines: Iterable[str]) -> Checkpoint:
        """Add the cosignature lines that witnesses gave to the checkpoint of `size`; the caller has verified them.

        Errors: Damaged, when there is no such checkpoint.
        """
        with self._state.begin() as connection:
            note = connection.execute(select(kept.c.note).where(kept.c.size == size)).scalar_one_or_none()
            if note is None:
                raise Damaged(seq=size, what="checkpoint")
            made = self._read(size, note).with_signatures(lines)
            connection.execute(update(kept).where(kept.c.size == size).values(note=made.note))
        return self._read(size, made.note)

    def continues(self, earlier: Checkpoint) -> None:
        """Raise Forked unless the tree continues a checkpoint that was signed earlier."""
        with self._state.read() as connection:
            self._continues(connection, earlier)

    def _continues(self, connection: Connection, earlier: Checkpoint) -> None:
        if earlier.size > sizes(connection)[0] or not compare_digest(_root(connection, earlier.size), earlier.root):
            raise Forked(size=earlier.size)

    def _read(self, size: int, note: str) -> Checkpoint:
        try:
            found = Checkpoint.verify(note, self.verifier)
        except (Corrupt, NotSigned):
            raise Damaged(seq=size, what="checkpoint") from None
        if found.size != size:
            raise Damaged(seq=size, what="checkpoint")
        return found


def _root(connection: Connection, size: int) -> bytes:
    try:
        return tree.root(size, reader(connection))
    except BadProof:
        raise Damaged(seq=size, what="tile") from None


def _thin(connection: Connection, present: datetime) -> None:
    """Let go of what is over a day old and not the last of its day, nor its last cosigned, by its last entry's time."""
    joined = kept.join(entries, entries.c.seq == kept.c.size - 1)
    of_day = select(func.max(kept.c.size)).select_from(joined).group_by(func.substr(entries.c.at, 1, 10))
    last = of_day.union(of_day.where(kept.c.note.like(_COSIGNED * 2)))
    old = select(kept.c.size).select_from(joined).where(entries.c.at < present - _ALL_FOR, kept.c.size.not_in(last))
    connection.execute(delete(kept).where(kept.c.size.in_(old)))
