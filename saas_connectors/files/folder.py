"""A folder as a place: its listing says the SHA-256 of every file, so that one that did not change is never read.

A file that is being written to has none yet: it is listed without a tag.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import msgspec

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError
from saas_connectors.files.place import Entry
from saas_connectors.request import Request, Response

FOLDER: Final = "folder:"


def make(at: str, url: str, options: Mapping[str, Json]) -> "FolderPlace":
    """Make the place; it takes no option."""
    for name in options:
        raise SettingsError(field=f"{at}.{name}", expected_fr="aucun réglage ici", expected_en="no setting here")
    if not url.startswith(FOLDER):
        raise SettingsError(field=f"{at}.url", expected_fr="une adresse folder:CHEMIN", expected_en="an address folder:PATH")
    return FolderPlace()


class _Listed(msgspec.Struct):
    name: str
    size: int
    modified: datetime
    sha256: str | None


@dataclass(frozen=True, slots=True)
class FolderPlace:
    """The files of one folder; see `sovereign.egress.folder`, which answers."""

    def listing(self) -> Answer[tuple[Entry, ...]]:
        """See `Place`: one request."""
        request = Request("GET", FOLDER)
        (response,) = yield from fetch(request)
        accept(request, response)
        try:
            listed = msgspec.convert(decode(request, response), list[_Listed])
        except msgspec.ValidationError:
            raise malformed(request, response, "la liste des fichiers était attendue", "a list of files was expected") from None
        return tuple(Entry(each.name, each.size, each.modified.astimezone(UTC), each.sha256) for each in listed)

    def read(self, entry: Entry, max_bytes: int) -> Answer[Response]:
        """See `Place`."""
        (response,) = yield from fetch(Request("GET", FOLDER + entry.name, max_bytes=max_bytes, spooled=True))
        return response

    def write(self, name: str, body: bytes, *, new: bool) -> Answer[Response]:
        """See `Place`: whole or not at all."""
        headers = (("If-None-Match", "*"),) if new else ()
        (response,) = yield from fetch(Request("PUT", FOLDER + name, headers=headers, body=body))
        return response
