"""What witnesses vouch for in a published log, from its files and their public keys alone.

1. The folder keeps the checkpoint that each witness cosigned last; it, the present one and one that someone kept may all carry
   cosignatures. The largest that a witness cosigned is what it saw.
2. Whatever the folder keeps there must be this log's own, under the witness whose name it bears, and continued by the log.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from pathlib import Path

from sovereign.audit import layout
from sovereign.audit.checkpoint import MAX, Checkpoint
from sovereign.audit.errors import Contradicted, Damaged, Forked, Unwitnessed
from sovereign.audit.standing import witnessed
from vault import files
from vault.cosignatures import Cosignatory, times
from vault.errors import Corrupt, NotSigned
from vault.notes import Verifier


@dataclass(frozen=True, slots=True)
class Witnessed:
    """What witnesses saw of a log: how many entries each, by its name; how many of them as many as are wanted saw.

    seconds: of the entries that come after these, from the first to the last.
    """

    seen: Mapping[str, int]
    entries: int
    seconds: float = 0.0


def kept(folder: Path, log: Verifier) -> Mapping[str, Checkpoint]:
    """The checkpoints that a published log keeps of its witnesses, by the id of their key.

    They are read before the log's own checkpoint: one that is being published never shows a witness that saw more than that
    covers. Errors: `Corrupt`, `NotSigned`.
    """
    found = {}
    for path in sorted((folder / layout.WITNESSED).glob("[!.]*")):
        try:
            found[path.name] = Checkpoint.verify(files.read(path, limit=MAX).decode(), log)
        except UnicodeDecodeError:
            raise Corrupt(what=f"{layout.WITNESSED}/{path.name}") from None
    return found


def continued(
    present: Checkpoint, others: Iterable[Checkpoint], root: Callable[[int], bytes], witnesses: Sequence[Cosignatory]
) -> None:
    """Raise unless the log of `present` continues the others; errors: Forked, Contradicted when a witness cosigned one."""
    for each in others:
        if each.size > present.size or not compare_digest(root(each.size), each.root):
            by = _by(each, witnesses)
            if not by:
                raise Forked(size=each.size)
            what = "shorter" if each.size > present.size else "rewritten"
            raise Contradicted(witness=", ".join(by), how=what, size=each.size)


def vouched(
    witnesses: Sequence[Cosignatory], wanted: int, own: Mapping[str, Checkpoint], others: Sequence[Checkpoint]
) -> Witnessed:
    """What the witnesses saw. own: as `kept` gives it; others: checkpoints that may carry cosignatures.

    Errors: Damaged, Unwitnessed when fewer than are wanted cosigned any.
    """
    seen: dict[str, int] = {}
    for witness in witnesses:
        mine = own.get(name := witness.key_id.hex())
        if mine is not None and not _by(mine, [witness]):
            raise Damaged(seq=mine.size, what=f"{layout.WITNESSED}/{name}")
        sizes = [each.size for each in (mine, *others) if each is not None and _by(each, [witness])]
        if sizes:
            seen[witness.name] = max(sizes)
    if len(seen) < wanted:
        raise Unwitnessed(witness=", ".join(each.name for each in witnesses), wanted=wanted)
    return Witnessed(seen, witnessed(list(seen.values()), wanted))


def _by(checkpoint: Checkpoint, witnesses: Sequence[Cosignatory]) -> list[str]:
    """The names of those that cosigned; errors: Damaged when a line under the name of one of them is not its own."""
    try:
        return [each.name for each in witnesses if times(checkpoint.note, [each])]
    except NotSigned:
        raise Damaged(seq=checkpoint.size, what="cosignature") from None
