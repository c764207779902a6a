"""Between the readers, the writer and the document store: what is held, what a document is called, when it is written.

1. A reader is told a document's name at once: it is a function of the content alone. The bytes go to the writer on the
   channel, and are filed when they arrive, before any record that names them: so they are durable no later than that record.
2. What a reader gave the channel counts as held for every reader: all that comes after it on the channel is written after it.
3. The class of a document is that of the field that names it (`Stream.document`), `personal` when nobody classified it.
   A document of a stream that names none is a defect of the connector.
"""

from collections.abc import Iterable
from threading import Lock
from typing import Protocol

from saas_connectors.connector import Document, Filed, Holding, Stream
from snapshots.documents import About, Documents
from snapshots.repository import Repository

_PLAIN = 128
"""Characters of a media type that are kept; it is the vendor's word."""


class Desk(Protocol):
    """What a reader asks of the document store."""

    def held(self, asked: Holding) -> tuple[Filed | None, ...]:
        """Say what is held, in the order of the tags."""
        ...

    def name(self, document: Document) -> Filed:
        """Say what a document is called."""
        ...

    def coming(self, document: Document, filed: Filed) -> None:
        """Note that a document is on its way to the writer."""
        ...


class Shelving:
    """The documents of one run."""

    def __init__(self, repository: Repository, connection: str, streams: Iterable[Stream]) -> None:
        self._store = Documents(repository, connection)
        self._fields = {
            each.name: (each.document, str(each.classes.get(each.document, "personal"))) for each in streams if each.document
        }
        self._coming: dict[tuple[str, str], Filed] = {}
        self._guard = Lock()

    def held(self, asked: Holding) -> tuple[Filed | None, ...]:
        """Say what is held, in the order of the tags."""
        return tuple(self._held(asked.stream, tag) for tag in asked.tags)

    def name(self, document: Document) -> Filed:
        """Say what a document is called."""
        _, class_name = self._fields[document.stream]
        address, sha256 = self._store.address(class_name, document.content)
        size = len(document.content) if isinstance(document.content, bytes) else document.content.size
        return Filed(address, size, sha256.hex())

    def coming(self, document: Document, filed: Filed) -> None:
        """Note that a document is on its way to the writer."""
        with self._guard:
            self._coming[document.stream, document.tag] = filed

    def file(self, document: Document, filed: Filed) -> None:
        """Write a document, unless it is held; the writer alone calls it."""
        name, class_name = self._fields[document.stream]
        about = About(document.stream, name, document.tag, document.media_type[:_PLAIN])
        self._store.file(class_name, about, document.content, filed.document, bytes.fromhex(filed.sha256))
        with self._guard:
            if self._coming.get((document.stream, document.tag)) == filed:
                del self._coming[document.stream, document.tag]

    def content(self, document: str) -> bytes | None:
        """Open a document; None when it is no longer there."""
        return self._store.read(document)

    def checkpoint(self) -> None:
        """Make durable all that was filed."""
        self._store.checkpoint()

    def close(self) -> None:
        """Drop what no checkpoint made durable."""
        self._store.close()

    def _held(self, stream: str, tag: str) -> Filed | None:
        _, class_name = self._fields[stream]
        with self._guard:
            found = self._coming.get((stream, tag))
        if found is not None:
            return found
        entry = self._store.held(class_name, stream, tag)
        return Filed(entry.address, entry.size, entry.sha256.hex()) if entry else None
