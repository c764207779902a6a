"""What a connector asks for and what it is given: plain values, no socket.

A `Request` never carries a credential: the driver adds it at the last moment, so that requests can be archived and shown.
A `Response` is whole and bounded: the driver enforced the caps on size, time and decompression before the connector sees it.
A long body that is asked for `spooled` is put aside by the driver: it comes as a `Content`, to be read little by little.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode, urlsplit

from vault.content import Content, Held

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """One call to a vendor.

    `url` is absolute (`https:`, `http:` or `folder:`); `params` are appended to its query, in order; `body` is sent as it is.
    `max_bytes` caps the response once decompressed; None takes the connection's cap. `reads` marks a method other than GET or
    HEAD that changes nothing at the vendor (a search by POST), so that it may be sent again. `document`: a successful body is a
    file for the document store, which keeps it in the raw archive's stead. `spooled`: a successful body may come as
    `Response.content`, if it is long.
    """

    method: str
    url: str
    params: Pairs = ()
    headers: Pairs = ()
    body: bytes | None = None
    max_bytes: int | None = field(default=None, compare=False)
    reads: bool = False
    document: bool = False
    spooled: bool = field(default=False, compare=False)

    @property
    def full_url(self) -> str:
        """The URL with its parameters, as it goes on the wire."""
        if not self.params:
            return self.url
        return f"{self.url}{'&' if urlsplit(self.url).query else '?'}{urlencode(self.params)}"


class Headers(Mapping[str, str]):
    """A response's headers; names are compared without case, a repeated one is joined by a comma (RFC 9110 section 5.3)."""

    __slots__ = ("_values",)

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            key = name.lower()
            self._values[key] = f"{self._values[key]}, {value}" if key in self._values else value

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True)
class Response:
    """What the vendor answered.

    `status` is the HTTP status (a folder answers 200 or 404); `body` is decompressed; `url` is the one asked for. `content`: a
    body that was put aside, and `body` is empty; None for one in memory.
    """

    status: int
    url: str
    body: bytes
    headers: Headers = field(default_factory=Headers)
    received_at: datetime | None = None
    content: Content | None = None

    @property
    def size(self) -> int:
        """The length of the body, in bytes."""
        return len(self.body) if self.content is None else self.content.size

    @property
    def given(self) -> bytes | Content:
        """The body as it came: its bytes, or what was put aside."""
        return self.body if self.content is None else self.content

    @property
    def whole(self) -> Content:
        """The body, wherever it is."""
        return Held(self.body) if self.content is None else self.content
