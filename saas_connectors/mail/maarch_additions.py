"""Notes and attachments of a letter, looked for by what they are made of: they bear no name of ours.

1. A note is known by its text, an attachment by its title, its type and its bytes; by title and type alone where Maarch
   rewrites the file. One that the letter already has is refused before anything is sent: otherwise finding it would prove
   nothing.
2. A letter that is not shown, or one with too many attachments alike, leaves the question open.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from saas_connectors.connector import Exchange, Json, ReadBack
from saas_connectors.mail.maarch_comparison import content, filled_in, judged
from saas_connectors.mail.maarch_looks import Looks, State
from saas_connectors.mail.maarch_streams import number

_CANDIDATES: Final = 8
"""How many attachments of one title and type are compared by their bytes."""


@dataclass(frozen=True, slots=True)
class Additions:
    """Looks at what letters have; verify: whether the server gives files as they were sent."""

    looks: Looks
    verify: bool

    def _listed(self, operation: str, letter: int) -> Exchange[tuple[State, Mapping[int, Mapping[str, Any]]]]:
        """The notes, or the attachments, of a letter by their number."""
        look, name = (self.looks.notes, "id") if operation == "add_note" else (self.looks.attachments, "resId")
        state, listed = yield from look(letter)
        return state, {found: each for each in listed if (found := number(each.get(name))) is not None}

    def find(self, operation: str, payload: Json) -> Exchange[tuple[str, str | None]]:
        """Look for a note or an attachment by what it is made of: `found`, `missing`, `hidden` or `unsure`."""
        state, listed = yield from self._listed(operation, payload["resId"])
        if state != "found":
            return "hidden", None
        like = [found for found, each in listed.items() if not _unlike(operation, payload, each)]
        for each in like[:_CANDIDATES]:
            if (yield from self._same(operation, payload, each)):
                return "found", str(each)
        return ("unsure" if len(like) > _CANDIDATES else "missing"), None

    def held(self, operation: str, payload: Json, letter: int, made: int | None) -> Exchange[ReadBack]:
        """Hold a note or an attachment, by the number that Maarch gave it, against what was asked."""
        state, listed = yield from self._listed(operation, letter)
        if state != "found" or made is None:
            return ReadBack("unsupported")
        if made not in listed:
            return ReadBack("absent")
        found = _unlike(operation, payload, listed[made])
        if not found and not (yield from self._same(operation, payload, made)):
            found = ["/encodedFile"]
        return judged(found)

    def _same(self, operation: str, payload: Json, attachment: int) -> Exchange[bool]:
        if operation == "add_note" or filled_in(payload) or not self.verify:
            return True
        held = yield from self.looks.content(attachment)
        return held == content(payload)


def _unlike(operation: str, payload: Json, held: Mapping[str, Any]) -> list[str]:
    if operation == "add_note":
        return [] if held.get("value", held.get("note_text")) == payload["value"] else ["/value"]
    return [f"/{name}" for name in ("title", "type") if held.get(name) != payload[name]]
