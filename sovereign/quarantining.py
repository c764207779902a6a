"""What a site holds in quarantine: listed with the reason in words, told when nobody looked yet, removed by hand.

1. A whole stream waits for someone until a snapshot of it is published after it (`sync run --accept`, or a read that no guard
   stopped), or until it is removed. Single rows put aside wait for nobody: they are told for information.
2. Removing takes the lease of the connection, enters the act, then removes; no published row is touched.
3. Words come from the audit log, which holds rules and counts; no value of a row is read.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from snapshots import quarantine
from snapshots.dataset import DatasetId
from snapshots.errors import NoQuarantine
from sovereign.sync.fence import Fenced, lease_of
from sovereign.sync.tidying import discard
from sovereign.sync.verdict import Held
from vault.errors import Fault

if TYPE_CHECKING:
    from snapshots.quarantine import Quarantined
    from sovereign.site import Site

_ASIDE = {
    "keyless": ("sans clé primaire entière", "without a whole primary key"),
    "contract": ("refusées par le contrat du flux", "refused by the stream's contract"),
}
_KEPT = ("mis en quarantaine avant un arrêt brutal", "put in quarantine before a crash")
_CLOSED = ("illisible : sa description manque, est altérée, ou ses clés sont détruites",
           "unreadable: its description is missing or altered, or its keys were destroyed")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Kept:
    """One quarantine: why in both languages, rows and deletions as numbers, its files in bytes.

    created, rows, deletions, bytes: None when its description cannot be opened; deletions also when nothing was compared.
    whole: the stream was not published; waits: nobody dealt with it yet (law 1).
    """

    dataset: DatasetId
    run: str
    created: datetime | None
    whole: bool
    fr: str
    en: str
    rows: int | None
    deletions: int | None
    bytes: int | None
    waits: bool


def held(site: "Site", dataset: DatasetId | None = None) -> list[Kept]:
    """Give what is in quarantine, of one dataset or of all, in the order of the runs."""
    datasets = quarantine.holding(site.repository) if dataset is None else [dataset]
    return [found for each in datasets for found in _of(site, each)]


def remove(site: "Site", dataset: DatasetId, run: str) -> Kept:
    """Remove what a run put aside of a dataset, the act entered first; gives what it was.

    Errors: NoQuarantine, Locked while the connection runs.
    """
    if run not in quarantine.runs(site.repository, dataset):
        raise NoQuarantine(dataset=dataset, run=run)
    with site.leases.hold(lease_of(dataset.connection), f"quarantine {os.getpid()}") as lease:
        found = next((each for each in _of(site, dataset) if each.run == run), None)
        if found is None:
            raise NoQuarantine(dataset=dataset, run=run)
        book = Fenced(site.audit, site.runs.runs, site.leases, lease)
        discard(site.repository, book, dataset, run, _described(site, dataset, run), rule="hand")
    return found


def _of(site: "Site", dataset: DatasetId) -> Iterator[Kept]:
    entries = site.audit.entries(act="sync.quarantined", connection=dataset.connection, stream=dataset.stream)
    facts = {str(each.subject.get("run")): each.facts for each in entries}
    published: datetime | None = None
    with suppress(Fault):  # a history that cannot be read is for `verify` to tell; what is held is listed all the same
        published = max((datetime.fromisoformat(each.created) for each in site.repository.manifests(dataset)), default=None)
    for run in quarantine.runs(site.repository, dataset):
        told = _described(site, dataset, run)
        if told is None:
            yield Kept(dataset, run, None, run in facts, *_CLOSED, None, None, None, run in facts)
            continue
        created = datetime.fromisoformat(told.created)
        fr, en = _rule(facts.get(run, {})) if told.whole else _aside(told)
        deleted = told.counts.get("deleted")
        waits = told.whole and (published is None or published < created)
        deletions = deleted if isinstance(deleted, int) else None
        yield Kept(dataset, run, created, told.whole, fr, en, told.rows_kept, deletions, told.bytes, waits)


def _described(site: "Site", dataset: DatasetId, run: str) -> "Quarantined | None":
    try:
        return quarantine.read_description(site.repository, dataset, run)
    except Fault:
        return None


def _rule(facts: Mapping[str, Any]) -> tuple[str, str]:
    rule = Held(str(facts.get("rule", "recovered")), {key: value for key, value in facts.items() if key != "rule"})
    try:
        return rule.fr, rule.en
    except (KeyError, ValueError):  # entered after a crash, or by a rule that is no longer
        return _KEPT if rule.rule == "recovered" else (f"garde-fou : {rule.rule}", f"guard: {rule.rule}")


def _aside(told: "Quarantined") -> tuple[str, str]:
    said = [(count, *_ASIDE.get(reason, (reason, reason))) for reason, count in sorted(told.reasons.items())]
    return (
        "lignes mises de côté : " + ", ".join(f"{count} {fr}" for count, fr, _ in said),
        "rows put aside: " + ", ".join(f"{count} {en}" for count, _, en in said),
    )
