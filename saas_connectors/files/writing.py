"""Files that are written: one operation, `write_file`, opened by the setting `writes` of a connection.

1. A name is a name: no folder, nothing hidden, and one of the patterns of `writes`. Nothing else can be written to.
2. A file that is there already is not replaced unless the payload says `replace`; one that holds the very same bytes already is
   what was asked. So a write whose outcome is unknown is settled by reading, and asking again makes no double.
3. Rows become bytes by the connection's format; the payload may say another, and its settings. The same payload gives the same
   bytes, and what is read back is compared by its SHA-256.
4. No one classified what a payload holds: its class is the one that `writes` says, `personal` where it does not.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from hmac import compare_digest
from typing import Any, Final, cast

import msgspec

from saas_connectors.answer import accept
from saas_connectors.asking import Answer
from saas_connectors.connector import Applied, Class, Exchange, Json, Operation, Probed, ReadBack
from saas_connectors.errors import BadPayload, ConnectorError, SettingsError
from saas_connectors.files.attachments import Attachments
from saas_connectors.files.naming import BadPattern, Pattern, pattern
from saas_connectors.files.place import Entry, Place
from saas_connectors.files.places import open_place
from saas_connectors.formats import FORMATS, of
from saas_connectors.formats.cells import DATES, DECIMALS
from saas_connectors.formats.format import Format, Reading
from saas_connectors.formats.text import ENCODINGS
from saas_connectors.payloads import check, closed
from saas_connectors.request import Request
from saas_connectors.stream_settings import SAID, Text, Texts, read
from saas_connectors.writing import GONE, Unmirrored, declared, written

OPERATION: Final = "write_file"
MOST: Final = 1 << 28
"""The most bytes that are read back."""
_OPTIONS: Final[Mapping[str, Json]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "separator": {"enum": [",", ";", "\t", "|", ":", " "]},
        "encoding": {"enum": list(ENCODINGS)},
        "dates": {"enum": list(DATES)},
        "decimal": {"enum": list(DECIMALS)},
        "rows": {"type": "string", "minLength": 1, "maxLength": 200},
        "sheet": {"type": "string", "minLength": 1, "maxLength": 31},
        "widths": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 10_000}},
    },
}
"""What a format may be told, by the connection or by a payload."""
_NAME: Final = re.compile(r"[^/\\\x00-\x1f\x7f<>:\"|?*]+")
"""What Windows takes as a name, too."""
_SAYS: Final = {
    **SAID,
    "files": ("une liste de motifs de noms, comme « departs-*.csv »", "a list of patterns of names, such as `departs-*.csv`"),
    "format": (f"un de : {', '.join(FORMATS)}", f"one of: {', '.join(FORMATS)}"),
    "class": ("« internal », « personal » ou « sensitive »", "`internal`, `personal` or `sensitive`"),
    "types": ("une table « colonne = date » ou « datetime »", "a table `column = date` or `datetime`"),
}


class _Writes(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"class_": "class"}):
    files: Texts
    format: Text | None = None
    class_: Class = "personal"
    options: dict[str, Any] = {}
    types: dict[str, Text] = {}


def make(name: str, settings: Mapping[str, Json]) -> "FilesWriter":
    """Make the writing side of one connection; raises `SettingsError`."""
    at = f"connections.{name}"
    place = open_place(at, str(settings.get("url", "")), settings.get("place"))
    asked = settings.get("writes")
    if asked is not None and isinstance(place, Attachments):
        expected = "rien : une messagerie ne se lit que", "nothing: a mailbox is only read"
        raise SettingsError(field=f"{at}.writes", expected_fr=expected[0], expected_en=expected[1])
    if asked is None:
        return FilesWriter(name, place, _Writes([]), (), {})
    if isinstance(asked, list):
        asked = {"files": asked}
    if not isinstance(asked, dict):
        raise _wrong(f"{at}.writes.files", "files")
    said = read(_Writes, f"{at}.writes", asked, _SAYS)
    try:
        patterns = tuple(pattern(each) for each in said.files)
    except BadPattern:
        raise _wrong(f"{at}.writes.files", "files") from None
    if not patterns:
        raise _wrong(f"{at}.writes.files", "files")
    _sound(f"{at}.writes", said)
    write = Operation(OPERATION, "Écrire un fichier", "Write a file", _schema(), idempotent=True, reads_back=True, probes=True)
    return FilesWriter(name, place, said, patterns, {OPERATION: write})


def _sound(at: str, said: _Writes) -> None:
    """Hold to what they can be the settings of formats; raises `SettingsError`."""
    if said.format is not None and said.format not in FORMATS:
        raise _wrong(f"{at}.format", "format")
    for column, kind in said.types.items():
        if kind not in ("date", "datetime"):
            raise SettingsError(field=f"{at}.types.{column}", expected_fr=_SAYS["types"][0], expected_en=_SAYS["types"][1])
    try:
        check(Operation("options", "", "", _OPTIONS), said.options)
    except BadPayload as refusal:
        wanted = {name: refusal.fields[name] for name in ("expected_fr", "expected_en")}
        step = str(refusal.fields["pointer"]).replace("/", ".")
        raise SettingsError(field=f"{at}.options{step}", **wanted) from None


def _wrong(at: str, name: str) -> SettingsError:
    return SettingsError(field=at, expected_fr=_SAYS[name][0], expected_en=_SAYS[name][1])


def _schema() -> dict[str, Json]:
    text = {"type": "string", "minLength": 1, "maxLength": 1000}
    return closed({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 200},
            "columns": {"type": "array", "items": text, "minItems": 1, "maxItems": 2000, "uniqueItems": True},
            "rows": {"type": "array", "items": {"type": "object"}},
            "text": {"type": "string"},
            "format": {"enum": sorted(FORMATS)},
            "options": _OPTIONS,
            "replace": {"type": "boolean"},
        },
    })  # fmt: skip


@dataclass(frozen=True, slots=True)
class FilesWriter(Unmirrored):
    """See `saas_connectors.connector.Writer`. The pass-through reads by its method, and nothing is mirrored."""

    name: str
    place: Place
    said: _Writes
    patterns: tuple[Pattern, ...]
    known: Mapping[str, Operation] = field(repr=False)

    def operations(self) -> tuple[Operation, ...]:
        """`write_file`, when `writes` opens it."""
        return tuple(self.known.values())

    def entity(self, operation: str, payload: Json, /) -> str:
        """The file."""
        self._checked(operation, payload)
        return str(payload["name"])

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """The one that the settings say."""
        self._checked(operation, payload)
        return frozenset({self.said.class_})

    def apply(self, operation: str, payload: Json, _key: str | None = None, /) -> Exchange[Applied]:
        """Put the file."""
        body = self._body(operation, payload)
        return cast(Exchange[Applied], self._apply(str(payload["name"]), body, new=not payload.get("replace")))

    def read_back(self, operation: str, payload: Json, _applied: Applied, /) -> Exchange[ReadBack]:
        """Compare the bytes that stand there."""
        body = self._body(operation, payload)
        return cast(Exchange[ReadBack], self._looked(str(payload["name"]), body, "/text" if "text" in payload else "/rows"))

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """The same look: other bytes are another file, and asking again makes no double."""
        return cast(Exchange[Probed], self._probed(str(payload["name"]), self._body(operation, payload)))

    def _apply(self, name: str, body: bytes, *, new: bool) -> Answer[Applied]:
        response = yield from self.place.write(name, body, new=new)
        if response.status == 412 and new and (yield from self._looked(name, body, "")).outcome == "confirmed":
            return Applied(200, name)
        written(Request("PUT", response.url), response)
        return Applied(response.status, name)

    def _looked(self, name: str, body: bytes, pointer: str) -> Answer[ReadBack]:
        response = yield from self.place.read(Entry(name), MOST)
        if response.status in GONE:
            return ReadBack("absent")
        accept(Request("GET", response.url), response)
        same = compare_digest(response.whole.sha256, hashlib.sha256(body).hexdigest())
        return ReadBack("confirmed") if same else ReadBack("differs", (pointer,))

    def _probed(self, name: str, body: bytes) -> Answer[Probed]:
        seen = yield from self._looked(name, body, "")
        return Probed("landed", name) if seen.outcome == "confirmed" else Probed("did_not_happen")

    def _checked(self, operation: str, payload: Json) -> None:
        declared(self.known, self.name, operation, payload)
        name = str(payload["name"])
        if not _plain(name) or not any(each.match(name) for each in self.patterns):
            shown = ", ".join(each.written for each in self.patterns)
            raise BadPayload(
                pointer="/name",
                expected_fr=f"un nom de fichier, sans dossier, selon {shown}",
                expected_en=f"the name of a file, without folder, as {shown} says",
            )
        if ("text" in payload) == ("rows" in payload):
            raise BadPayload(
                pointer="/rows", expected_fr="rows ou text, un seul des deux", expected_en="rows or text, one of them"
            )
        if "rows" in payload and "columns" not in payload:
            raise BadPayload(pointer="/columns", expected_fr="les colonnes à écrire", expected_en="the columns to write")

    def _body(self, operation: str, payload: Json) -> bytes:
        """The file's bytes; errors: BadPayload, those of the format."""
        self._checked(operation, payload)
        options = {**self.said.options, **payload.get("options", {})}
        if "text" in payload:
            encoding = options.get("encoding", "utf-8")
            try:
                return str(payload["text"]).encode(encoding if isinstance(encoding, str) else "utf-8")
            except (UnicodeEncodeError, LookupError):
                raise BadPayload(
                    pointer="/text", expected_fr="des signes que cet encodage a", expected_en="signs that this encoding has"
                ) from None
        rows = self._typed(payload["rows"])
        try:
            return self._format(payload).write(payload["columns"], rows, Reading(options=options))
        except BadPayload:
            raise
        except ConnectorError as fault:
            said = fault.fields
            raise BadPayload(
                pointer="/rows",
                expected_fr=str(said.get("expected_fr") or said.get("why_fr") or "ce que ce format peut écrire"),
                expected_en=str(said.get("expected_en") or said.get("why_en") or "what this format can write"),
            ) from None

    def _format(self, payload: Json) -> Format:
        """The format: that of the payload, of the connection, or the one that the name says."""
        asked = payload.get("format") or self.said.format or _named(str(payload["name"]))
        if asked is None:
            known = ", ".join(FORMATS)
            raise BadPayload(pointer="/format", expected_fr=f"un de : {known}", expected_en=f"one of: {known}")
        return of(asked)

    def _typed(self, rows: Sequence[Mapping[str, Json]]) -> list[Mapping[str, Json]]:
        """Rows, the columns that the settings call dates being dates."""
        if not self.said.types:
            return list(rows)
        return [{name: self._value(number, name, value) for name, value in row.items()} for number, row in enumerate(rows)]

    def _value(self, number: int, name: str, value: Json) -> Json:
        kind = self.said.types.get(name)
        if kind is None or value is None or value == "":
            return value
        try:
            return (date if kind == "date" else datetime).fromisoformat(value)
        except (ValueError, TypeError):
            raise BadPayload(
                pointer=f"/rows/{number}/{name}", expected_fr="une date ISO 8601", expected_en="an ISO 8601 date"
            ) from None


def _plain(name: str) -> bool:
    """Whether a name is that of a file in a folder, hidden from nobody, whatever the place."""
    return not name.startswith(".") and name.strip() == name and len(name.encode()) <= 200 and _NAME.fullmatch(name) is not None


def _named(name: str) -> str | None:
    """The format that a name says."""
    last = name.lower().rpartition(".")[2]
    return last if last in FORMATS else {"txt": "csv", "ndjson": "jsonl"}.get(last)
