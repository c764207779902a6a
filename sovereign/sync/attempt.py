"""One attempt at a run: plan or take up the plan, read what is left, land it.

The raw archive of a run begins with its plan (`PLAN`), and each later attempt with the positions it starts from (`RESUME`),
so that a replay can follow the very same path. An address in the archive carries the digest of the request's body in its
fragment, which never goes on the wire.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec
import pyarrow as pa

from saas_connectors.connector import Connector, Filed, Json
from saas_connectors.request import Request, Response
from snapshots.dataset import DatasetId, DatasetSpec
from snapshots.draft import Draft
from snapshots.raw import RawExchange
from sovereign.clock import Clock
from sovereign.egress.errors import Interrupted, Waiting
from sovereign.egress.transport import Transport
from sovereign.settings import Connection
from sovereign.sync.landing import Landing, ResumePoint
from sovereign.sync.plan import Known, Plan, choose, fingerprint, to_json
from sovereign.sync.progress import Phase, Progress, Reading
from sovereign.sync.reading import Readers, Stopped, converse
from sovereign.sync.shelving import Shelving
from vault.errors import Fault

PLAN: Final = "sovereign:plan"
RESUME: Final = "sovereign:resume"
MEMORY: Final = 64 * 2**20
"""Bytes of responses and records that may wait for the disk."""
GRACE: Final = 5.0
"""Seconds that readers have to end after a stop or a fault, before they are left behind."""
TICK: Final = 0.25
"""Seconds between two events of progress."""


def make_plan(
    connector: Connector,
    transport: Transport,
    settings: Connection,
    known: Mapping[str, Known],
    *,
    wanted: Collection[str] | None,
    full: bool,
    started_at: datetime,
) -> Plan:
    """Ask the vendor what there is, decide what to read, cut it into slices."""
    catalog = converse(connector.discover(), transport.exchange, connector.name)
    read = choose(catalog, known, connection=settings.name, wanted=wanted, mode=settings.mode, full=full, started_at=started_at)
    slices = converse(connector.slices(read), transport.exchange, connector.name)
    return Plan(read, slices, fingerprint(settings, connector.version))


def specs(connection: str, plan: Plan) -> dict[str, DatasetSpec]:
    """Say to the snapshots what each stream is; of its schema, what was declared: the rest is known from the last snapshot."""
    made = {}
    for stream in plan.read.streams:
        declared = pa.schema([field for field in stream.schema if field.name not in stream.found])
        dataset = DatasetId(connection, stream.name)
        made[stream.name] = DatasetSpec(dataset, stream.primary_key, stream.classes, stream.contract, declared)
    return made


def address(request: Request) -> str:
    """Name a request in the raw archive."""
    return request.full_url if request.body is None else f"{request.full_url}#{hashlib.sha256(request.body).hexdigest()}"


@dataclass(slots=True)
class Archive:
    """Puts exchanges in the raw archive of a draft, when the connection keeps one."""

    draft: Draft
    kept: bool
    clock: Clock

    def exchange(self, request: Request, response: Response, filed: Filed | None) -> None:
        """Keep a response; of one whose bytes are in the document store, its name there instead of them."""
        if self.kept:
            received = (response.received_at or self.clock()).isoformat()
            headers = tuple(response.headers.items())
            kept = filed.document if filed else ""
            self.draft.archive(
                RawExchange(request.method, address(request), response.status, headers, response.body, received, kept),
                response.content,
            )

    def note(self, method: str, content: Json) -> None:
        """Keep something of ours beside the responses."""
        if self.kept:
            body = msgspec.json.encode(content)
            self.draft.archive(RawExchange(method, "", 0, (), body, self.clock().isoformat()))


def begin(draft: Draft, plan: Plan, point: ResumePoint, archive: Archive, shelving: Shelving) -> Landing:
    """Open the writer of an attempt, and say in the archive where it starts from."""
    if point.attempts:
        archive.note(RESUME, {key: [each.done, each.position] for key, each in point.slices.items()})
    else:
        archive.note(PLAN, to_json(plan))
    point.attempts += 1
    return Landing(draft, archive.exchange, point, shelving, aside=draft.folder)


def read(
    connector: Connector,
    plan: Plan,
    landing: Landing,
    send: Callable[[tuple[Request, ...]], tuple[Response, ...]],
    shelving: Shelving,
    *,
    run: str,
    threads: int,
    progress: Progress,
    stop: threading.Event,
) -> None:
    """Read what is left of every slice, to the last checkpoint.

    Errors: the gravest fault met, once what came before it, and of other slices beside it, is safe; Interrupted when asked to
    stop. A fault of the writer itself is raised at once: the last checkpoint stands.
    """
    point = landing.point
    left = [(part, point.slices[part.key].position if part.key in point.slices else None) for part in plan.slices]
    work = [(part, position) for part, position in left if part.key not in point.slices or not point.slices[part.key].done]
    readers = Readers(connector, plan.read, work, send, shelving, threads=threads, memory=MEMORY)
    meter = _Meter(run, landing, len(plan.slices), len(plan.read.streams), progress)
    fault: Fault | None = None
    halting = False
    deadline: float | None = None
    progress.emit(Phase(run, "reading"))
    readers.start()
    try:
        while True:
            reading = readers.reading
            item = readers.get(0.05 if reading else 0.0)
            if item is None and (not reading or (deadline is not None and time.monotonic() > deadline)):
                break
            if item is not None and isinstance(item.what, Stopped):
                fault = _graver(fault, item.what.fault)
                halting = halting or not item.what.alone
            elif item is not None:
                landing.take(item)
                if landing.due:
                    landing.checkpoint()
            if deadline is None and (halting or stop.is_set()):
                readers.halt()
                deadline = time.monotonic() + GRACE
            meter.tell(item)
    finally:
        readers.close(0.0)
    landing.checkpoint()
    meter.tell(None, always=True)
    if fault is not None:
        raise fault
    if point.slices_done < len(plan.slices):
        raise Interrupted


def _graver(one: Fault | None, two: Fault) -> Fault:
    """Keep what matters of two faults: a real one over a pause, the longest of two pauses, any over a mere stop."""
    if one is None or isinstance(one, Interrupted):
        return two
    if isinstance(one, Waiting) and isinstance(two, Waiting):
        return max(one, two, key=lambda each: str(each.fields["until"]))
    return two if isinstance(one, Waiting) and not isinstance(two, Interrupted) else one


class _Meter:
    """Tells how far the reading is, four times a second."""

    def __init__(self, run: str, landing: Landing, slices: int, streams: int, progress: Progress) -> None:
        self._run, self._point, self._slices, self._streams, self._progress = run, landing.point, slices, streams, progress
        self._began, self._at_first, self._told = time.monotonic(), landing.point.rows, 0.0
        self._stream: str | None = None

    def tell(self, item: object, *, always: bool = False) -> None:
        """Emit an event when it is time."""
        stream = getattr(getattr(item, "what", None), "stream", None)
        self._stream = stream or self._stream
        present = time.monotonic()
        if not always and present - self._told < TICK:
            return
        self._told, point = present, self._point
        spent = max(present - self._began, 0.001)
        self._progress.emit(
            Reading(
                self._run, point.rows, point.pages, point.requests, point.bytes_in, (point.rows - self._at_first) / spent,
                point.slices_done, self._slices, self._stream, self._expected(),
            )
        )  # fmt: skip

    def _expected(self) -> int | None:
        told = [each for each in self._point.evidence if each.check == "vendor_count" and "count" in each.detail]
        counts = {each.stream: int(each.detail["count"]) for each in told}
        return sum(counts.values()) if len(counts) == self._streams else None
