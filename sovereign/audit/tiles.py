"""The tree's tiles in `state.db`: grown in the transaction that enters, read to prove.

1. `grow` runs last in every write transaction that entered something, whoever began it: entries and tree commit together. Only
   the tiles of the right edge are read and written.
2. A tile that is not as wide as the tree's size says is `Damaged`: nothing is built upon it, and nothing more is entered.
3. A log that was kept before there was a tree is moved into it once, when it is opened; each entry is held against its hash.
"""

from hmac import compare_digest
from typing import Final

from sqlalchemy import Connection, func, select

from sovereign.audit.errors import Damaged
from sovereign.audit.tree import HASH, TILE, WIDTH, Read, fold, leaf_hash
from sovereign.state import State
from sovereign.state.schema import audit_checkpoints, audit_entries, audit_tiles
from sovereign.state.statements import run

ENTERED: Final = "audit.entered"
"""In the `info` of a connection whose transaction entered something."""
_CHUNK: Final = 65_536
_COUNT: Final = "SELECT value FROM counters WHERE name = 'audit'"
_LAST: Final = "SELECT number, LENGTH(hashes) FROM audit_tiles WHERE level = 0 ORDER BY number DESC LIMIT 1"
_TILE: Final = "SELECT hashes FROM audit_tiles WHERE level = :level AND number = :number"
_LEAVES: Final = "SELECT leaf FROM audit_entries WHERE seq >= :low AND seq < :high ORDER BY seq"
_PUT: Final = (
    "INSERT INTO audit_tiles (level, number, hashes) VALUES (:level, :number, :hashes)"
    " ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes"
)


def sizes(connection: Connection) -> tuple[int, int]:
    """How many entries there are, and how many the tree holds; errors: Damaged."""
    entries = run(connection, _COUNT).fetchone()
    number, length = run(connection, _LAST).fetchone() or (0, 0)
    if entries is None or length % HASH:
        raise Damaged(seq=number * WIDTH, what="tile")
    return int(entries[0]), int(number * WIDTH + length // HASH)


def tile(connection: Connection, level: int, number: int) -> bytes:
    """One tile; empty when there is none."""
    found = run(connection, _TILE, level=level, number=number).fetchone()
    return b"" if found is None else bytes(found[0])


def reader(connection: Connection) -> Read:
    """Give the tiles as a connection sees them, each read once; a tile that is missing has no hash."""
    seen: dict[tuple[int, int], bytes] = {}

    def read(level: int, number: int) -> bytes:
        if (level, number) not in seen:
            seen[level, number] = tile(connection, level, number)
        return seen[level, number]

    return read


def settle(connection: Connection) -> None:
    """Bring the tree up to the entries, if the transaction entered any: to be run just before each commit."""
    if connection.info.pop(ENTERED, False):
        grow(connection)


def grow(connection: Connection) -> None:
    """Bring the tree up to the entries; errors: Damaged."""
    entries, size = sizes(connection)
    while size < entries:
        high = min(entries, size + _CHUNK)
        leaves = [bytes(leaf) for (leaf,) in run(connection, _LEAVES, low=size, high=high).fetchall()]
        if len(leaves) != high - size or any(len(leaf) != HASH for leaf in leaves):
            raise Damaged(seq=size, what="missing")
        changed = _grown(size, b"".join(leaves), lambda level, number: tile(connection, level, number))
        for (level, number), made in changed.items():
            run(connection, _PUT, level=level, number=number, hashes=made)
        size = high


def _grown(size: int, hashes: bytes, read: Read) -> dict[tuple[int, int], bytes]:
    """The tiles that change when a tree of `size` entries takes more leaves."""
    changed: dict[tuple[int, int], bytes] = {}
    level = 0
    while hashes:
        number, width = divmod(size, WIDTH)
        edge = read(level, number) if width else b""
        if len(edge) != width * HASH:
            raise Damaged(seq=size * WIDTH**level, what="tile")
        hashes = edge + hashes
        parents = []
        for at in range(0, len(hashes), TILE):
            made = changed[level, number + at // TILE] = hashes[at : at + TILE]
            if len(made) == TILE:
                parents.append(fold(made))
        level, size, hashes = level + 1, size // WIDTH, b"".join(parents)
    return changed


def move(state: State) -> None:
    """Move into the tree what was entered before there was one; errors: Damaged.

    Only a tree that never was is made: one that shrank since is left as it is found, for `verify` to tell.
    """

    def untouched(connection: Connection) -> bool:
        entries, size = sizes(connection)
        tables = (audit_tiles, audit_checkpoints)
        held = sum(connection.execute(select(func.count()).select_from(table)).scalar_one() for table in tables)
        return entries > 0 and size == 0 and held == 0

    with state.read() as connection:
        if not untouched(connection):
            return
    with state.begin() as connection:
        if untouched(connection):
            rows = connection.execute(select(audit_entries.c.seq, audit_entries.c.entry, audit_entries.c.leaf))
            for seq, entry, leaf in rows:
                if not compare_digest(leaf_hash(entry.encode()), leaf):
                    raise Damaged(seq=seq, what="hash")
            grow(connection)
