"""The writing side of an Open311 server: a request is created, looked at, and looked for when its answer was lost.

1. Nothing makes a creation idempotent. It is one POST of a form; its key is added by who sends it, in the body.
2. The answer names the request, or gives a token (`token:…` is then the vendor's identifier) that will name it, or neither.
3. What is read back is compared: texts whatever their line ends, coordinates within what a 32-bit float keeps. What the server
   makes of an address is its own.
4. A creation whose outcome is unknown is looked for by its service, its text and its place, among the requests of the last two
   days. That it is not there is believed only of a service that answers at once, of a window and a service filter that were
   seen to work, and of a list that shows a request as recent; else the look tells nothing.
5. A refusal's description goes nowhere.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import quote

from saas_connectors.comparison import COORDINATES, same
from saas_connectors.connector import Applied, Change, Class, Exchange, Fetch, Json, Operation, Probed, ReadBack
from saas_connectors.errors import ConnectorError, NotFound, Unauthorized
from saas_connectors.payloads import encode
from saas_connectors.request import Request, Response
from saas_connectors.urban.open311.answers import Speech, is_error, read
from saas_connectors.urban.open311.mirroring import Mirroring
from saas_connectors.urban.open311.operations import FORM, form, operations
from saas_connectors.urban.open311.records import Registry, Reported, services, stream, text
from saas_connectors.urban.open311.settings import DAY, Said, load
from saas_connectors.urban.open311.state import State
from saas_connectors.urban.open311.windows import Windows
from saas_connectors.writing import FRESH, declared, refused, written

TOKEN: Final = "token:"  # noqa: S105 - a prefix
_LATELY: Final = 2 * DAY
_COLUMNS: Final = {"address_string": "address"}
_FRESH: Final = (FRESH,)
_PAGE: Final = re.compile(rb"\s*<(!doctype\s+)?html\b", re.IGNORECASE)


def make(name: str, settings: Mapping[str, Json]) -> "Reporting":
    """Make the writing side of one connection; raises `SettingsError`."""
    said = load(name, settings)
    return Reporting(said, name, operations(opened=bool(said.settings.writes)))


@dataclass(frozen=True, slots=True)
class Reporting(Mirroring):
    """See `saas_connectors.connector.Writer`."""

    said: Said
    name: str
    known: Mapping[str, Operation]

    def operations(self) -> tuple[Operation, ...]:
        """To create a request, when `writes` opens it."""
        return tuple(self.known.values())

    def entity(self, operation: str, payload: Json, /) -> str:
        """A creation stands alone."""
        declared(self.known, self.name, operation, payload)
        return f"requests/+{hashlib.sha256(encode(payload)).hexdigest()[:32]}"

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """Of the columns that the fields become; who reports, and the attributes, are personal."""
        declared(self.known, self.name, operation, payload)
        given = stream("requests", self.said.classes.get("requests", {})).classes
        return frozenset(given.get(_COLUMNS.get(name, name), "personal") for name in payload)

    def changes(self, operation: str, payload: Json, /) -> tuple[Change, ...]:
        """A new request, that nothing names yet."""
        declared(self.known, self.name, operation, payload)
        columns = stream("requests", {}).schema.names
        fields = {_COLUMNS.get(name, name): value for name, value in payload.items()}
        return (Change("create", "requests", (), {name: value for name, value in fields.items() if name in columns}),)

    def passed(self, _method: str, _path: str, _body: Json, /) -> tuple[Change, ...]:
        """Nothing that can be said: a form is not JSON."""
        return ()

    def apply(self, operation: str, payload: Json, _key: str | None = None, /) -> Exchange[Applied]:
        """Post the form; where the format is found out, the services are asked for first."""
        declared(self.known, self.name, operation, payload)
        speech = self._speech()
        if speech.auto:
            yield from speech.ask("services", "services")
        asked = speech.request("requests")
        content = form(payload, speech.jurisdiction)
        request = Request("POST", asked.url, speech.params, (*asked.headers, ("Content-Type", FORM)), content)
        (response,) = yield Fetch((request,))
        written(request, response)
        return Applied(response.status, _named(speech.form, request, response))

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Read the request by its identifier, which a token may still have to give."""
        declared(self.known, self.name, operation, payload)
        speech, identifier = self._speech(), applied.vendor_id
        if identifier is not None and identifier.startswith(TOKEN):
            identifier = yield from self._resolved(speech, identifier.removeprefix(TOKEN))
        if identifier is None or identifier in (".", ".."):
            return ReadBack("unsupported")
        for path, params in (
            (f"requests/{quote(identifier, safe='')}", ()),
            ("requests", (("service_request_id", identifier),)),
        ):
            try:
                found = yield from speech.ask("requests", path, params, empty=True, headers=_FRESH)
            except NotFound:
                continue
            except Unauthorized:  # some servers refuse what is not there
                return ReadBack("unsupported")
            for row in Registry(self.said.zone).requests(found):
                if row.id == identifier:
                    differing = tuple(differences(payload, row))
                    return ReadBack("differs", differing) if differing else ReadBack("confirmed")
        return ReadBack("absent")

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """Look among the last requests; see law 4."""
        declared(self.known, self.name, operation, payload)
        if not telling(payload):
            return Probed("inconclusive")
        speech = self._speech()
        service = (("service_code", payload["service_code"]),)
        request = speech.request("requests", service, headers=_FRESH)
        (response,) = yield Fetch((request,))
        told = yield from speech.told("requests", "requests", service, request, response)
        rows = Registry(self.said.zone).requests(told)
        windows = Windows(speech, Registry(self.said.zone), State(cap=self.said.settings.cap))
        yield from windows.prove(rows)
        now = _clock(response, rows)
        if now is None:
            return Probed("inconclusive")
        recent = yield from windows.ask(now - _LATELY, now + DAY, service)
        lately = [row for row in recent if row.at is not None and row.at.timestamp() >= now - _LATELY]
        for row in lately:
            if matches(payload, row):
                return Probed("landed", row.id)
        sure = (
            windows.state.sense in ("honoured", "reversed")
            and bool(lately)
            and len(recent) < self.said.settings.cap
            and windows.within(recent, now - _LATELY, now + DAY)
            and all(row.row["service_code"] is not None and _same_code(payload["service_code"], row) for row in recent)
            and not any(matches(payload, row) for row in rows)
            and (yield from self._answers_at_once(speech, payload["service_code"]))
        )
        return Probed("did_not_happen" if sure else "inconclusive")

    def _speech(self) -> Speech:
        said = self.said.settings
        return Speech.of(said.url, said.format, said.jurisdiction_id, said.params)

    def _answers_at_once(self, speech: Speech, code: str) -> Exchange[bool]:
        """Whether a service shows a request as soon as it is made (`realtime`)."""
        rows, _ = services((yield from speech.ask("services", "services")))
        return any(row["service_code"] == code and row["type"] == "realtime" for row in rows)

    def _resolved(self, speech: Speech, token: str) -> Exchange[str | None]:
        """The identifier that a token stands for, None while there is none."""
        if token in (".", ".."):
            return None
        try:
            found = yield from speech.ask("requests", f"tokens/{quote(token, safe='')}", empty=True, headers=_FRESH)
        except (NotFound, Unauthorized):
            return None
        return next((named for one in found if (named := text(one.get("service_request_id")))), None)


def _named(spoken: str, request: Request, response: Response) -> str | None:
    """The identifier, or the token, that an answer gives.

    Raises `Rejected` for what is no answer to a creation: an error, a page, or several requests inside a success (a server that
    takes no creation lists what it holds).
    """
    try:
        found = read("requests", spoken, request, response)
    except ConnectorError:
        if is_error(spoken, response) or _PAGE.match(response.body):
            raise refused(request, response.status, "error_in_success", definitive=False) from None
        return None
    if len(found) > 1:
        raise refused(request, response.status, "error_in_success", definitive=False)
    for one in found:
        if identifier := text(one.get("service_request_id")):
            return identifier
        if token := text(one.get("token")):
            return TOKEN + token
    return None


def _clock(response: Response, rows: Sequence[Reported]) -> int | None:
    """What time it is, in seconds since 1970: by the answer, else by the newest request."""
    at: datetime | None = response.received_at
    if at is None and "Date" in response.headers:
        try:
            at = parsedate_to_datetime(response.headers["Date"])
        except ValueError:
            at = None
    if at is None:
        at = max((row.at for row in rows if row.at is not None), default=None)
    return None if at is None else int(at.timestamp())


def telling(payload: Mapping[str, Json]) -> bool:
    """Whether a payload says enough for its request to be told from others: what is reported, and where."""
    placed = "lat" in payload or "address_string" in payload or "address_id" in payload
    return "description" in payload and placed


def matches(payload: Mapping[str, Json], row: Reported) -> bool:
    """Whether a request is the one that a payload asks for, as far as can be told."""
    return not any(differences(payload, row)) and (
        "lat" in payload
        or _plain(payload.get("address_string")) == _plain(row.row.get("address"))
        or ("address_id" in payload and payload["address_id"] == row.row.get("address_id"))
    )


def differences(payload: Mapping[str, Json], row: Reported) -> list[str]:
    """JSON pointers of the fields that are not as asked."""
    found = [] if _same_code(payload["service_code"], row) else ["/service_code"]
    found += [f"/{name}" for name in ("lat", "long") if name in payload and not same(payload[name], row.row[name], COORDINATES)]
    found += [
        f"/{name}"
        for name in ("description", "media_url")
        if name in payload and _plain(payload[name]) != _plain(row.row[name])
    ]
    return found


def _plain(value: Json) -> str:
    return " ".join(str(value or "").split())


def _same_code(code: str, row: Reported) -> bool:
    """Whether a request is of a service; a server that writes 1 for 001 means the same, one that says none says nothing."""
    held = row.row["service_code"]
    return held in (None, code) or (
        held.isascii() and held.isdigit() and code.isascii() and code.isdigit() and int(held) == int(code)
    )
