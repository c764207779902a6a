"""One signed act over many requests: an approver signs the root of a Merkle tree whose leaves are the intents. Pure.

    sovereign-approval-batch/1
    root HEX                of the tree (RFC 9162 section 2.1.1) over the leaves, by intent
    size N                  how many leaves
    verdict approve|refuse
    person NAME
    at INSTANT              when it was signed, UTC
    reason TEXT             as in `ballot`; the line is absent without one

    a leaf:  intent ID, digest HEX, until INSTANT, quorum N [GROUP,…]: the lines of a voice on that intent

    a member: JSON {"index", "leaf", "note", "proof"}, the note with what shows that one leaf is in it (section 2.1.3)

1. A member is a voice on one intent, and is checked alone: its own request, quorum, exclusions and end.
2. Nothing that was not shown is signed: a leaf that is not in the tree has no proof.
"""

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from sovereign.audit import tree
from sovereign.audit.errors import BadProof
from sovereign.gateway.ballot import Ballot, Verdict
from sovereign.gateway.errors import BadBallot
from sovereign.state.schema import instant_text

FORMAT: Final = "sovereign-approval-batch/1"
MOST: Final = 1000
"""Requests in one batch."""
_LEAF: Final = re.compile(
    r"intent (?P<intent>w-[0-9a-z]{26})\ndigest (?P<digest>[0-9a-f]{64})\nuntil (?P<until>[0-9T:.-]{26}Z)\n"
    r"quorum (?P<quorum>[0-9]{1,3})(?P<groups>(?: [a-z][a-z0-9_-]{0,62}(?:,[a-z][a-z0-9_-]{0,62}){0,15})?)\n"
)
_LINES: Final = re.compile(
    rf"{FORMAT}\nroot (?P<root>[0-9a-f]{{64}})\nsize (?P<size>[1-9][0-9]{{0,3}})\nverdict (?P<verdict>approve|refuse)\n"
    r"person (?P<person>[^\n]{1,128})\nat (?P<at>[0-9T:.-]{26}Z)\n(?:reason (?P<reason>[^\n]{1,200})\n)?"
)


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A voice on one intent out of a batch. proof: hashes in hex, from the leaf's sibling up."""

    index: int
    leaf: str
    note: str
    proof: tuple[str, ...]


_DECODER: Final = msgspec.json.Decoder(Member)
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def leaf(ballot: Ballot) -> str:
    """What stands for one intent in the tree."""
    groups = f"{' ' if ballot.groups else ''}{','.join(ballot.groups)}"
    until = instant_text(ballot.until)
    return f"intent {ballot.intent}\ndigest {ballot.digest.hex()}\nuntil {until}\nquorum {ballot.quorum}{groups}\n"


def text(leaves: Sequence[str], verdict: Verdict, person: str, at: datetime, reason: str = "") -> str:
    """What is signed over these leaves, given by intent. Errors: BadBallot for none, or for too many."""
    if not 0 < len(leaves) <= MOST:
        raise BadBallot(reason_fr=f"un lot compte de 1 à {MOST} demandes", reason_en=f"a batch holds 1 to {MOST} requests")
    root = tree.root(len(leaves), _reader(leaves))
    return (
        f"{FORMAT}\nroot {root.hex()}\nsize {len(leaves)}\nverdict {verdict}\nperson {person}\nat {instant_text(at)}\n"
        f"{f'reason {reason}' + chr(10) if reason else ''}"
    )


def members(note: str, leaves: Sequence[str]) -> tuple[str, ...]:
    """The voices that a signed note over these leaves gives, one a leaf."""
    read, size = _reader(leaves), len(leaves)
    proofs = (tree.inclusion(index, size, read) for index in range(size))
    return tuple(
        _ENCODER.encode(Member(index, each, note, tuple(node.hex() for node in proof))).decode()
        for index, (each, proof) in enumerate(zip(leaves, proofs, strict=True))
    )


def member(given: str) -> Member | None:
    """Read a voice out of a batch; None for one that is no such voice. Errors: BadBallot."""
    if not given.startswith("{"):
        return None
    try:
        return _DECODER.decode(given)
    except (msgspec.MsgspecError, UnicodeEncodeError):
        raise BadBallot(reason_fr="ce n'est pas un vote", reason_en="this is no ballot") from None


def intent_of(one: Member) -> str:
    """The intent that it is about; errors: BadBallot."""
    return _leaf(one.leaf)["intent"]


def ballot(one: Member, verified: Callable[[str], str]) -> Ballot:
    """The voice. verified: gives the text of a note once its signature is seen to hold. Errors: BadBallot, its own."""
    said = _LINES.fullmatch(verified(one.note))
    if said is None:
        raise BadBallot(reason_fr="ce n'est pas un vote", reason_en="this is no ballot")
    found, size = _leaf(one.leaf), int(said["size"])
    try:
        proof = [bytes.fromhex(each) for each in one.proof]
        tree.check_inclusion(tree.leaf_hash(one.leaf.encode()), one.index, size, proof, bytes.fromhex(said["root"]))
        at, until = datetime.fromisoformat(said["at"]), datetime.fromisoformat(found["until"])
    except (BadProof, ValueError):
        raise BadBallot(
            reason_fr="il n'est pas du lot qui a été signé", reason_en="it is not of the batch that was signed"
        ) from None
    groups = tuple(found["groups"].strip().split(",")) if found["groups"] else ()
    return Ballot(
        found["intent"], bytes.fromhex(found["digest"]), said["verdict"], said["person"], at, until, int(found["quorum"]),
        groups, said["reason"] or "",
    )  # fmt: skip


def _leaf(given: str) -> re.Match[str]:
    found = _LEAF.fullmatch(given)
    if found is None:
        raise BadBallot(reason_fr="ce n'est pas un vote", reason_en="this is no ballot")
    return found


def _reader(leaves: Sequence[str]) -> tree.Read:
    """The tiles of the tree of these leaves: two levels are enough."""
    hashes = b"".join([tree.leaf_hash(each.encode()) for each in leaves])
    tiles = [hashes[at : at + tree.TILE] for at in range(0, len(hashes), tree.TILE)]
    above = b"".join([tree.fold(each) for each in tiles if len(each) == tree.TILE])

    def read(level: int, number: int) -> bytes:
        return tiles[number] if level == 0 else above

    return read
