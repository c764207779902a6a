"""Where files lie: four questions that any place answers, whatever speaks to it.

1. A place opens nothing: it yields requests, as a connector does, and is sent the responses.
2. `listing` gives names, never paths: a name is what `read` and `write` take, and what patterns of names are held against.
   The files of a place are listed in the order of their names; hidden ones (a leading dot) are left out.
3. `Entry.tag` is the place's own word for some exact bytes (SHA-256, a strong ETag): the same tag means the same bytes.
   Where the place has none, it is None, and the bytes have to be read to know.
4. A file that is gone answers `read` with the place's own 404; what `written` gives back is only whether the file stands there.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from saas_connectors.asking import Answer
from saas_connectors.request import Request, Response


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as its place lists it.

    size: bytes, None when the place does not say. modified: UTC, None likewise. tag: names its exact bytes.
    """

    name: str
    size: int | None = None
    modified: datetime | None = None
    tag: str | None = None


class Place(Protocol):
    """Somewhere that files lie. Every method yields `Fetch` alone, so that it may serve in any verb of a connector."""

    def listing(self) -> Answer[tuple[Entry, ...]]:
        """Give the files that lie there, by name."""
        ...

    def read(self, entry: Entry, max_bytes: int) -> Answer[Response]:
        """Give a file's bytes, of any status; what is bigger than `max_bytes` is the driver's refusal."""
        ...

    def write(self, name: str, body: bytes, *, new: bool) -> Request:
        """Give the one request that puts a file; `new`: it must not stand there yet."""
        ...

    def written(self, response: Response) -> bool:
        """Whether the answer to `write` says that the file stands there."""
        ...
