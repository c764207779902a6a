"""What each witness saw last and how it answers, kept in `state.db`; and what follows for the log.

1. A row is believed once it is checked: the log signed its checkpoint, and this witness cosigned it. A key that changed in the
   settings makes a new witness, which saw nothing.
2. An entry is witnessed when as many witnesses as are wanted have each cosigned a tree that holds it.

States: `asked` (never answered yet), `cosigning`, `unreachable`, `declined`, `contradicted`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hmac import compare_digest
from typing import Final, Literal, get_args

from sqlalchemy import Connection, insert, select, update

from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.errors import HOW, BadProof, Contradicted, Damaged
from sovereign.audit.tiles import reader, sizes
from sovereign.audit.tree import root
from sovereign.state.schema import audit_witnesses as kept
from vault.cosignatures import Cosignatory, times
from vault.errors import Corrupt, NotSigned
from vault.notes import Verifier

Answering = Literal["asked", "cosigning", "unreachable", "declined", "contradicted"]
_COLUMNS: Final = (
    kept.c.key,
    kept.c.state,
    kept.c.since,
    kept.c.asked_at,
    kept.c.told,
    kept.c.note,
    kept.c.seen_at,
    kept.c.reason,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How one witness stands. since: since when it has been in this state; seen_at: when it cosigned last, by its own clock.

    checkpoint: the one that it cosigned last, None before the first. reason: why it is not `cosigning`. told: whether the
    present state was entered in the log.
    """

    name: str
    state: Answering
    since: datetime | None = None
    asked_at: datetime | None = None
    checkpoint: Checkpoint | None = None
    seen_at: datetime | None = None
    reason: str = ""
    told: bool = False

    @property
    def size(self) -> int:
        """How many entries it saw."""
        return 0 if self.checkpoint is None else self.checkpoint.size


def read(connection: Connection, witnesses: Mapping[str, Cosignatory], log: Verifier) -> tuple[Standing, ...]:
    """How each configured witness stands, in the order of the settings; errors: Damaged."""
    rows = {row[0]: row[1:] for row in connection.execute(select(kept.c.name, *_COLUMNS))}
    found = []
    for name, witness in witnesses.items():
        key, *row = rows.get(name) or ("",)
        found.append(_standing(name, witness, log, *row) if key == witness.vkey else Standing(name, "asked"))
    return tuple(found)


def _standing(
    name: str, witness: Cosignatory, log: Verifier, state: Answering, since: datetime, asked_at: datetime, told: int,
    note: str | None, seen_at: datetime | None, reason: str | None,
) -> Standing:  # fmt: skip
    how, _, size = (reason or "").partition(" ")
    if state not in get_args(Answering) or (state == "contradicted" and (how not in HOW or not size.isdecimal())):
        raise Damaged(seq=0, what=f"witness {witness.name}")
    checkpoint = None if note is None else cosigned(note, witness, log)
    return Standing(name, state, since, asked_at, checkpoint, seen_at, reason or "", bool(told))


def cosigned(note: str, witness: Cosignatory, log: Verifier) -> Checkpoint:
    """Read a checkpoint that a witness is said to have cosigned; errors: Damaged."""
    try:
        checkpoint = Checkpoint.verify(note, log)
        if times(note, [witness]):
            return checkpoint
    except (Corrupt, NotSigned):
        pass
    raise Damaged(seq=0, what=f"witness {witness.name}")


def write(connection: Connection, key: str, standing: Standing) -> None:
    """Keep how a witness stands."""
    note = None if standing.checkpoint is None else standing.checkpoint.note
    row = {
        "key": key, "state": standing.state, "since": standing.since, "asked_at": standing.asked_at, "told": standing.told,
        "note": note, "seen_at": standing.seen_at, "reason": standing.reason or None,
    }  # fmt: skip
    if not connection.execute(update(kept).where(kept.c.name == standing.name).values(row)).rowcount:
        connection.execute(insert(kept).values(name=standing.name, **row))


def hold(connection: Connection, standings: Iterable[Standing]) -> None:
    """Raise unless the tree continues what each witness saw; errors: Contradicted, Damaged."""
    size, read = sizes(connection)[0], reader(connection)
    for each in standings:
        if each.checkpoint is None:
            continue
        if each.size > size:
            raise Contradicted(witness=each.name, how="shorter", size=each.size)
        try:
            found = root(each.size, read)
        except BadProof:
            raise Damaged(seq=each.size, what="tile") from None
        if not compare_digest(found, each.checkpoint.root):
            raise Contradicted(witness=each.name, how="rewritten", size=each.size)


def witnessed(sizes: Sequence[int], wanted: int) -> int:
    """How many entries are witnessed. sizes: what each witness saw; wanted: how many must have seen an entry."""
    return sorted(sizes, reverse=True)[wanted - 1] if 0 < wanted <= len(sizes) else 0
