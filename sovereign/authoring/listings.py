"""What a place says of its files beside their bytes: size, digest, tag.

In a recording it says them of what stands for the files.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from saas_connectors.request import Headers, Request, Response

_FOLDER = "folder:"


def told(made: Sequence[Response], exchanges: Sequence[tuple[str, Request, Response]]) -> list[Response]:
    """Give the answers again, the listings of a folder and the answers to HEAD true to the files that were read."""
    files = {
        request.full_url: each.body
        for (_, request, _), each in zip(exchanges, made, strict=True)
        if request.method == "GET" and 200 <= each.status < 300
    }
    return [
        _folder(each, response, files) if request.full_url == _FOLDER else _headed(each, request, response, files)
        for (_, request, response), each in zip(exchanges, made, strict=True)
    ]


def _folder(made: Response, real: Response, files: dict[str, bytes]) -> Response:
    try:
        names = [each["name"] for each in msgspec.json.decode(real.body)]
        listed = msgspec.json.decode(made.body)
    except (msgspec.DecodeError, KeyError, TypeError):
        return made
    for name, each in zip(names, listed, strict=True):
        body = files.get(f"{_FOLDER}{name}")
        if body is not None:
            each |= {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    return replace(made, body=msgspec.json.encode(listed))


def _headed(made: Response, request: Request, real: Response, files: dict[str, bytes]) -> Response:
    """Keep what a place over HTTP says of a file: that it has a length, that it has a tag, weak or not."""
    body = files.get(request.full_url)
    if body is None or (not request.spooled and request.method != "HEAD"):
        return made
    kept = [*made.headers.items()]
    if request.method == "HEAD" and "content-length" in real.headers and "content-encoding" not in real.headers:
        kept.append(("Content-Length", str(len(body))))
    if "etag" in real.headers:
        weak = "W/" if real.headers["etag"].startswith("W/") else ""
        kept.append(("ETag", f'{weak}"{hashlib.sha256(body).hexdigest()[:16]}"'))
    return replace(made, headers=Headers(kept))
