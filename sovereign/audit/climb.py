"""A tree rebuilt from its leaves, and held against every tile that is kept of it.

What the leaves give is compared with what the tiles say, level by level; a root drawn from the tiles is then one drawn from the
leaves. It reads no more than one tile of leaves at a time, and keeps 32 bytes for every 256 entries.
"""

from collections.abc import Iterable

from sovereign.audit.errors import Damaged
from sovereign.audit.tree import HASH, TILE, WIDTH, Read, fold


def climb(size: int, leaves: Iterable[bytes | None], stored: Read) -> None:
    """Raise Damaged unless the tiles of a tree of `size` entries are those of its leaves.

    leaves: the leaf hashes of each 256 entries in turn, one after the other; None for a bundle that was pruned, whose hashes
    are then taken from the tile. stored: gives each tile as wide as this size wants it.
    """
    parents: list[bytes] = []
    number, wanted = 0, -(-size // WIDTH)
    for computed in leaves:
        tile, length = stored(0, number), min(size - number * WIDTH, WIDTH) * HASH
        if len(tile) != length or (computed is not None and computed != tile):
            raise Damaged(seq=number * WIDTH + _agreeing(tile, computed), what="tile")
        if length == TILE:
            parents.append(fold(tile))
        number += 1
    if number != wanted:
        raise Damaged(seq=number * WIDTH, what="missing")
    level, hashes = 1, b"".join(parents)
    while hashes:
        parents = []
        for at in range(0, len(hashes), TILE):
            tile = hashes[at : at + TILE]
            if stored(level, at // TILE) != tile:
                raise Damaged(seq=at // HASH * WIDTH**level, what="tile")
            if len(tile) == TILE:
                parents.append(fold(tile))
        level, hashes = level + 1, b"".join(parents)


def _agreeing(tile: bytes, computed: bytes | None) -> int:
    """How many hashes agree before the first that does not."""
    pairs = zip(range(0, len(tile), HASH), range(0, len(computed or b""), HASH), strict=False)
    return next((n for n, (at, _) in enumerate(pairs) if tile[at : at + HASH] != (computed or b"")[at : at + HASH]), 0)
