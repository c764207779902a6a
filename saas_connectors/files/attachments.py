"""The attachments of a mailbox as a place: what is sent by someone known, under a known subject.

1. `from` is required: anyone can write to a mailbox. It is held against the header that the server gives, whatever its search
   said. A sender can still be forged: let the server refuse mail that its domain did not send (DMARC).
2. A file's name is its attachment's. When several messages bring one name, the latest of them (the highest UID) has it; with
   `messages = "all"` each is kept, as `UID-NAME`.
3. A message never changes: its folder, UID and part are its tag, and its address.
4. Folders are opened to read alone, nothing is marked as seen. Nothing can be written here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from saas_connectors.answer import malformed
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Json
from saas_connectors.errors import NotFound, SettingsError
from saas_connectors.files.place import Entry
from saas_connectors.mail import imap_answers
from saas_connectors.mail.imap_answers import Token, items, number, text
from saas_connectors.mail.imap_calls import Calls, Folder
from saas_connectors.mail.imap_headers import header
from saas_connectors.mail.imap_messages import arrival
from saas_connectors.mail.imap_names import ranges
from saas_connectors.mail.imap_structure import Part
from saas_connectors.mail.imap_structure import read as structure
from saas_connectors.request import Response
from saas_connectors.stream_settings import Text, read

MOST: Final = 1_000
"""The most messages that are looked at, the latest ones."""
_BATCH: Final = 100
_PEEK: Final = "(UID INTERNALDATE BODYSTRUCTURE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.65536>)"
_TAG: Final = re.compile(r"(\d{1,10})/(\d{1,10})/([\d.]{1,100})/([a-z0-9-]{0,40})/([\x20-\x7e]{1,1024})")
_ADDRESS: Final = re.compile(r"[a-z0-9._%+*-]{0,64}@[a-z0-9*.-]{1,253}", re.IGNORECASE)
_BAD: Final = re.compile(r"[/\\\x00-\x1f\x7f]")
_SAYS: Final = {
    "folder": ("le nom d'un dossier, comme « INBOX »", "the name of a folder, such as `INBOX`"),
    "from": (
        "une adresse, ou un motif d'adresses d'un domaine, comme « *@rh.example »",
        "an address, or a pattern of addresses of a domain, such as `*@rh.example`",
    ),
    "subject": ("un motif, comme « Export paie * »", "a pattern, such as `Payroll export *`"),
    "messages": ("« newest » ou « all »", "`newest` or `all`"),
}


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"sender": "from"}):
    sender: Text
    folder: Text = "INBOX"
    subject: Text = "*"
    messages: Literal["newest", "all"] = "newest"


def make(at: str, url: str, options: Mapping[str, Json]) -> "Attachments":
    """Make the place; its options: `from`, `folder`, `subject`, `messages`."""
    asked = read(_Options, at, options, _SAYS)
    local, _, domain = asked.sender.rpartition("@")
    if not _ADDRESS.fullmatch(asked.sender) or not domain.strip("*.") or not local:
        raise SettingsError(field=f"{at}.from", expected_fr=_SAYS["from"][0], expected_en=_SAYS["from"][1])
    parts = urlsplit(url)
    if parts.scheme not in ("imaps", "imap"):
        expected = "une adresse imaps://HÔTE", "an address imaps://HOST"
        raise SettingsError(field=f"{at}.url", expected_fr=expected[0], expected_en=expected[1])
    return Attachments(Calls(f"{parts.scheme}://{parts.netloc}"), asked)


@dataclass(frozen=True, slots=True)
class Attachments:
    """The attachments of one folder."""

    calls: Calls
    asked: _Options

    def listing(self) -> Answer[tuple[Entry, ...]]:
        """See `Place`: the folder, its messages from that sender, their structures."""
        folder = yield from self._folder()
        uids = yield from self._uids(folder)
        found: dict[str, tuple[int, Entry]] = {}
        for at in range(0, len(uids), _BATCH):
            some = uids[at : at + _BATCH]
            request = self.calls.uid("FETCH", folder.raw, folder.validity, f"{ranges(some)} {_PEEK}")
            (response,) = yield from fetch(request)
            for uid, entry in self._entries(folder, set(some), imap_answers.read(request, response)):
                if entry.name not in found or found[entry.name][0] <= uid:
                    found[entry.name] = (uid, entry)
        return tuple(found[name][1] for name in sorted(found))

    def read(self, entry: Entry, max_bytes: int) -> Answer[Response]:
        """See `Place`; a folder that was made anew since is 404."""
        held = _TAG.fullmatch(entry.tag or "")
        if held is None:
            entry = next((each for each in (yield from self.listing()) if each.name == entry.name), entry)
            held = _TAG.fullmatch(entry.tag or "")
        if held is None:
            return Response(404, self.calls.root, b"")
        validity, uid, section, encoding, raw = held.groups()
        request = self.calls.content(raw, int(validity), int(uid), section, encoding)
        (response,) = yield from fetch(replace(request, document=False, max_bytes=max_bytes))
        return replace(response, status=404) if response.status == 410 else response

    def write(self, name: str, body: bytes, *, new: bool) -> Answer[Response]:  # noqa: ARG002 - `Place`'s signature
        """Refuse: nothing is written to a mailbox."""
        yield from ()
        return Response(405, self.calls.root, b"")

    def _folder(self) -> Answer[Folder]:
        able = yield from self.calls.capabilities()
        wanted = self.asked.folder
        for folder in (yield from self.calls.folders(able)):
            if folder.known and (folder.name == wanted or folder.name.upper() == wanted.upper() == "INBOX"):
                return folder
        raise NotFound(method="LIST", path=f"/{wanted[:80]}", status=404)

    def _uids(self, folder: Folder) -> Answer[list[int]]:
        """The messages from that sender, the latest ones, in order. The server's search narrows; it is not believed."""
        word = max(re.split(r"\*", self.asked.sender), key=len)
        request = self.calls.uid("SEARCH", folder.raw, folder.validity, f'UNDELETED FROM "{word}"')
        (response,) = yield from fetch(request)
        told = [line[1:] for line in imap_answers.read(request, response) if line[:1] == ["SEARCH"]]
        uids = sorted({uid for line in told for each in line if (uid := number(each))})
        if not told:
            raise malformed(request, response, "une recherche IMAP était attendue", "an IMAP search was expected")
        return uids[-MOST:]

    def _entries(self, folder: Folder, asked: set[int], lines: list[list[Token]]) -> Iterator[tuple[int, Entry]]:
        for line in lines:
            held = items(line[2]) if len(line) == 3 and line[1] == "FETCH" else {}
            uid = number(held.get("UID"))
            said = next((value for name, value in held.items() if name.startswith("BODY[")), None)
            if uid in asked and uid is not None and self._wanted(header(text(said) or b"")):
                came = arrival(text(held.get("INTERNALDATE")))
                for part in structure(held.get("BODYSTRUCTURE")).attached:
                    if part.filename and not part.filename.startswith(".") and not _BAD.search(part.filename):
                        yield uid, self._entry(folder, uid, came, part)

    def _wanted(self, head: Mapping[str, Json]) -> bool:
        senders = head["from_addresses"]
        fits = len(senders) == 1 and fnmatchcase(senders[0].lower(), self.asked.sender.lower().replace("[", "[[]"))
        return fits and fnmatchcase((head["subject"] or "").lower(), self.asked.subject.lower().replace("[", "[[]"))

    def _entry(self, folder: Folder, uid: int, came: datetime | None, part: Part) -> Entry:
        name = part.filename or ""
        encoding = part.encoding if re.fullmatch(r"[a-z0-9-]{0,40}", part.encoding) else ""
        tag = f"{folder.validity}/{uid}/{part.section}/{encoding}/{folder.raw}"
        return Entry(f"{uid}-{name}" if self.asked.messages == "all" else name, None, came, tag)
