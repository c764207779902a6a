"""Looking at one letter of MaarchCourrier, to know what a write made of it.

1. An external identifier is looked for by `PUT /rest/resources/external`, which changes nothing there. It reads the table of
   letters itself: no perimeter, no clause and no status hides one. The value is JSON, so that a text bears its quotes.
2. What comes back is held against what was asked: a row of another letter is no answer.
3. A letter is `gone` only when Maarch says in so many words that it does not exist; a refusal of the perimeter says nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from saas_connectors.answer import cut, decode, malformed
from saas_connectors.connector import Exchange, Fetch, Json
from saas_connectors.mail import maarch_refusals as refusals
from saas_connectors.mail.maarch_calls import GONE, LIST, OUT, Calls, sentence
from saas_connectors.mail.maarch_refusals import admitted
from saas_connectors.mail.maarch_streams import number
from saas_connectors.payloads import encode
from saas_connectors.request import Request, Response
from saas_connectors.writing import FRESH

State = Literal["found", "missing", "hidden"]
Found = Mapping[str, Any]
JSON: Final = (("Accept", "application/json"), ("Content-Type", "application/json"))
_NOT_FOUND: Final = "Document not found"
_COLUMNS: Final = ("res_id", "status", "closing_date", "external_id", "filename", "format", "filesize", "fingerprint")


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks at letters under `root`; `key` is that of external identifiers, a constant of the settings."""

    root: str
    key: str

    def find(self, external: str) -> Exchange[tuple[State, int | None]]:
        """Look for the letter that bears an external identifier: its number; `hidden` when Maarch does not tell."""
        body = encode({"type": self.key, "value": encode(external).decode()})
        request = Request("PUT", f"{self.root}/resources/external", headers=(*JSON, FRESH), body=body, reads=True)
        (response,) = yield Fetch((request,))
        said = sentence(response)
        if response.status == 400 and said == _NOT_FOUND:
            return "missing", None
        if response.status == 403 and said == OUT:
            return "hidden", None
        admitted(request, response, refusals.FIND)
        told = decode(request, response)
        found = number(told.get("resId")) if isinstance(told, dict) else None
        if not found:
            raise malformed(request, response, "le numéro d'un courrier était attendu", "the number of a letter was expected")
        return "found", found

    def row(self, letter: int) -> Exchange[Found | None]:
        """Read a letter's columns in the list; None when the list does not show it."""
        asked = Calls(self.root).list(_COLUMNS, f"res_id = {letter:d}", limit=2)
        request = replace(asked, headers=(*asked.headers, FRESH))
        (response,) = yield Fetch((request,))
        admitted(request, response, LIST)
        rows = _objects(request, response, "resources")
        if any(number(each.get("res_id")) != letter for each in rows):
            raise malformed(request, response, "un autre courrier que celui demandé", "another letter than the one asked for")
        return rows[0] if rows else None

    def letter(self, letter: int) -> Exchange[tuple[State, Found]]:
        """Read a letter by its number, in the words of its sheet."""
        request = self.get(f"resources/{letter:d}")
        (response,) = yield Fetch((request,))
        if state := unseen(response):
            return state, {}
        admitted(request, response, refusals.LETTER)
        told = decode(request, response)
        if not isinstance(told, dict) or number(told.get("resId")) != letter:
            raise malformed(request, response, "la fiche du courrier était attendue", "the letter's sheet was expected")
        return "found", told

    def statuses(self) -> Exchange[frozenset[str]]:
        """Read which statuses there are, by their identifiers."""
        request = self.get("statuses")
        (response,) = yield Fetch((request,))
        admitted(request, response, refusals.KNOWN)
        return frozenset(str(each.get("id")) for each in _objects(request, response, "statuses"))

    def notes(self, letter: int) -> Exchange[tuple[State, Sequence[Found]]]:
        """Read the notes of a letter that the account sees: all of its own."""
        return (yield from self._below(letter, "notes", refusals.NOTES))

    def attachments(self, letter: int) -> Exchange[tuple[State, Sequence[Found]]]:
        """Read the attachments of a letter."""
        return (yield from self._below(letter, "attachments", refusals.ATTACHED))

    def content(self, attachment: int) -> Exchange[bytes]:
        """Read the bytes of an attachment."""
        request = self.get(f"attachments/{attachment:d}/originalContent", accept="*/*")
        (response,) = yield Fetch((request,))
        admitted(request, response, refusals.CONTENT)
        return response.body

    def get(self, path: str, accept: str = "application/json") -> Request:
        """Ask for something under the root, past the caches."""
        return Request("GET", f"{self.root}/{path}", headers=(("Accept", accept), FRESH))

    def _below(self, letter: int, name: str, route: str) -> Exchange[tuple[State, Sequence[Found]]]:
        request = self.get(f"resources/{letter:d}/{name}")
        (response,) = yield Fetch((request,))
        if state := unseen(response):
            return state, ()
        admitted(request, response, route)
        return "found", _objects(request, response, name)


def unseen(response: Response) -> State | None:
    """What an answer that shows no letter says of it; None for any other answer."""
    said = sentence(response)
    if response.status == 400 and said == GONE:
        return "missing"
    return "hidden" if response.status == 403 and said == OUT else None


def _objects(request: Request, response: Response, name: str) -> Sequence[Found]:
    cut(request, response, name)
    found: Json = decode(request, response)[name] or []
    if not all(isinstance(each, dict) for each in found):
        raise malformed(request, response, "des objets étaient attendus", "objects were expected")
    return list(found)
