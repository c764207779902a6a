"""Files as a connector: each stream is a table made of the files that its pattern names, wherever they lie.

1. One listing serves all streams. A file whose tag is the one taken last is not read; one without a tag is read, and
   compared by its SHA-256. The read then gives the evidence `unchanged`, no page, and its cursor again: the last snapshot
   stands.
2. A file that is not whole, or older than the one taken last, is not taken: `not_taken` says why, and the last snapshot
   stands as well. Where there is none, the read fails with `NotTaken`.
3. A full read of one file is a full refresh: a row that it holds no more is deleted, unless rows of it were set aside. Of
   `all` files nothing is deleted: each adds its rows, and changes those of the same key.
4. A resume point holds the hash of the file: if it changed meanwhile, `ResumeLost`.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

import msgspec

from saas_connectors.answer import accept
from saas_connectors.answer import held as held_whole
from saas_connectors.asking import Answer
from saas_connectors.connector import (
    Catalog,
    Checked,
    Evidence,
    Exchange,
    Json,
    Page,
    Reading,
    ReadPlan,
    Slice,
    Withdrawn,
)
from saas_connectors.errors import ResumeLost
from saas_connectors.files.choosing import (
    SAID,
    Choice,
    Held,
    NotTaken,
    Taken,
    TakenAll,
    Why,
    choose,
    from_json,
    older,
    relevant,
    to_json,
)
from saas_connectors.files.place import Entry, Place
from saas_connectors.files.places import open_place
from saas_connectors.files.proposing import propose
from saas_connectors.files.reading import LINES, flow, flown, pages, streams, table
from saas_connectors.files.settings import REJECTED, Dataset, load
from saas_connectors.formats.flowing import Whole
from saas_connectors.formats.format import LIMITS, Truncated
from saas_connectors.request import Request, Response
from saas_connectors.writing import GONE
from vault.content import Content

VERSION: Final = "1"
_BEFORE: Final = 60
"""How many hashes of files taken before the last are remembered."""
_WAITED: Final = frozenset({"marker", "quiet"})
"""Reasons that are no one's fault: the sender is not done."""


def make(name: str, settings: Mapping[str, Json]) -> "Files":
    """Make the connector of one connection; raises `SettingsError`."""
    at = f"connections.{name}"
    asked, datasets = load(at, settings)
    return Files(name, open_place(at, asked.url, asked.place), {dataset.name: dataset for dataset in datasets})


@dataclass(frozen=True, slots=True)
class Files:
    """The connector; `datasets` by name."""

    name: str
    place: Place
    datasets: Mapping[str, Dataset]
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """List the place, read one file of each stream, and propose the settings that it shows."""
        return cast(Exchange[Checked], self._check())

    def _check(self) -> Answer[Checked]:
        listing = yield from self.place.listing()
        remarks: list[tuple[str, str]] = []
        for dataset in self.datasets.values():
            found = [entry for entry in relevant(dataset, listing) if dataset.pattern.match(entry.name)]
            if not found:
                remarks.append((f"{dataset.name} : {SAID['absent'][0]}", f"{dataset.name}: {SAID['absent'][1]}"))
                continue
            last = max(found, key=lambda entry: (str(dataset.pattern.date(entry.name) or ""), entry.name))
            response = yield from self.place.read(last, LIMITS.unpacked)
            accept(Request("GET", response.url), response)
            remarks += propose(dataset, last.name, held_whole(response).body)
        remarks.append((f"fichiers présents : {len(listing)}", f"files there: {len(listing)}"))
        return Checked("files", tuple(remarks))

    def discover(self) -> Exchange[Catalog]:
        """Two streams a dataset; their fields are found in the first file."""
        yield from ()
        return Catalog(tuple(stream for dataset in self.datasets.values() for stream in streams(dataset)))

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One a dataset, each with the part of the listing that concerns it."""
        return cast(Exchange[tuple[Slice, ...]], self._slices(plan))

    def _slices(self, plan: ReadPlan) -> Answer[tuple[Slice, ...]]:
        listing = yield from self.place.listing()
        wanted = {stream.name for stream in plan.streams}
        return tuple(
            Slice(name, tuple(each for each in (name, name + REJECTED) if each in wanted), to_json(relevant(dataset, listing)))
            for name, dataset in self.datasets.items()
            if {name, name + REJECTED} & wanted
        )

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Read what a dataset's files hold; see the laws above."""
        dataset = self.datasets[part.key]
        listing = from_json(part.detail)
        read = _Read(self.place, dataset, plan, part, _signature(self.version, dataset))
        choice = choose(dataset, listing, plan.started_at)
        if dataset.take == "all":
            return read.all(choice, position)
        return read.one(choice, position)


def _signature(version: str, dataset: Dataset) -> str:
    """What the records depend on besides the files: when it moves, files that did not change are read again."""
    asked = dataset.settings
    meant = [version, dataset.options, asked.types, asked.zone, asked.format, asked.inside, asked.primary_key, dataset.classes]
    return hashlib.sha256(msgspec.json.encode(meant, order="deterministic")).hexdigest()[:16]


def _last(content: Content) -> bytes:
    """The last two bytes."""
    with content.open() as file:
        file.seek(-min(2, content.size), 2)
        return file.read()


def _before(past: Taken | None, digest: str) -> list[str]:
    """The hashes of the files taken before this one, the latest first."""
    if past is None:
        return []
    return past.before if past.sha256 == digest else [past.sha256, *past.before][:_BEFORE]


@dataclass(frozen=True, slots=True)
class _Read:
    """One dataset being read."""

    place: Place
    dataset: Dataset
    plan: ReadPlan
    part: Slice
    reads: str

    def one(self, choice: Choice, position: Json) -> Answer[Mapping[str, Json]]:
        """Read the one file that counts."""
        given = self._cursor()
        past = msgspec.convert(given, Taken) if given else None
        if not choice.entries:
            return (yield from self._stands(given, choice.waiting or "absent"))
        (entry,) = choice.entries
        if choice.waiting is not None:
            yield Evidence(self.dataset.name, "not_taken", None, self._detail(choice.waiting))
        compared = past if position is None else None
        if (why := self._listed(entry, compared)) is not None:
            return (yield from self._unread(given, why))
        response = yield from self.place.read(entry, LIMITS.unpacked)
        digest = response.whole.sha256
        if (why := (yield from self._received(entry, response, digest, compared))) is not None:
            return (yield from self._unread(given, why))
        if position is not None and position["sha256"] != digest:
            raise ResumeLost(stream=self.part.streams[0])
        ended = _last(response.whole).endswith((b"\n", b"\r", b"\n\0", b"\r\0"))
        if past is not None and past.ended and not ended and self._lines(entry.name):
            return (yield from self._stands(given, "truncated"))
        try:
            yield from self._pages(entry, response, position, digest)
        except Truncated:
            if past is None:
                raise
            yield Withdrawn()
            return (yield from self._stands(given, "truncated"))
        date = self.dataset.pattern.date(entry.name)
        taken = Taken(self.reads, entry.name, digest, entry.tag, date, entry.modified, ended, _before(past, digest))
        return dict.fromkeys(self.part.streams, msgspec.to_builtins(taken))

    def _listed(self, entry: Entry, past: Taken | None) -> Why | Literal["same"] | None:
        """What the listing says against reading a file; one without a tag is read before it is called older."""
        if past is None:
            return None
        if past.reads == self.reads and entry.tag is not None and entry.tag == past.tag:
            return "same"
        return "older" if entry.tag is not None and self._older(entry, past) else None

    def _older(self, entry: Entry, past: Taken) -> bool:
        return self.dataset.settings.older == "refuse" and older(self.dataset, entry, past)

    def _received(
        self, entry: Entry, response: Response, digest: str, past: Taken | None
    ) -> Answer[Why | Literal["same"] | None]:
        """What the bytes say against taking a file."""
        if response.status in GONE:
            return "absent"
        accept(Request("GET", response.url), response)
        if past is not None and past.sha256 == digest and past.reads == self.reads:
            return "same"
        if past is not None and past.sha256 != digest and self._older(entry, past):
            return "older"
        if past is not None and digest in past.before and past.sha256 != digest and self.dataset.settings.older == "refuse":
            return "older"
        return "moving" if (yield from self._moved(entry, response)) else None

    def _pages(self, entry: Entry, response: Response, position: Json, digest: str) -> Answer[None]:
        """Give a file's rows; raises Truncated, after which what was given is to be taken back."""
        if position is not None and "all" in position:
            return
        if position is None and (yield from self._flown(entry, response, {"sha256": digest, "all": True})):
            return
        held = table(self.dataset, entry.name, held_whole(response).body)
        after = position["piece"] if position is not None else 0
        for asked in pages(self.dataset, entry.name, held, marked=self._marked, after=after):
            if isinstance(asked, Page) and asked.position is not None:
                yield Page(asked.stream, asked.records, {"sha256": digest, "piece": asked.position})
            else:
                yield asked

    def all(self, choice: Choice, position: Json) -> Answer[Mapping[str, Json]]:
        """Read every file that is new or has changed, one after the other; each is a resume point."""
        given = self._cursor()
        past = msgspec.convert(given, TakenAll) if given else TakenAll(self.reads)
        held: dict[str, Held] = dict(past.files) if past.reads == self.reads else {}
        if position is not None:
            held |= msgspec.convert(position, dict[str, Held])
        if choice.waiting is not None:
            yield Evidence(self.dataset.name, "not_taken", None, self._detail(choice.waiting))
        read = 0
        for entry in choice.entries:
            known = held.get(entry.name)
            if known is None or entry.tag is None or known.tag != entry.tag:
                read += yield from self._another(entry, known, held)
        if not read and position is None and given:
            return (yield from self._unchanged(given))
        return dict.fromkeys(self.part.streams, msgspec.to_builtins(TakenAll(self.reads, held)))

    def _another(self, entry: Entry, known: Held | None, held: dict[str, Held]) -> Answer[bool]:
        """Read one of all the files, and note it in `held`; gives whether it was taken."""
        response = yield from self.place.read(entry, LIMITS.unpacked)
        if response.status in GONE:
            return False
        accept(Request("GET", response.url), response)
        digest = response.whole.sha256
        taken = Held(digest, entry.tag)
        if known is not None and known.sha256 == digest:
            held[entry.name] = taken
            return False
        why: Why | None = "moving" if (yield from self._moved(entry, response)) else None
        try:
            if why is None:
                yield from self._whole(entry, response, msgspec.to_builtins(held | {entry.name: taken}))
        except Truncated:
            yield Withdrawn()
            why = "truncated"
        if why is not None:
            yield Evidence(self.dataset.name, "not_taken", False, self._detail(why))
            return False
        held[entry.name] = taken
        return True

    def _whole(self, entry: Entry, response: Response, position: Json) -> Answer[None]:
        """Give a file's rows, the last page with the position; raises Truncated, as `_pages`."""
        if (yield from self._flown(entry, response, position)):
            return
        held = table(self.dataset, entry.name, held_whole(response).body)
        found = list(pages(self.dataset, entry.name, held, marked=self._marked))
        last = max(number for number, each in enumerate(found) if isinstance(each, Page))
        for number, asked in enumerate(found):
            if isinstance(asked, Page):
                yield Page(asked.stream, asked.records, position if number == last else None)
            else:
                yield asked

    def _flown(self, entry: Entry, response: Response, position: Json) -> Answer[bool]:
        """Give the rows of a file that was put aside, block by block; gives whether that could be. Raises Truncated."""
        begin = flow(self.dataset, entry.name) if response.content is not None else None
        if begin is None or response.content is None:
            return False
        try:
            yield from flown(self.dataset, entry.name, response.content, begin, marked=self._marked, position=position)
        except Whole:
            yield Withdrawn()
            return False
        return True

    @property
    def _marked(self) -> bool:
        return self.dataset.settings.marker is not None

    def _cursor(self) -> Json:
        """Where the dataset was left; what is set aside may stand at an older file, when nothing of it changed since."""
        return self.plan.cursors.get(self.dataset.name)

    def _lines(self, name: str) -> bool:
        return not name.lower().endswith((".zip", ".gz")) and self.dataset.format in LINES

    def _detail(self, why: Why) -> dict[str, Json]:
        return {"why": why, "files": self.dataset.settings.files}

    def _unchanged(self, given: Json) -> Answer[Mapping[str, Json]]:
        for stream in self.part.streams:
            yield Evidence(stream, "unchanged", True, {"files": 1})
        return dict.fromkeys(self.part.streams, given)

    def _unread(self, given: Json, why: Why | Literal["same"]) -> Answer[Mapping[str, Json]]:
        return (yield from (self._unchanged(given) if why == "same" else self._stands(given, why)))

    def _stands(self, given: Json, why: Why) -> Answer[Mapping[str, Json]]:
        """The file is not taken: say so, and let the last snapshot stand."""
        if not given:
            raise NotTaken(stream=self.dataset.name, why_fr=SAID[why][0], why_en=SAID[why][1])
        yield Evidence(self.dataset.name, "not_taken", None if why in _WAITED else False, self._detail(why))
        return (yield from self._unchanged(given))

    def _moved(self, entry: Entry, response: Response) -> Answer[bool]:
        """Whether a file is another than the one listed: by its size or, where it has no tag, by a second listing."""
        if entry.size is not None and entry.size != response.size:
            return True
        if entry.tag is not None or entry.size is None:
            return False
        again = next((each for each in (yield from self.place.listing()) if each.name == entry.name), None)
        # It may have been given a tag since: one that rested long enough has one.
        return again is None or (again.size, again.modified) != (entry.size, entry.modified)
