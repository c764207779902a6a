"""What a read is worth: pure functions from evidence to a verdict, and from counts to a quarantine.

The laws of the verdict:

1. `partial` when something speaks against completeness: the vendor counts more records than were read, a filter was ignored
   without a full read to make up for it, records were discarded, the vendor went backwards, or records of a full read came
   back twice while nothing proves that none was missed in exchange.
2. `complete` when nothing speaks against it and at least one fact speaks for it: a count that matches, or a check of the
   connector that holds.
3. `unverified` otherwise: the pages were continuous, and that is all that can be said. A vendor that counts fewer records
   than it gave is contradicting itself, so its count proves nothing.

A count is a hint, never a stop condition. The vendor may announce several while the read goes on, because
people work meanwhile; what was read matches when it lies between the smallest and the largest.

The laws of quarantine: a copy that came back empty where there was one, that fell by more than `max_fall`, or that would
delete more than `max_deletions` of its records is kept and not published. A first copy has nothing to be compared with and
passes.

Nothing here reads a record, a clock or a setting.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from saas_connectors.connector import Evidence

State = Literal["complete", "partial", "unverified"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What the run itself saw of one stream, in records; `full` when everything was asked for.

    `distinct` by primary key, `repeated_same` and `repeated_different` received again with the same content or another,
    `discarded` refused by the contract.
    """

    full: bool
    distinct: int
    repeated_same: int = 0
    repeated_different: int = 0
    discarded: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the read is worth, and every fact that was weighed."""

    state: State
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Guards:
    """How far a copy may shrink before someone must look: fractions of the previous copy, 0 to 1."""

    max_fall: float = 0.5
    max_deletions: float = 0.3


@dataclass(frozen=True, slots=True)
class Held:
    """Why a copy was put in quarantine."""

    rule: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fr(self) -> str:
        """The reason, in French."""
        return _REASONS[self.rule][0].format(**self.facts)

    @property
    def en(self) -> str:
        """The reason, in English."""
        return _REASONS[self.rule][1].format(**self.facts)


_REASONS = {
    "empty": (
        "le fournisseur n'a rien donné, alors que la copie précédente compte {previous} enregistrements",
        "the vendor gave nothing, while the previous copy holds {previous} records",
    ),
    "fall": (
        "la copie passe de {previous} à {rows} enregistrements, plus que la chute admise ({limit:.0%})",
        "the copy falls from {previous} to {rows} records, more than the fall allowed ({limit:.0%})",
    ),
    "deletions": (
        "{deleted} enregistrements sur {previous} disparaîtraient, plus que la part admise ({limit:.0%})",
        "{deleted} of {previous} records would disappear, more than the share allowed ({limit:.0%})",
    ),
}


def judge(stream: str, evidence: Sequence[Evidence], facts: Facts) -> Verdict:
    """Weigh what was seen of `stream` into a verdict, by the laws above."""
    weighed = [e for e in evidence if e.stream == stream and e.check != "vendor_count"]
    counts = [e for e in evidence if e.stream == stream and e.check == "vendor_count"]
    counted = _count(stream, counts, facts)
    if counted is not None:
        weighed.append(counted)
    repeated = facts.repeated_same + facts.repeated_different
    if repeated:
        cleared = counted is not None and counted.holds is True
        detail = {"same": facts.repeated_same, "different": facts.repeated_different}
        weighed.append(Evidence(stream, "records_repeated", None if cleared or not facts.full else False, detail))
        if cleared:
            weighed = [_as_remark(e) if e.check in {"page_repeated", "order_unstable"} else e for e in weighed]
    if facts.discarded:
        weighed.append(Evidence(stream, "records_discarded", False, {"count": facts.discarded}))
    if any(e.holds is False for e in weighed):
        return Verdict("partial", tuple(weighed))
    return Verdict("complete" if any(e.holds for e in weighed) else "unverified", tuple(weighed))


def _count(stream: str, announced: Sequence[Evidence], facts: Facts) -> Evidence | None:
    """Hold what was read against what the vendor announced; a connector's own word on a count (`holds`) is kept."""
    numbers = [int(e.detail["count"]) for e in announced if "count" in e.detail]
    if not numbers:
        return announced[-1] if announced else None
    low, high = min(numbers), max(numbers)
    detail: dict[str, Any] = {"count": numbers[-1], "read": facts.distinct}
    if low != high:
        detail |= {"smallest": low, "largest": high}
    if low <= facts.distinct <= high:
        return Evidence(stream, "vendor_count", True, detail)
    return Evidence(stream, "vendor_count", False if facts.distinct < low else None, detail)


def _as_remark(evidence: Evidence) -> Evidence:
    return Evidence(evidence.stream, evidence.check, None, evidence.detail)


def hold(*, previous: int | None, rows: int, deleted: int, guards: Guards) -> Held | None:
    """Say why a copy of `rows` records must not replace one of `previous` (None: there is none), or None when it may."""
    if not previous:
        return None
    if rows == 0:
        return Held("empty", {"previous": previous})
    if previous - rows > guards.max_fall * previous:
        return Held("fall", {"previous": previous, "rows": rows, "limit": guards.max_fall})
    if deleted > guards.max_deletions * previous:
        return Held("deletions", {"previous": previous, "deleted": deleted, "limit": guards.max_deletions})
    return None
