"""What a proposed set would have decided otherwise, told in the audit log without drowning it.

Each kind of difference (client, connection, operation, what was decided, what would have been, by which policies) is entered
when it is first met, then each time its number doubles: the number told is a lower bound, at least half of the truth. A thread
of its own enters them, so that no decision waits; a set proposed anew starts from nothing.
"""

import queue
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from sovereign.audit import AuditLog
from sovereign.gateway.decision import Decision, Question
from vault.errors import Fault

MOST: Final = 10_000
"""Kinds of differences that are told apart; beyond, they are not told."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A kind of difference, and how often it was seen at least."""

    client: str
    connection: str
    operation: str
    was: str
    would: str
    was_by: tuple[str, ...]
    would_by: tuple[str, ...]
    count: int


class Differences:
    """Counts and enters differences. Safe to use from several threads."""

    def __init__(self, audit: AuditLog) -> None:
        self._audit = audit
        self._lock = threading.Lock()
        self._counts: dict[tuple[Any, ...], int] = {}
        self._told: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def compare(self, question: Question, was: Decision, would: Decision) -> None:
        """Note a decision that would be another one."""
        if was.effect == would.effect:
            return
        about = (
            question.client,
            question.connection,
            question.operation,
            was.effect,
            would.effect,
            was.policies,
            would.policies,
        )
        with self._lock:
            kind = (would.policy_set, *about)
            if kind not in self._counts and len(self._counts) >= MOST:
                return
            count = self._counts[kind] = self._counts.get(kind, 0) + 1
            if count & (count - 1):
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._enter, name="policy-shadow", daemon=True)
                self._thread.start()
        names = ("client", "connection", "operation", "was", "would", "was_by", "would_by")
        self._told.put({"set": would.policy_set, **dict(zip(names, about, strict=True)), "count": count})

    def restart(self) -> None:
        """Forget the counts."""
        with self._lock:
            self._counts.clear()

    def close(self) -> None:
        """Enter what is left."""
        if self._thread is not None:
            self._told.put(None)
            self._thread.join()
            self._thread = None

    def _enter(self) -> None:
        while (told := self._told.get()) is not None:
            facts = {name: list(value) if isinstance(value, tuple) else value for name, value in told.items()}
            subject = {"connection": facts.pop("connection")}
            with suppress(Fault):
                self._audit.append("policy.differed", subject, facts)


def told(audit: AuditLog, digest: str) -> tuple[Difference, ...]:
    """The differences that the audit log tells of a proposed set, most frequent first. Errors: Damaged."""
    found: dict[tuple[Any, ...], Difference] = {}
    for entry in audit.entries(act="policy.differed"):
        facts = entry.facts
        if facts["set"] != digest:
            continue
        each = Difference(
            facts["client"], str(entry.subject["connection"]), facts["operation"], facts["was"], facts["would"],
            tuple(facts["was_by"]), tuple(facts["would_by"]), facts["count"],
        )  # fmt: skip
        key = (each.client, each.connection, each.operation, each.was, each.would, each.was_by, each.would_by)
        if key not in found or found[key].count < each.count:
            found[key] = each
    return tuple(sorted(found.values(), key=lambda each: -each.count))
