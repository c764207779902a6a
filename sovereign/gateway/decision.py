"""The question a policy is asked, and its answer: plain values that can be kept, shown and asked again.

A question holds no value of the payload: it holds what was found in it. So it may be kept to replay history against a policy
that is only proposed.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal, Protocol

Effect = Literal["allow", "deny", "hold"]
Action = Literal["block", "hold", "pseudonymise", "record"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something sensitive seen in a payload: its type, where (a pointer without values), how many times. Never the value."""

    kind: str
    pointer: str
    count: int = 1
    sure: bool = True


@dataclass(frozen=True, slots=True)
class Question:
    """What a decision rests on.

    roles, groups: of whoever answers for the client; `person` is the client's word alone. classes: classes of data that the
    payload may hold. records: how many are written at once. hour, day: how many writes this client made to this connection
    before. at: in the site's own zone.
    """

    client: str
    connection: str
    vendor: str
    door: str
    operation: str
    method: str
    path: str
    at: datetime
    owner: str = ""
    person: str | None = None
    roles: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    bytes: int = 0
    records: int = 1
    hour: int = 0
    day: int = 0
    departure: bool = False
    reads: bool = False
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer, and why in both languages.

    policies: ids of what decided. policy_set: hash (hex) of the set in force. quorum, groups, within: what a hold asks for.
    transforms: findings to pseudonymise, by pointer. errors: rule ids of what went wrong while deciding, which denies.
    """

    effect: Effect
    policies: tuple[str, ...]
    fr: str
    en: str
    policy_set: str
    findings: tuple[Finding, ...] = ()
    quorum: int = 0
    groups: tuple[str, ...] = ()
    within: timedelta | None = None
    transforms: tuple[str, ...] = ()
    errors: tuple[str, ...] = field(default=())


def counts(findings: tuple[Finding, ...]) -> dict[str, int]:
    """How many of each kind."""
    found: dict[str, int] = {}
    for each in findings:
        found[each.kind] = found.get(each.kind, 0) + each.count
    return found


class Policy(Protocol):
    """Decides. Never raises: an error while deciding is a denial by the rule `policy.error`."""

    @property
    def digest(self) -> str:
        """The hash of the set in force, hex."""
        ...

    def decide(self, question: Question) -> Decision:
        """Answer one question."""
        ...
