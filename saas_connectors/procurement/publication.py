"""Publishing DECP: a validated file is put where the public body publishes, on a server that takes PUT or in a folder.

1. Nothing invalid is published: every contract is held to the official schema, as those that are read.
2. A publication never loses a contract in silence: one that the published file holds and the new one does not is a refusal,
   unless the payload says `removes`.
3. The file is put under the version that was looked at (`If-Match`, or `If-None-Match: *` for a new one) where the server
   gives a strong one: two publishers never overwrite each other.
4. What is read back is compared by its bytes.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

from saas_connectors.answer import accept
from saas_connectors.connector import Applied, Class, Exchange, Fetch, Json, Operation, Probed, ReadBack
from saas_connectors.errors import BadPayload, Malformed, SettingsError
from saas_connectors.payloads import closed, encode
from saas_connectors.procurement.decp import FOLDER, load
from saas_connectors.procurement.files import File
from saas_connectors.procurement.shapes import Unfit
from saas_connectors.request import Pairs, Request, Response
from saas_connectors.writing import FRESH, GONE, Unmirrored, declared, refused, written

_LISTS: Final = ("marche", "contrat-concession")


def make(name: str, settings: Mapping[str, Json]) -> "Publication":
    """Make the writing side of one connection; raises `SettingsError`."""
    asked, classes = load(name, settings)
    for file in asked.publishes or ():
        if not file.endswith(".json") or "/" in file or file.startswith(".") or "\\" in file:
            raise SettingsError(
                field=f"connections.{name}.publishes",
                expected_fr="des noms de fichiers .json, sans dossier",
                expected_en="names of .json files, without folder",
            )
    if not asked.publishes:
        return Publication(name, asked.url, classes, {})
    schema = _schema(asked.publishes)
    publish = Operation("publish", "Publier des contrats (DECP)", "Publish contracts (DECP)", schema, idempotent=True)
    return Publication(name, asked.url, classes, {publish.name: publish})


def _schema(files: Sequence[str]) -> dict[str, Json]:
    contracts = {name: {"type": "array", "items": {"type": "object"}} for name in _LISTS}
    properties = {
        "file": {"enum": list(files)},
        "marches": {"type": "object", "properties": contracts, "minProperties": 1},
        "removes": {"type": "boolean"},
    }
    return closed({"type": "object", "required": ["file", "marches"], "properties": properties})


@dataclass(frozen=True, slots=True)
class Publication(Unmirrored):
    """See `saas_connectors.connector.Writer`; a published file is the vendor's own bytes, which the copy cannot give.

    held: classes of all the fields that contracts hold.
    """

    name: str
    url: str
    held: frozenset[Class]
    known: Mapping[str, Operation]

    def operations(self) -> tuple[Operation, ...]:
        """`publish`, when `publishes` names a file."""
        return tuple(self.known.values())

    def entity(self, operation: str, payload: Json, /) -> str:
        """The file."""
        self._checked(operation, payload)
        return str(payload["file"])

    def classes(self, operation: str, payload: Json, /) -> frozenset[Class]:
        """Those of contracts and of their holders."""
        self._checked(operation, payload)
        return self.held

    def apply(self, operation: str, payload: Json, _key: str | None = None, /) -> Exchange[Applied]:
        """Look at what is published, then put the file in its place."""
        body = self._valid(operation, payload)
        look = Request("GET", self._place(payload), headers=(FRESH,))
        (seen,) = yield Fetch((look,))
        put = Request("PUT", look.url, headers=(("Content-Type", "application/json"), *_condition(look, seen)), body=body)
        if seen.status not in GONE and not payload.get("removes"):
            _keeps(put, look, seen, body)
        (response,) = yield Fetch((put,))
        written(put, response)
        return Applied(response.status, str(payload["file"]))

    def read_back(self, operation: str, payload: Json, _applied: Applied, /) -> Exchange[ReadBack]:
        """Compare the published bytes."""
        declared(self.known, self.name, operation, payload)
        look = Request("GET", self._place(payload), headers=(FRESH,))
        (seen,) = yield Fetch((look,))
        if seen.status in GONE:
            return ReadBack("absent")
        accept(look, seen)
        return ReadBack("confirmed") if seen.body == _document(payload) else ReadBack("differs", ("/marches",))

    def probe(self, operation: str, payload: Json, /) -> Exchange[Probed]:
        """The same look."""
        seen = yield from self.read_back(operation, payload, Applied(0))
        return Probed("landed", str(payload["file"])) if seen.outcome == "confirmed" else Probed("did_not_happen")

    def _place(self, payload: Json) -> str:
        file = str(payload["file"])
        return FOLDER + file if self.url.startswith(FOLDER) else urljoin(self.url, file)

    def _checked(self, operation: str, payload: Json) -> None:
        self._valid(operation, payload)

    def _valid(self, operation: str, payload: Json) -> bytes:
        """The file's bytes; raises `BadPayload` with the place of the first contract that the official schema refuses."""
        declared(self.known, self.name, operation, payload)
        body = _document(payload)
        places = [f"/marches/{name}/{n}" for name in _LISTS for n in range(len(payload["marches"].get(name, ())))]
        for place, contract in zip(places, _held(body).contracts(), strict=True):
            try:
                contract.record(Counter())
            except Unfit as refusal:
                raise BadPayload(
                    pointer=place,
                    expected_fr=f"un contrat conforme au schéma officiel (règle {refusal.rule})",
                    expected_en=f"a contract as the official schema says (rule {refusal.rule})",
                ) from None
        return body


def _document(payload: Json) -> bytes:
    return encode({"marches": payload["marches"]})


def _held(body: bytes) -> File:
    return File.hold(Request("GET", ""), Response(200, "", body), alone=True)


def _condition(look: Request, seen: Response) -> Pairs:
    """What makes the server refuse if the file changed since we looked."""
    if seen.status in GONE:
        return (("If-None-Match", "*"),)
    accept(look, seen)
    tag = seen.headers.get("ETag", "")
    return (("If-Match", tag),) if tag.startswith('"') else ()


def _keys(file: File) -> Iterator[str]:
    return (key for contract in file.contracts() if (key := contract.key()))


def _keeps(put: Request, look: Request, seen: Response, body: bytes) -> None:
    """Refuse a publication that loses contracts; a published file that cannot be read is not ours to judge, nor to replace."""
    try:
        before = set(_keys(File.hold(look, seen, alone=True)))
    except Malformed:
        raise refused(put, 409, "unreadable") from None
    if before - set(_keys(_held(body))):
        raise refused(put, 409, "removes")
