"""The files of a batch of messages: what the store holds, then what it does not, one at a time.

1. A tag is what never changes: folder, UIDVALIDITY, UID, with size and date of arrival, so that a UID which a restored server
   gives to another message is another tag.
2. An attachment whose message was just fetched is cut out of it; one that cannot be, or whose message was held, is asked.
3. A message or an attachment above `max_message`, or above what the connection lets in, is recorded, not fetched, and counted.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from saas_connectors.answer import accept
from saas_connectors.asking import Answer, fetch, file, holding
from saas_connectors.connector import Document, Filed, Slice
from saas_connectors.mail.imap_answers import Token, text
from saas_connectors.mail.imap_calls import Calls
from saas_connectors.mail.imap_cutting import Leaf, leaves
from saas_connectors.mail.imap_settings import Settings
from saas_connectors.mail.imap_structure import Part, Structure
from saas_connectors.mail.imap_text import untransferred

Given: TypeAlias = tuple[str, Filed | None]
"""What became of a file: its state, and its name in the store."""
Stored: TypeAlias = tuple[Given, list[tuple[Part, str, Filed | None]]]
"""What became of a message's file, and of each of its attachments."""
_STREAMS: Final = ("messages", "attachments")


class Away(Exception):
    """The folder is no longer what was listed."""


@dataclass(frozen=True, slots=True)
class Message:
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
class Files:
    """Takes the files of one part of the plan. `missing`: how many did not come, by message and stream."""

    calls: Calls
    settings: Settings
    part: Slice
    troubles: Counter[tuple[str, str]]
    missing: dict[int, Counter[str]] = field(default_factory=dict)
    held: dict[str, Filed | None] = field(default_factory=dict, repr=False)

    def of(self, messages: Sequence[Message]) -> Answer[dict[int, Stored]]:
        """Give what became of the files of messages, by UID; errors: those of a refusal, `Away`."""
        base = f"{self.part.detail['raw']}/{self.part.detail['validity']}/"
        kept = {name: name in self.part.streams and name in self.settings.files for name in _STREAMS}
        tags = {
            "messages": [f"{base}{each.tag}" for each in messages],
            "attachments": [f"{base}{each.tag}/{part.section}" for each in messages for part in each.structure.attached],
        }
        for name in _STREAMS:
            if kept[name]:
                self.held |= dict(zip(tags[name], (yield from holding(name, *tags[name])), strict=True))
        made: dict[int, Stored] = {}
        for each in messages:
            tag, content = f"{base}{each.tag}", None
            whole: Given = ("none", None)
            if kept["messages"]:
                whole, content = yield from self._taken("messages", each, tag, None)
            found: Mapping[str, Leaf] | None = None
            rows: list[tuple[Part, str, Filed | None]] = []
            for part in each.structure.attached if "attachments" in self.part.streams else ():
                given: Given = ("none", None)
                if kept["attachments"]:
                    if found is None:
                        found = leaves(content) if content is not None else {}
                    inside = _inside(content, found.get(part.section), part)
                    given, _ = yield from self._taken("attachments", each, f"{tag}/{part.section}", part, inside)
                rows.append((part, *given))
            made[each.uid] = (whole, rows)
        return made

    def _taken(
        self, stream: str, message: Message, tag: str, part: Part | None, content: bytes | None = None
    ) -> Answer[tuple[Given, bytes | None]]:
        """Have one file held, fetched unless its `content` is there; gives also its bytes when they were."""
        known = self.held.get(tag)
        if known is not None:
            return ("filed", known), None
        size, section, encoding = (part.size, part.section, part.encoding) if part else (message.size, "", "")
        if size > self.settings.max_message:
            self.troubles[stream, "too_large"] += 1
            return ("too_large", None), None
        if content is None:
            detail = self.part.detail
            request = self.calls.content(detail["raw"], detail["validity"], message.uid, section, encoding)
            (response,) = yield from fetch(request)
            if response.status == 410:
                raise Away
            if response.status == 413:
                self.troubles[stream, "too_large"] += 1
                return ("too_large", None), None
            if response.status in (400, 404, 409):
                self.missing.setdefault(message.uid, Counter())[stream] += 1
                return ("missing", None), None
            accept(request, response)
            content = response.body
        media_type, name = (part.media_type, part.filename or "") if part else ("message/rfc822", "")
        filed = yield from file(Document(stream, tag, content, media_type, name))
        return ("filed", filed), content


def _inside(content: bytes | None, leaf: Leaf | None, part: Part) -> bytes | None:
    """An attachment's bytes out of its message's, decoded; None unless they are what the server's structure says."""
    if content is None or leaf is None:
        return None
    if (leaf.media_type, leaf.encoding, leaf.end - leaf.start) != (part.media_type, part.encoding, part.size):
        return None
    return untransferred(content[leaf.start : leaf.end], part.encoding)
