"""Bytes of cosigned checkpoints and of what a witness is asked, which must never change: anyone may have kept them."""

import json
from pathlib import Path
from typing import Any

from sovereign.audit import tree
from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.cosigning import Cosigned, Reply, converse
from vault.cosignatures import Cosignatory, Cosigner, times
from vault.notes import Signer, Verifier, split

VECTOR: dict[str, Any] = json.loads((Path(__file__).parent / "cosigned.json").read_text("utf-8"))
SIGNER = Signer(VECTOR["log"]["name"], bytes.fromhex(VECTOR["log"]["seed"]))
WITNESS = Cosigner(VECTOR["witness"]["name"], bytes.fromhex(VECTOR["witness"]["seed"]))
LEAVES = b"".join(tree.leaf_hash(entry.encode()) for entry in VECTOR["entries"])


def read(level: int, number: int) -> bytes:
    assert (level, number) == (0, 0)
    return LEAVES


class Log:
    """A log of the vector's entries, signed at its last size."""

    def latest(self, at_least: int) -> Checkpoint:
        size = len(VECTOR["entries"])
        assert at_least <= size
        return Checkpoint.sign(SIGNER.name, size, tree.root(size, read), SIGNER)

    def consistency(self, old: int, new: Checkpoint) -> tuple[bytes, ...]:
        return tree.consistency(old, new.size, read)


def test_keys_and_signatures_have_the_bytes_they_always_had() -> None:
    assert (SIGNER.verifier.vkey, WITNESS.verifier.vkey) == (VECTOR["log"]["vkey"], VECTOR["witness"]["vkey"])
    checkpoint = Log().latest(0)
    assert checkpoint.note == VECTOR["checkpoint"]
    line = WITNESS.cosign(split(checkpoint.note)[0], VECTOR["time"])
    assert checkpoint.with_signatures([line]).note == VECTOR["cosigned"]


def test_a_cosigned_checkpoint_once_kept_can_be_checked_for_ever() -> None:
    witness = Cosignatory.parse(VECTOR["witness"]["vkey"])
    found = Checkpoint.verify(VECTOR["cosigned"], Verifier.parse(VECTOR["log"]["vkey"]))
    assert found.size == len(VECTOR["entries"])
    assert dict(times(VECTOR["cosigned"], [witness])) == {witness.name: VECTOR["time"]}


def test_a_witness_is_asked_in_the_bytes_of_the_protocol() -> None:
    steps = converse("w1", WITNESS.verifier, VECTOR["rounds"][0]["old"], Log(), "")
    body = next(steps)
    found = None
    for each in VECTOR["rounds"]:
        assert body.decode() == each["request"]
        try:
            body = steps.send(Reply(each["status"], each["answer"].encode()))
        except StopIteration as end:
            found = end.value
    assert isinstance(found, Cosigned)
    assert (found.checkpoint.note, found.time) == (VECTOR["cosigned"], VECTOR["time"])
