"""`sovereign snapshot diff`: what changed between two snapshots, row by row, as far as a clearance sees."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sovereign.cli.door import Door
from sovereign.cli.marks import number, several, when
from sovereign.cli.output import shown
from sovereign.language import say

if TYPE_CHECKING:
    from snapshots.dataset import DatasetId
    from snapshots.manifest import Manifest

SIGNS: Final = {"i": "+", "u": "~", "d": "\u2212"}
STYLES: Final = {"i": "green", "u": "yellow", "d": "red"}
WIDEST: Final = 60
"""Characters shown of one value."""


@dataclass(frozen=True, slots=True)
class Change:
    """One row that changed: its key, and its values before and after."""

    op: str
    key: dict[str, Any]
    before: dict[str, Any] | None
    after: dict[str, Any] | None

    @property
    def values(self) -> dict[str, tuple[Any, Any]]:
        """The columns that differ, before and after, the key apart."""
        before, after = self.before or {}, self.after or {}
        names = dict.fromkeys([*before, *after])
        pairs = {name: (before.get(name), after.get(name)) for name in names if name not in self.key}
        return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}

    def record(self) -> dict[str, Any]:
        """As JSON."""
        row = self.after or self.before
        told = {"changed": self.values} if self.op == "u" else {"row": row}
        return {"op": self.op, "key": self.key, **told}

    def line(self) -> str:
        """As a person reads it."""
        if self.op == "u":
            told = ", ".join(f"{name}: {_short(pair[0])} → {_short(pair[1])}" for name, pair in self.values.items())
        else:
            row = self.after or self.before or {}
            told = ", ".join(
                f"{name}: {_short(value)}" for name, value in row.items() if name not in self.key and value is not None
            )
        return f"{SIGNS[self.op]} {' '.join(_short(each) for each in self.key.values())}   {told}".rstrip()


def _short(value: object) -> str:
    text = shown(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def compare(door: Door, dataset: "DatasetId", before: "Manifest", after: "Manifest", clearance: str, limit: int) -> None:
    """Show at most `limit` changes (0: all), and count all of them."""
    from sovereign.withheld import notes

    site = door.site()
    warnings = notes(site, (before, after), clearance)
    described = site.repository.schema(after, clearance)
    key = [each.name for each in described if b"key" in (each.metadata or {})]
    counts: Counter[str] = Counter()
    kept: list[Change] = []
    for change in _changes(site.changes(dataset, before, after, clearance=clearance), key):
        counts[change.op] += 1
        if limit and counts.total() > limit:
            continue
        if door.out.json:
            door.out.record("change", **change.record())
        else:
            kept.append(change)
    found = {"inserted": counts["i"], "updated": counts["u"], "deleted": counts["d"]}
    told = min(counts.total(), limit) if limit else counts.total()
    name = f"{dataset.connection}.{dataset.stream}"
    door.out.record(
        "diff", dataset=name, **{"from": before.sequence, "to": after.sequence}, clearance=clearance, **found, shown=told,
        warnings=[say(*each) for each in warnings],
    )  # fmt: skip
    for fr, en in warnings:
        door.out.remark(f"! {fr}", f"! {en}", style="yellow")
    head = f"{name} {before.sequence} ({when(before.created)}) → {after.sequence} ({when(after.created)})"
    door.out.say(head, head, style="bold")
    for change in sorted(kept, key=lambda each: (list(SIGNS).index(each.op), list(map(str, each.key.values())))):
        door.out.say(change.line(), change.line(), style=STYLES[change.op])
    summary = " ".join(f"{SIGNS[op]}{number(counts[op])}" for op in SIGNS)
    total = several(counts.total(), "changement*", "change*")
    door.out.say(f"{total} : {summary}", f"{total}: {summary}")
    if told < counts.total():
        left = number(counts.total() - told)
        door.out.remark(f"! {left} de plus ; --limit 0 les montre tous", f"! {left} more; --limit 0 shows all", style="yellow")


def _changes(batches: Iterator[Any], key: Sequence[str]) -> Iterator[Change]:
    for batch in batches:
        for row in batch.to_pylist():
            present = row["after"] or row["before"] or {}
            named = {"_key": row["_key"]} if "_key" in row else {name: present.get(name) for name in key}
            yield Change(row["_op"], named, row["before"], row["after"])
