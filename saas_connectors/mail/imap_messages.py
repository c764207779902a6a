"""Reads the messages of one folder: a batch of UIDs at a time, with their texts, their files and their attachments.

1. Three questions a batch: headers and structures; the texts, by the section they stand in; the files (`imap_files`).
   BODY.PEEK alone: no message is marked as seen.
2. A message that was listed and does not come, or whose bytes do not, is looked for again: gone (people delete and move), or
   missing, which weighs. A folder that went meanwhile ends here, and weighs.
3. One message whose answer cannot be read, or is too large, spoils no other: a batch is halved until it stands alone, then it
   is asked without its structure.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Evidence, Filed, Json, Page, Reading, Slice
from saas_connectors.errors import Malformed, VendorError
from saas_connectors.mail import imap_answers
from saas_connectors.mail.imap_answers import Token, items, number, text
from saas_connectors.mail.imap_calls import Calls
from saas_connectors.mail.imap_files import Away, Files, Message, Stored
from saas_connectors.mail.imap_headers import header
from saas_connectors.mail.imap_names import numbers, ranges
from saas_connectors.mail.imap_planning import flags_of
from saas_connectors.mail.imap_settings import Settings
from saas_connectors.mail.imap_streams import SHAPES, keys, table
from saas_connectors.mail.imap_structure import MOST, Part, read
from saas_connectors.mail.imap_text import extract
from saas_connectors.records import pieces

BATCH: Final = 100
_GONE: Final = 5_000
_PEEK: Final = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID IN-REPLY-TO REFERENCES SUBJECT DATE FROM TO CC)]<0.65536>"
"""The fields that are read, and no other: a header of a megabyte hides none of them."""
_TEXT: Final = 64 * 1024
_ITEMS: Final = "UID FLAGS INTERNALDATE RFC822.SIZE"
_SPOILT: Final = frozenset({400, 404, 409, 413})
"""Refusals that one message may cause for the batch it is asked with."""
_MONTHS: Final = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class _Spoilt(Exception):
    """The answer on some messages cannot be read; `error` is what it would raise."""

    def __init__(self, error: VendorError) -> None:
        super().__init__()
        self.error = error


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
            yield from removal(self.part, detail["name"], detail["validity"], detail["removed"], {"uid": 0})
        waiting = [uid for uid in numbers(detail["uids"]) if uid > after]
        for at in range(0, len(waiting), BATCH):
            try:
                yield from self._batch(waiting[at : at + BATCH])
            except Away:
                for name in self.part.streams:
                    yield Evidence(name, "vanished", False, {"count": len(waiting) - at, "folders": True})
                break
        return {}

    def _batch(self, uids: Sequence[int]) -> Answer[None]:
        modseq = " MODSEQ" if self.part.detail["modseq"] else ""
        found = yield from self._parted(uids, f"{_ITEMS}{modseq}", _PEEK)
        messages = [self._understood(uid, held) for uid, held in sorted(found.items())]
        texts = yield from self._texts(messages)
        files = Files(self.calls, self.settings, self.part, self.troubles)
        stored = yield from files.of(messages)
        lost = set(uids) - set(found)
        if lost | files.missing.keys():
            yield from self._missed(lost, files.missing, stored)
        rows: dict[str, list[dict[str, Any]]] = {"messages": [], "attachments": []}
        for message in messages:
            if message.uid in stored:
                given, attached = stored[message.uid]
                rows["messages"].append(self._row(message, texts.get(message.uid, ""), given))
                rows["attachments"] += (self._attachment(message, n, *each) for n, each in enumerate(attached, 1))
        for (stream, check), count in sorted(self.troubles.items()):
            held = None if check == "too_large" else False
            name = "document_missing" if check in ("too_large", "missing") else "invalid_records"
            yield Evidence(stream, name, held, {"count": count, "rules": {check: count}})
        self.troubles.clear()
        yield from self._pages({name: rows[name] for name in self.part.streams}, uids[-1], messages)

    def _pages(self, rows: Mapping[str, list[dict[str, Any]]], last: int, messages: Sequence[Message]) -> Iterator[Page]:
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

    def _parted(self, uids: Sequence[int], items_: str, peek: str) -> Answer[dict[int, dict[str, Token]]]:
        """Ask for messages and their structure, in halves where an answer is spoilt.

        Errors: that of the first answer, when there were several messages and none could be read.
        """
        found: dict[int, dict[str, Token]] = {}
        bare: set[int] = set()
        first: VendorError | None = None
        waiting = [list(uids)]
        while waiting:
            some = waiting.pop()
            try:
                found |= yield from self._fetched(some, f"({items_} BODYSTRUCTURE {peek})")
            except _Spoilt as spoilt:
                first = first or spoilt.error
                if len(some) > 1:
                    waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
                    continue
                with suppress(_Spoilt):
                    alone = yield from self._fetched(some, f"({items_} {peek})")
                    found |= alone
                    bare |= alone.keys()
        if first is not None and len(uids) > 1 and not found.keys() - bare:
            raise first
        for name in self.part.streams if bare else ():
            self.troubles[name, "structure"] += len(bare)
        return found

    def _fetched(self, uids: Sequence[int], arguments: str) -> Answer[dict[int, dict[str, Token]]]:
        """Ask items of messages; those that were not asked for are dropped, several answers on one are one.

        Errors: those of a refusal, `_Spoilt`, `Away`.
        """
        detail = self.part.detail
        request = self.calls.uid("FETCH", detail["raw"], detail["validity"], f"{ranges(uids)} {arguments}")
        (response,) = yield from fetch(request)
        if response.status == 410:
            raise Away
        try:
            lines = imap_answers.read(request, response)
        except VendorError as error:
            if isinstance(error, Malformed) or response.status in _SPOILT:
                raise _Spoilt(error) from None
            raise
        asked = set(uids)
        found: dict[int, dict[str, Token]] = {}
        for line in lines:
            if len(line) == 3 and line[1] == "FETCH":
                held = items(line[2])
                uid = number(held.get("UID"))
                if uid in asked and len(held) > 1 and uid is not None:
                    found.setdefault(uid, {}).update(held)
        return {uid: found[uid] for uid in sorted(found) if any(name.startswith("BODY[") for name in found[uid])}

    def _understood(self, uid: int, held: Mapping[str, Token]) -> Message:
        structure = read(held.get("BODYSTRUCTURE"))
        if structure.more and "attachments" in self.part.streams:
            self.troubles["attachments", "too_many"] += structure.more
        return Message(uid, held, structure, number(held.get("RFC822.SIZE")) or 0)

    def _missed(self, lost: set[int], missing: Mapping[int, Counter[str]], stored: dict[int, Stored]) -> Answer[None]:
        """Look again for what did not come: what is gone has no record, what is still there weighs."""
        detail = self.part.detail
        wanted = lost | missing.keys()
        request = self.calls.uid("SEARCH", detail["raw"], detail["validity"], f"UID {ranges(wanted)}")
        (response,) = yield from fetch(request)
        if response.status == 410:
            raise Away
        told = [line[1:] for line in imap_answers.read(request, response) if line[:1] == ["SEARCH"]]
        still = {number(each) for line in told for each in line} & wanted if told else wanted
        for uid, held in missing.items():
            if uid not in still:
                del stored[uid]
                continue
            for stream, count in held.items():
                self.troubles[stream, "missing"] += count
        if lost & still:
            for name in self.part.streams:
                yield Evidence(name, "vanished", False, {"count": len(lost & still)})

    def _texts(self, messages: Sequence[Message]) -> Answer[dict[int, str]]:
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
            answers: dict[int, dict[str, Token]] = {}
            waiting = [sorted(wanted)]
            while waiting:
                some = waiting.pop()
                try:
                    answers |= yield from self._fetched(some, f"(UID BODY.PEEK[{section}]<0.{_TEXT}>)")
                except _Spoilt:
                    if len(some) > 1:
                        waiting += [some[len(some) // 2 :], some[: len(some) // 2]]
                    else:
                        self.troubles["messages", "text"] += 1
            for uid, held in answers.items():
                content = next((text(value) for name, value in held.items() if name.startswith("BODY[")), None) or b""
                body = wanted[uid]
                html = body.media_type == "text/html"
                found[uid] = extract(content, body.encoding, body.charset, html=html, most=self.settings.text)
        return found

    def _attachment(self, message: Message, n: int, part: Part, state: str, filed: Filed | None) -> dict[str, Any]:
        return {
            **self._key(message), "part": n, "section": part.section, "filename": part.filename,
            "media_type": part.media_type, "encoded_size": part.size, "state": state,
            "size": filed.size if filed else None, "sha256": filed.sha256 if filed else None,
            "document": filed.document if filed else None,
        }  # fmt: skip

    def _key(self, message: Message) -> dict[str, Any]:
        return {"folder": self.part.detail["name"], "uidvalidity": self.part.detail["validity"], "uid": message.uid}

    def _row(self, message: Message, body: str, given: tuple[str, Filed | None]) -> dict[str, Any]:
        state, filed = given
        raw = next((text(value) for name, value in message.held.items() if name.startswith("BODY[HEADER")), None) or b""
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


def removal(part: Slice, name: str, validity: int, uids: str, position: Json) -> Iterator[Page]:
    """Say that messages of a folder are gone, with each place that an attachment of theirs may have had; then the position."""
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
        yield Page(part.streams[-1], table(part.streams[-1], ()), position)


def arrival(said: bytes | None) -> datetime | None:
    """Read an INTERNALDATE (`23-Nov-2026 10:00:00 +0100`); None when it is not one."""
    try:
        day, clock, zone = (said or b"").decode("ascii").split()
        number_, month, year = day.split("-")
        made = f"{year}-{_MONTHS.index(month.title()) + 1:02}-{int(number_):02}T{clock}{zone[:3]}:{zone[3:]}"
        return datetime.fromisoformat(made).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
