"""A dataset's line of snapshots, read from whatever of it can be read.

1. What a question needs is read and verified; a damaged file that it does not need stands in nobody's way. `verify` tells it.
2. When the one that is wanted may be one that cannot be read, its fault is raised: an older copy is never given in its stead.
3. Amendments are followed from signed amendments and from the manifests that can be read.
"""

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from snapshots.dataset import DatasetId
from snapshots.errors import NoSnapshot
from snapshots.manifest import Manifest
from vault.errors import Fault

if TYPE_CHECKING:
    from snapshots.repository import Repository


def readable_manifests(repository: "Repository", dataset: DatasetId) -> tuple[list[Manifest], dict[str, Fault]]:
    """Give the snapshots that can be read, oldest first, and why each other file under `manifests` cannot, by its name."""
    every: list[Manifest] = []
    faults: dict[str, Fault] = {}
    for path in sorted((repository.folder(dataset) / "manifests").glob("*.manifest")):
        try:
            every.append(repository.read_manifest(path))
        except Fault as fault:
            faults[path.name] = fault
    replaced = {each.amends for each in every}
    found = [each for each in every if each.hash not in replaced]
    return sorted(found, key=lambda each: (each.sequence, each.created, each.hash)), faults


def after(repository: "Repository", manifest: Manifest) -> list[Manifest]:
    """Give the snapshots that came after one, oldest first.

    Manifests that cannot be read are taken for earlier ones as long as that many are lacking before this one; otherwise
    one may have come after, and its fault is raised: Damaged, NotSigned or UnknownVersion.
    """
    found, faults = readable_manifests(repository, manifest.id)
    lacking = manifest.sequence - len({each.sequence for each in found if each.sequence <= manifest.sequence})
    if len(faults) > lacking:
        raise next(iter(faults.values()))
    return [each for each in found if each.sequence > manifest.sequence]


def find(repository: "Repository", dataset: DatasetId, as_of: int | datetime | None = None) -> Manifest:
    """Give the snapshot of that sequence, or the last one at that instant or before; the newest when None.

    Errors: NoSnapshot; Damaged, NotSigned or UnknownVersion when the one that is wanted may be one that cannot be read.
    """
    found, faults = readable_manifests(repository, dataset)
    if as_of is None:
        chosen = found[-1:]
    elif isinstance(as_of, int):
        chosen = [each for each in found if each.sequence == as_of]
    else:
        chosen = [each for each in found if datetime.fromisoformat(each.created) <= as_of][-1:]
    if faults and not chosen:
        raise next(iter(faults.values()))
    if not chosen:
        wanted = "-" if as_of is None else as_of
        raise NoSnapshot(dataset=f"{dataset.connection}.{dataset.stream}", wanted=wanted)
    if faults and not isinstance(as_of, int):
        following = [each.sequence for each in found if each.sequence > chosen[-1].sequence]
        if following[:1] != [chosen[-1].sequence + 1]:
            after(repository, chosen[-1])  # raises unless those that cannot be read all came before
    return chosen[-1]


def amended(repository: "Repository", dataset: DatasetId) -> dict[str, str]:
    """Give the hashes of manifests that were replaced, each with the one that came in its place."""
    from snapshots import amendments

    found: dict[str, str] = {}
    for path in sorted((repository.folder(dataset) / "amendments").glob("*.amendment")):
        with suppress(Fault):  # `verify` tells it
            told = amendments.read(repository, path.name, dataset)
            found[told.old] = told.new
    for path in (repository.folder(dataset) / "manifests").glob("*.manifest"):
        with suppress(Fault):
            each = repository.read_manifest(path)
            if each.amends:
                found[each.amends] = each.hash
    return found
