"""The requests to a mail server, and the folders it lists."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from saas_connectors.asking import Answer, fetch
from saas_connectors.mail import imap_answers
from saas_connectors.mail.imap_answers import Token, items, number, text
from saas_connectors.mail.imap_names import decoded
from saas_connectors.request import Request

MOST_FOLDERS: Final = 20_000
UNREADABLE: Final = "\\unreadable"
"""Ours: a folder whose name is not in modified UTF-7, which no command can name."""
_PASSING: Final = frozenset({"\\marked", "\\unmarked"})
_STATUS: Final = "MESSAGES UIDNEXT UIDVALIDITY UNSEEN"
_ANSWER: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as the server tells it. `raw`: its name there; `modseq`: 0 when it keeps none."""

    raw: str
    name: str
    flags: frozenset[str]
    delimiter: str | None
    validity: int = 0
    next: int = 0
    modseq: int = 0
    messages: int = 0
    unseen: int = 0
    known: bool = False


@dataclass(frozen=True, slots=True)
class Calls:
    """The requests of one connection."""

    root: str

    def capability(self) -> Request:
        """Ask what the server can do."""
        return Request("CAPABILITY", f"{self.root}/", reads=True, max_bytes=1 << 20)

    def at(self, raw: str, validity: int) -> str:
        """The address of a folder."""
        return f"{self.root}/{quote(raw, safe='')};UIDVALIDITY={validity}"

    def uid(self, method: str, raw: str, validity: int, arguments: str) -> Request:
        """Search or fetch in a folder."""
        return Request(method, self.at(raw, validity), body=arguments.encode(), reads=True, max_bytes=_ANSWER)

    def content(self, raw: str, validity: int, uid: int, section: str = "", encoding: str = "") -> Request:
        """Ask the bytes of a message, or of one of its parts, decoded."""
        url = f"{self.at(raw, validity)}/;UID={uid}" + (f"/;SECTION={section}" if section else "")
        headers = (("Content-Transfer-Encoding", encoding),) if encoding in ("base64", "quoted-printable") else ()
        return Request("GET", url, headers=headers, document=True)

    def capabilities(self) -> Answer[frozenset[str]]:
        """Learn what the server can do; errors: those of a refusal, Malformed."""
        request = self.capability()
        (response,) = yield from fetch(request)
        for line in imap_answers.read(request, response):
            if line and line[0] == "CAPABILITY":
                return frozenset(word.upper() for word in line[1:] if isinstance(word, str))
        raise imap_answers.unreadable(request, response)

    def folders(self, able: frozenset[str]) -> Answer[list[Folder]]:
        """List the folders and how each stands, by name: one request where the server can (LIST-STATUS)."""
        wanted = f"{_STATUS} HIGHESTMODSEQ" if "CONDSTORE" in able or "QRESYNC" in able else _STATUS
        at_once, special = "LIST-STATUS" in able, "SPECIAL-USE" in able
        told = [word for word, there in (("SPECIAL-USE", special), (f"STATUS ({wanted})", at_once)) if there]
        arguments = '"" "*"' + (f" RETURN ({' '.join(told)})" if told else "")
        request = Request("LIST", f"{self.root}/", body=arguments.encode(), reads=True, max_bytes=_ANSWER)
        (response,) = yield from fetch(request)
        lines = imap_answers.read(request, response)
        listed = [found for line in lines if (found := _listed(line)) is not None]
        if len(listed) > MOST_FOLDERS or not listed:
            raise imap_answers.unreadable(request, response)
        states = dict(state for line in lines if (state := _state(line)) is not None)
        lacking = [each for each in listed if each.raw not in states and "\\noselect" not in each.flags]
        lacking = [each for each in lacking if not each.flags & {"\\nonexistent", UNREADABLE}]
        asked = [
            Request("STATUS", f"{self.root}/{quote(each.raw, safe='')}", body=f"({wanted})".encode(), reads=True)
            for each in lacking
        ]
        for request, response in zip(asked, (yield from fetch(*asked)), strict=True):
            if response.status not in (404, 409):  # it left meanwhile, or may not be read
                states |= dict(state for line in imap_answers.read(request, response) if (state := _state(line)) is not None)
        made = {each.raw: _standing(each, states.get(each.raw)) for each in listed}
        return sorted(made.values(), key=lambda each: each.raw)


def _listed(line: list[Token]) -> Folder | None:
    if len(line) < 4 or line[0] != "LIST" or not isinstance(line[1], list):
        return None
    raw, delimiter = text(line[3]), text(line[2])
    if raw is None:
        return None
    flags = frozenset(flag.lower() for flag in line[1] if isinstance(flag, str)) - _PASSING
    if re.fullmatch(rb"[\x20-\x7e]{1,1024}", raw) is None:
        flags |= {UNREADABLE}
    name = raw.decode("latin-1")
    return Folder(name, decoded(raw), flags, delimiter.decode("latin-1") if delimiter else None)


def _state(line: list[Token]) -> tuple[str, dict[str, Token]] | None:
    if len(line) < 3 or line[0] != "STATUS":
        return None
    raw = text(line[1])
    return None if raw is None else (raw.decode("latin-1"), items(line[2]))


def _standing(folder: Folder, state: dict[str, Token] | None) -> Folder:
    if not state:
        return folder
    found = {name: number(value) for name, value in state.items()}
    validity, following = found.get("UIDVALIDITY"), found.get("UIDNEXT")
    return Folder(
        folder.raw, folder.name, folder.flags, folder.delimiter, validity or 0, following or 0,
        found.get("HIGHESTMODSEQ") or 0, found.get("MESSAGES") or 0, found.get("UNSEEN") or 0, known=bool(validity),
    )  # fmt: skip
