"""From an entry of the audit log to the events that it makes, and from an event to its bytes (CloudEvents 1.0, JSON). Pure.

1. An event is named by its entry, its number and its hash: the same entry gives the same events, under the same ids, however
   often; a site that was restored, and enters another act under the same number, gives another.
2. What is told is what the entry says in clear, and to which application and flow a write belongs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from saas_connectors.payloads import encode
from sovereign.audit.entry import Entry
from sovereign.events.kinds import ACTS, KINDS, STEPS, Kind
from sovereign.settings import Subscriber

MEDIA: Final = "application/cloudevents+json"
_MADE: Final[Mapping[str, tuple[Kind, ...]]] = {act: tuple(kind for kind in KINDS if act in kind.acts) for act in ACTS}


@dataclass(frozen=True, slots=True)
class Write:
    """To whom a write belongs. step: of a flow, its occasion, its name, its record's pseudonym, whether it undoes."""

    client: str
    flow: str | None = None
    step: tuple[str, str, str, bool] | None = None


@dataclass(frozen=True, slots=True)
class News:
    """An event, before it is any subscriber's. entry: that made it; at: RFC 3339; connection: that it is about, if any."""

    id: str
    type: str
    at: str
    subject: str
    entry: int
    connection: str | None
    data: Mapping[str, Any] = field(repr=False)


def news_of(seq: int, entry: Entry, leaf: bytes, writes: Mapping[str, Write]) -> tuple[News, ...]:
    """The events that an entry makes. leaf: its hash; writes: of whom each write that is named is, by intent."""
    made = []
    for number, kind in enumerate(_MADE.get(entry.act, ())):
        known = {**entry.facts, **entry.subject}
        known["snapshot"] = known.get("sequence")
        if kind.states and entry.act in STEPS:
            found = _of_write(kind, known, writes)
            if found is None:
                continue
            known = found
        data = {name: known[name] for name in kind.schema["properties"] if known.get(name) is not None}
        subject = known.get("intent") or known.get("flow") or f"{known.get('connection')}/{known.get('stream')}"
        made.append(
            News(f"{seq}.{leaf[:4].hex()}.{number}", kind.type, entry.time, subject, seq, known.get("connection"), data)
        )
    return tuple(made)


def intent_of(entry: Entry) -> str | None:
    """The write that an entry is about, when a type is made of it."""
    intent = entry.subject.get("intent")
    return intent if entry.act in STEPS and isinstance(intent, str) else None


def _of_write(kind: Kind, known: dict[str, Any], writes: Mapping[str, Write]) -> dict[str, Any] | None:
    """What is known of a write in one of a type's states, None when the type is not of it."""
    write = writes.get(known.get("intent", ""))
    if write is None or known.get("state") not in kind.states:
        return None
    if "flow" not in kind.needed:
        return {**known, "client": write.client}
    if write.step is None:
        return None
    occasion, step, record, undo = write.step
    return {**known, "flow": write.flow, "occasion": occasion, "step": step, "record": record, "undo": undo}


def wants(subscriber: Subscriber, news: News) -> bool:
    """Whether a subscriber asked to be told of it."""
    if subscriber.connections and news.connection is not None and news.connection not in subscriber.connections:
        return False
    return any(
        each in ("*", news.type) or (each.endswith(".*") and news.type.startswith(each[:-1])) for each in subscriber.types
    )


def source_of(site: str) -> str:
    """The `source` of a site's events. site: the name of its key."""
    return f"/sites/{quote(site, safe='')}"


def body_of(news: News, source: str, sequence: int) -> bytes:
    """What a subscriber is sent. sequence: among all that it is told, from 1."""
    return encode(
        {
            "specversion": "1.0",
            "id": news.id,
            "source": source,
            "type": news.type,
            "time": news.at,
            "subject": news.subject,
            "sequence": f"{sequence:020}",
            "datacontenttype": "application/json",
            "data": news.data,
        }
    )
