"""What a set of policies can tell apart: questions that it cannot get one answer, and Cedar is asked once for all of them.

1. Who asks, of what vendor and by which operation always count. Of the rest, only what some policy names (`context.…`).
2. A number that is only ever compared with constants counts by its place among them: 7 and 8 writes are one to `>= 200`.
3. Whatever is used in another way than those read here makes nothing be remembered: then each question is asked. So is one
   that Cedar could not be asked (a number past its own), whatever the policies name.
4. Findings and instants count as Cedar is told them: how many of a kind, not where; seconds of UTC.

The days on which policies end are no part of this: they are looked at for each question.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC
from typing import Any, Final

from sovereign.gateway.decision import Question
from sovereign.gateway.policy.questions import counts

_NUMBERS: Final[Mapping[str, Callable[[Question], int]]] = {
    "bytes": lambda question: question.bytes,
    "records": lambda question: question.records,
    "writes_this_hour": lambda question: question.hour,
    "writes_today": lambda question: question.day,
    "hour": lambda question: question.at.hour,
    "weekday": lambda question: question.at.isoweekday(),
}
_OTHERS: Final[Mapping[str, Callable[[Question], Hashable]]] = {
    "found": lambda question: tuple(counts(question.findings, sure=True).values()),
    "suspected": lambda question: tuple(counts(question.findings, sure=False).values()),
    "classes": lambda question: question.classes,
    # Two instants of the hour that comes twice are equal while they have a zone that is set back.
    "at": lambda question: question.at.astimezone(UTC).replace(microsecond=0),
    "departure": lambda question: question.departure,
    "dry_run": lambda question: question.dry_run,
    "method": lambda question: question.method,
    "path": lambda question: question.path,
    "person": lambda question: question.person,
}
_COMPARED: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
_CONTEXT: Final = {"Var": "context"}
_LONG: Final = 2**63
_LONGEST: Final = 512
"""Characters of a path from which on a question is not remembered: what is remembered is bounded in bytes too."""


class _TooMuch(Exception):
    """A policy uses the context in a way that is not read here."""


class Sight:
    """What the policies of a set see of a question. bodies: in Cedar's JSON form."""

    def __init__(self, bodies: Iterable[object]) -> None:
        self._exact: set[str] = set()
        self._bounds: dict[str, set[int]] = {}
        self._whole = False
        try:
            for body in bodies:
                self._look(body)
        except _TooMuch:
            self._whole = True
        self._seen = tuple((_OTHERS.get(name) or _NUMBERS[name]) for name in sorted(self._exact))
        self._compared = tuple(
            (_NUMBERS[name], sorted(bounds)) for name, bounds in sorted(self._bounds.items()) if name not in self._exact
        )

    def of(self, question: Question) -> Hashable | None:
        """What is seen of a question: two with the same get the same answer. None: nothing may be said of others."""
        if self._whole or question.at.tzinfo is None:
            return None
        if len(question.path) > _LONGEST:
            return None
        for number in (question.bytes, question.records, question.hour, question.day):
            if type(number) is not int or not -_LONG <= number < _LONG:
                return None
        places = []
        for read, bounds in self._compared:
            number = read(question)
            places.append((bisect_left(bounds, number), bisect_right(bounds, number)))
        return (
            question.client, question.owner, question.groups, question.roles, question.connection, question.vendor,
            question.operation, question.door, question.reads, *places, *[read(question) for read in self._seen],
        )  # fmt: skip

    def _look(self, node: object) -> None:
        if isinstance(node, list):
            for each in node:
                self._look(each)
        if not isinstance(node, dict):
            return
        if node == _CONTEXT:
            raise _TooMuch
        for name, held in node.items():
            if name in _COMPARED and isinstance(held, dict) and self._bound(held.get("left"), held.get("right")):
                continue
            if name in (".", "has") and isinstance(held, dict) and held.get("left") == _CONTEXT:
                self._named(held.get("attr"))
                continue
            self._look(held)

    def _named(self, attribute: Any) -> None:  # noqa: ANN401 - of parsed JSON
        if attribute not in _NUMBERS and attribute not in _OTHERS:
            raise _TooMuch
        self._exact.add(attribute)

    def _bound(self, left: object, right: object) -> bool:
        """Take a comparison of a number of the context with a constant; False when it is something else."""
        for one, other in ((left, right), (right, left)):
            attribute = _attribute(one)
            constant = other.get("Value") if isinstance(other, dict) and len(other) == 1 else None
            if attribute in _NUMBERS and type(constant) is int:
                self._bounds.setdefault(attribute, set()).add(constant)
                return True
        return False


def _attribute(node: object) -> str:
    """The name in `context.<name>`; empty when it is something else."""
    held = node.get(".") if isinstance(node, dict) and len(node) == 1 else None
    return str(held.get("attr")) if isinstance(held, dict) and held.get("left") == _CONTEXT else ""
