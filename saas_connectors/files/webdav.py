"""A collection of a WebDAV server as a place (RFC 4918).

1. The listing is PROPFIND of depth 1. A member is listed when its address is that of the collection and one name more, and it
   is no collection itself; what else a server says is left out.
2. A strong ETag names its bytes, once the file is older than a few seconds; a weak one (Apache gives it to what changed within
   the second) does not, so the file is read.
3. A file is put under a hidden name that says its content, then moved over: whole or not at all, whatever the server makes of
   PUT. The move alone counts as the write; the copy aside may be put again, and is the same. `Overwrite: F` keeps a new file
   from taking another's place.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote, unquote, urlsplit

from lxml import etree

from saas_connectors.answer import accept
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError
from saas_connectors.files.place import Entry, settled
from saas_connectors.formats.xml import elements
from saas_connectors.request import Request, Response

_DAV: Final = "{DAV:}"
_ASKED: Final = (
    b'<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop>'
    b"<getcontentlength/><getlastmodified/><getetag/><resourcetype/></prop></propfind>"
)


def make(at: str, url: str, options: Mapping[str, Json]) -> "WebDavPlace":
    """Make the place; it takes no option."""
    for name in options:
        raise SettingsError(field=f"{at}.{name}", expected_fr="aucun réglage ici", expected_en="no setting here")
    if not url.startswith(("https://", "http://")):
        expected = "une adresse https://HÔTE/DOSSIER/", "an address https://HOST/DIRECTORY/"
        raise SettingsError(field=f"{at}.url", expected_fr=expected[0], expected_en=expected[1])
    return WebDavPlace(url.rstrip("/") + "/")


@dataclass(frozen=True, slots=True)
class WebDavPlace:
    """The files of one collection. url: its address, ending with a slash."""

    url: str

    def listing(self) -> Answer[tuple[Entry, ...]]:
        """See `Place`: one request."""
        headers = (("Depth", "1"), ("Content-Type", "application/xml; charset=utf-8"))
        request = Request("PROPFIND", self.url, headers=headers, body=_ASKED, reads=True)
        (response,) = yield from fetch(request)
        accept(request, response)
        root = unquote(urlsplit(self.url).path)
        found: dict[str, Entry] = {}
        for element in elements(response.body, f"{_DAV}multistatus", (f"{_DAV}response",)):
            entry = _entry(element, root, response)
            if entry is not None:
                found[entry.name] = entry
        return tuple(found[name] for name in sorted(found))

    def read(self, entry: Entry, max_bytes: int) -> Answer[Response]:
        """See `Place`."""
        (response,) = yield from fetch(Request("GET", self._address(entry.name), max_bytes=max_bytes, spooled=True))
        return response

    def write(self, name: str, body: bytes, *, new: bool) -> Answer[Response]:
        """See `Place`: a copy aside, then the move that counts."""
        aside = self._address(f".{hashlib.sha256(body).hexdigest()[:16]}.{name[:100]}.sovereign")
        copied = Request("PUT", aside, body=body, headers=(("Content-Type", "application/octet-stream"),), reads=True)
        (response,) = yield from fetch(copied)
        if not 200 <= response.status < 300:
            return response
        headers = (("Destination", self._address(name)), ("Overwrite", "F" if new else "T"))
        (response,) = yield from fetch(Request("MOVE", aside, headers=headers))
        return response

    def _address(self, name: str) -> str:
        return self.url + quote(name, safe="")


def _entry(element: etree._Element, root: str, response: Response) -> Entry | None:
    """What a `response` says of a file of the collection; None when it is none."""
    path = unquote(urlsplit(element.findtext(f"{_DAV}href", "").strip()).path)
    name = path.removeprefix(root)
    if path == name or not name or name.startswith(".") or any(sign in name for sign in "/\0\r\n"):
        return None
    for said in element.iterfind(f"{_DAV}propstat"):
        held = said.find(f"{_DAV}prop")
        if held is None or said.findtext(f"{_DAV}status", "").split(" ")[1:2] != ["200"]:
            continue
        if held.find(f"{_DAV}resourcetype/{_DAV}collection") is not None:
            return None
        size, tag = held.findtext(f"{_DAV}getcontentlength", ""), held.findtext(f"{_DAV}getetag", "").strip()
        known = int(size) if size.isascii() and size.isdigit() and len(size) < 19 else None
        modified = _date(held.findtext(f"{_DAV}getlastmodified", ""))
        return Entry(name, known, modified, settled(tag, modified, response))
    return None


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return None
