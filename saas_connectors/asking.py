"""What a read asks, one function a question, each typed by its answer: `response, = yield from fetch(request)`."""

from collections.abc import Generator
from typing import TypeAlias, TypeVar, cast

from saas_connectors.connector import Asked, Document, Fetch, Filed, Holding, Told
from saas_connectors.request import Request, Response

T = TypeVar("T")

Answer: TypeAlias = Generator[Asked, Told, T]
"""A question of a read, and the answer to it."""


def fetch(*requests: Request) -> Answer[tuple[Response, ...]]:
    """Send requests that may be sent at once; gives their responses in the same order."""
    return cast(tuple[Response, ...], (yield Fetch(requests))) if requests else ()


def holding(stream: str, *tags: str) -> Answer[tuple[Filed | None, ...]]:
    """Ask the document store which of these it holds for a stream, in the same order."""
    return cast(tuple[Filed | None, ...], (yield Holding(stream, tags))) if tags else ()


def file(document: Document) -> Answer[Filed]:
    """Give a document to the store, and learn its name there."""
    return cast(Filed, (yield document))
