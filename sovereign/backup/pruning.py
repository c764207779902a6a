"""Pruning: backups that no rule keeps go, then the objects that no kept one needs, then their copies of the keys.

1. What is kept is sound: its record is signed, its list opens, and each of its objects is there with its length. A backup that
   is not is never counted; while one is listed nothing goes (`Unreadable`), unless the caller gives it up too. A backup of
   another site, or of a later format, is never given up.
2. At least one sound backup stays, whatever is asked: without one nothing goes (`NoneSound`).
3. Records go first, an object only once no record names it: a kill at any instant leaves every kept backup whole, and what is
   left over is of no record, which the next pruning removes. So is what killed backups left.
4. No backup of the site is made meanwhile (`alone`): one under way relies on objects that no record names yet.
5. A copy of the keys is marked before its record goes and removed after it, so that a kill between the two leaves no copy that
   nobody asks for. The newest copy stays: it tells a restore what was destroyed.
6. The entry of the log comes before the first removal.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sovereign.backup import apart, record
from sovereign.backup.creating import PURPOSE, WORKERS, alone
from sovereign.backup.errors import Altered, ForeignBackup, Forged, NoneSound, NoPolicy, Unreadable
from sovereign.backup.keeping import Keep, kept
from sovereign.backup.reading import altered, data_of, ids, opened_listing
from sovereign.backup.record import Piece, Record, pieces_of
from sovereign.backup.target import DATA, Target, object_name, record_name
from vault.errors import Fault, UnknownVersion

if TYPE_CHECKING:
    from sovereign.site import Site


@dataclass(frozen=True, slots=True)
class Pruning:
    """What a pruning keeps and removes.

    kept: names, newest first, and the rules that keep each; gone: names of the backups that go, oldest first; damaged: those of
    them that could not be read; objects: names and sizes in bytes of the objects that go.
    """

    kept: dict[str, tuple[str, ...]]
    gone: tuple[str, ...]
    damaged: tuple[str, ...]
    objects: dict[str, int]

    @property
    def bytes(self) -> int:
        """How many bytes go."""
        return sum(self.objects.values())


def prune(
    site: "Site",
    target: Target,
    policy: Keep,
    *,
    keys: Path | None = None,
    drop_unreadable: bool = False,
    dry_run: bool = False,
) -> Pruning:
    """Remove the backups of a target that a policy does not keep, and what only they need.

    keys: where the copies of the keys are; None leaves them. Errors: NoPolicy, Unreadable, ForeignBackup, NoneSound,
    UnknownVersion, TargetFailed, Locked.
    """
    if not policy:
        raise NoPolicy
    with alone(site):
        decided = _decide(site, target, policy, drop_unreadable=drop_unreadable)
        if not dry_run:
            _remove(site, target, keys, decided)
    return decided


def _decide(site: "Site", target: Target, policy: Keep, *, drop_unreadable: bool) -> Pruning:
    sizes, key = target.sizes(DATA), site.keys.derive(PURPOSE)
    sound: dict[str, tuple[Record, set[str]]] = {}
    damaged: list[str] = []
    for id_ in ids(target):
        try:
            sound[id_] = _sound(site, target, id_, sizes, key)
        except (Forged, Altered) as fault:
            if not drop_unreadable:
                raise Unreadable(id=id_, target=target.name, code=fault.code) from None
            damaged.append(id_)
    if damaged and not sound:
        raise NoneSound(target=target.name)
    keeping = kept(((id_, of.created) for id_, (of, _) in sound.items()), policy, ZoneInfo(site.settings.site.zone))
    needed = {name for id_ in keeping for name in sound[id_][1]}
    return Pruning(
        kept=keeping,
        gone=tuple(sorted({*sound, *damaged} - {*keeping})),
        damaged=tuple(damaged),
        objects={name: size for name, size in sizes.items() if name not in needed},
    )


def _sound(site: "Site", target: Target, id_: str, sizes: dict[str, int], key: bytes) -> tuple[Record, set[str]]:
    """Give a record and the names of the objects that it needs; errors: Forged, Altered, ForeignBackup, UnknownVersion."""
    data, verifier = data_of(target, id_), site.keys.verifier
    try:
        of = record.opened(data, id_, verifier)
    except UnknownVersion:
        raise
    except Forged:
        try:
            claimed = record.unverified(data, id_).site
        except Fault:
            claimed = verifier.name
        if claimed != verifier.name:
            raise ForeignBackup(id=id_, target=target.name) from None
        raise
    listing = opened_listing(target, of, key)
    needs = {**{each.sha256: (each.bytes, f"{id_}.list") for each in of.listing}, **pieces_of(listing.files)}
    for digest, (size, file) in needs.items():
        if (found := sizes.get(object_name(digest))) != size:
            fr, en = ("il manque", "it is missing") if found is None else ("sa longueur a changé", "its length has changed")
            raise altered(Piece(digest, size), file, fr, en)
    return of, {object_name(digest) for digest in needs}


def _remove(site: "Site", target: Target, keys: Path | None, decided: Pruning) -> None:
    if decided.gone or decided.objects:
        facts = {
            "kept": len(decided.kept), "removed": len(decided.gone), "damaged": len(decided.damaged),
            "objects": len(decided.objects), "bytes": decided.bytes,
        }  # fmt: skip
        site.audit.append("backup.pruned", {}, facts, {"target": target.name, "backups": " ".join(decided.gone)})
    if keys is not None:
        apart.condemn(keys, decided.gone, target.name)
    for id_ in decided.gone:
        target.remove(record_name(id_))
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="prune") as pool:
        for _ in pool.map(target.remove, sorted(decided.objects)):
            pass
    target.sweep()
    if keys is not None:
        apart.remove_condemned(keys, target.name, listed=decided.kept)
