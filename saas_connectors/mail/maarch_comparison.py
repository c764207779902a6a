"""What was asked of MaarchCourrier against what it holds: only what can come back, each as Maarch is known to rewrite it.

1. A sheet shows the fields of the letter's indexing model alone: one that is not there is not compared.
2. A date given without a time is compared as a date: Maarch adds a time. A priority is not compared when a processing limit is
   given with it: Maarch then works it out anew. A custom field is compared as text.
3. A file is compared by its fingerprint, by its size where the fingerprint is of no kind that we know. Office formats are
   filled in by Maarch with the letter's number: of these only that a file is there is known.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from saas_connectors.connector import Json, ReadBack
from saas_connectors.errors import BadPayload
from saas_connectors.mail.maarch_operations import FILED_UNDER, status
from saas_connectors.mail.maarch_streams import number
from saas_connectors.payloads import pointer

Held = Mapping[str, Any]
_FILLED_IN: Final = frozenset({
    "odt", "ott", "ods", "ots", "odp", "otp", "odf", "odg", "doc", "docx", "docm", "dotx", "xls", "xlsx", "xlsm", "xltx", "ppt",
    "pptx", "pptm", "ppsx", "potx",
})  # fmt: skip
_KINDS: Final = {128: "sha512", 96: "sha384", 64: "sha256", 40: "sha1"}


def content(payload: Held) -> bytes:
    """Decode the file of a payload; raises `BadPayload`."""
    try:
        return base64.b64decode(payload["encodedFile"], validate=True)
    except (binascii.Error, ValueError):
        raise BadPayload(
            pointer="/encodedFile", expected_fr="un fichier en base64 (RFC 4648, section 4)", expected_en="a file in base64"
        ) from None


def filled_in(payload: Held) -> bool:
    """Whether Maarch rewrites files of this format."""
    return str(payload["format"]).lower() in _FILLED_IN


def sheet(payload: Held, held: Held) -> Iterator[str]:
    """Pointers to what differs between a payload and a letter's sheet."""
    for name, same in _SAME.items():
        worked_out = name == "priority" and "processLimitDate" in payload
        if name in payload and name in held and not worked_out and not same(payload[name], held[name]):
            yield pointer([name])
    yield from _custom(payload.get("customFields") or {}, held.get("customFields"))


def row(operation: str, payload: Held, held: Held) -> list[str]:
    """Pointers to what differs between a letter and what moves it: to the whole payload where the operation says it."""
    found, asked = [], status(operation, payload)
    if operation == "set_external_ids" and identifier(held, FILED_UNDER) != payload["externalId"]:
        found.append("/externalId")
    if asked is not None and held.get("status") != asked:
        found.append("/status" if "status" in payload else "")
    return found


def file(payload: Held, row: Held, *, verify: bool) -> Iterator[str]:
    """A pointer to the file, when the letter's row does not show it; verify: whether fingerprints are of the plain bytes."""
    if "encodedFile" in payload and not _same_file(payload, row, verify=verify):
        yield "/encodedFile"


def judged(found: Sequence[str]) -> ReadBack:
    """What a look says, given the pointers to what differs."""
    return ReadBack("differs", tuple(found)) if found else ReadBack("confirmed")


def identifier(row: Held, key: str) -> str | None:
    """The external identifier that a row bears under a key: a `jsonb` column comes as text."""
    told = row.get("external_id")
    try:
        found = msgspec.json.decode(told) if isinstance(told, str) else told
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    held = found.get(key) if isinstance(found, dict) else None
    return str(held) if isinstance(held, str | int) else None


def _same_file(payload: Held, row: Held, *, verify: bool) -> bool:
    size, told = number(row.get("filesize")), str(row.get("fingerprint") or "").lower()
    if filled_in(payload) or not verify:
        return bool(size or told or row.get("filename"))
    sent = content(payload)
    if len(told) in _KINDS:
        return hashlib.new(_KINDS[len(told)], sent).hexdigest() == told
    return size == len(sent)


def _text(asked: Json, found: Json) -> bool:
    return bool(("" if found is None else str(found)) == asked)


def _number(asked: Json, found: Json) -> bool:
    return bool(number(found) == asked)


def _service(asked: Json, found: Json) -> bool:
    return number(found) is None or number(found) == asked  # some versions write its name


def _said(asked: Json, found: Json) -> bool:
    return bool(found in (asked, "Y" if asked else "N"))


def _date(asked: Json, found: Json) -> bool:
    return isinstance(found, str) and found.replace("T", " ").startswith(str(asked))


def _day(asked: Json, found: Json) -> bool:
    return isinstance(found, str) and found[:10] == str(asked)[:10]


def _listed(asked: Json, found: Json) -> bool:
    return isinstance(found, list) and bool({number(each) for each in found} == set(asked))


def _same_people(asked: Json, found: Json) -> bool:
    return _people(asked) == _people(found)


_SAME: Final[Mapping[str, Callable[[Json, Json], bool]]] = {
    "subject": _text, "status": _text, "barcode": _text, "priority": _text, "doctype": _number, "modelId": _number,
    "destination": _service, "initiator": _service, "confidentiality": _said, "documentDate": _date, "arrivalDate": _date,
    "departureDate": _date, "processLimitDate": _day, "tags": _listed, "senders": _same_people, "recipients": _same_people,
}  # fmt: skip
"""How each field of a sheet is held against what was asked."""


def _people(listed: Json) -> set[tuple[int | None, str]]:
    if not isinstance(listed, list):
        return set()
    return {(number(each.get("id")), str(each.get("type"))) for each in listed if isinstance(each, dict)}


def _custom(asked: Held, held: Json) -> Iterator[str]:
    known = held if isinstance(held, dict) else {}
    for name, value in asked.items():
        if _plain(known.get(name)) != _plain(value):
            yield pointer(["customFields", name])


def _plain(value: Json) -> Json:
    """A custom field's value, its leaves as the text into which Maarch turns most of them."""
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return "" if value is None else str(value)
