"""A dry run: the connector speaks to the real vendor through the way out, and nothing is kept but scrubbed exchanges.

1. Nothing becomes a snapshot, no cursor moves, no raw answer reaches the disk.
2. Requests are never scrubbed: the connector is run again on the scrubbed answers, and what it then asks is what is recorded.
3. It must then ask as many times, by the same methods, and give as many pages and records and the same evidence; else nothing
   is recorded (`Diverged`).
4. Before anything is written, every text of the recording is held against the values that were replaced and the connection's
   secrets (`Unscrubbed`).
"""

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from saas_connectors.conformance.driver import Shelf, converse
from saas_connectors.connector import Catalog, Connector, Document, Evidence, Fetch, Holding, Page, ReadPlan, Slice, Told
from saas_connectors.errors import ConnectorError
from saas_connectors.request import Request, Response
from sovereign.authoring.binary import legible
from sovereign.authoring.errors import Diverged, Unscrubbed
from sovereign.authoring.fixtures import VERSION, Counted, Fixtures, Manifest
from sovereign.authoring.listings import told
from sovereign.authoring.pseudonyms import Pseudonyms
from sovereign.authoring.scrubbing import HOST, SHORT, Scrub, segments
from sovereign.sync.errors import UnknownStream

Send = Callable[[Request], Response]
Exchange = tuple[str, Request, Response]
MOST_BYTES: Final = 64 << 20


@dataclass(slots=True)
class Heard:
    """What a run heard and gave."""

    exchanges: list[Exchange] = field(default_factory=list)
    catalog: Catalog = field(default_factory=lambda: Catalog(()))
    pages: dict[str, int] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    evidence: list[tuple[str, str, bool | None]] = field(default_factory=list)
    whole: bool = True


def run(
    connector: Connector, send: Send, started_at: datetime, streams: Collection[str] = (), pages: int | None = None
) -> Heard:
    """Check, discover and read, at most `pages` of a slice; streams: those to read, all when empty."""
    heard = Heard()

    def during(act: str) -> Send:
        def answered(request: Request) -> Response:
            response = send(request)
            heard.exchanges.append((act, request, response))
            return response

        return answered

    converse(connector.check(), during("check"))
    heard.catalog = converse(connector.discover(), during("discover"))
    known = [each.name for each in heard.catalog.streams]
    for stream in streams:
        if stream not in known:
            raise UnknownStream(connection=connector.name, stream=stream, known=", ".join(sorted(known)))
    wanted = tuple(each for each in heard.catalog.streams if not streams or each.name in streams)
    plan = ReadPlan(wanted, {each.name: "full_refresh" for each in wanted}, {}, started_at)
    heard.pages, heard.records = ({each.name: 0 for each in wanted} for _ in range(2))
    for part in converse(connector.slices(plan), during("slices")):
        _read(connector, plan, part, during("read"), heard, pages)
    return heard


def _read(connector: Connector, plan: ReadPlan, part: Slice, send: Send, heard: Heard, most: int | None) -> None:
    shelf, reading, given = Shelf(), connector.read(plan, part, None), 0
    answer: Told = None
    try:
        while True:
            asked = reading.send(answer)
            answer = None
            if isinstance(asked, Fetch):
                if most is not None and given >= most:
                    heard.whole = False
                    reading.close()
                    return
                answer = tuple(send(request) for request in asked.requests)
            elif isinstance(asked, Page):
                given += 1
                heard.pages[asked.stream] += 1
                heard.records[asked.stream] += asked.records.num_rows
            elif isinstance(asked, Evidence):
                heard.evidence.append((asked.stream, asked.check, asked.holds))
            elif isinstance(asked, Holding):
                answer = shelf.held(asked)
            elif isinstance(asked, Document):
                answer = shelf.file(asked)
    except StopIteration:
        return


@dataclass(frozen=True, slots=True)
class Recorded:
    """A dry run that can be written: the recording, and what it is of."""

    fixtures: Fixtures
    replaced: int


def record(
    kind: str,
    settings: Mapping[str, Any],
    make: Callable[[Mapping[str, Any]], Connector],
    send: Send,
    started_at: datetime,
    key: bytes,
    *,
    secrets: Sequence[bytes] = (),
    streams: Collection[str] = (),
    pages: int | None = None,
) -> Recorded:
    """Run a connector against its vendor, scrub what was heard, replay it. Errors: Unscrubbed, Diverged, the vendor's."""
    real = run(make(settings), send, started_at, streams, pages)
    if sum(len(response.body) for _, _, response in real.exchanges) > MOST_BYTES:
        raise Unscrubbed(place="read", why_fr="plus de 64 Mio de réponses", why_en="over 64 MiB of answers")
    host = urlsplit(str(settings.get("url", ""))).hostname
    hosts, pseudonyms = frozenset({host} if host else ()), Pseudonyms(key)
    scrubbed = _scrubbed(real, settings, hosts, pseudonyms)
    clean = _settings(settings, hosts)
    again = _replayed(make(clean), scrubbed, real, started_at, streams, pages)
    counted = {stream: Counted(real.pages[stream], real.records[stream]) for stream in real.pages}
    manifest = Manifest(VERSION, kind, "recorded", clean, started_at, real.whole, counted)
    recorded = Fixtures(manifest, again.exchanges)
    _verified(recorded, pseudonyms, hosts, secrets)
    return Recorded(recorded, len(pseudonyms))


def _classes(catalog: Catalog) -> dict[str, str]:
    """The class of each field by its name alone: the strictest, where streams differ."""
    found: dict[str, str] = {}
    for stream in catalog.streams:
        for column in stream.schema.names:
            held = stream.classes.get(column, "personal")
            found[column] = "internal" if held == "internal" and found.get(column, held) == "internal" else "personal"
    return found


def _scrubbed(real: Heard, settings: Mapping[str, Any], hosts: frozenset[str], pseudonyms: Pseudonyms) -> list[Response]:
    classes, known = _classes(real.catalog), segments([settings])

    def learn(text: str) -> str:
        pseudonyms.learn(text)
        return text

    words, files = real.catalog.words, _files(real, pseudonyms)
    first = Scrub(learn, classes, hosts, known, words=words)
    second = Scrub(learn, classes, hosts, known, pseudonyms.__contains__, words)
    last = Scrub(pseudonyms.of, classes, hosts, known, pseudonyms.__contains__, words)
    made: list[Response] = []
    for scrub in (first, second, last):  # what the second finds in internal texts must be learned before the first is replaced
        made = [
            scrub.response(response, _place(at, real.exchanges), files.get(at))
            for at, (_, _, response) in enumerate(real.exchanges)
        ]
    return told(made, real.exchanges)


def _files(real: Heard, pseudonyms: Pseudonyms) -> dict[int, bytes]:
    """What stands for the vendor's files, by exchange: the same for the same. Their digests, where said, are the others'."""
    stands: dict[bytes, bytes] = {}
    found: dict[int, bytes] = {}
    for at, (_, request, response) in enumerate(real.exchanges):
        if not request.document or not response.body or not 200 <= response.status < 300:
            continue
        found[at] = other = stands.setdefault(response.body, b"file %d\n" % (len(stands) + 1))
        for digest in (hashlib.sha256, hashlib.sha512):
            said, instead = digest(response.body).hexdigest(), digest(other).hexdigest()
            pseudonyms.stand(said, instead)
            pseudonyms.stand(said.upper(), instead.upper())
    return found


def _place(at: int, exchanges: Sequence[Exchange]) -> str:
    act, request, _ = exchanges[at]
    return f"{act} #{at + 1} ({request.method})"


def _settings(settings: Mapping[str, Any], hosts: frozenset[str]) -> dict[str, Any]:
    def clean(value: Any) -> Any:  # noqa: ANN401 - any TOML
        if isinstance(value, str):
            for host in hosts:
                value = value.replace(host, HOST)
            return value
        if isinstance(value, Mapping):
            return {name: clean(each) for name, each in value.items()}
        return [clean(each) for each in value] if isinstance(value, list | tuple) else value

    made = {name: clean(each) for name, each in settings.items()}
    parts = urlsplit(str(settings.get("url", "")))
    made["url"] = urlunsplit(("https", HOST, parts.path, "", "")) if parts.hostname else "folder:example"
    return made


def _replayed(
    connector: Connector,
    answers: Sequence[Response],
    real: Heard,
    started_at: datetime,
    streams: Collection[str],
    pages: int | None,
) -> Heard:
    left = iter(zip(real.exchanges, answers, strict=True))
    at = 0

    def send(request: Request) -> Response:
        nonlocal at
        (act, asked, _), answer = next(left, ((None, None, None), None))
        if asked is None or answer is None:
            raise Diverged(place=f"#{at + 1}", why_fr="une requête de plus", why_en="one request more")
        at += 1
        if request.method != asked.method:
            raise Diverged(place=f"{act} #{at}", why_fr="une autre méthode", why_en="another method")
        return Response(answer.status, request.full_url, answer.body, answer.headers)

    try:
        again = run(connector, send, started_at, streams, pages)
    except ConnectorError as refused:
        said = (refused.diagnostics("fr").code, refused.diagnostics("en").code)
        raise Diverged(
            place=f"#{at}", why_fr=f"le connecteur refuse ({said[0]})", why_en=f"the connector refuses ({said[1]})"
        ) from None
    for what, mine, theirs in (
        ("requests", len(again.exchanges), len(real.exchanges)),
        ("pages", again.pages, real.pages),
        ("records", again.records, real.records),
        ("evidence", again.evidence, real.evidence),
    ):
        if mine != theirs:
            raise Diverged(place=what, why_fr="pas le même compte", why_en="not the same count")
    return again


def _verified(recorded: Fixtures, pseudonyms: Pseudonyms, hosts: frozenset[str], secrets: Sequence[bytes]) -> None:
    """Hold what would be written against what must not be: the last check, which trusts nothing before it."""
    made = frozenset(pseudonyms.of(text) for text in pseudonyms)
    for at, (act, request, response) in enumerate(recorded.exchanges):
        place = f"{act} #{at + 1} ({request.method})"
        body = legible(response.body)
        for written in (request.full_url.encode(), request.body or b"", body, repr(request.headers).encode()):
            _bare(written, place, hosts, secrets)
        for text in sorted(_texts(body)):
            if len(text) >= SHORT and text in pseudonyms and text not in made and not _kept(pseudonyms, text):
                raise Unscrubbed(place=place, why_fr="une valeur réelle y reste", why_en="a real value remains there")
    _bare(msgspec.json.encode(recorded.manifest), "settings", hosts, secrets)


def _kept(pseudonyms: Pseudonyms, text: str) -> bool:
    """Dates that mean "never" are kept, and nothing else."""
    return pseudonyms.of(text) == text and text[:2] in ("00", "99")


def _bare(written: bytes, place: str, hosts: frozenset[str], secrets: Sequence[bytes]) -> None:
    for secret in secrets:
        whole = (secret, *secret.split(b":", 1))
        for piece in whole:
            shapes = (
                piece,
                quote(piece, safe="").encode(),
                b64encode(piece),
                msgspec.json.encode(piece.decode("latin-1"))[1:-1],
            )
            if len(piece) >= 4 and any(shape in written for shape in shapes):
                raise Unscrubbed(place=place, why_fr="un secret de la connexion", why_en="a secret of the connection")
    if any(host.encode() in written for host in hosts if host != "localhost"):
        raise Unscrubbed(place=place, why_fr="l'hôte réel du fournisseur", why_en="the vendor's real host")


def _texts(body: bytes) -> set[str]:
    """The words and the texts of a body, as they read, and as base64 reads."""
    text = body.decode("utf-8", "replace")
    words = set(re.findall(r"[\w.@+:/-]+", text)) | set(re.findall(r'"([^"\\]*)"', text))
    for each in [*words]:
        try:
            words |= set(re.findall(r"[\w.@+-]+", b64decode(each, validate=True).decode()))
        except ValueError:
            continue
    return words
