"""An older keyring put back whole: seen by what the audit log knows of keys.

The keyring's MAC proves that the site wrote it, not that it is today's. Each act on keys enters what it did and the revision
reached, after the keyring was written: a keyring that is ahead of the log is thus a crash or another process, and no fault.
Counted from the last restore from the recovery kit, which takes an older keyring on purpose:

1. A keyring whose revision is below the greatest entered, or that never heard of a key entered as made, is older. Records
   are never removed, so later writes do not hide it.
2. A key entered as destroyed, retired, or condemned to be, and that opens, was brought back. A destruction is entered as
   decided first: one that a crash cut short is told too, and one in progress is not.

Destructions decided before the restore are told as warnings: a backup's data come back with its keys.
It does not see a keyring and a `state.db` put back together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Final, Literal

from vault import files
from vault.errors import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from sovereign.audit import AuditEntry, AuditLog
    from sovereign.parts import Parts
    from vault.keys import KeyRecord, Keys

MADE: Final = "keys.created"
GONE: Final = ("keys.condemned", "keys.destroyed", "keys.retired")


def custody(site: "Parts") -> "Path":
    """Where whoever renews or destroys keys holds its lock, from the first write to the last."""
    return site.root / "keys" / "custody.lock"


def watched(site: "Parts", keys: "Keys") -> "Keys":
    """Have the keys that this keyring makes, by a rotation or on first need, entered once they are on the disk."""
    keys.tell(lambda made: _enter(site, made))
    return keys


def _enter(site: "Parts", made: "Sequence[KeyRecord]") -> None:
    for connection in dict.fromkeys(each.scope.connection for each in made):
        for some in few([each.id for each in made if each.scope.connection == connection]):
            site.audit.append("keys.created", {"connection": connection}, {"keys": some, "revision": site.keys.revision})


def few(ids: list[str]) -> list[list[str]]:
    """Ids by the thousand: an entry holds at most 64 KiB."""
    return [ids[start : start + 1000] for start in range(0, len(ids), 1000)]


@dataclass(slots=True)
class _Known:
    """What the log says since the last restore: the revision, keys made, keys gone; and keys destroyed before it."""

    revision: int = 0
    made: set[str] = field(default_factory=set)
    gone: "dict[str, AuditEntry]" = field(default_factory=dict)
    before: "dict[str, AuditEntry]" = field(default_factory=dict)


def findings(site: "Parts") -> Iterator[Finding]:
    """Compare the keyring with the audit log; nothing when it is at least what the log knows. Errors: Damaged."""
    known = _known(site.audit)  # read before the keyring, which may only be ahead of it
    held = {record.id: record for record in site.keys.list()}
    revision, missing = site.keys.revision, len(known.made - held.keys())
    if revision < known.revision or missing:
        yield Finding(
            "error", "keys.older", "keyring.json",
            f"Trousseau plus ancien que le journal d'audit (révision {revision}, le journal connaît la {known.revision} ; "
            f"clés absentes : {missing}). Arrêtez le service et remettez la sauvegarde la plus récente de keys/keyring.json ; "
            "s'il n'y en a pas, « sovereign keys restore-recovery » repart de celui-ci.",
            f"Keyring older than the audit log (revision {revision}, the log knows {known.revision}; keys missing: {missing}). "
            "Stop the service and put the latest backup of keys/keyring.json back; without one, "
            "`sovereign keys restore-recovery` starts again from this one.",
        )  # fmt: skip
    yield from _revived(site, known, held)


def _revived(site: "Parts", known: _Known, held: "dict[str, KeyRecord]") -> Iterator[Finding]:
    def alive(told: "dict[str, AuditEntry]") -> set[str]:
        return {key for key in told if key in held and held[key].state != "destroyed"}

    back, again = alive(known.gone), alive(known.before) - known.gone.keys()
    if any(known.gone[key].act == "keys.condemned" for key in back):
        if files.busy(custody(site)):  # someone is destroying them now
            back = {key for key in back if known.gone[key].act != "keys.condemned"}
        else:  # it may have ended since they were read
            held = {record.id: record for record in site.keys.list()}
            back = alive(known.gone)
    for key in sorted(back):
        yield _told("error", held[key], known.gone[key])
    for key in sorted(again):
        yield _told("warning", held[key], known.before[key])


def _told(severity: Literal["error", "warning"], record: "KeyRecord", entry: "AuditEntry") -> Finding:
    scope, day = record.scope, f"{entry.at:%Y-%m-%d}"
    if entry.act == "keys.retired":
        again = "sovereign keys rotate"
    else:
        again = f"sovereign keys destroy {scope.connection} {scope.key_class} {scope.period}"
    return Finding(
        severity, "keys.revived", record.id,
        f"Clé de {scope} détruite d'après le journal d'audit ({day}, entrée {entry.seq}), et pourtant là : un ancien trousseau "
        f"est revenu, ou la destruction n'a pas abouti. Remettez le trousseau le plus récent, ou refaites-la : {again}",
        f"Key of {scope} destroyed by the audit log ({day}, entry {entry.seq}), and yet alive: an older keyring came back, "
        f"or the destruction was cut short. Put the latest keyring back, or do it again: {again}",
    )  # fmt: skip


def _known(audit: "AuditLog") -> _Known:
    known = _Known()
    for entry in sorted(chain(audit.entries(act="keys"), audit.entries(act="recovery")), key=lambda each: each.seq):
        if entry.act == "recovery.restored":
            decided = {key: told for key, told in known.gone.items() if told.act != "keys.retired"}
            known = _Known(before=known.before | decided)
        known.revision = max(known.revision, int(entry.facts.get("revision", 0)))
        keys = entry.facts.get("keys")
        if isinstance(keys, list):
            if entry.act == MADE:
                known.made |= set(keys)
            elif entry.act in GONE:
                known.gone |= dict.fromkeys(keys, entry)
    return known
