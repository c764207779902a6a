"""The settings of a mailbox connection, read strictly."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from saas_connectors.connector import Class, Json
from saas_connectors.errors import SettingsError
from saas_connectors.mail.imap_streams import SHAPES
from saas_connectors.stream_settings import SAID, StreamSettings, Text, read, read_classes, read_streams

_SAID: Final = {
    **SAID,
    "url": ("une adresse « imaps://hôte:993 » ou « imap://hôte »", "an `imaps://host:993` or `imap://host` address"),
    "include": ("une liste de dossiers", "a list of folders"),
    "exclude": ("une liste de dossiers", "a list of folders"),
    "all_folders": ("true pour lire aussi la corbeille et les indésirables", "true to read Trash and Junk as well"),
    "files": ("« messages », « attachments », les deux ou aucun", "`messages`, `attachments`, both or none"),
    "max_message": ("des octets, de 1024 à 268435456", "bytes, from 1024 to 268435456"),
    "text": ("un nombre de caractères, de 0 à 100000", "a number of characters, 0 to 100000"),
}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A connection's table. Folders are named as people see them; `Projets/*` is that folder's inside, at any depth.

    include: the folders to read, all by default. exclude: those not to. all_folders: Trash and Junk too. files: whose bytes are
    kept as documents. max_message: above so many bytes a message or an attachment is recorded and not fetched. text: how many
    characters of the body stand in the record.
    """

    url: Text
    streams: Any = None
    include: list[Text] | None = None
    exclude: list[Text] = []
    all_folders: bool = False
    files: list[Text] = msgspec.field(default_factory=lambda: ["messages", "attachments"])
    max_message: int = 64 << 20
    text: int = 4_000

    @property
    def root(self) -> str:
        """The server's address."""
        return self.url.rstrip("/")

    def wants(self, name: str, flags: frozenset[str]) -> bool:
        """Whether a folder is read. flags: those that the server lists, in lower case."""
        if flags & {"\\noselect", "\\nonexistent", "\\unreadable"}:
            return False
        named = self.include is not None and any(_fits(name, each) for each in self.include)
        if any(_fits(name, each) for each in self.exclude) or (self.include is not None and not named):
            return False
        return self.all_folders or named or not flags & {"\\trash", "\\junk", "\\all"}


def _fits(name: str, pattern: str) -> bool:
    def same(said: str) -> str:
        return "INBOX" + said[5:] if said[:5].upper() == "INBOX" and said[5:6] in ("", "/", ".") else said

    if pattern.endswith("*"):
        return same(name).startswith(same(pattern[:-1]))
    return same(name) == same(pattern)


def load(
    name: str, settings: Mapping[str, Json]
) -> tuple[Settings, tuple[str, ...], Mapping[str, StreamSettings], Mapping[str, Mapping[str, Class]]]:
    """Read a connection's settings, the streams offered, what was said of some, their classes; raises `SettingsError`."""
    at = f"connections.{name}"
    asked = read(Settings, at, settings, _SAID)
    parts = urlsplit(asked.url)
    sound = {
        "url": parts.scheme in ("imaps", "imap") and parts.path in ("", "/"),
        "files": set(asked.files) <= {"messages", "attachments"},
        "max_message": 1024 <= asked.max_message <= 1 << 28,
        "text": 0 <= asked.text <= 100_000,
    }
    for field, good in sound.items():
        if not good:
            raise SettingsError(field=f"{at}.{field}", expected_fr=_SAID[field][0], expected_en=_SAID[field][1])
    names, tables = read_streams(StreamSettings, at, asked.streams, _SAID)
    for stream in {*(names or ()), *tables}:
        if stream not in SHAPES:
            known = ", ".join(SHAPES)
            raise SettingsError(field=f"{at}.streams.{stream}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
    classes = {stream: read_classes(f"{at}.streams.{stream}", table.classes, _SAID) for stream, table in tables.items()}
    for stream, given in classes.items():
        for unknown in given.keys() - set(SHAPES[stream].schema.names):
            known = ", ".join(SHAPES[stream].schema.names)
            raise SettingsError(
                field=f"{at}.streams.{stream}.classes.{unknown}", expected_fr=f"un de : {known}", expected_en=f"one of: {known}"
            )
    return asked, tuple(each for each in SHAPES if names is None or each in names), tables, classes
