"""How a stream stands to its current snapshot: what may be compared with it, and what is written although no row changed.

1. An incremental run stands on the rows that are there. It is refused where those rows cannot be told apart from new ones: the
   primary key changed, the keys of the internal class were destroyed, or a field changed class and its values are gone.
2. Publishing writes a snapshot without any change of rows when the shape differs (a column, a type, a class, the primary key),
   when keys that the current one needs were destroyed (its cursor's among them), and when its base lies in an older key period.

It reads a manifest, its sealed columns and its key file; it reads no row.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from snapshots.columns import described
from snapshots.dataset import KEY, Shape, stored_name
from snapshots.manifest import Manifest, Mode
from snapshots.parts import key_name
from vault.errors import Shredded

if TYPE_CHECKING:
    from snapshots.repository import Repository


@dataclass(frozen=True, slots=True)
class Standing:
    """What differs between a shape and the current snapshot.

    `rekeyed`: the primary key, or the column that stands for it; `reclassed`: a field's class; `reshaped`: any column;
    `dated`: a base of an older key period; `whole`: the keys of every class are there; `blind`: those of the internal class are
    not; `adrift`: the cursor's are not.
    """

    rekeyed: bool
    reclassed: bool
    reshaped: bool
    dated: bool
    whole: bool
    blind: bool
    adrift: bool

    @property
    def incomparable(self) -> bool:
        """Whether an incremental run is refused (law 1)."""
        return self.rekeyed or self.blind or (self.reclassed and not self.whole)

    def rebases(self, mode: Mode) -> bool:
        """Whether publishing writes a new base, whatever the rows."""
        full = mode == "full_refresh"
        return self.rekeyed or self.reclassed or self.blind or (full and not self.whole) or (self.dated and self.whole)

    def moved(self, mode: Mode) -> bool:
        """Whether publishing writes a snapshot although no row changed (law 2)."""
        return self.rebases(mode) or self.reshaped or self.adrift


def standing(repository: "Repository", head: Manifest, shape: Shape) -> Standing:
    """Hold a shape against a snapshot; raises Damaged for a key file that is missing or cut."""
    readable = repository.readable(head)
    before = repository.shape(head, readable)
    blind = not _opens(repository, head, *(key_name(head.id, part.id, "internal") for part in head.parts))
    whole = not blind and {*head.sealed} <= {*readable, "cursor"}
    was = dict(zip(before.schema.names, before.classes, strict=True))
    base = [part for part in head.parts if part.kind == "base"]
    return Standing(
        rekeyed=_key(head) != shape.key or (whole and before.primary_key != shape.primary_key),
        reclassed=any(was.get(name, at) != at for name, at in zip(shape.schema.names, shape.classes, strict=True)),
        reshaped=whole and _told(before) != _told(shape),
        dated=any(part.period != repository.period() for part in base),
        whole=whole,
        blind=blind,
        adrift="cursor" in head.sealed and not _opens(repository, head, head.block_name("cursor")),
    )


def _opens(repository: "Repository", head: Manifest, *names: str) -> bool:
    opening = repository.opener(head)
    try:
        for name in names:
            opening(name)
    except Shredded:
        return False
    return True


def _key(head: Manifest) -> tuple[str, ...]:
    """Give the stored columns that tell a snapshot's rows apart."""
    internal = {column.place: column.name for column in head.schema}
    if not all(place in internal for place in head.primary_key):
        return (KEY,)
    return tuple(stored_name(internal[place]) for place in head.primary_key)


def _told(shape: Shape) -> set[tuple[str, str, str]]:
    return {(each.name, str(described(each.type)), at) for each, at in zip(shape.schema, shape.classes, strict=True)}
