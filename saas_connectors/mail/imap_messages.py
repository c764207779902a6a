"""Reads the messages of one folder: a batch of UIDs at a time, with their texts, their files and their attachments.

1. Four questions a batch: headers and structures; the texts, by the section they stand in; what the store holds; then each file
   that it does not hold. BODY.PEEK alone: no message is marked as seen.
2. A tag is what never changes: folder, UIDVALIDITY, UID, with size and date of arrival, so that a UID which a restored server
   gives to another message is another tag.
3. A message or an attachment above `max_message` is recorded, not fetched, and counted.
4. A message that was listed and does not come is looked for again: gone (people delete), or missing, which weighs.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from saas_connectors.answer import accept
from saas_connectors.asking import Answer, fetch, file, holding
from saas_connectors.connector import Document, Evidence, Filed, Json, Page, Reading, Slice
from saas_connectors.errors import ResumeLost
from saas_connectors.mail import imap_answers
from saas_connectors.mail.imap_answers import Token, items, number, text
from saas_connectors.mail.imap_calls import Calls
from saas_connectors.mail.imap_headers import extract, header
from saas_connectors.mail.imap_names import numbers, ranges
from saas_connectors.mail.imap_planning import flags_of
from saas_connectors.mail.imap_settings import Settings
from saas_connectors.mail.imap_streams import SHAPES, keys, table
from saas_connectors.mail.imap_structure import MOST, Part, Structure, read
from saas_connectors.records import pieces

BATCH: Final = 100
_GONE: Final = 5_000
_HEADER: Final = 64 * 1024
_TEXT: Final = 64 * 1024
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


@dataclass(frozen=True, slots=True)
class _Message:
    """A message as its FETCH told it."""

    uid: int
    held: Mapping[str, Token] = field(repr=False)
    structure: Structure = field(repr=False)
    size: int = 0

    @property
    def tag(self) -> str:
        """What of it never changes."""
        return f"{self.uid}/{self.size}/{(text(self.held.get('INTERNALDATE')) or b'').decode('latin-1')}"


@dataclass(slots=True)
class Messages:
    """Reads one part of the plan."""

    calls: Calls
    settings: Settings
    part: Slice
    troubles: Counter[tuple[str, str]] = field(default_factory=Counter)

    def read(self, position: Json) -> Reading:
        """Read the folder, from a UID on; its slice bears no cursor."""
        detail = self.part.detail
        after = position["uid"] if position else 0
        if detail["back"] and not position:
            for name in self.part.streams:
                yield Evidence(name, "went_backwards", None, {"read_again": True})
        if not position:
            yield from removal(self.part, detail["name"], detail["validity"], detail["removed"])
        waiting = [uid for uid in numbers(detail["uids"]) if uid > after]
        for at in range(0, len(waiting), BATCH):
            yield from self._batch(waiting[at : at + BATCH])
        return {}

    def _batch(self, uids: Sequence[int]) -> Answer[None]:
        wanted = "UID FLAGS INTERNALDATE RFC822.SIZE BODYSTRUCTURE"
        modseq = " MODSEQ" if self.part.detail["modseq"] else ""
        found = yield from self._fetched(uids, f"({wanted}{modseq} BODY.PEEK[HEADER]<0.{_HEADER}>)")
        messages = [self._understood(uid, held) for uid, held in found.items()]
        lost = set(uids) - set(found)
        if lost:
            yield from self._missed(lost)
        texts = yield from self._texts(messages)
        stored = yield from self._files(messages)
        joined, attachments = [], []
        for message in messages:
            given, attached = stored[message.uid]
            joined.append(self._row(message, texts.get(message.uid, ""), given))
            attachments += attached
        for (stream, check), count in sorted(self.troubles.items()):
            held = None if check == "too_large" else False
            name = "document_missing" if check in ("too_large", "missing") else "invalid_records"
            yield Evidence(stream, name, held, {"count": count, "rules": {check: count}})
        self.troubles.clear()
        rows = {"messages": joined, "attachments": attachments}
        yield from self._pages({name: rows[name] for name in self.part.streams}, uids[-1], messages)

    def _pages(self, rows: Mapping[str, list[dict[str, Any]]], last: int, messages: Sequence[_Message]) -> Iterator[Page]:
        """Give a batch's pages; the last bears the position."""
        made: list[Page] = []
        detail = self.part.detail
        for name, held in rows.items():
            made += [Page(name, each) for each in pieces(table(name, held))]
            if name == "attachments" and detail["back"]:
                # A UID may be another message now, with fewer attachments.
                gone = [
                    (detail["name"], detail["validity"], each.uid, part)
                    for each in messages
                    for part in range(len(each.structure.attached) + 1, MOST + 1)
                ]
                made.append(Page(name, table(name, ()), removed=keys(name, gone)))
        *others, end = made
        yield from others
        yield Page(end.stream, end.records, {"uid": last}, end.removed)

    def _fetched(self, uids: Sequence[int], arguments: str) -> Answer[dict[int, dict[str, Token]]]:
        """Ask items of messages; those that were not asked for are dropped, several answers on one are one."""
        detail = self.part.detail
        request = self.calls.uid("FETCH", detail["raw"], detail["validity"], f"{ranges(uids)} {arguments}")
        (response,) = yield from fetch(request)
        if response.status == 410:
            raise ResumeLost(stream="messages")
        asked = set(uids)
        found: dict[int, dict[str, Token]] = {}
        for line in imap_answers.read(request, response):
            if len(line) == 3 and line[1] == "FETCH":
                held = items(line[2])
                uid = number(held.get("UID"))
                if uid in asked and len(held) > 1 and uid is not None:
                    found.setdefault(uid, {}).update(held)
        return {uid: found[uid] for uid in sorted(found) if any(name.startswith("BODY[") for name in found[uid])}

    def _understood(self, uid: int, held: Mapping[str, Token]) -> _Message:
        structure = read(held.get("BODYSTRUCTURE"))
        if structure.more and "attachments" in self.part.streams:
            self.troubles["attachments", "too_many"] += structure.more
        return _Message(uid, held, structure, number(held.get("RFC822.SIZE")) or 0)

    def _missed(self, lost: set[int]) -> Answer[None]:
        detail = self.part.detail
        request = self.calls.uid("SEARCH", detail["raw"], detail["validity"], f"UID {ranges(lost)}")
        (response,) = yield from fetch(request)
        lines = imap_answers.read(request, response)
        still = {number(each) for line in lines if line[:1] == ["SEARCH"] for each in line[1:]} & lost
        if still or not any(line[:1] == ["SEARCH"] for line in lines):
            for name in self.part.streams:
                yield Evidence(name, "vanished", False, {"count": len(still) or len(lost)})

    def _texts(self, messages: Sequence[_Message]) -> Answer[dict[int, str]]:
        """The texts, one question for each section that some stand in."""
        if not self.settings.text or "messages" not in self.part.streams:
            return {}
        by_section: dict[str, dict[int, Part]] = {}
        for message in messages:
            body = message.structure.body
            if body is not None and body.size:
                by_section.setdefault(body.section, {})[message.uid] = body
        found: dict[int, str] = {}
        for section, wanted in sorted(by_section.items()):
            answers = yield from self._fetched(sorted(wanted), f"(UID BODY.PEEK[{section}]<0.{_TEXT}>)")
            for uid, held in answers.items():
                content = next((text(value) for name, value in held.items() if name.startswith("BODY[")), None) or b""
                body = wanted[uid]
                html = body.media_type == "text/html"
                found[uid] = extract(content, body.encoding, body.charset, html=html, most=self.settings.text)
        return found

    def _files(self, messages: Sequence[_Message]) -> Answer[dict[int, tuple[tuple[str, Filed | None], list[dict[str, Any]]]]]:
        """The files of messages and attachments: what is held, then what is not, one at a time."""
        base = f"{self.part.detail['raw']}/{self.part.detail['validity']}/"
        kept = {name: name in self.part.streams and name in self.settings.files for name in ("messages", "attachments")}
        wholes = [f"{base}{each.tag}" for each in messages] if kept["messages"] else []
        parts = [f"{base}{each.tag}/{part.section}" for each in messages for part in each.structure.attached]
        held = dict(zip(wholes, (yield from holding("messages", *wholes)), strict=True))
        if kept["attachments"]:
            held |= dict(zip(parts, (yield from holding("attachments", *parts)), strict=True))
        made = {}
        for each in messages:
            tag = f"{base}{each.tag}"
            whole: tuple[str, Filed | None] = ("none", None)
            if kept["messages"]:
                whole = yield from self._taken("messages", each.uid, each.size, tag, held, None)
            rows = []
            for n, part in enumerate(each.structure.attached if "attachments" in self.part.streams else (), 1):
                given: tuple[str, Filed | None] = ("none", None)
                if kept["attachments"]:
                    given = yield from self._taken("attachments", each.uid, part.size, f"{tag}/{part.section}", held, part)
                rows.append(self._attachment(each, n, part, *given))
            made[each.uid] = (whole, rows)
        return made

    def _taken(
        self, stream: str, uid: int, size: int, tag: str, held: dict[str, Filed | None], part: Part | None
    ) -> Answer[tuple[str, Filed | None]]:
        known = held.get(tag)
        if known is not None:
            return "filed", known
        if size > self.settings.max_message:
            self.troubles[stream, "too_large"] += 1
            return "too_large", None
        detail = self.part.detail
        section, encoding = (part.section, part.encoding) if part else ("", "")
        request = self.calls.content(detail["raw"], detail["validity"], uid, section, encoding)
        (response,) = yield from fetch(request)
        if response.status == 410:
            raise ResumeLost(stream="messages")
        if response.status in (404, 409):
            self.troubles[stream, "missing"] += 1
            return "missing", None
        accept(request, response)
        media_type = part.media_type if part else "message/rfc822"
        name = (part.filename or "") if part else ""
        filed = yield from file(Document(stream, tag, response.body, media_type, name))
        return "filed", filed

    def _attachment(self, message: _Message, n: int, part: Part, state: str, filed: Filed | None) -> dict[str, Any]:
        return {
            **self._key(message), "part": n, "section": part.section, "filename": part.filename,
            "media_type": part.media_type, "encoded_size": part.size, "state": state,
            "size": filed.size if filed else None, "sha256": filed.sha256 if filed else None,
            "document": filed.document if filed else None,
        }  # fmt: skip

    def _key(self, message: _Message) -> dict[str, Any]:
        return {"folder": self.part.detail["name"], "uidvalidity": self.part.detail["validity"], "uid": message.uid}

    def _row(self, message: _Message, body: str, given: tuple[str, Filed | None]) -> dict[str, Any]:
        state, filed = given
        raw = next((text(value) for name, value in message.held.items() if name.startswith("BODY[HEADER]")), None) or b""
        told = header(raw)
        flags = flags_of(message.held.get("FLAGS"))
        lower = {flag.lower() for flag in flags}
        modseq = message.held.get("MODSEQ")
        proof = filed.sha256 if filed else f"{message.size}"
        return {
            **self._key(message), **told,
            "identity": hashlib.sha256(f"{told['message_id'] or ''}\n{proof}".encode()).hexdigest()[:32],
            "internal_date": arrival(text(message.held.get("INTERNALDATE"))),
            "flags": flags, "seen": "\\seen" in lower, "answered": "\\answered" in lower, "flagged": "\\flagged" in lower,
            "size": message.size, "modseq": number(modseq[0]) if isinstance(modseq, list) and modseq else None,
            "text": body or None, "attachments": len(message.structure.attached), "state": state,
            "document": filed.document if filed else None, "sha256": filed.sha256 if filed else None,
        }  # fmt: skip


def removal(part: Slice, name: str, validity: int, uids: str) -> Iterator[Page]:
    """Say that messages of a folder are gone, with each place that an attachment of theirs may have had."""
    waiting = list(numbers(uids))
    for stream in part.streams:
        step = _GONE if stream == "messages" else _GONE // MOST
        for at in range(0, len(waiting), step):
            some = waiting[at : at + step]
            gone: list[tuple[Any, ...]] = [(name, validity, uid) for uid in some]
            if len(SHAPES[stream].key) > 3:
                gone = [(*key, place) for key in gone for place in range(1, MOST + 1)]
            yield Page(stream, table(stream, ()), None, keys(stream, gone))
    if waiting:
        yield Page(part.streams[-1], table(part.streams[-1], ()), {"uid": 0})


def arrival(said: bytes | None) -> datetime | None:
    """Read an INTERNALDATE (`23-Nov-2026 10:00:00 +0100`); None when it is not one."""
    try:
        day, clock, zone = (said or b"").decode("ascii").split()
        number_, month, year = day.split("-")
        made = f"{year}-{_MONTHS.index(month.title()) + 1:02}-{int(number_):02}T{clock}{zone[:3]}:{zone[3:]}"
        return datetime.fromisoformat(made).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
