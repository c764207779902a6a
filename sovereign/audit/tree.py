"""The Merkle tree, as hashes alone: roots and proofs drawn from tiles, and proofs checked (RFC 9162 section 2.1).

1. leaf = SHA-256(0x00 || entry), node = SHA-256(0x01 || left || right), the empty tree is SHA-256 of nothing.
2. A tile is 256 consecutive hashes of one level out of eight (C2SP tlog-tiles): tile N of level L holds the hashes of the
   complete subtrees of 256**L entries, from 256 * N on. The last tile of a level may be partial, and is never hashed upwards.
3. A check raises `BadProof`; nothing here returns False.

Nothing here reads or writes: whoever has tiles gives `Read`, which answers with a tile that is at least as wide as the tree
being asked about needs.
"""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from sovereign.audit.errors import BadProof

WIDTH: Final = 256
"""Hashes in a whole tile."""
HASH: Final = 32
"""Bytes of a hash."""
TILE: Final = WIDTH * HASH
"""Bytes of a whole tile."""
EMPTY: Final = sha256(b"").digest()
"""The root of the tree without entries."""

Read = Callable[[int, int], bytes]
"""(level, number) to the tile's hashes, one after the other."""
Proof = tuple[bytes, ...]


def leaf_hash(entry: bytes) -> bytes:
    """The hash of an entry, 32 bytes."""
    return sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two hashes, 32 bytes."""
    return sha256(b"\1" + left + right).digest()


def fold(hashes: bytes) -> bytes:
    """The hash over a complete subtree. hashes: those of its leaves, one after the other, a power of two of them."""
    while len(hashes) > HASH:
        hashes = b"".join([sha256(b"\1" + hashes[at : at + 64]).digest() for at in range(0, len(hashes), 64)])
    return hashes


def at(tile: bytes, offset: int) -> bytes:
    """The hash at `offset` in a tile; empty when the tile is not so wide."""
    return tile[offset * HASH : (offset + 1) * HASH]


def widths(size: int) -> Iterator[tuple[int, int]]:
    """The levels of a tree and how many hashes each has: (0, size), (1, size // 256)…, as long as there are any."""
    level = 0
    while size:
        yield level, size
        level, size = level + 1, size // WIDTH


def root(size: int, read: Read) -> bytes:
    """The root of the tree of the first `size` entries."""
    return _span(0, size, read) if size else EMPTY


def inclusion(index: int, size: int, read: Read) -> Proof:
    """Prove that entry `index` is in the tree of `size` entries: hashes from the leaf's sibling up.

    Source: RFC 9162 section 2.1.3.1.
    """
    if not 0 <= index < size:
        raise BadProof(what="inclusion")
    path, low, high = [], 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_span(middle, high, read))
            high = middle
        else:
            path.append(_span(low, middle, read))
            low = middle
    return tuple(reversed(path))


def consistency(old: int, new: int, read: Read) -> Proof:
    """Prove that the tree of `old` entries is the beginning of that of `new` (RFC 9162 section 2.1.4.1)."""
    if not 0 <= old <= new:
        raise BadProof(what="consistency")
    if old in (0, new):
        return ()
    path, low, high, whole = [], 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_span(middle, high, read))
            high = middle
        else:
            path.append(_span(low, middle, read))
            low, whole = middle, False
    if not whole:
        path.append(_span(low, high, read))
    return tuple(reversed(path))


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected: bytes) -> None:
    """Raise `BadProof` unless `proof` shows `leaf` at `index` under the root `expected` of `size` entries.

    Source: RFC 9162 section 2.1.3.2.
    """
    if not 0 <= index < size:
        raise BadProof(what="inclusion")
    at, last, found = index, size - 1, leaf
    for each in proof:
        if last == 0 or len(each) != HASH:
            raise BadProof(what="inclusion")
        if at & 1 or at == last:
            found = node_hash(each, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, each)
        at, last = at >> 1, last >> 1
    if last or not compare_digest(found, expected):
        raise BadProof(what="inclusion")


def check_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Raise `BadProof` unless `proof` shows that the tree of `old` entries is the beginning of that of `new`.

    Source: RFC 9162 section 2.1.4.2.
    """
    if old in (0, new):
        if proof or not compare_digest(old_root, new_root if old else EMPTY):
            raise BadProof(what="consistency")
        return
    hashes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not 0 < old < new or not proof or any(len(each) != HASH for each in proof):
        raise BadProof(what="consistency")
    at, last = _above_whole(old - 1, new - 1)
    before = after = hashes[0]
    for each in hashes[1:]:
        if last == 0:
            raise BadProof(what="consistency")
        if at & 1 or at == last:
            before, after = node_hash(each, before), node_hash(each, after)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, each)
        at, last = at >> 1, last >> 1
    if last or not compare_digest(before, old_root) or not compare_digest(after, new_root):
        raise BadProof(what="consistency")


def _above_whole(index: int, last: int) -> tuple[int, int]:
    """Climb past the levels where `index` is a right child: they are the same in both trees."""
    while index & 1:
        index, last = index >> 1, last >> 1
    return index, last


def _split(size: int) -> int:
    """The largest power of two below `size`."""
    return 1 << (size - 1).bit_length() - 1


def _span(low: int, high: int, read: Read) -> bytes:
    """The hash over entries `low` to `high`, where `low` is where a subtree of that size begins."""
    size = high - low
    if size & (size - 1):
        middle = low + _split(size)
        return node_hash(_span(low, middle, read), _span(middle, high, read))
    level, rest = divmod(size.bit_length() - 1, 8)
    number, offset = divmod(low >> 8 * level, WIDTH)
    found = read(level, number)[offset * HASH : (offset + (1 << rest)) * HASH]
    if len(found) != HASH << rest:
        raise BadProof(what="tile")
    return fold(found)
