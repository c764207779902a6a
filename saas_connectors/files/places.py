"""Which place a connection's files lie in: told by the scheme of its `url`, or by its setting `place`.

`place` is a kind ("sftp"), or a table whose `kind` is one and whose other settings are the place's own. A place's module gives
`make(at, url, options) -> Place`, which opens nothing and raises `SettingsError` with the dotted name of the field.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, cast

from saas_connectors.connector import Json
from saas_connectors.errors import SettingsError
from saas_connectors.files.place import Place

PLACES: Final[Mapping[str, str]] = {
    "folder": "saas_connectors.files.folder:make",
    "https": "saas_connectors.files.https:make",
    "http": "saas_connectors.files.https:make",
    "sftp": "saas_connectors.files.sftp:make",
    "imaps": "saas_connectors.files.attachments:make",
    "imap": "saas_connectors.files.attachments:make",
    "webdav": "saas_connectors.files.webdav:make",
    "s3": "saas_connectors.files.s3:make",
}


def open_place(at: str, url: str, place: Json = None) -> Place:
    """Make the place of a connection.

    at: the dotted place of its settings ("connections.hr"). place: its setting `place`, None to go by the scheme of `url`.
    """
    options = dict(place) if isinstance(place, Mapping) else {}
    kind = options.pop("kind", None) if isinstance(place, Mapping) else place
    if kind is None:
        kind = url.partition(":")[0]
    if not isinstance(kind, str) or kind not in PLACES:
        known = ", ".join(PLACES)
        field = f"{at}.url" if place is None else f"{at}.place"
        raise SettingsError(field=field, expected_fr=f"un lieu connu : {known}", expected_en=f"a known place: {known}")
    module, _, factory = PLACES[kind].partition(":")
    made = cast(Callable[[str, str, Mapping[str, Json]], Place], getattr(import_module(module), factory))
    return made(f"{at}.place", url, options)
