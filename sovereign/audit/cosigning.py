"""What is said to a witness and what it answers, without any input or output (C2SP tlog-witness).

1. A witness is shown the latest checkpoint, and the proof that it continues the last one that this witness cosigned.
2. When it says another size (409), it is shown the proof from there; when it saw more than there is here, or another root at
   that size, or finds that the proof does not hold (422), the log was rewritten or put back: `Contradicted`.
3. A cosignature counts once it is checked: this witness's key, over this checkpoint's text (C2SP tlog-cosignature). All else
   that the witness sends is let go of.
"""

from base64 import b64encode
from collections.abc import Generator
from dataclasses import dataclass
from typing import Final, Protocol

from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.errors import Contradicted, Declined, Unreachable
from vault import notes
from vault.cosignatures import Cosignatory, times
from vault.errors import Corrupt, NotSigned

PATH: Final = "/add-checkpoint"
MAX_ANSWER: Final = 64 * 1024
"""The longest answer that is read, in bytes."""
ROUNDS: Final = 5
"""How often one conversation may begin anew because the witness, or the log, went on meanwhile."""
_DIGITS: Final = 19
_LAST: Final = 253_402_300_799
"""The last second of the year 9999."""
_DECLINES: Final = frozenset({400, 403, 404, 410, 413, 414, 415, 501})


class Log(Protocol):
    """What a conversation asks of the log."""

    def latest(self, at_least: int) -> Checkpoint:
        """The checkpoint signed last; one signed now when it has fewer entries than `at_least`."""
        ...

    def consistency(self, old: int, new: Checkpoint) -> tuple[bytes, ...]:
        """Prove that the tree of `old` entries is the beginning of the one that `new` signed."""
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """What a witness answered: its HTTP status and its body, at most `MAX_ANSWER` bytes."""

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A checkpoint that a witness cosigned. line: its signature line; time: when, by its clock, in seconds since 1970.

    forgot: how many entries it had seen before, when it no longer knew of them.
    """

    checkpoint: Checkpoint
    line: str
    time: int
    forgot: int | None = None


def converse(name: str, witness: Cosignatory, seen: int, log: Log, key: str) -> Generator[bytes, Reply, Cosigned]:
    """Yield each request body to POST, be sent its answer; gives the cosigned checkpoint.

    name: the witness's in the settings. seen: how many entries it had seen when it last answered. key: the log's vkey, to be
    told when the witness does not know it. Errors: Unreachable, Declined, Contradicted, and those of `log`.
    """
    old = seen
    for _ in range(ROUNDS):
        checkpoint = log.latest(old)
        if old > checkpoint.size:
            raise Contradicted(witness=name, how="shorter", size=old)
        reply = yield request(old, log.consistency(old, checkpoint), checkpoint)
        match reply.status:
            case 200:
                line, time = _line(name, witness, checkpoint, reply.body)
                cosigned = checkpoint.with_signatures([line])
                return Cosigned(cosigned, line, time, seen if old < seen else None)
            case 409:
                theirs = _size(reply.body)
                if theirs in (old, None) and old == checkpoint.size:
                    raise Contradicted(witness=name, how="fork", size=old)
                if theirs is None:
                    raise Unreachable(witness=name, reason="size")
                old = theirs
            case 422:
                raise Contradicted(witness=name, how="rewritten", size=old)
            case status if status in _DECLINES:
                raise Declined(witness=name, reason=str(status), key=key)
            case status:
                raise Unreachable(witness=name, reason=f"HTTP {status}")
    raise Unreachable(witness=name, reason="HTTP 409")


def request(old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint) -> bytes:
    """The body of one `add-checkpoint`."""
    lines = [f"old {old}", *(b64encode(each).decode() for each in proof), ""]
    return ("\n".join(lines) + "\n" + checkpoint.note).encode()


def _size(body: bytes) -> int | None:
    """The size that a witness says it holds; a witness that holds another root at ours need not say any."""
    text = body.removesuffix(b"\n")
    return int(text) if text.isdigit() and len(text) <= _DIGITS and b"%d" % int(text) == text else None


def _line(name: str, witness: Cosignatory, checkpoint: Checkpoint, body: bytes) -> tuple[str, int]:
    """The witness's own line of an answer, checked, and the time in it."""
    text, _ = notes.split(checkpoint.note)
    try:
        lines = [each for each in body.decode().split("\n") if each.startswith(f"— {witness.name} ")]
        for line in lines:
            found = times(f"{text}\n{line}\n", [witness])
            if found and 0 < found[witness.name] <= _LAST:
                return line, found[witness.name]
    except (UnicodeDecodeError, Corrupt, NotSigned):
        pass
    raise Unreachable(witness=name, reason="cosignature")
