"""Readers and the writer: order, bounds, what is held back, what is never shown."""

import threading
import time
from collections.abc import Mapping

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas_connectors.connector import Document, Evidence, Fetch, Filed, Holding, Json, Page, Reading, ReadPlan, Slice
from saas_connectors.request import Request, Response
from sovereign.clock import now
from sovereign.sync.channel import Channel
from sovereign.sync.errors import ConnectorFailed
from sovereign.sync.landing import Landing, ResumePoint, condense
from sovereign.sync.outcome import Noted
from sovereign.sync.reading import Answered, Ended, Item, Readers, Stopped, origin
from vault.content import Held

PLAN = ReadPlan((), {}, {}, now())
PART = Slice("s/0", ("s",))


def rows(*ids: int) -> pa.Table:
    return pa.table({"id": list(ids)})


class Nowhere:
    """A document store that holds nothing and keeps nothing."""

    def held(self, asked: Holding) -> tuple[Filed | None, ...]:
        return (None,) * len(asked.tags)

    def name(self, document: Document) -> Filed:
        return Filed(f"d{len(document.content):032x}", len(document.content), "")

    def coming(self, document: Document, filed: Filed) -> None: ...

    def file(self, document: Document, filed: Filed) -> None: ...

    def checkpoint(self) -> None: ...


class Scripted:
    """A connector whose one slice does what a test says."""

    name, version = "scripted", "1"

    def __init__(self, *steps: object) -> None:
        self.steps = steps

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        for step in self.steps:
            if isinstance(step, Exception):
                raise step
            yield step  # type: ignore[misc]  # a step is a Fetch, a Page or Evidence
        return {"s": 7}


def read(connector: Scripted, status: int = 200) -> list[object]:
    def send(requests: tuple[Request, ...]) -> tuple[Response, ...]:
        return tuple(Response(status, each.url, b"the body") for each in requests)

    readers = Readers(connector, PLAN, [(PART, None)], send, Nowhere(), threads=2, memory=1000)  # type: ignore[arg-type]  # reads only
    readers.start()
    found = []
    while True:
        alive = readers.reading
        item = readers.get(0.05)
        if item is not None:
            found.append(item.what)
        elif not alive:
            break
    readers.close()
    return found


def test_a_slice_comes_in_order_responses_first() -> None:
    fetch, page, fact = Fetch((Request("GET", "https://v/a"),)), Page("s", rows(1), 1), Evidence("s", "vendor_count", None)
    found = read(Scripted(fetch, page, fact))
    assert [type(each) for each in found] == [Answered, Page, Evidence, Ended]


def test_of_an_error_page_only_the_status_is_handed_on() -> None:
    found = read(Scripted(Fetch((Request("GET", "https://v/a"),))), status=404)
    assert isinstance(found[0], Answered)
    assert (found[0].response.status, found[0].response.body) == (404, b"")


def test_a_defect_of_a_connector_is_named_without_its_words() -> None:
    (found,) = read(Scripted(KeyError("Jeanne Martin")))
    assert isinstance(found, Stopped)
    assert isinstance(found.fault, ConnectorFailed)
    assert "KeyError" in str(found.fault)
    assert "test_reading" in str(found.fault)
    assert "Jeanne" not in str(found.fault)
    assert found.fault.__cause__ is None


def test_a_full_channel_makes_the_reader_wait_and_a_large_item_passes_alone() -> None:
    channel: Channel[int] = Channel(10)
    channel.put(1, 100)
    waiting = threading.Thread(target=channel.put, args=(2, 1))
    waiting.start()
    time.sleep(0.05)
    assert waiting.is_alive()
    assert channel.get(1) == 1
    waiting.join(60)
    assert channel.get(1) == 2
    assert channel.get(0) is None


def test_a_closed_channel_lets_everybody_go() -> None:
    channel: Channel[int] = Channel(10)
    channel.put(1, 10)
    waiting = threading.Thread(target=channel.put, args=(2, 10))
    waiting.start()
    channel.close()
    waiting.join(60)
    assert not waiting.is_alive()


class Paper:
    """What a draft keeps: at each checkpoint, the records and the resume point together."""

    def __init__(self) -> None:
        self.pending: list[int] = []
        self.safe: list[int] = []
        self.resume: Json = None

    def append(self, stream: str, records: pa.Table, removed: pa.Table | None = None) -> None:
        self.pending += records.column("id").to_pylist()

    def checkpoint(self, resume: Json) -> None:
        self.safe += self.pending
        self.pending, self.resume = [], resume


def test_records_wait_for_the_page_that_carries_the_position() -> None:
    paper = Paper()
    landing = Landing(paper, lambda _q, _r, _f: None, ResumePoint(), Nowhere())
    landing.take(Item("s/0", Page("s", rows(1, 2))))
    landing.checkpoint()
    assert (paper.safe, paper.resume) == ([], None)
    landing.take(Item("s/0", Page("s", rows(3), position=4)))
    landing.checkpoint()
    assert paper.safe == [1, 2, 3]
    assert paper.resume["slices"]["s/0"]["position"] == 4
    landing.take(Item("s/0", Ended({"s": 7})))
    landing.checkpoint()
    assert paper.resume["slices"]["s/0"] == {"position": None, "done": True, "cursors": {"s": 7}}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=60), st.integers(0, 60))
def test_at_any_stop_what_is_safe_is_exactly_what_the_positions_say(steps: list[tuple[str, bool]], stop: int) -> None:
    """Pages of three slices, some without a position; a crash after `stop` of them; then the slices are read on from there."""
    pages: dict[str, list[tuple[int, bool]]] = {key: [] for key in "abc"}
    for number, (key, positioned) in enumerate(steps):
        pages[key].append((number, positioned))

    def play(paper: Paper, point: ResumePoint, order: list[tuple[str, int, int, bool]], every: int) -> None:
        landing = Landing(paper, lambda _q, _r, _f: None, point, Nowhere())
        for count, (key, at, number, positioned) in enumerate(order):
            landing.take(Item(key, Page("s", rows(number), position=at + 1 if positioned else None)))
            if count % every == 0:
                landing.checkpoint()
        for key in "abc":
            landing.take(Item(key, Ended({})))
        landing.checkpoint()

    def left(resume: Mapping[str, Json]) -> list[tuple[str, int, int, bool]]:
        slices = resume.get("slices", {})
        return [
            (key, at, number, positioned)
            for key in "abc"
            for at, (number, positioned) in enumerate(pages[key])
            if at >= (slices.get(key, {}).get("position") or 0) and not slices.get(key, {}).get("done")
        ]

    paper = Paper()
    first = Landing(paper, lambda _q, _r, _f: None, ResumePoint(), Nowhere())
    seen = dict.fromkeys("abc", 0)
    for count, (key, positioned) in enumerate(steps[:stop]):
        seen[key] += 1
        first.take(Item(key, Page("s", rows(count), position=seen[key] if positioned else None)))
        if count % 3 == 0:
            first.checkpoint()
    paper.pending = []  # the crash
    resume = paper.resume or {}
    play(paper, msgspec.convert(resume, ResumePoint), left(resume), 2)
    assert sorted(paper.safe) == list(range(len(steps)))


@pytest.mark.parametrize("counts", [[5], [5, 9, 7], [9, 5, 5, 5]])
def test_counts_are_condensed_to_their_ends_and_the_last(counts: list[int]) -> None:
    held: list[Noted] = []
    for number in counts:
        held = condense(held, [Noted("s", "vendor_count", None, {"count": number})])
    kept = [int(note.detail["count"]) for note in held]
    assert (min(kept), max(kept), kept[-1]) == (min(counts), max(counts), counts[-1])
    assert len(kept) <= 3


def test_the_same_remark_is_kept_once_and_a_flood_is_bounded() -> None:
    same = [Noted("s", "suspect_values", None, {"count": 1})] * 50
    assert len(condense([], same)) == 1
    flood = [Noted("s", "suspect_values", None, {"count": n}) for n in range(1000)]
    kept = condense([], flood)
    assert len(kept) == 200
    assert kept[-1].detail == {"count": 999}


def test_an_empty_file_is_not_taken_for_an_answer_that_was_put_aside() -> None:
    aside = Response(200, "https://v.example/1", b"", content=Held(b"a long body"))
    assert origin(Document("s", "t", b""), [aside]) is None
    assert origin(Document("s", "t", b"x"), [aside, Response(200, "https://v.example/2", bytes(bytearray(b"x")))]) == 1
    assert aside.content is not None
    assert origin(Document("s", "t", aside.content), [aside]) == 0


def test_answers_put_aside_wait_to_be_written_in_bounded_number() -> None:
    sent: list[Request] = []
    ahead = threading.Event()

    def send(requests: tuple[Request, ...]) -> tuple[Response, ...]:
        sent.extend(requests)
        if len(sent) > 2:
            ahead.set()
        return tuple(Response(200, each.url, b"", content=Held(bytes(5000))) for each in requests)

    script = Scripted(*[Fetch((Request("GET", f"https://v.example/{n}", spooled=True),)) for n in range(30)])
    readers = Readers(script, PLAN, [(PART, None)], send, Nowhere(), threads=1, memory=1000)  # type: ignore[arg-type]  # reads only
    readers.start()
    assert not ahead.wait(0.5), "one waits to be written, one to wait"
    found = 0
    while True:
        alive = readers.reading
        if readers.get(0.05) is not None:
            found += 1
        elif not alive:
            break
    readers.close()
    assert (len(sent), found) == (30, 31)
