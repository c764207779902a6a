"""The tree against a naive one that follows RFC 9162 word for word, over every size that matters and over drawn ones."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from sovereign.audit import tree
from sovereign.audit.errors import BadProof

LEAVES = [tree.leaf_hash(b"entry %d" % number) for number in range(1400)]


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH, as RFC 9162 section 2.1.1 writes it."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\1" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH, as RFC 9162 section 2.1.3.1 writes it."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*naive_path(m, leaves[:k]), naive_root(leaves[k:])]
    return [*naive_path(m - k, leaves[k:]), naive_root(leaves[:k])]


def naive_subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF, as RFC 9162 section 2.1.4.1 writes it."""
    if m == len(leaves):
        return [] if whole else [naive_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*naive_subproof(m, leaves[:k], whole), naive_root(leaves[k:])]
    return [*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k])]


def split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def tiled(leaves: list[bytes]) -> tree.Read:
    """The tiles of a tree, each hash drawn by the naive root over its leaves (C2SP tlog-tiles)."""

    def read(level: int, number: int) -> bytes:
        span = 256**level
        hashes = []
        for at in range(number * 256, (number + 1) * 256):
            if (at + 1) * span > len(leaves):
                break
            hashes.append(naive_root(leaves[at * span : (at + 1) * span]))
        return b"".join(hashes)

    return read


sizes = some.integers(0, len(LEAVES)) | some.sampled_from([0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025])


@given(size=sizes)
def test_the_root_is_that_of_the_rfc(size: int) -> None:
    assert tree.root(size, tiled(LEAVES[:size])) == naive_root(LEAVES[:size])


@given(size=sizes.filter(bool), data=some.data())
def test_an_inclusion_proof_is_that_of_the_rfc_and_convinces(size: int, data: some.DataObject) -> None:
    index = data.draw(some.integers(0, size - 1))
    proof = tree.inclusion(index, size, tiled(LEAVES[:size]))
    assert list(proof) == naive_path(index, LEAVES[:size])
    tree.check_inclusion(LEAVES[index], index, size, proof, naive_root(LEAVES[:size]))


@given(new=sizes, data=some.data())
def test_a_consistency_proof_is_that_of_the_rfc_and_convinces(new: int, data: some.DataObject) -> None:
    old = data.draw(some.integers(0, new))
    proof = tree.consistency(old, new, tiled(LEAVES[:new]))
    assert list(proof) == (naive_subproof(old, LEAVES[:new], True) if old else [])
    tree.check_consistency(old, new, proof, naive_root(LEAVES[:old]), naive_root(LEAVES[:new]))


def test_every_small_tree_proves_all_that_it_holds_and_all_that_it_continues() -> None:
    roots = [naive_root(LEAVES[:size]) for size in range(34)]
    for size in range(1, 34):
        read = tiled(LEAVES[:size])
        for index in range(size):
            tree.check_inclusion(LEAVES[index], index, size, tree.inclusion(index, size, read), roots[size])
        for old in range(size + 1):
            tree.check_consistency(old, size, tree.consistency(old, size, read), roots[old], roots[size])


@settings(max_examples=300)
@given(size=some.integers(2, 600), data=some.data())
def test_no_other_leaf_place_or_hash_passes_an_inclusion_proof(size: int, data: some.DataObject) -> None:
    index = data.draw(some.integers(0, size - 1))
    read, root = tiled(LEAVES[:size]), naive_root(LEAVES[:size])
    proof = list(tree.inclusion(index, size, read))
    leaf, at, end = LEAVES[index], index, size
    match data.draw(some.sampled_from(["leaf", "index", "size", "flip", "drop", "add", "root"])):
        case "leaf":
            leaf = LEAVES[(index + 1) % size]
        case "index":
            at = data.draw(some.integers(-1, size).filter(lambda other: other != index))
        case "size":
            end = data.draw(some.integers(0, 2 * size).filter(lambda other: _shape(index, other) != _shape(index, size)))
        case "flip":
            place = data.draw(some.integers(0, len(proof) - 1))
            proof[place] = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        case "drop":
            proof.pop(data.draw(some.integers(0, len(proof) - 1)))
        case "add":
            proof.insert(data.draw(some.integers(0, len(proof))), LEAVES[-1])
        case "root":
            root = naive_root(LEAVES[: size - 1])
    with pytest.raises(BadProof):
        tree.check_inclusion(leaf, at, end, proof, root)


def _shape(index: int, size: int) -> object:
    """Which side each hash of the path stands on: two sizes of one shape are told apart by the signed checkpoint alone."""
    if not index < size:
        return None
    sides, at, last = [], index, size - 1
    while last:
        if at & 1 or at < last:
            sides.append(at & 1)
        at, last = at >> 1, last >> 1
    return sides


@settings(max_examples=300)
@given(new=some.integers(2, 600), data=some.data())
def test_no_other_past_passes_a_consistency_proof(new: int, data: some.DataObject) -> None:
    old = data.draw(some.integers(1, new - 1))
    proof = list(tree.consistency(old, new, tiled(LEAVES[:new])))
    before, after = naive_root(LEAVES[:old]), naive_root(LEAVES[:new])
    match data.draw(some.sampled_from(["rewritten", "dropped", "flip", "drop", "add", "swapped"])):
        case "rewritten":
            other = [*LEAVES[:old]]
            other[data.draw(some.integers(0, old - 1))] = LEAVES[-1]
            before = naive_root(other)
        case "dropped":
            after = naive_root(LEAVES[1 : new + 1])
        case "flip":
            place = data.draw(some.integers(0, len(proof) - 1))
            proof[place] = bytes([proof[place][0] ^ 1]) + proof[place][1:]
        case "drop":
            proof.pop(data.draw(some.integers(0, len(proof) - 1)))
        case "add":
            proof.insert(data.draw(some.integers(0, len(proof))), LEAVES[-1])
        case "swapped":
            before, after = after, before
    with pytest.raises(BadProof):
        tree.check_consistency(old, new, proof, before, after)


@pytest.mark.parametrize(
    ("old", "new", "proof"), [(5, 3, ()), (-1, 3, ()), (0, 3, (LEAVES[0],)), (3, 3, (LEAVES[0],)), (2, 3, ())]
)
def test_a_proof_between_sizes_that_make_none_is_refused(old: int, new: int, proof: tuple[bytes, ...]) -> None:
    with pytest.raises(BadProof):
        tree.check_consistency(old, new, proof, naive_root(LEAVES[: max(old, 0)]), naive_root(LEAVES[:new]))
