"""The law of documents holds a connector that fetches files, and is able to fail."""

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pytest

from saas_connectors.conformance import suite
from saas_connectors.connector import Catalog, Exchange, Filed, Holding, Json, Page, Reading, ReadPlan, Slice
from tests.servers.papers import Letters, Papers, content, make

URL = "http://letters.example"


def letters() -> tuple[Letters, Papers]:
    return make("courrier", {"url": URL}), Papers({n: content(n, 400) for n in range(25)})


def test_a_connector_that_files_documents_keeps_the_laws() -> None:
    connector, vendor = letters()
    report = suite.run(connector, vendor.respond)
    assert report.rows == {"letters": 25}


@dataclass(frozen=True)
class Forgetful(Letters):
    """Asks for every file again: it is told that nothing is held."""

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        told: Any = None
        reading: Generator[Any, Any, Any] = super().read(plan, part, position)
        while True:
            try:
                asked = reading.send(told)
            except StopIteration as end:
                return dict(end.value)
            if isinstance(asked, Holding):
                none: tuple[Filed | None, ...] = (None,) * len(asked.tags)
                told = none
            else:
                told = yield asked


@dataclass(frozen=True)
class Inventive(Letters):
    """Names documents that were never filed."""

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        told: Any = None
        reading: Generator[Any, Any, Any] = super().read(plan, part, position)
        while True:
            try:
                asked = reading.send(told)
            except StopIteration as end:
                return dict(end.value)
            if isinstance(asked, Page):
                at = asked.records.schema.get_field_index("document")
                made = pa.array([f"d{n:032x}" for n in range(asked.records.num_rows)])
                asked = replace(asked, records=asked.records.set_column(at, "document", made))
            told = yield asked


@dataclass(frozen=True)
class Careless(Letters):
    """Says of its stream what a test wants."""

    said: Any = None

    def discover(self) -> Exchange[Catalog]:
        catalog = yield from super().discover()
        return Catalog((replace(catalog.streams[0], **self.said),))


@pytest.mark.parametrize(
    ("broken", "law"),
    [
        (Forgetful, "asked for again"),
        (Inventive, "was filed for it"),
    ],
)
def test_the_law_of_documents_can_fail(broken: type[Letters], law: str) -> None:
    connector, vendor = letters()
    with pytest.raises(suite.Violation, match=law):
        suite.run(broken(URL, connector.classes), vendor.respond)


@pytest.mark.parametrize(
    ("said", "law"),
    [
        ({"document": "nowhere"}, "in a field of its schema"),
        ({"document": "size"}, "in text"),
        ({"document": None}, "says in which field"),
    ],
    ids=["no such field", "not a text", "no field at all"],
)
def test_what_a_stream_says_of_its_documents_is_held_too(said: dict[str, Any], law: str) -> None:
    connector, vendor = letters()
    with pytest.raises(suite.Violation, match=law):
        suite.run(Careless(URL, connector.classes, said=said), vendor.respond)
