"""The whole log read again: every entry, hash, body, tile, checkpoint, and their order.

1. Entries stand one after the other from the first that was kept; each gives its leaf of the tree. Below, only what pruning
   spares may stand, and as many of them as the pruning said.
2. Each tile is what the level below gives, and is as wide as the tree's size says; there are no others.
3. Every checkpoint that is kept is signed by the log, and its root is the tree's at its size: so each continues the others.
4. A body may only be missing when a later entry says that it was erased, or when it is older than the pruning.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from sovereign.audit import rows, tiles, tree
from sovereign.audit.acts import SPARED
from sovereign.audit.bodies import Bodies
from sovereign.audit.checkpoints import Checkpoints
from sovereign.audit.climb import climb
from sovereign.audit.errors import BadProof, Damaged
from sovereign.audit.pruning import Pruned, pruned
from sovereign.audit.rows import AuditEntry
from sovereign.state import State
from sovereign.state.schema import audit_bodies, audit_entries, audit_tiles


def verify(state: State, bodies: Bodies, checkpoints: Checkpoints) -> int:
    """Check it all; gives how many entries there ever were. Errors: Damaged."""
    with state.read() as connection:
        entries, size = tiles.sizes(connection)
        if entries != size:
            raise Damaged(seq=min(entries, size), what="tree")
        reading = _Reading(connection, bodies, pruned(connection), entries)
        climb(size, reading.leaves(), _counted(connection, size))
        reading.end()
        read = tiles.reader(connection)
        for checkpoint in checkpoints.kept(connection):
            try:
                if checkpoint.size > size or tree.root(checkpoint.size, read) != checkpoint.root:
                    raise Damaged(seq=checkpoint.size, what="checkpoint")
            except BadProof:
                raise Damaged(seq=checkpoint.size, what="tile") from None
    return entries


def _counted(connection: Connection, size: int) -> tree.Read:
    """Read the tiles of a tree, once it is known that there are as many as there must be."""
    wanted = sum(-(-width // tree.WIDTH) for _, width in tree.widths(size))
    if connection.execute(select(func.count()).select_from(audit_tiles)).scalar_one() != wanted:
        raise Damaged(seq=size, what="tile")

    def read(level: int, number: int) -> bytes:
        return tiles.tile(connection, level, number)

    return read


@dataclass(slots=True)
class _Reading:
    """The entries, read once from the first to the last."""

    connection: Connection
    bodies: Bodies
    pruned: Pruned
    entries: int
    unsaid: set[int] = field(default_factory=set)
    opened: int = 0

    def leaves(self) -> Iterator[bytes | None]:
        """The leaf hashes of each 256 entries; None for those that were pruned."""
        first = self.pruned.first
        if first > self.entries or first % tree.WIDTH:
            raise Damaged(seq=first, what="pruned")
        self._spared(first)
        yield from [None] * (first // tree.WIDTH)
        bundle, expected = [], first
        query = rows.chosen().where(audit_entries.c.seq >= first).order_by(audit_entries.c.seq)
        for row in self.connection.execute(query.execution_options(yield_per=1024)):
            if row[0] != expected:
                raise Damaged(seq=expected, what="missing")
            bundle.append(self._entry(rows.read(self.bodies, *row)).leaf)
            expected += 1
            if len(bundle) == tree.WIDTH:
                yield b"".join(bundle)
                bundle.clear()
        if expected != self.entries:
            raise Damaged(seq=min(expected, self.entries), what="missing")
        if bundle:
            yield b"".join(bundle)

    def end(self) -> None:
        """What can only be said at the end: no body is missing without a word, and none is there for nothing."""
        if self.unsaid:
            raise Damaged(seq=min(self.unsaid), what="body")
        if self.connection.execute(select(func.count()).select_from(audit_bodies)).scalar_one() != self.opened:
            raise Damaged(seq=self.entries, what="body")

    def _spared(self, first: int) -> None:
        found = 0
        query = rows.chosen().where(audit_entries.c.seq < first).order_by(audit_entries.c.seq)
        for row in self.connection.execute(query.execution_options(yield_per=1024)):
            each = rows.read(self.bodies, *row)
            number, offset = divmod(each.seq, tree.WIDTH)
            tile = tiles.tile(self.connection, 0, number) if number >= 0 else b""
            if each.act not in SPARED or each.body is not None or tree.at(tile, offset) != each.leaf:
                raise Damaged(seq=each.seq, what="pruned")
            found += 1
        if found != self.pruned.spared:
            raise Damaged(seq=first, what="pruned")

    def _entry(self, found: AuditEntry) -> AuditEntry:
        if found.erased:
            self.unsaid.add(found.seq)
        if found.body is not None:
            self.opened += 1
        if found.act == "audit.erased":
            self.unsaid.discard(found.subject.get("entry", -1))
        return found
