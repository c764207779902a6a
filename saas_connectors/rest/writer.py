"""The writing side of a declared REST source: its operations are sent as the settings say, then looked at.

1. A payload's fields go where the settings put them: in the path (quoted, never a step up), in the query, and the rest in the
   body. Nothing of a payload becomes a header.
2. A success that holds an error (`{"error": …}`) is no success, nor a refusal: its outcome is unknown.
3. A record at its own path proves a landing when all that is compared is as asked; a record of a list, when it bears what names
   it. That it is missing from a list is believed only of a filter that was seen to work (`lookup`).
4. What ends an account (`departure`), or says so (`look.first`), is looked at before it is written too: whoever takes it back
   knows whether it changed anything.
5. A call by POST is a read when it goes to the very path of a list that is read by POST, with no parameter but the declared.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from saas_connectors.answer import ERRORS, MISSING, accept, cut, decode
from saas_connectors.comparison import differences
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
from saas_connectors.errors import BadPayload, Malformed, Unauthorized, VendorError
from saas_connectors.lookup import Lookup, Names
from saas_connectors.payloads import encode, pointer
from saas_connectors.request import Request, Response
from saas_connectors.rest import mirroring
from saas_connectors.rest.operations import PLACE, VENDOR_ID, LookSettings, OperationSettings, compared
from saas_connectors.rest.operations import load as load_operations
from saas_connectors.rest.settings import ConnectionSettings, StreamSettings, classes, load
from saas_connectors.writing import FRESH, GONE, READS, below, called, declared, refused, written

_ACCEPT: Final = ("Accept", "application/json")
CREATED: Final = 201
_KINDS: Final[Mapping[str, Literal["update", "replace"]]] = {"PUT": "replace"}


def make(name: str, settings: Mapping[str, Json]) -> "RestWriter":
    """Make the writing side of one connection; raises `SettingsError`."""
    connection, streams = load(name, settings)
    found = load_operations(f"connections.{name}.operations", connection.operations, streams)
    return RestWriter(
        name, connection, streams, {key: said for key, (said, _) in found.items()}, {key: op for key, (_, op) in found.items()}
    )


@dataclass(frozen=True, slots=True)
class RestWriter:
    """See `saas_connectors.connector.Writer`."""

    name: str
    settings: ConnectionSettings
    streams: Mapping[str, StreamSettings]
    said: Mapping[str, OperationSettings]
    known: Mapping[str, Operation]

    def operations(self) -> tuple[Operation, ...]:
        """Those that the settings declare."""
        return tuple(self.known.values())

    def entity(self, operation: str, payload: Json, /) -> str:
        """The fields of `entity`, else those of the path; an operation that names nothing stands alone."""
        said = self._declared(operation, payload)
        names = said.entity or PLACE.findall(said.path)
        if said.path:
            self._path(said.path, payload)
        if not names:
            return f"{said.path}/+{hashlib.sha256(encode(payload)).hexdigest()[:32]}"
        place = said.stream or PLACE.sub("", said.path).strip("/")
        return f"{place}/{'/'.join(_plain(name, payload[name]) for name in names)}"

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """As the stream classes fields of the same names."""
        said = self._declared(operation, payload)
        given = classes("", self.streams[said.stream]) if said.stream else {}
        fields = payload[said.body] if said.body and isinstance(payload[said.body], dict) else payload
        return frozenset(given.get(field, "personal") for field in {*fields, *payload} - {said.body})

    def changes(self, operation: str, payload: Json, /) -> tuple[Change, ...]:
        """One record of the operation's stream: the fields sent, under their own names, and those that `look` expects.

        A PUT replaces the record (RFC 9110 section 9.3.4). Without its whole key, only a new record can be meant.
        """
        said = self._declared(operation, payload)
        if said.stream is None:
            return ()
        key = self.streams[said.stream].primary_key
        names = tuple((name, mirroring.text(payload[name])) for name in key if isinstance(payload.get(name), str | int))
        if len(names) < len(key):
            names = ()
        if self.known[operation].removes:
            return (Change("delete", said.stream, names),) if names else ()
        if not names and said.method != "POST":
            return ()
        content = self._content(said, payload)
        if not isinstance(content, Mapping):
            return ()
        fields = {**content, **({} if said.look is None else said.look.expect)}
        sent = {name: value for name, value in fields.items() if name not in dict(names) and "." not in name}
        return (Change(_KINDS.get(said.method, "update") if names else "create", said.stream, names, sent),)

    def passed(self, method: str, path: str, body: Json, /) -> tuple[Change, ...]:
        """A call to a record's own path, or a POST to the path of a list."""
        query = self.mirror("GET", path.partition("?")[0])
        place = below(self.settings.url, path)
        for name, stream in self.streams.items():
            if place is not None and stream.method == "GET" and place[0] == "/" + stream.path.strip("/"):
                query = MirrorQuery("list", name)
        return called(query, method, body, lambda _stream, fields: fields)

    def apply(self, operation: str, payload: Json, key: str | None = None, /) -> Exchange[Applied]:
        """Send the one request of an operation."""
        said = self._declared(operation, payload)
        request = self._request(said, payload, key)
        holds = yield from self._already(operation, said, payload)
        (response,) = yield Fetch((request,), holds=holds)
        if self.known[operation].removes and said.method == "DELETE" and response.status in GONE:
            return Applied(response.status, changed=False)
        written(request, response)
        try:
            answer = decode(request, response) if response.body.strip() else None
        except Malformed:
            answer = None
        if isinstance(answer, dict) and any(answer.get(name) for name in ERRORS):
            raise refused(request, response.status, "error_in_success", definitive=False)
        return Applied(response.status, _identifier(said, response, answer), True if response.status == CREATED else None)

    def read_back(self, operation: str, payload: Json, applied: Applied, /) -> Exchange[ReadBack]:
        """Look where `look` says."""
        said = self._declared(operation, payload)
        look = said.look
        if look is None or (VENDOR_ID in PLACE.findall(look.path) and applied.vendor_id is None):
            return ReadBack("unsupported")
        seen, _ = yield from self._look(operation, look, {**payload, VENDOR_ID: applied.vendor_id})
        return seen

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """The same look, where it does not rest on an answer that never came."""
        said = self._declared(operation, payload)
        if said.look is None or not self.known[operation].probes:
            return Probed("inconclusive")
        seen, record = yield from self._look(operation, said.look, payload)
        if seen.outcome == "unsupported" or (seen.outcome == "differs" and said.look.records is not None):
            return Probed("inconclusive")
        named = _at(record, said.look.id) if said.look.id else None
        if seen.outcome == "confirmed":
            return Probed("landed", None if named is None else str(named))
        return Probed("did_not_happen")

    def is_read(self, method: str, path: str, /) -> bool:
        """GET, HEAD, and POST to the lists that are read so."""
        if method in READS:
            return True
        place = below(self.settings.url, path)
        return method == "POST" and place is not None and any(
            stream.method == "POST"
            and place[0] == "/" + stream.path.strip("/")
            and {name for name, _ in parse_qsl(place[1], keep_blank_values=True)} <= {*stream.params, *self.settings.params}
            for stream in self.streams.values()
        )  # fmt: skip

    def mirror(self, method: str, path: str, /) -> MirrorQuery | None:
        """Lists by page or offset, and records by `item`."""
        place = below(self.settings.url, path)
        if method not in READS or place is None:
            return None
        return mirroring.question(self.settings, self.streams, *place)

    def present(self, query: MirrorQuery, rows: Sequence[Mapping[str, Json]], total: int, /) -> Presented:
        """As the stream's settings describe the vendor's answer."""
        return mirroring.answer(self.streams[query.stream], query, rows, total)

    def _declared(self, operation: str, payload: Json) -> OperationSettings:
        declared(self.known, self.name, operation, payload)
        return self.said[operation]

    def _path(self, template: str, values: Mapping[str, Json]) -> str:
        path = PLACE.sub(lambda found: quote(_plain(found[1], values[found[1]]), safe=""), template)
        return f"{self.settings.url.rstrip('/')}/{path.lstrip('/')}"

    def _content(self, said: OperationSettings, payload: Mapping[str, Json]) -> Json:
        """What of a payload goes in the body."""
        aside = {*PLACE.findall(said.path), *said.query}
        return payload[said.body] if said.body else {name: value for name, value in payload.items() if name not in aside}

    def _request(self, said: OperationSettings, payload: Mapping[str, Json], key: str | None) -> Request:
        params = [(name, mirroring.text(value)) for name, value in self.settings.params.items()]
        params += [(name, _plain(name, payload[name])) for name in said.query if payload.get(name) is not None]
        content = self._content(said, payload)
        headers = [
            (name, value) for name, value in {"Accept": "application/json", **self.settings.headers, **said.headers}.items()
        ]
        body = None
        if content or said.body:
            kind = "application/json" if said.format == "json" else "application/x-www-form-urlencoded"
            headers = [(name, value) for name, value in headers if name.lower() != "content-type"] + [("Content-Type", kind)]
            body = encode(content) if said.format == "json" else _form(content)
        if key is not None and said.key_header is not None:
            headers.append((said.key_header, key))
        return Request(said.method, self._path(said.path, payload), tuple(params), tuple(headers), body)

    def _already(self, operation: str, said: OperationSettings, payload: Json) -> Exchange[bool | None]:
        """Whether the vendor holds already what is asked, by a look just before the write; None when it does not tell."""
        look = said.look
        first = said.departure if look is None or look.first is None else look.first
        if look is None or not first or not self.known[operation].probes:
            return None
        try:
            seen, _ = yield from self._look(operation, look, payload)
        except VendorError:
            return None
        return None if seen.outcome == "unsupported" else seen.outcome == "confirmed"

    def _look(self, operation: str, look: LookSettings, values: Mapping[str, Json]) -> Exchange[tuple[ReadBack, Json]]:
        state: str
        try:
            if look.records is not None:
                state, record = yield from self._lookup(look, look.records, values).find(_wanted(look, values))
            else:
                state, record = yield from self._single(look, values)
        except Unauthorized:  # some vendors refuse what is not there
            return ReadBack("unsupported"), None
        if state == "unsure":
            return ReadBack("unsupported"), None
        if self.known[operation].removes:
            return ReadBack("confirmed" if state == "missing" else "absent"), record
        if state == "missing":
            return ReadBack("absent"), None
        payload = {name: value for name, value in values.items() if name != VENDOR_ID}
        found: tuple[str, ...] = ()
        for name, path in compared(self.said[operation], payload).items():
            if name in payload:
                held = _at(record, path)
                found += differences(payload[name], None if held is MISSING else held, name)
        if any(differences(value, _at(record, path)) for path, value in look.expect.items()):
            found += ("",)
        return (ReadBack("differs", found) if found else ReadBack("confirmed")), record

    def _single(self, look: LookSettings, values: Mapping[str, Json]) -> Exchange[tuple[str, Json]]:
        params = tuple((name, _filled(text, values)) for name, text in look.params.items())
        request = Request("GET", self._path(look.path, values), params, self._looking())
        (response,) = yield Fetch((request,))
        if response.status in GONE:
            return "missing", None
        accept(request, response)
        record = _at(decode(request, response), look.record)
        if not isinstance(record, dict) or (not look.record and any(record.get(name) for name in ERRORS)):
            return "unsure", None
        return "found", record

    def _lookup(self, look: LookSettings, path: str, values: Mapping[str, Json]) -> Lookup:
        def request(names: Names) -> Request:
            asked = ((name, text) for name, text in look.params.items() if names or not PLACE.search(text))
            params = tuple((name, _filled(text, names)) for name, text in asked)
            return Request("GET", self._path(look.path, values), params, self._looking())

        def records(request: Request, response: Response) -> Sequence[Json]:
            accept(request, response)
            cut(request, response, path)
            return list(_at(decode(request, response), path) or ())

        def names(record: Json) -> Names | None:
            found = {name: _at(record, place) for name, place in look.match.items()}
            if any(value is MISSING or value is None or isinstance(value, dict | list) for value in found.values()):
                return None
            return {name: mirroring.text(value) for name, value in found.items()}

        return Lookup(request, records, names)

    def _looking(self) -> tuple[tuple[str, str], ...]:
        return (*(pair for pair in self.settings.headers.items() if pair[0].lower() != "accept"), _ACCEPT, FRESH)


def _wanted(look: LookSettings, values: Mapping[str, Json]) -> dict[str, str]:
    return {name: _plain(name, values[name]) for name in look.match}


def _filled(template: str, values: Mapping[str, Json]) -> str:
    return PLACE.sub(lambda found: _plain(found[1], values[found[1]]), template)


def _plain(name: str, value: Json) -> str:
    """A value that can stand in a path; raises `BadPayload`."""
    if isinstance(value, dict | list) or value is None or mirroring.text(value) in ("", ".", "..") or "/" in str(value):
        raise BadPayload(
            pointer=pointer([name]),
            expected_fr="une valeur simple, sans « / »",
            expected_en="a plain value, without `/`",
        )
    return mirroring.text(value)


def _form(content: Mapping[str, Json]) -> bytes:
    return urlencode([(name, _plain_text(name, value)) for name, value in content.items() if value is not None]).encode()


def _plain_text(name: str, value: Json) -> str:
    if isinstance(value, dict | list):
        raise BadPayload(pointer=pointer([name]), expected_fr="une valeur simple", expected_en="a plain value")
    return mirroring.text(value)


def _at(document: Json, path: str) -> Any:  # noqa: ANN401 - any JSON, or MISSING
    for step in path.split(".") if path else ():
        if not isinstance(document, dict) or step not in document:
            return MISSING
        document = document[step]
    return document


def _identifier(said: OperationSettings, response: Response, answer: Json) -> str | None:
    found = _at(answer, said.vendor_id) if said.vendor_id else MISSING
    if isinstance(found, str | int) and not isinstance(found, bool):
        return str(found)
    last = urlsplit(response.headers.get("Location", "")).path.rpartition("/")[2]
    return unquote(last) or None if response.status == 201 else None
