"""Where files lie: four questions that any place answers, whatever speaks to it.

1. A place opens nothing: it yields requests, as a connector does, and is sent the responses.
2. `listing` gives names, never paths: a name is what `read` and `write` take, and what patterns of names are held against.
   The files of a place are listed in the order of their names; hidden ones (a leading dot) are left out.
3. `Entry.tag` is the place's own word for some exact bytes (SHA-256, a strong ETag): the same tag means the same bytes.
   Where the place has none, it is None, and the bytes have to be read to know.
4. A file that is gone answers `read` with the place's own 404.
5. `write` yields one request that writes; a copy put aside before it is marked `reads`, for it changes nothing that counts and
   may be put again. A new file that is there already is 412.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from saas_connectors.asking import Answer
from saas_connectors.request import Response


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as its place lists it.

    size: bytes, None when the place does not say. modified: UTC, None likewise. tag: names its exact bytes.
    """

    name: str
    size: int | None = None
    modified: datetime | None = None
    tag: str | None = None


FRESH: Final = timedelta(seconds=3)
"""How old a file must be for a server's tag to name its bytes: many make it of a time in whole seconds."""


def settled(tag: str | None, modified: datetime | None, response: Response) -> str | None:
    """The tag that a server gave a file, unless it is weak, or the file changed so lately that it may change under that tag."""
    if tag is None or not tag.startswith('"'):
        return None
    try:
        present = parsedate_to_datetime(response.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return tag
    return None if modified is not None and modified > present - FRESH else tag


class Place(Protocol):
    """Somewhere that files lie. Every method yields `Fetch` alone, so that it may serve in any verb of a connector."""

    def listing(self) -> Answer[tuple[Entry, ...]]:
        """Give the files that lie there, by name."""
        ...

    def read(self, entry: Entry, max_bytes: int) -> Answer[Response]:
        """Give a file's bytes, of any status; what is bigger than `max_bytes` is the driver's refusal."""
        ...

    def write(self, name: str, body: bytes, *, new: bool) -> Answer[Response]:
        """Put a file, whole or not at all; `new`: it must not stand there yet. Gives the answer, a success or not."""
        ...
