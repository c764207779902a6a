"""What every writer needs: its operations by name, a vendor's verdict on a write, reads of the pass-through."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from saas_connectors.connector import (
    Applied,
    Change,
    Class,
    Exchange,
    Json,
    MirrorQuery,
    Operation,
    Presented,
    Probed,
    ReadBack,
)
from saas_connectors.errors import Rejected, UnknownOperation
from saas_connectors.payloads import check
from saas_connectors.request import Request, Response

FRESH: Final = ("Cache-Control", "no-cache")
"""What a look at the vendor asks of the caches on the way."""
GONE: Final = (404, 410)
READS: Final = frozenset({"GET", "HEAD"})
_REASONS: Final = {
    400: "invalid", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method", 409: "conflict", 410: "not_found",
    412: "precondition", 413: "too_large", 415: "media_type", 422: "invalid", 423: "locked", 428: "precondition",
}  # fmt: skip
_OPEN: Final = {408: "timeout", 425: "too_early", 429: "throttled", 503: "unavailable"}


def written(request: Request, response: Response) -> None:
    """Pass a write that the vendor accepted (2xx); raise `Rejected` otherwise, definitive for what it refused as such."""
    status = response.status
    if 200 <= status < 300:
        return
    definitive = 400 <= status < 500 and status not in _OPEN
    reason = _OPEN.get(status) or (_REASONS.get(status, "refused") if definitive else "failed")
    raise refused(request, status, reason, definitive=definitive)


def refused(request: Request, status: int, reason: str, *, definitive: bool = True) -> Rejected:
    """Say why a write was not done, without a byte of the answer, nor of the query."""
    path = urlsplit(request.url).path or "/"
    return Rejected(method=request.method, path=path, status=status, definitive=definitive, reason=reason)


def declared(operations: Mapping[str, Operation], connection: str, name: str, payload: Json) -> Operation:
    """Give the operation of that name, and hold the payload to it; errors: UnknownOperation, BadPayload."""
    if name not in operations:
        known = ", ".join(operations) or "—"
        raise UnknownOperation(connection=connection, operation=name[:64], known=known)
    check(operations[name], payload)
    return operations[name]


def below(base: str, path: str) -> tuple[str, str] | None:
    """Cut a path of the pass-through at a connection's address: what follows it, and the query; None when it is elsewhere."""
    root = urlsplit(base).path.rstrip("/")
    path, _, query = path.partition("?")
    if path != root and not path.startswith(root + "/"):
        return None
    return path.removeprefix(root), query


_KINDS: Final[Mapping[str, Literal["update", "replace", "delete"]]] = {
    "PUT": "replace", "PATCH": "update", "POST": "update", "DELETE": "delete",
}  # fmt: skip


def called(
    asked: MirrorQuery | None, method: str, body: Json, columns: Callable[[str, Mapping[str, Json]], Mapping[str, Json]]
) -> tuple[Change, ...]:
    """What a call that writes changes, known by the read that the same path answers.

    asked: that read, its query apart. columns: what a body gives, by column of a stream. A call whose body is no object, or
    that writes to a list as a whole, says nothing.
    """
    if asked is None or asked.kind == "streams" or method not in _KINDS:
        return ()
    kind = _KINDS[method]
    if asked.kind == "list":
        if method != "POST" or asked.filters or not isinstance(body, Mapping):
            return ()
        return (Change("create", asked.stream, (), columns(asked.stream, body)),)
    if kind == "delete":
        return (Change(kind, asked.stream, asked.filters),)
    return (Change(kind, asked.stream, asked.filters, columns(asked.stream, body)),) if isinstance(body, Mapping) else ()


class Unmirrored:
    """The reads of a writer whose vendor alone can answer them."""

    __slots__ = ()

    def is_read(self, method: str, _path: str, /) -> bool:
        """GET and HEAD."""
        return method in READS

    def mirror(self, _method: str, _path: str, /) -> MirrorQuery | None:
        """Nothing."""
        return None

    def changes(self, _operation: str, _payload: Json, /) -> tuple[Change, ...]:
        """Nothing that can be said."""
        return ()

    def passed(self, _method: str, _path: str, _body: Json, /) -> tuple[Change, ...]:
        """Nothing that can be said."""
        return ()

    def present(self, _query: MirrorQuery, _rows: Sequence[Mapping[str, Json]], _total: int, /) -> Presented:
        """Nothing: no query was given."""
        return Presented(404, "application/json", b"{}")


@dataclass(frozen=True, slots=True)
class ReadOnly(Unmirrored):
    """The writer of a connector that has none: no operation, reads by their method, nothing mirrored."""

    name: str

    def operations(self) -> tuple[Operation, ...]:
        """None."""
        return ()

    def entity(self, operation: str, payload: Json, /) -> str:
        """Refuse: there is no operation."""
        raise self._unknown(operation, payload)

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """Refuse: there is no operation."""
        raise self._unknown(operation, payload)

    def apply(self, operation: str, payload: Json, key: str | None = None, /) -> Exchange[Applied]:
        """Refuse: there is no operation."""
        raise self._unknown(operation, payload, key)

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Refuse: there is no operation."""
        raise self._unknown(operation, payload, applied)

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """Refuse: there is no operation."""
        raise self._unknown(operation, payload)

    def _unknown(self, operation: str, *_: object) -> UnknownOperation:
        return UnknownOperation(connection=self.name, operation=operation[:64], known="—")


def read_only(name: str, _settings: Mapping[str, Json]) -> ReadOnly:
    """Make the writer of a connector that has none."""
    return ReadOnly(name)
