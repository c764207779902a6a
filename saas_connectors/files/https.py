"""Files published at addresses: those that the setting names, for nothing else can be listed.

1. `url` is the file, or what the names of `place.files` are relative to. A name never leads above it, nor to another server.
2. The listing is one HEAD a file. A strong ETag names its bytes; a weak one and Last-Modified do not, as two versions may be of
   one second: such a file is read each time. A server that has no HEAD (405, 501) tells nothing beforehand.
3. A file that the server does not know (404, 410) is not listed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from posixpath import basename
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

import msgspec

from saas_connectors.answer import accept
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError
from saas_connectors.files.place import Entry, settled
from saas_connectors.request import Request, Response
from saas_connectors.stream_settings import Texts
from saas_connectors.stream_settings import read as read_settings

_NO_HEAD: Final = (405, 501)
_GONE: Final = (404, 410)
_SAID = {
    "files": (
        "une liste de noms de fichiers, relatifs à url, sans « .. »",
        "a list of names of files, relative to url, without `..`",
    )
}


class _Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    files: Texts | None = None


def make(at: str, url: str, options: Mapping[str, Json]) -> "HttpsPlace":
    """Make the place; its option `files` names several files."""
    asked = read_settings(_Options, at, options, _SAID)
    for name in asked.files or ():
        steps = name.split("/")
        if ".." in steps or "" in steps or "\\" in name or "?" in name or "#" in name or ":" in steps[0]:
            raise SettingsError(field=f"{at}.files", expected_fr=_SAID["files"][0], expected_en=_SAID["files"][1])
    if asked.files is None and not basename(urlsplit(url).path):
        raise SettingsError(
            field=f"{at}.files",
            expected_fr="les noms des fichiers : url n'en désigne pas un",
            expected_en="the names of the files: url is not that of one",
        )
    return HttpsPlace(url, None if asked.files is None else tuple(asked.files))


@dataclass(frozen=True, slots=True)
class HttpsPlace:
    """One file at `url`, or those that `files` names below it."""

    url: str
    files: tuple[str, ...] | None = None

    def listing(self) -> Answer[tuple[Entry, ...]]:
        """See `Place`: HEAD requests, sent together."""
        names = sorted(self.files) if self.files is not None else [unquote(basename(urlsplit(self.url).path))]
        requests = tuple(Request("HEAD", self._address(name)) for name in names)
        found: list[Entry] = []
        for name, request, response in zip(names, requests, (yield from fetch(*requests)), strict=True):
            if response.status in _NO_HEAD:
                found.append(Entry(name))
            elif response.status not in _GONE:
                accept(request, response)
                found.append(_entry(name, response))
        return tuple(found)

    def read(self, entry: Entry, max_bytes: int) -> Answer[Response]:
        """See `Place`."""
        (response,) = yield from fetch(Request("GET", self._address(entry.name), max_bytes=max_bytes, spooled=True))
        return response

    def write(self, name: str, body: bytes, *, new: bool) -> Answer[Response]:
        """See `Place`: a PUT, for servers that take one. A new file is looked for first: not all hold to `If-None-Match`."""
        address = self._address(name)
        if new:
            (there,) = yield from fetch(Request("HEAD", address))
            if 200 <= there.status < 300:
                return Response(412, there.url, b"")
        (response,) = yield from fetch(Request("PUT", address, headers=(("If-None-Match", "*"),) if new else (), body=body))
        return response

    def _address(self, name: str) -> str:
        return self.url if self.files is None else urljoin(self.url, quote(name))


def _entry(name: str, response: Response) -> Entry:
    headers = response.headers
    size, tag = headers.get("Content-Length", ""), headers.get("ETag", "")
    compressed = headers.get("Content-Encoding", "identity") != "identity"
    try:
        modified = parsedate_to_datetime(headers["Last-Modified"]).astimezone(UTC)
    except (KeyError, ValueError):
        modified = None
    known = int(size) if size.isascii() and size.isdigit() and len(size) < 19 and not compressed else None
    return Entry(name, known, modified, settled(tag, modified, response))
