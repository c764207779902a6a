"""A directory of an SSH server as a place; see `sovereign.egress.sftp`, which answers as it does for a folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError
from saas_connectors.files.place import Entry
from saas_connectors.request import Request, Response


def make(at: str, url: str, options: Mapping[str, Json]) -> "SftpPlace":
    """Make the place; it takes no option."""
    for name in options:
        raise SettingsError(field=f"{at}.{name}", expected_fr="aucun réglage ici", expected_en="no setting here")
    if not url.startswith("sftp://"):
        expected = "une adresse sftp://HÔTE/DOSSIER/", "an address sftp://HOST/DIRECTORY/"
        raise SettingsError(field=f"{at}.url", expected_fr=expected[0], expected_en=expected[1])
    return SftpPlace(url.rstrip("/") + "/")


class _Listed(msgspec.Struct):
    name: str
    size: int | None
    modified: datetime
    tag: str | None


@dataclass(frozen=True, slots=True)
class SftpPlace:
    """The files of one directory. url: its address, ending with a slash; names follow it as they are."""

    url: str

    def listing(self) -> Answer[tuple[Entry, ...]]:
        """See `Place`: one request."""
        request = Request("GET", self.url)
        (response,) = yield from fetch(request)
        accept(request, response)
        try:
            listed = msgspec.convert(decode(request, response), list[_Listed])
        except msgspec.ValidationError:
            raise malformed(request, response, "la liste des fichiers était attendue", "a list of files was expected") from None
        return tuple(Entry(each.name, each.size, each.modified.astimezone(UTC), each.tag) for each in listed)

    def read(self, entry: Entry, max_bytes: int) -> Answer[Response]:
        """See `Place`."""
        (response,) = yield from fetch(Request("GET", self.url + entry.name, max_bytes=max_bytes, spooled=True))
        return response

    def write(self, name: str, body: bytes, *, new: bool) -> Answer[Response]:
        """See `Place`: whole or not at all."""
        headers = (("If-None-Match", "*"),) if new else ()
        (response,) = yield from fetch(Request("PUT", self.url + name, headers=headers, body=body))
        return response
