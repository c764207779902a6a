"""Which columns of a snapshot have risen above a clearance since it was taken.

1. The class that counts for reading is the higher of the class then and the class now. A snapshot is never changed: a column
   that was `internal` then lies in its internal files, and is withheld from whoever may not read it today.
2. The class now is that of the newest later snapshot that has the column, or of the settings where they are stricter: those
   count from the moment they are written, on the current snapshot too. A field that they merely cease to name counts from the
   next sync, which stores it as `personal`.
3. Later columns whose keys were destroyed cannot be named any more. A column that no later snapshot shows is then withheld.

It decides what readers get. It encrypts nothing anew: whoever holds the site's keys can still open the older file.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from snapshots.dataset import CLASSES, DatasetId, Shape, visible
from snapshots.manifest import Manifest

if TYPE_CHECKING:
    from snapshots.repository import Repository

Declared = Callable[[DatasetId], Mapping[str, str]]
"""Gives the class of each field of a dataset that the settings name."""


def undeclared(_: DatasetId) -> Mapping[str, str]:
    """Name no field: the snapshots alone say what is of which class."""
    return {}


def withheld(repository: "Repository", manifest: Manifest, clearance: str) -> frozenset[str]:
    """Give the columns of a snapshot, by the vendor's names, that a clearance covered then and does not cover now.

    Errors: Damaged, NotSigned, UnknownVersion of a later manifest: while one cannot be read, nothing older is shown.
    """
    allowed = visible(clearance)
    if allowed == CLASSES:
        return frozenset()
    readable = repository.readable(manifest)
    shown = {*repository.shape(manifest, [each for each in allowed if each in readable]).schema.names}
    risen = {name for name, at in repository.declared(manifest.id).items() if at not in allowed} & shown
    unseen = shown - risen
    blind = False
    for later in reversed(repository.after(manifest)):
        if not unseen:
            break
        readable = repository.readable(later)
        blind |= bool({*later.sealed} - {"cursor", *readable})
        shape = repository.shape(later, readable)
        now = dict(zip(shape.schema.names, shape.classes, strict=True))
        risen |= {name for name in unseen if now.get(name, "internal") not in allowed}
        unseen -= now.keys()
    return frozenset(risen | (unseen if blind else set()))


def shape(repository: "Repository", manifest: Manifest, clearance: str) -> Shape:
    """Give the columns of a snapshot that a clearance sees now; raises Shredded when the keys of a class were destroyed."""
    return repository.shape(manifest, visible(clearance)).without(withheld(repository, manifest, clearance))


def told(dataset: DatasetId, sequence: int, count: int) -> tuple[str, str]:
    """Say to a reader (French, English) that `count` columns of a snapshot are withheld, and what to do."""
    name, run = f"{dataset.connection}.{dataset.stream}", f"sovereign sync run {dataset.connection}"
    fr = (
        f"{name}, instantané {sequence} : colonnes masquées, leur classe ayant été relevée depuis : {count}. « {run} » chiffre "
        "la copie courante sous la nouvelle classe ; les instantanés d'avant restent sous la clé d'alors, que "
        "« sovereign keys destroy » détruit."
    )
    en = (
        f"{name}, snapshot {sequence}: columns withheld because their class was raised since: {count}. `{run}` encrypts the "
        "current copy under the new class; earlier snapshots stay under the key of then, which `sovereign keys destroy` "
        "destroys."
    )
    return fr, en
