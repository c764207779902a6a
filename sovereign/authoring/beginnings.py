"""The beginning of a read: what a recording that was cut can show of one."""

from collections.abc import Sequence

from saas_connectors.conformance.driver import Read, Send, Shelf, Unrehearsed, follow
from saas_connectors.connector import Connector, Json, Page, ReadPlan, Slice


def begun(connector: Connector, plan: ReadPlan, part: Slice, position: Json, send: Send, shelf: Shelf) -> Read:
    """What a slice gives before the recording ends, to its last position."""
    pages: list[Page] = []
    following, cursors = follow(connector, plan, part, position, send, shelf), dict[str, Json]()
    try:
        while True:
            given = next(following)
            if isinstance(given, Page):
                pages.append(given)
    except StopIteration as end:
        cursors = dict(end.value)
    except Unrehearsed:
        while pages and pages[-1].position is None:
            pages.pop()
    return Read(tuple(pages), (), cursors)


def alike(one: Sequence[Page], other: Sequence[Page]) -> bool:
    """Whether two reads gave the same pages."""
    return len(one) == len(other) and all(
        (a.stream, a.position) == (b.stream, b.position) and a.records.equals(b.records)
        for a, b in zip(one, other, strict=True)
    )
