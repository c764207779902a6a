"""MaarchCourrier written to: letters created, described, moved from status to status; notes and attachments added.

1. Maarch creates a letter as often as it is asked. A creation first looks for its external identifier, and is refused when a
   letter bears it, deleted ones included; after an unknown outcome the same look tells whether it landed.
2. A note or an attachment that the letter already has is refused (`maarch_additions`).
3. `PUT /resources/{id}` empties or resets what it is not told (people, tags, mandatory fields). The letter is read first, and
   what the payload does not say is put back as it stood. There is no version to hold against: what a person changes between
   that look and the write is lost.
4. Each write is read back, for a status is left as it was under a 200 (a closed letter keeps its own), and dates do not move.
5. What may be written is in `maarch_operations`, what refusals mean in `maarch_refusals`, the looks in `maarch_looks`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from saas_connectors.answer import decode, malformed
from saas_connectors.connector import (
    Applied,
    Change,
    Class,
    Exchange,
    Fetch,
    Json,
    MirrorQuery,
    Operation,
    Presented,
    Probed,
    ReadBack,
)
from saas_connectors.errors import Malformed
from saas_connectors.mail import maarch_comparison as compared
from saas_connectors.mail import maarch_refusals as refusals
from saas_connectors.mail.maarch_additions import Additions
from saas_connectors.mail.maarch_looks import JSON, Looks
from saas_connectors.mail.maarch_operations import STATUSES, operations, status
from saas_connectors.mail.maarch_passing import COLUMNS, Passing, added
from saas_connectors.mail.maarch_refusals import FieldRefused, LetterOut, WriteDenied, accepted
from saas_connectors.mail.maarch_settings import load
from saas_connectors.mail.maarch_streams import STREAMS, number
from saas_connectors.payloads import encode
from saas_connectors.request import Request, Response
from saas_connectors.writing import declared, refused

_PLACED: Final[Mapping[str, tuple[str, str]]] = {
    **{name: ("resources", column) for name, column in COLUMNS.items()},
    "resId": ("resources", "res_id"), "externalId": ("resources", "external_id"),
    "customFields": ("resources", "custom_fields"),
    "destination": ("resources", "destination"), "initiator": ("resources", "initiator"),
    "encodedFile": ("documents", "document"), "chrono": ("resources", "alt_identifier"),
}  # fmt: skip
"""Where the copy keeps what a field of a payload holds."""
_KEPT: Final = (
    "subject", "doctype", "priority", "processLimitDate", "documentDate", "arrivalDate", "departureDate", "barcode",
    "confidentiality", "initiator", "tags", "folders",
)  # fmt: skip
"""What an update puts back. Not the model: told which it is, Maarch resets the fields that the model disables."""
_ADDED: Final = {
    "add_note": ("notes", refusals.NOTE, "noteId"),
    "add_attachment": ("attachments", refusals.ATTACH, "id"),
}
"""Where what is added is sent, under which route, and the name of the number that Maarch gives it."""


def make(name: str, settings: Mapping[str, Json]) -> "MaarchWriter":
    """Make the writing side of one connection; raises `SettingsError`."""
    asked, names, _, classes = load(name, settings)
    passing = Passing(asked.root, names, asked.server_zone)
    known = operations(asked.writes)
    return MaarchWriter(name, Looks(asked.root, asked.external_key), passing, known, classes, asked.verify)


@dataclass(frozen=True, slots=True)
class MaarchWriter:
    """See `saas_connectors.connector.Writer`; classes: those given to some fields of the streams; verify: see the settings."""

    name: str
    looks: Looks
    passing: Passing
    known: Mapping[str, Operation]
    given: Mapping[str, Mapping[str, Class]]
    verify: bool

    def operations(self) -> tuple[Operation, ...]:
        """Those that `writes` opens."""
        return tuple(self.known.values())

    def entity(self, operation: str, payload: Json, /) -> str:
        """The letter: its number, or the identifier that a new one bears."""
        self._declared(operation, payload)
        if "encodedFile" in payload:
            compared.content(payload)
        if operation == "create_letter":
            return f"letters?{self.looks.key}={payload['externalId']}"
        return f"letters/{payload['resId']}"

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """As the streams class the columns that hold the same; people, tags and texts that no column holds are personal."""
        stream = self._declared(operation, payload).stream
        return frozenset(self._class(stream or "resources", name) for name in payload)

    def changes(self, operation: str, payload: Json, /) -> tuple[Change, ...]:
        """The letter, or what is added to it."""
        self._declared(operation, payload)
        if operation == "create_letter":
            under = encode({self.looks.key: payload["externalId"]}).decode().replace(":", ": ", 1)
            return (Change("create", "resources", (), {**self.passing.columns(payload), "external_id": under}),)
        if operation in _ADDED:
            return (added("notes" if operation == "add_note" else "attachments", payload, payload["resId"]),)
        fields = self.passing.columns(payload) | ({"status": STATUSES[operation]} if operation in STATUSES else {})
        return (Change("update", "resources", (("res_id", str(payload["resId"])),), fields),)

    def passed(self, method: str, path: str, body: Json, /) -> tuple[Change, ...]:
        """See `maarch_passing`."""
        return self.passing.passed(method, path, body)

    def is_read(self, method: str, path: str, /) -> bool:
        """See `maarch_passing`."""
        return self.passing.is_read(method, path)

    def mirror(self, method: str, path: str, /) -> MirrorQuery | None:
        """See `maarch_passing`."""
        return self.passing.mirror(method, path)

    def present(self, query: MirrorQuery, rows: Sequence[Mapping[str, Json]], total: int, /) -> Presented:
        """See `maarch_passing`."""
        return self.passing.present(query, rows, total)

    def apply(self, operation: str, payload: Json, _key: str | None = None, /) -> Exchange[Applied]:
        """Look at what is there, then send the one request of an operation."""
        self._declared(operation, payload)
        match operation:
            case "create_letter":
                return (yield from self._create(payload))
            case "update_letter":
                return (yield from self._update(payload))
            case "set_external_ids":
                return (yield from self._external(payload))
            case "add_note" | "add_attachment":
                return (yield from self._add(operation, payload))
        message = {"historyMessage": payload["historyMessage"]} if "historyMessage" in payload else {}
        body = {"resId": [payload["resId"]], "status": status(operation, payload), **message}
        response = yield from self._sent("PUT", "res/resource/status", body, refusals.STATUS)
        return Applied(response.status, str(payload["resId"]))

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Read the letter, or what was added to it; a letter that the account may not see is not looked at."""
        self._declared(operation, payload)
        letter = number(applied.vendor_id) if operation == "create_letter" else payload["resId"]
        if letter is None:
            return ReadBack("unsupported")
        try:
            if operation in _ADDED:
                return (yield from self._additions.held(operation, payload, letter, number(applied.vendor_id)))
            return (yield from self._seen(operation, payload, letter))
        except LetterOut:
            return ReadBack("unsupported")

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """The same look, by what the payload says alone."""
        self._declared(operation, payload)
        if operation == "create_letter":
            return (yield from self._created(payload))
        try:
            if operation in _ADDED:
                state, found = yield from self._additions.find(operation, payload)
                if state == "found":
                    return Probed("landed", found)
                return Probed("did_not_happen" if state == "missing" else "inconclusive")
            seen = yield from self._seen(operation, payload, payload["resId"])
        except LetterOut:
            return Probed("inconclusive")
        if seen.outcome == "confirmed":
            return Probed("landed", str(payload["resId"]))
        return Probed("did_not_happen" if seen.outcome == "differs" else "inconclusive")

    @property
    def _additions(self) -> Additions:
        return Additions(self.looks, self.verify)

    def _declared(self, operation: str, payload: Json) -> Operation:
        return declared(self.known, self.name, operation, payload)

    def _class(self, stream: str, name: str) -> Class:
        place, column = _PLACED.get(name, (stream, name))
        if name == "encodedFile" and stream == "attachments":
            place = stream
        shape = STREAMS[place]
        usual: Class = "internal" if column in shape.fields and column not in shape.personal else "personal"
        return self.given.get(place, {}).get(column, usual)

    def _request(self, method: str, path: str, body: Mapping[str, Any]) -> Request:
        return Request(method, f"{self.looks.root}/{path}", headers=JSON, body=encode(body))

    def _sent(self, method: str, path: str, body: Mapping[str, Any], route: str) -> Exchange[Response]:
        request = self._request(method, path, body)
        (response,) = yield Fetch((request,))
        accepted(request, response, route)
        return response

    def _made(self, path: str, body: Mapping[str, Any], route: str, name: str) -> Exchange[Applied]:
        """Send a creation; an answer without the number of what was made proves nothing."""
        request = self._request("POST", path, body)
        (response,) = yield Fetch((request,))
        accepted(request, response, route)
        told = decode(request, response)
        made = number(told.get(name)) if isinstance(told, dict) else None
        if not made:
            raise malformed(request, response, "le numéro de ce qui a été créé", "the number of what was created")
        return Applied(response.status, str(made))

    def _create(self, payload: Json) -> Exchange[Applied]:
        state, _ = yield from self.looks.find(payload["externalId"])
        if state != "missing":
            raise refused(self._request("POST", "resources", {}), 409, "exists")
        body = {**payload, "externalId": {self.looks.key: payload["externalId"]}}
        return (yield from self._made("resources", body, refusals.CREATE, "resId"))

    def _update(self, payload: Json) -> Exchange[Applied]:
        letter = payload["resId"]
        state, held = yield from self.looks.letter(letter)
        if state != "found":
            raise self._out(refusals.LETTER)
        said = {name: value for name, value in payload.items() if name != "resId"}
        kept = {name: held[name] for name in _KEPT if held.get(name) is not None}
        if "priority" in said:  # with both, Maarch works the priority out of the date, whatever was asked
            kept.pop("processLimitDate", None)
        body = kept | said
        for name in ("senders", "recipients"):
            if name not in said and isinstance(held.get(name), list):
                body[name] = [{"id": each.get("id"), "type": each.get("type")} for each in held[name] if isinstance(each, dict)]
        custom = held.get("customFields")
        if isinstance(custom, dict) and custom:
            body["customFields"] = {**custom, **said.get("customFields", {})}
        response = yield from self._sent("PUT", f"resources/{letter}", body, refusals.UPDATE)
        return Applied(response.status, str(letter))

    def _external(self, payload: Json) -> Exchange[Applied]:
        """Maarch asks for a status with an identifier: that of the letter, unless the payload says another.

        It takes any word for one: a status that it does not know is refused here.
        """
        letter, becomes = payload["resId"], payload.get("status")
        if becomes is not None and becomes not in (yield from self.looks.statuses()):
            request = self._request("PUT", "res/externalInfos", {})
            raise FieldRefused(method=request.method, path=urlsplit(request.url).path, status=400, reason="status")
        if becomes is None:
            state, held = yield from self.looks.letter(letter)
            becomes = held.get("status")
            if state != "found" or not becomes:
                raise self._out(refusals.LETTER)
        body = {"externalInfos": [{"res_id": letter, "external_id": payload["externalId"]}], "status": becomes}
        response = yield from self._sent("PUT", "res/externalInfos", body, refusals.EXTERNAL)
        return Applied(response.status, str(letter))

    def _add(self, operation: str, payload: Json) -> Exchange[Applied]:
        """Add a note or an attachment that the letter does not have yet."""
        path, route, made = _ADDED[operation]
        state, _ = yield from self._additions.find(operation, payload)
        if state == "hidden":
            raise self._out(route)
        if state != "missing":
            raise refused(self._request("POST", path, {}), 409, "exists" if state == "found" else "too_many")
        master = "resIdMaster" if operation == "add_attachment" else "resId"
        body = {(master if name == "resId" else name): value for name, value in payload.items()}
        return (yield from self._made(path, body, route, made))

    def _created(self, payload: Json) -> Exchange[Probed]:
        state, letter = yield from self.looks.find(payload["externalId"])
        if state == "missing":
            return Probed("did_not_happen")
        if letter is None:
            return Probed("inconclusive")
        try:
            row = yield from self.looks.row(letter)
        except (WriteDenied, Malformed):  # what Maarch found by the identifier is not contradicted
            row = None
        if row is not None and compared.identifier(row, self.looks.key) != payload["externalId"]:
            return Probed("inconclusive")
        return Probed("landed", str(letter))

    def _out(self, route: str) -> LetterOut:
        """Say that a letter is not shown to the account."""
        method, _, path = route.partition("/")
        return LetterOut(method=method, path=f"{urlsplit(self.looks.root).path}/{path}", status=403, reason=route)

    def _seen(self, operation: str, payload: Json, letter: int) -> Exchange[ReadBack]:
        """Hold a letter against what was asked of it."""
        row = yield from self.looks.row(letter)
        if operation not in ("create_letter", "update_letter") and row is not None:
            return compared.judged(compared.row(operation, payload, row))
        state, held = yield from self.looks.letter(letter)
        if state != "found":
            return ReadBack("absent" if state == "missing" else "unsupported")
        if operation in ("create_letter", "update_letter"):
            found = [*compared.sheet(payload, held)]
            if row is not None:
                found += compared.file(payload, row, verify=self.verify)
                if operation == "create_letter" and compared.identifier(row, self.looks.key) != payload["externalId"]:
                    found.append("/externalId")
            elif "encodedFile" in payload:
                return ReadBack("differs", tuple(found)) if found else ReadBack("unsupported")
            return compared.judged(found)
        if operation == "set_external_ids":  # the sheet does not show it to everyone
            return ReadBack("unsupported")
        return compared.judged(compared.row(operation, payload, held))
