"""Replay: the connector reads the raw archive of a run as if it were the vendor, and the snapshots are made again.

1. Responses are given in the order in which they were archived, each to the slice that asks for it; nothing is sent.
2. A run that took several attempts is followed through each: a slice stops where that attempt's last safe page was, and
   starts again where the next one started. So the records are those of the run, in the same order, none twice.
3. What comes out is measured against the current snapshot and published like any run: when it is the same, nothing changes,
   which proves that archive and snapshot agree. A run older than the current snapshot is refused: its own snapshot still
   exists.
4. What the connector asks and the archive lacks is a fault (ReplayGap): another version of the connector may ask otherwise.
5. Documents are read from the store, where the archive has only their address, when a slice asks for them. What the store
   holds today is what `Holding` is told, so fewer may be asked for than in the run. One that is gone is a fault (ReplayLacks).

Memory: one response, and those that came before the slice that wants them asked.
"""

import hashlib
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from saas_connectors.connector import Connector, Document, Fetch, Holding, Json, Page, Reading, Slice, Told
from saas_connectors.request import Headers, Request, Response
from snapshots import raw
from snapshots.dataset import DatasetId
from snapshots.draft import Draft
from snapshots.manifest import Provenance, RawSegment
from snapshots.raw import RawExchange
from snapshots.repository import Repository, opener
from sovereign.egress.errors import Interrupted
from sovereign.sync.attempt import PLAN, RESUME, address, specs
from sovereign.sync.errors import NothingToReplay, ReplayGap, ReplayLacks, ReplayOld
from sovereign.sync.landing import Landing, ResumePoint
from sovereign.sync.outcome import RunOutcome
from sovereign.sync.plan import Plan, from_json, to_json
from sovereign.sync.progress import Phase, Progress, RunFinished, RunStarted
from sovereign.sync.publishing import Publisher
from sovereign.sync.reading import Answered, Ended, Filing, Item, defect
from sovereign.sync.records import Record
from sovereign.sync.shelving import Shelving
from sovereign.sync.trouble import explained
from sovereign.sync.verdict import Guards
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.sync.engine import Syncs
    from sovereign.sync.publishing import Book

Place = tuple[bool, bytes]
"""Where a slice stood: whether it was done, and its position in canonical JSON."""

_BEGINNING: Place = (False, b"null")
_AGAIN = "replay:"
"""How the plan of a replay's draft begins its fingerprint."""


@dataclass(frozen=True, slots=True)
class Tape:
    """The raw archive of one run."""

    repository: Repository
    connection: str
    run: str
    segments: tuple[RawSegment, ...]

    @classmethod
    def of(cls, repository: Repository, run: str) -> "Tape":
        """Find the archive of a run; raises NothingToReplay. Segments that a manifest names are held against it."""
        found = [folder for folder in repository.root.glob("*/.raw/*") if folder.name == run]
        if not found:
            raise NothingToReplay(run=run)
        connection = found[0].parent.parent.name
        for dataset in repository.datasets():
            if dataset.connection == connection:
                for made in reversed(repository.manifests(dataset)):
                    if made.provenance.run == run and made.provenance.raw:
                        return cls(repository, connection, run, tuple(made.provenance.raw))
        segments = tuple(_listed(found[0]))
        if not segments:
            raise NothingToReplay(run=run)
        return cls(repository, connection, run, segments)

    def exchanges(self) -> Iterator[RawExchange]:
        """Give every exchange, in order; raises Damaged, Shredded."""
        folder = self.repository.root / self.connection / ".raw" / self.run
        key = opener(self.repository.keys, folder / "raw.keys")(raw.key_name(self.connection, self.run))
        return raw.exchanges(folder, self.connection, self.run, self.segments, key)

    def outline(self) -> tuple[Plan, list[dict[str, Place]]]:
        """Give the plan of the run, and where each slice stood when each later attempt began."""
        plan: Plan | None = None
        starts: list[dict[str, Place]] = [{}]
        for exchange in self.exchanges():
            if exchange.method == PLAN:
                plan = from_json(msgspec.json.decode(exchange.body))
            elif exchange.method == RESUME:
                held = msgspec.json.decode(exchange.body)
                starts.append({key: (done, _canonical(position)) for key, (done, position) in held.items()})
        if plan is None:
            raise NothingToReplay(run=self.run)
        return plan, starts


def _listed(folder: Path) -> Iterator[RawSegment]:
    chain: str | None = None
    for path in sorted(folder.glob("*.raw")):
        digest = hashlib.sha256(path.read_bytes()).digest()
        chain = raw.chained(chain, digest)
        yield RawSegment(int(path.stem), digest.hex(), chain)


def _canonical(position: Json) -> bytes:
    return msgspec.json.encode(position, order="deterministic")


@dataclass(slots=True)
class _Player:
    """A slice being read again."""

    part: Slice
    until: Place | None = None
    reading: Reading | None = None
    asked: tuple[Request, ...] = ()
    given: dict[int, Response] = field(default_factory=dict)


class _Theatre:
    """Reads all slices at once, each fed with the responses it asks for."""

    def __init__(self, connector: Connector, plan: Plan, landing: Landing, shelving: Shelving) -> None:
        self._connector, self._plan, self._landing, self._shelving = connector, plan, landing, shelving
        self._players = [_Player(part) for part in plan.slices]
        self._wanted: dict[tuple[str, str], deque[tuple[_Player, int]]] = defaultdict(deque)
        self._spare: dict[tuple[str, str], deque[RawExchange]] = defaultdict(deque)

    def act(self, starts: Mapping[str, Place], ends: Mapping[str, Place] | None) -> None:
        """Begin an attempt: each slice goes from its start to its end, or to the very end when `ends` is None."""
        self._wanted.clear()
        self._spare.clear()
        for player in self._players:
            if player.reading is not None:
                player.reading.close()
            key = player.part.key
            start, end = starts.get(key, _BEGINNING), ends.get(key, _BEGINNING) if ends is not None else None
            player.reading, player.until = None, end
            if not start[0] and start != end:
                position = msgspec.json.decode(start[1])
                player.reading = self._connector.read(self._plan.read, player.part, position)
                self._advance(player, None)

    def hear(self, exchange: RawExchange) -> None:
        """Give an archived response to the slice that waits for it."""
        key = (exchange.method, exchange.url)
        if self._wanted[key]:
            player, at = self._wanted[key].popleft()
            self._give(player, at, self._response(exchange))
        else:
            self._spare[key].append(exchange)

    def _response(self, exchange: RawExchange) -> Response:
        """Give the answer as the vendor gave it, a document's bytes taken from the store."""
        body: bytes | None = exchange.body
        if exchange.document:
            body = self._shelving.content(exchange.document)
            if body is None:
                raise ReplayLacks(document=exchange.document)
        received = datetime.fromisoformat(exchange.received) if exchange.received else None
        url = exchange.url.partition("#")[0]
        return Response(exchange.status, url, body or b"", Headers(exchange.headers), received)

    def missing(self) -> Request | None:
        """Give a request that was never answered, None when every slice came to its end."""
        for player in self._players:
            for at, request in enumerate(player.asked):
                if player.reading is not None and at not in player.given:
                    return request
        return None

    def _give(self, player: _Player, at: int, response: Response) -> None:
        player.given[at] = response
        self._landing.take(Item(player.part.key, Answered(player.asked[at], response)))
        if len(player.given) == len(player.asked):
            self._advance(player, tuple(player.given[n] for n in range(len(player.asked))))

    def _advance(self, player: _Player, told: Told) -> None:
        key, reading = player.part.key, player.reading
        while reading is not None:
            try:
                item = reading.send(told)
            except StopIteration as end:
                self._landing.take(Item(key, Ended(end.value or {})))
                player.reading = None
                return
            except Fault:
                raise
            except Exception as error:  # noqa: BLE001 — as for a reader
                raise defect(self._connector.name, error) from None
            told = None
            if isinstance(item, Fetch):
                self._ask(player, item.requests)
                return
            if isinstance(item, Holding):
                told = self._shelving.held(item)
                continue
            if isinstance(item, Document):
                told = filed = self._shelving.name(item)
                self._landing.take(Item(key, Filing(item, filed)))
                continue
            self._landing.take(Item(key, item))
            if isinstance(item, Page) and player.until == (False, _canonical(item.position)):
                reading.close()
                player.reading = None
                return

    def _ask(self, player: _Player, requests: tuple[Request, ...]) -> None:
        player.asked, player.given = requests, {}
        ready = []
        for at, request in enumerate(requests):
            name = (request.method, address(request))
            if self._spare[name]:
                ready.append((at, self._response(self._spare[name].popleft())))
            else:
                self._wanted[name].append((player, at))
        for at, response in ready:
            self._give(player, at, response)


def replay(syncs: "Syncs", run: str, progress: Progress, stop: threading.Event, book: "Book") -> RunOutcome:
    """Make the snapshots of a run again; see `Syncs.replay`. The connection's lease is held by the caller."""
    tape = Tape.of(syncs.repository, run)
    plan, starts = tape.outline()
    settings = syncs.settings().connections[tape.connection]
    for stream in plan.read.streams:
        head = syncs.repository.head(DatasetId(tape.connection, stream.name))
        if head is not None and head.provenance.run > run and not head.provenance.run.startswith("replay"):
            raise ReplayOld(run=run, newer=head.provenance.run, stream=stream.name, sequence=head.sequence)
    connector = syncs.connector(tape.connection)
    record = Record(syncs.runs, syncs.audit, syncs.clock, tape.connection, "replay")
    record.begin(None)
    progress.emit(RunStarted(record.run, tape.connection, False, {**plan.read.modes}, plan.read.started_at))
    _clear(syncs.repository, tape.connection)
    again = Plan(plan.read, plan.slices, f"{_AGAIN}{run}")  # no sync takes it for a draft of its own
    draft = Draft.create(syncs.repository, record.run, specs(tape.connection, plan), to_json(again))
    shelving = Shelving(syncs.repository, tape.connection, plan.read.streams)
    landing = Landing(draft, lambda _request, _response, _filed: None, ResumePoint(), shelving, aside=draft.folder)
    try:
        progress.emit(Phase(record.run, "reading"))
        _perform(_Theatre(connector, plan, landing, shelving), tape, starts, landing, stop)
        host = urlsplit(settings.url).hostname or "folder"
        provenance = Provenance(run, settings.connector, connector.version, host, list(tape.segments))
        guards = Guards(settings.guards.max_fall, settings.guards.max_deletions)
        publisher = Publisher(record.run, tape.connection, provenance, guards, syncs.repository, book, progress)
        outcome = record.finish("succeeded", landing.point, streams=publisher.publish(draft, plan, landing))
        syncs.audit.append("sync.replayed", {"connection": tape.connection, "run": record.run}, {"replayed": run})
    except Exception as error:  # noqa: BLE001 — as for a run: whatever happens is an outcome
        fault = explained(error, record.run)
        state: Any = "cancelled" if isinstance(fault, Interrupted) else "failed"
        outcome = record.finish(state, landing.point, fault=fault)
    finally:
        shelving.close()
        draft.discard()
    progress.emit(RunFinished(outcome.run, tape.connection, outcome.state, syncs.clock()))
    return outcome


def _clear(repository: Repository, connection: str) -> None:
    """Drop the drafts of replays that were killed: a replay is made again from its beginning."""
    for run in repository.drafts():
        if not (repository.root / connection / ".drafts" / run / "checkpoint").is_file():
            continue
        with suppress(Fault, msgspec.ValidationError):  # in use, damaged, or its keys destroyed: doctor tells
            draft = Draft.reopen(repository, run)
            if from_json(draft.plan).fingerprint.startswith(_AGAIN):
                draft.discard()
            else:
                draft.close()


def _perform(theatre: _Theatre, tape: Tape, starts: list[dict[str, Place]], landing: Landing, stop: threading.Event) -> None:
    number = 0
    theatre.act(starts[0], starts[1] if len(starts) > 1 else None)
    for exchange in tape.exchanges():
        if stop.is_set():
            raise Interrupted
        if exchange.method == RESUME:
            number += 1
            theatre.act(starts[number], starts[number + 1] if number + 1 < len(starts) else None)
        elif exchange.method != PLAN:
            theatre.hear(exchange)
            if landing.due:
                landing.checkpoint()
    lacking = theatre.missing()
    if lacking is not None:
        raise ReplayGap(run=tape.run, method=lacking.method, path=urlsplit(lacking.url).path)
    landing.checkpoint()
