"""Recorded exchanges with a vendor, as files: docs/formats/fixtures.md says what they hold.

Read strictly and within bounds; what is not of this version is refused, never guessed at. Written whole, in a new folder.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from saas_connectors.conformance.driver import Replay
from saas_connectors.request import Headers, Request, Response
from sovereign.authoring.errors import BadFixtures, NotEmpty
from vault import files

T = TypeVar("T")
VERSION: Final = "sovereign-fixtures/1"
MANIFEST: Final = "fixtures.json"
EXCHANGES: Final = "exchanges.jsonl"
MOST_BYTES: Final = 256 << 20
MOST_EXCHANGES: Final = 10_000


class Counted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a stream gave when it was recorded."""

    pages: int
    records: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the exchanges are of. `whole`: every slice was read to its end."""

    format: str
    connector: str
    connection: str
    settings: dict[str, Any]
    started_at: datetime
    whole: bool
    streams: dict[str, Counted]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request."""

    method: str
    url: str
    params: list[tuple[str, str]] = []
    headers: list[tuple[str, str]] = []
    body: str | None = None
    reads: bool = False
    document: bool = False


class Answered(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A response; its body as text, or in base64 when it is none."""

    status: int
    headers: dict[str, str] = {}
    text: str | None = None
    base64: str | None = None


class Exchanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the exchanges, and the act it belongs to: `check`, `discover`, `slices`, or `read`."""

    act: str
    request: Asked
    response: Answered


class Fixtures(msgspec.Struct, frozen=True):
    """A recording."""

    manifest: Manifest
    exchanges: list[tuple[str, Request, Response]]

    def replay(self, *acts: str) -> Replay:
        """Give a vendor that answers as recorded; acts: those alone, all when none is named."""
        return Replay([(request, response) for act, request, response in self.exchanges if not acts or act in acts])


def write(fixtures: Fixtures, folder: Path) -> None:
    """Write a recording; errors: NotEmpty."""
    root = folder.absolute()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise NotEmpty(path=str(folder))
    lines = [
        msgspec.json.encode(Exchanged(act, _asked(request), _answered(response)))
        for act, request, response in fixtures.exchanges
    ]
    root.parent.mkdir(parents=True, exist_ok=True)
    with files.new_folder(root):
        files.write(root / MANIFEST, msgspec.json.format(msgspec.json.encode(fixtures.manifest)) + b"\n", new=True)
        files.write(root / EXCHANGES, b"".join(line + b"\n" for line in lines), new=True)


def load(folder: Path) -> Fixtures:
    """Read a recording; errors: BadFixtures."""
    manifest = _decoded(Manifest, _bytes(folder / MANIFEST), MANIFEST)
    if manifest.format != VERSION:
        raise BadFixtures(place=f"{MANIFEST} (format)", expected_fr=VERSION, expected_en=VERSION)
    lines = _bytes(folder / EXCHANGES).splitlines()
    if len(lines) > MOST_EXCHANGES:
        raise BadFixtures(
            place=EXCHANGES, expected_fr=f"{MOST_EXCHANGES} lignes au plus", expected_en=f"at most {MOST_EXCHANGES} lines"
        )
    return Fixtures(manifest, [_exchange(line, number) for number, line in enumerate(lines, 1)])


def _exchange(line: bytes, number: int) -> tuple[str, Request, Response]:
    told = _decoded(Exchanged, line, f"{EXCHANGES}:{number}")
    asked, answered = told.request, told.response
    request = Request(
        asked.method,
        asked.url,
        tuple(asked.params),
        tuple(asked.headers),
        None if asked.body is None else asked.body.encode(),
        reads=asked.reads,
        document=asked.document,
    )
    try:
        body = b64decode(answered.base64, validate=True) if answered.base64 is not None else (answered.text or "").encode()
    except ValueError:
        place = f"{EXCHANGES}:{number} (base64)"
        raise BadFixtures(place=place, expected_fr="du base64", expected_en="base64") from None
    return told.act, request, Response(answered.status, request.full_url, body, Headers(answered.headers.items()))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as source:
            data = source.read(MOST_BYTES + 1)
    except OSError:
        raise BadFixtures(place=path.name, expected_fr="un fichier lisible", expected_en="a readable file") from None
    if len(data) > MOST_BYTES:
        raise BadFixtures(place=path.name, expected_fr="256 Mio au plus", expected_en="at most 256 MiB")
    return data


def _decoded(kind: type[T], data: bytes, place: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadFixtures(place=place, expected_fr="ce que décrit son format", expected_en="what its format says") from None


def _asked(request: Request) -> Asked:
    body = None if request.body is None else request.body.decode()
    return Asked(request.method, request.url, [*request.params], [*request.headers], body, request.reads, request.document)


def _answered(response: Response) -> Answered:
    headers: Mapping[str, str] = dict(response.headers)
    try:
        return Answered(response.status, dict(headers), text=response.body.decode())
    except UnicodeDecodeError:
        return Answered(response.status, dict(headers), base64=b64encode(response.body).decode())
