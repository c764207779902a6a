"""What waits for a person when a report is made: whatever the period, the table is of now."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import null, select

from sovereign.reports.labels import CIRCUITS, DUE, coded
from sovereign.reports.model import Cell, Column, Section, Table, Words
from sovereign.state import State
from sovereign.state.outbound import approval_requests, circuits, clients, deliveries, grants, intents, openings

SOON: Final = timedelta(days=30)
"""How long before its end a right is told."""
TO_SETTLE: Final = ("unknown", "probing", "inconclusive", "did_not_happen")

Due = tuple[str, str, str, datetime | None, datetime | None]
"""What kind it is of, what it is, its connection, since when, until when."""


def due(state: State, now: datetime) -> Iterator[Due]:
    """Give what waits, from the state."""
    asked, moved, held, ending, shut = approval_requests.c, deliveries.c, grants.c, clients.c, circuits.c
    wanted = openings.c
    soon = now + SOON
    queries = {
        "approval": select(asked.intent, intents.c.connection, asked.asked_at, asked.expires_at)
        .join(intents, intents.c.id == asked.intent)
        .where(asked.state == "open"),
        "opening": select(wanted.id, wanted.connection, wanted.asked_at, null()).where(wanted.state == "open"),
        "delivery": select(moved.intent, moved.connection, moved.since, null()).where(moved.state.in_(TO_SETTLE)),
        "grant": select(held.id, held.connection, held.granted_at, held.expires_at).where(
            held.revoked_at.is_(None), held.expires_at >= now, held.expires_at < soon
        ),
        "client": select(ending.id, null(), ending.added_at, ending.expires_at).where(
            ending.revoked_at.is_(None), ending.expires_at >= now, ending.expires_at < soon
        ),
        "vendor": select(shut.state, shut.connection, shut.since, shut.until).where(shut.state != "closed"),
    }
    with state.read() as reader:
        for kind, query in queries.items():
            for subject, connection, since, until in reader.execute(query):
                yield kind, subject, connection or "", since, until


def section(found: list[Due]) -> Section:
    """What waits, the first due first."""
    far = max((each[4] for each in found if each[4]), default=None)
    ordered = sorted(found, key=lambda each: (each[4] is None, each[4] or far, each[0], each[1]))
    rows: list[tuple[Cell, ...]] = [
        (coded(kind, DUE), coded(which, CIRCUITS) if kind == "vendor" else which, *rest) for kind, which, *rest in ordered
    ]
    columns = (
        Column("kind", Words("quoi", "what")), Column("subject", Words("lequel", "which")),
        Column("connection", Words("fournisseur", "vendor")), Column("since", Words("depuis", "since"), "time"),
        Column("until", Words("avant", "before"), "time"),
    )  # fmt: skip
    title = Words("Décisions attendues maintenant", "Decisions due now")
    return Section("due", title, (Table("due", Words("Ce qui attend quelqu'un", "What waits for someone"), columns, rows),))
