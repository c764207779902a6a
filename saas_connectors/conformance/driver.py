"""A driver reduced to a function: it carries a connector's conversations, keeps them, and plays them back."""

import hashlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field

import msgspec

from saas_connectors.connector import (
    Connector,
    Document,
    Evidence,
    Exchange,
    Fetch,
    Filed,
    Holding,
    Json,
    Page,
    ReadPlan,
    Slice,
    T,
    Told,
    Withdrawn,
)
from saas_connectors.request import Request, Response
from vault.content import blocks

Send = Callable[[Request], Response]
"""Sends a request, credential added, and gives the response."""


@dataclass(frozen=True, slots=True)
class Read:
    """What one slice gave: pages and evidence in order, and the cursors it ended with."""

    pages: tuple[Page, ...]
    evidence: tuple[Evidence, ...]
    cursors: Mapping[str, Json]


@dataclass
class Recorder:
    """Sends through `send` and keeps every exchange, in order."""

    send: Send
    exchanges: list[tuple[Request, Response]] = field(default_factory=list)

    def __call__(self, request: Request) -> Response:
        """Send and keep."""
        response = self.send(request)
        self.exchanges.append((request, response))
        return response


class Unrehearsed(LookupError):
    """A replay was asked for something that was not asked the first time."""


class Replay:
    """Answers from exchanges already made: the same requests, in any order, get the same responses."""

    def __init__(self, exchanges: list[tuple[Request, Response]]) -> None:
        self._answers: dict[Request, list[Response]] = {}
        for request, response in exchanges:
            self._answers.setdefault(request, []).append(response)

    def __call__(self, request: Request) -> Response:
        """Answer as the first time."""
        answers = self._answers.get(request)
        if not answers:
            raise Unrehearsed
        return answers.pop(0) if len(answers) > 1 else answers[0]


class Shelf:
    """A document store in memory."""

    def __init__(self) -> None:
        self.filed: dict[tuple[str, str], Filed] = {}
        self.contents: dict[str, bytes] = {}

    def held(self, asked: Holding) -> tuple[Filed | None, ...]:
        """Answer what is held."""
        return tuple(self.filed.get((asked.stream, tag)) for tag in asked.tags)

    def file(self, document: Document) -> Filed:
        """Keep a document; two contents under one tag are refused."""
        given = document.content
        content = given if isinstance(given, bytes) else b"".join(blocks(given))
        digest = hashlib.sha256(content).hexdigest()
        filed = Filed(f"d{digest[:31]}", len(content), digest)
        if self.filed.setdefault((document.stream, document.tag), filed) != filed:
            raise AssertionError("two contents under one tag")
        self.contents[filed.document] = content
        return filed


def converse(exchange: Exchange[T], send: Send) -> T:
    """Carry a conversation to its end."""
    try:
        asked = next(exchange)
        while True:
            asked = exchange.send(tuple(send(request) for request in asked.requests))
    except StopIteration as end:
        result: T = end.value
        return result


def follow(
    connector: Connector, plan: ReadPlan, part: Slice, position: Json, send: Send, shelf: Shelf
) -> Generator[Page | Withdrawn | Evidence, None, Mapping[str, Json]]:
    """Read a slice, giving what it gives as it comes, so that what came before an error is not lost; its cursors are returned.

    Positions pass through JSON, as they do on disk. Documents go on `shelf`.
    """
    position = msgspec.json.decode(msgspec.json.encode(position))
    reading = connector.read(plan, part, position)
    told: Told = None
    try:
        while True:
            asked = reading.send(told)
            told = None
            if isinstance(asked, Fetch):
                told = tuple(send(request) for request in asked.requests)
            elif isinstance(asked, Holding):
                told = shelf.held(asked)
            elif isinstance(asked, Document):
                told = shelf.file(asked)
            else:
                yield asked
    except StopIteration as end:
        return end.value or {}
    finally:
        reading.close()


def withdraw(pages: list[Page]) -> None:
    """Take back the pages since the last position."""
    while pages and pages[-1].position is None:
        pages.pop()


def read(connector: Connector, plan: ReadPlan, part: Slice, position: Json, send: Send, shelf: Shelf | None = None) -> Read:
    """Read a slice to its end; see `follow`."""
    pages: list[Page] = []
    evidence: list[Evidence] = []
    following = follow(connector, plan, part, position, send, shelf or Shelf())
    try:
        while True:
            given = next(following)
            if isinstance(given, Page):
                pages.append(given)
            elif isinstance(given, Withdrawn):
                withdraw(pages)
            else:
                evidence.append(given)
    except StopIteration as end:
        return Read(tuple(pages), tuple(evidence), end.value)
