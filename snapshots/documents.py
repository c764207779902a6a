"""The document store of a connection: the vendor's files, sealed, each kept once for all the records that name it.

    snapshots/<connection>/.documents/<class>/     packs (`snapshots.packs`), and `lock` while one is changed

1. A document's address is a keyed digest of its content, one key a connection and class: the same bytes have the same address,
   and nobody without the site's key can tell of which bytes it is.
2. It is sealed under keys of its class and of the period when it came. Reading opens the classes that the caller names, no
   other.
3. `file` writes to a pack that `checkpoint` makes exist: what a record names is put there before that record is. Only who holds
   the connection's draft writes; any process reads.
4. Keys plus files are enough: no database is asked. Held is only what can be given back: its frame is within its pack, its keys
   open. A pack whose keys were destroyed is passed over, and why is told (`shredded`); so is one that is damaged (`damaged`):
   what it held is fetched anew, and `snapshot verify` names it.

Memory: some 500 bytes a document held, of the classes that were asked for.
"""

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from threading import RLock

from snapshots import keyfile, packs
from snapshots.dataset import CLASSES
from snapshots.errors import Damaged
from snapshots.packs import About, Entry, Gone, Index, Name, PackWriter, Place
from snapshots.repository import Repository
from vault.content import Content
from vault.errors import Fault, Shredded

_ATTEMPTS = 3


@dataclass(slots=True)
class Shelf:
    """What one class holds: where each document is, what names it, what was destroyed."""

    repository: Repository
    place: Place
    secret: bytes
    held: dict[str, tuple[str, Entry]] = field(default_factory=dict)
    """By address: the pack, and the place in it."""
    named: dict[str, dict[str, str]] = field(default_factory=dict)
    """By stream, then by tag: the address."""
    gone: dict[str, str] = field(default_factory=dict)
    fields: dict[str, set[str]] = field(default_factory=dict)
    shredded: dict[str, Shredded] = field(default_factory=dict)
    """By pack: why it does not open."""
    damaged: dict[str, Fault] = field(default_factory=dict)

    @classmethod
    def load(cls, repository: Repository, connection: str, class_name: str) -> "Shelf":
        """Read the indexes of a class."""
        place = Place.of(repository.root, connection, class_name)
        shelf = cls(repository, place, repository.keys.derive(f"documents/{connection}/{class_name}"))
        for name in place.names():
            try:
                wraps = keyfile.read(place.keys(name))
                shelf.take(packs.read_index(place, name, wraps, repository.keys))
            except Shredded as fault:
                shelf.shredded[name] = fault
            except Fault as fault:
                if place.keys(name).exists():  # else it was merged into another meanwhile
                    shelf.damaged[name] = fault
        return shelf

    def take(self, index: Index) -> None:
        """Add what a pack holds."""
        path = self.place.pack(index.pack)
        whole = path.stat().st_size if path.is_file() else 0
        for each in index.gone:
            self.gone[each.address] = max(each.when, self.gone.get(each.address, ""))
        for entry in index.entries:
            if entry.at + entry.length <= whole:
                self.held[entry.address] = (index.pack, entry)
        same = {each.address: each.address for each in index.entries}  # one text of it in memory, and not two
        for name in index.names:
            self.named.setdefault(name.stream, {})[name.tag] = same.get(name.address, name.address)
        for stream, found in index.fields.items():
            self.fields.setdefault(stream, set()).add(found)

    def address(self, sha256: bytes) -> str:
        """Give the address of a content, by its SHA-256."""
        return f"d{hmac.digest(self.secret, sha256, 'sha256')[:16].hex()}"

    def read(self, address: str) -> bytes:
        """Open a document that is held; errors: KeyError, Damaged, Corrupt, Shredded."""
        pack, entry = self.held[address]
        name = self.place.key_name(address)
        wrapped = keyfile.read(self.place.keys(pack)).get(name)
        if wrapped is None:
            raise KeyError(address)
        content = packs.document(self.place, pack, entry, self.repository.keys.unwrap(wrapped, name.encode()))
        if not hmac.compare_digest(hashlib.sha256(content).digest(), entry.sha256):
            raise Damaged(
                file=self.place.pack(pack).name, reason_fr="un document n'est pas celui inscrit",
                reason_en="a document is not the one written down",
            )  # fmt: skip
        return content


class Documents:
    """The documents of a connection, of the classes that the caller may open. Thread safe; one thread alone files."""

    def __init__(self, repository: Repository, connection: str, classes: Sequence[str] = CLASSES) -> None:
        self.repository = repository
        self.connection = connection
        self.classes = tuple(classes)
        self._shelves: dict[str, Shelf] = {}
        self._writers: dict[str, PackWriter] = {}
        self._guard = RLock()

    # Reading

    def shelf(self, class_name: str) -> Shelf:
        """Give what a class holds; read at the first need."""
        with self._guard:
            if class_name not in self._shelves:
                if class_name not in self.classes:
                    raise ValueError("a class that is not open here")
                self._shelves[class_name] = Shelf.load(self.repository, self.connection, class_name)
            return self._shelves[class_name]

    def shelves(self) -> Iterator[Shelf]:
        """Give the classes that have packs, among those open here."""
        for each in self.classes:
            if Place.of(self.repository.root, self.connection, each).folder.is_dir():
                yield self.shelf(each)

    def held(self, class_name: str, stream: str, tag: str) -> Entry | None:
        """Give the document that a connector calls so, when it is held."""
        shelf = self.shelf(class_name)
        found = shelf.held.get(shelf.named.get(stream, {}).get(tag, ""))
        return found[1] if found else None

    def find(self, address: str) -> tuple[Shelf, Entry] | None:
        """Give a document by its address, among the classes open here."""
        for shelf in self.shelves():
            if address in shelf.held:
                return shelf, shelf.held[address][1]
        return None

    def read(self, address: str) -> bytes | None:
        """Open a document; None when it is not held. Packs that were merged meanwhile are found again."""
        for _ in range(_ATTEMPTS):
            found = self.find(address)
            if found is None:
                return None
            try:
                return found[0].read(address)
            except (KeyError, Damaged):
                if _keyed(found[0], address):
                    raise
                with self._guard:
                    self._shelves.pop(found[0].place.class_name, None)
        return None

    def address(self, class_name: str, content: bytes | Content) -> tuple[str, bytes]:
        """Give the address that a content has, and its SHA-256."""
        digest = hashlib.sha256(content).digest() if isinstance(content, bytes) else bytes.fromhex(content.sha256)
        return self.shelf(class_name).address(digest), digest

    # Writing

    def file(self, class_name: str, about: About, content: bytes | Content, address: str, sha256: bytes) -> None:
        """Keep a document, once; durable at the next checkpoint."""
        shelf = self.shelf(class_name)
        names = shelf.named.setdefault(about.stream, {})
        if names.get(about.tag) == address and address in shelf.held:
            return
        writer = self._writer(shelf)
        if address not in shelf.held:
            writer.add(address, about, content, sha256)
            shelf.held[address] = (writer.name, writer.entries[-1])
        writer.fields[about.stream] = about.field
        writer.names.append(Name(about.stream, about.tag, address))
        names[about.tag] = address
        shelf.fields.setdefault(about.stream, set()).add(about.field)

    def checkpoint(self) -> None:
        """Make durable all that was filed."""
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def close(self) -> None:
        """Drop what no checkpoint made durable."""
        for writer in self._writers.values():
            writer.abandon()
        self._writers.clear()

    def _writer(self, shelf: Shelf) -> PackWriter:
        class_name = shelf.place.class_name
        if class_name not in self._writers:
            repository = self.repository
            self._writers[class_name] = PackWriter(shelf.place, repository.keys, repository.period(), repository.clock())
        return self._writers[class_name]


def _keyed(shelf: Shelf, address: str) -> bool:
    """Whether the key file of a document's pack still has its key."""
    try:
        return shelf.place.key_name(address) in keyfile.read(shelf.place.keys(shelf.held[address][0]))
    except Damaged:
        return shelf.place.keys(shelf.held[address][0]).exists()


def classes_of(repository: Repository, connection: str) -> tuple[str, ...]:
    """Give the classes of which a connection has documents, lowest first; opens no key."""
    return tuple(each for each in CLASSES if Place.of(repository.root, connection, each).names())


__all__ = ["About", "Documents", "Entry", "Gone", "Shelf", "classes_of"]
