"""What troubles make of an answer: another in its place, or the same gone wrong on its way."""

import base64
import gzip
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import orjson

from saas_connectors.sandbox.wire import Call, Reply


def _shown(call: Call) -> str:
    """The credential, as it came."""
    return call.headers.get("authorization", "") + call.headers.get("x-api-key", "") + call.query.get("api_key", "")


def html(call: Call, status: int) -> Reply:
    """An error page as some vendors write it: with the credential in a link."""
    shown = _shown(call)
    if shown.startswith("Basic "):
        shown = base64.b64decode(shown[6:]).decode("utf-8", "replace")
    page = f"<!DOCTYPE html><h1>Page not found</h1><a href='http://{shown}@vendor.example/rest/'>back</a>"
    return Reply(status, page.encode(), {"Content-Type": "text/html"})


_GZIP: Final = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
_INSTEAD: Final[Mapping[str, Callable[[Call, Any], Reply]]] = {
    "reset": lambda _, __: Reply(reset=True),
    "throttle": lambda _, after: Reply(429, b'{"error":"slow down"}', {"Retry-After": str(after)}),
    "status": lambda _, status: Reply(int(status), b'{"error":"something broke"}'),
    "html": lambda call, status: html(call, int(status or 404)),
    "not_json": lambda _, __: Reply(200, b"<!DOCTYPE html><h1>Welcome</h1>", {"Content-Type": "text/html"}),
    "error_in_200": lambda _, __: Reply(200, b'{"error":{"message":"the list of Jeanne Martin cannot be read"}}'),
    "redirect": lambda _, address: Reply(302, b"", {"Location": str(address)}),
    "gzip_bomb": lambda _, size: Reply(200, _bomb(int(size)), dict(_GZIP)),
    "huge": lambda _, size: Reply(200, flow=_flow(int(size)), length=int(size)),
}


def instead(call: Call, striking: Mapping[str, Any]) -> Reply | None:
    """Give what is answered in the place of the answer, None when nothing is."""
    return next((_INSTEAD[kind](call, value) for kind, value in striking.items() if kind in _INSTEAD), None)


def after(call: Call, reply: Reply, striking: Mapping[str, Any]) -> None:
    """What goes wrong on the way."""
    reply.delay += float(striking.get("slow") or 0)
    if "echo" in striking and reply.status < 300:
        reply.headers["X-Debug-Credential"] = _shown(call)
        reply.body = orjson.dumps({"debug": {"authorization": _shown(call)}, "answer": reply.body.decode()})
    if "truncated" in striking:
        reply.sent = len(reply.body) // 2
    if "wrong_length" in striking:
        reply.length = len(reply.body) // 2
    if "cut_json" in striking:
        reply.body = reply.body[: len(reply.body) // 2]


def _flow(size: int) -> Iterator[bytes]:
    piece = b'{"items":[' + b" " * (1 << 20)
    while size > 0:
        yield piece[:size]
        size -= len(piece)
        piece = b" " * (1 << 20)


def _bomb(size: int) -> bytes:
    """Compress `size` spaces, a member a mebibyte."""
    return gzip.compress(b" " * (1 << 20), 9, mtime=0) * (size >> 20)
