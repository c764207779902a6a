"""What subscribers are to be told, found from the audit log: one row a subscriber and an event, sealed.

1. Rows are made from entries of the log, from a cursor that moves in the same transaction: nothing that happened is forgotten
   nor told twice under two ids, whoever did it and whatever died since.
2. Each subscriber has a sequence of its own, from 1, without a gap but for what was lost: when `most` wait already, an event is
   not kept; that is entered in the log, and told to the subscriber as soon as there is room.
3. Making rows is entered once for each subscriber and look.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, Final, Protocol

from sqlalchemy import Connection, func, insert, select, update

from sovereign.audit import AuditLog
from sovereign.audit.entry import NewEntry, read
from sovereign.clock import Clock
from sovereign.events.kinds import ACTS
from sovereign.events.news import News, Write, body_of, intent_of, news_of, source_of, wants
from sovereign.events.subscribing import CURSOR, Told
from sovereign.state import State
from sovereign.state.flowing import flow_rows
from sovereign.state.outbound import intents
from sovereign.state.schema import audit_entries, counters, instant_text
from sovereign.state.telling import subscriber_messages, subscribers
from vault import envelope
from vault.keys import Keys

PIECE: Final = 1000
"""Entries looked at in one go."""
TESTED, LOST = "sovereign.subscriber.tested", "sovereign.subscriber.lost"
SEALING: Final = "events/outgoing"
_ACTS: Final = sorted(ACTS)


class Changed(Protocol):
    """The rows that an entry of the log changed, as far as a subscriber is cleared for them."""

    def __call__(self, told: Told, news: News, /) -> "Rows":
        """Of a copy that was committed."""
        ...


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows as events. left: how many more there were than one look tells. why: what kept them from being read."""

    news: Sequence[News] = ()
    left: int = 0
    why: str | None = None


def no_rows(_told: Told, _news: News, /) -> Rows:
    """A house whose copies are not told row by row."""
    return Rows()


class Gathering:
    """Makes the messages of a site's subscribers. changed: gives rows of copies."""

    def __init__(self, state: State, audit: AuditLog, keys: Keys, clock: Clock, changed: Changed = no_rows) -> None:
        self._state, self._audit, self._clock, self._changed = state, audit, clock, changed
        self._sealing, self._source = keys.derive(SEALING), source_of(keys.verifier.name)

    def gather(self, known: Mapping[str, Told]) -> bool:
        """Make a row of each event since the last look, `PIECE` entries at most; gives whether there may be more."""
        with self._state.read() as reader:
            counted = dict(
                reader.execute(select(counters.c.name, counters.c.value).where(counters.c.name.in_((CURSOR, "audit")))).all()
            )
            last, end = counted.get(CURSOR), counted.get("audit", 0) - 1
            if last is None or last >= end:
                return False
            after = max(last, min(each.since for each in known.values()))
            upto = min(after + PIECE, end)
            found = self._found(reader, after, upto)
        wanted = {name: self._wanted(told, found) for name, told in known.items()}
        with self._state.begin() as transaction:
            ahead = update(counters).where((counters.c.name == CURSOR) & (counters.c.value == last))
            if not transaction.execute(ahead.values(value=upto)).rowcount:
                return False
            entries = [each for name, (news, lost, said) in wanted.items() for each in (*said, *self._kept(
                transaction, known[name], news, lost))]  # fmt: skip
            self._audit.append_many(entries, within=transaction)
        return bool(upto < end)

    def _found(self, reader: Connection, after: int, upto: int) -> list[News]:
        """The events that entries of the log make."""
        c = audit_entries.c
        query = select(c.seq, c.entry, c.leaf).where((c.seq > after) & (c.seq <= upto) & c.act.in_(_ACTS)).order_by(c.seq)
        entries = [(seq, read(text.encode(), seq), leaf) for seq, text, leaf in reader.execute(query)]
        writes = self._writes(reader, {intent for _, each, _ in entries if (intent := intent_of(each)) is not None})
        return [news for seq, each, leaf in entries for news in news_of(seq, each, leaf, writes)]

    @staticmethod
    def _writes(reader: Connection, named: Collection[str]) -> dict[str, Write]:
        found, all_ = dict[str, Write](), sorted(named)
        for start in range(0, len(all_), 500):
            some = all_[start : start + 500]
            for row in reader.execute(select(intents.c.id, intents.c.client).where(intents.c.id.in_(some))):
                found[row.id] = Write(row.client)
            c = flow_rows.c
            query = select(c.intent, c.flow, c.occasion, c.step, c.record, c.undo).where(c.intent.in_(some))
            for intent, flow, occasion, step, record, undo in reader.execute(query):
                if intent in found:
                    found[intent] = Write(found[intent].client, flow, (occasion, step, record.hex(), bool(undo)))
        return found

    def _wanted(self, told: Told, found: Iterable[News]) -> tuple[list[News], int, list[NewEntry]]:
        """What a subscriber is to be told of it, how much of it is lost already, what the log is told."""
        news, lost, said = list[News](), 0, list[NewEntry]()
        for each in found:
            if each.entry <= told.since:
                continue
            if wants(told.declared, each):
                news.append(each)
            if each.type == "sovereign.snapshot.committed" and each.subject.replace("/", ".") in told.declared.changes:
                rows = self._changed(told, each)
                news += rows.news
                lost += rows.left
                if rows.why is not None:
                    facts = {"entry": each.entry, "why": rows.why}
                    said.append(NewEntry("subscriber.withheld", {"subscriber": told.name}, facts))
        return news, lost, said

    def _kept(self, transaction: Connection, told: Told, news: Sequence[News], lost: int) -> list[NewEntry]:
        """Keep them in a subscriber's order; gives what the log is told."""
        held = subscriber_messages.c
        row = transaction.execute(select(subscribers).where(subscribers.c.name == told.name)).one_or_none()
        if row is None or row.removed_at is not None or (not news and not lost and not row.lost):
            return []
        mine = (held.subscriber == told.name) & held.next_at.is_not(None)
        waiting = transaction.execute(select(func.count()).select_from(subscriber_messages).where(mine)).scalar_one()
        room = max(0, told.declared.most - waiting)
        said, sequence, before = [], row.sequence, row.lost
        if before and room:
            news = (self._of(told, LOST, {"lost": before}), *news)
            before = 0
        kept, over = news[:room], len(news) - len(news[:room]) + lost
        self._add(transaction, told.name, kept, sequence)
        ended = {"sequence": sequence + len(kept) + over, "lost": before + over}
        transaction.execute(update(subscribers).where(subscribers.c.name == told.name).values(**ended))
        subject = {"subscriber": told.name}
        if kept:
            facts = {"first": sequence + 1, "last": sequence + len(kept)}
            said.append(NewEntry("subscriber.due", subject, facts))
        if over:
            said.append(NewEntry("subscriber.overflowed", subject, {"lost": over, "waiting": waiting + len(kept)}))
        return said

    def _add(self, transaction: Connection, name: str, news: Sequence[News], sequence: int) -> None:
        now, rows = self._clock(), []
        for number, each in enumerate(news, sequence + 1):
            body = body_of(each, self._source, number)
            sealed = envelope.seal(self._sealing, context(name, number), body)
            rows.append(
                {"subscriber": name, "sequence": number, "id": each.id, "type": each.type, "at": now, "attempts": 0,
                 "outcome": "waiting", "since": now, "next_at": now, "sealed": sealed}
            )  # fmt: skip
        if rows:
            transaction.execute(insert(subscriber_messages), rows)

    def _of(self, told: Told, type_: str, data: Mapping[str, Any]) -> News:
        """An event of the subscriber itself."""
        at, name = instant_text(self._clock()), f"{type_.rpartition('.')[2]}.{token_hex(8)}"
        return News(name, type_, at, told.name, 0, None, {"subscriber": told.name, **data})

    def test(self, told: Told) -> str:
        """Tell a subscriber that it is being tried; gives the id of that event."""
        news = self._of(told, TESTED, {})
        with self._state.begin() as transaction:
            where = subscribers.c.name == told.name
            sequence = int(transaction.execute(select(subscribers.c.sequence).where(where)).scalar_one()) + 1
            self._add(transaction, told.name, [news], sequence - 1)
            transaction.execute(update(subscribers).where(where).values(sequence=sequence))
            facts = {"first": sequence, "last": sequence}
            self._audit.append("subscriber.due", {"subscriber": told.name}, facts, within=transaction)
        return news.id


def context(subscriber: str, sequence: int) -> bytes:
    """What the body of a message is sealed to."""
    return f"sovereign-event-out/1:{subscriber}:{sequence}".encode()
