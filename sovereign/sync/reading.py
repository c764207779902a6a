"""The readers: threads that drive the connector's generators, and hand over what comes in the order of each slice.

1. A reader takes one slice at a time, asks what the generator asks, and puts on the channel, in this order: each
   response with its request, then the pages and the evidence made from it, then the slice's end with its cursors.
2. Of a response outside the 2xx family only the status is kept: its body reaches the connector, which raises its own fault, and
   nothing else.
3. A wrong answer stops its own slice: what other streams give is as good as ever. Any other fault (the network, a pause, a
   refused credential, a lost position) stops every reader. A fault of ours in a connector is named by its type and place, never
   by its message, which may quote a record.
4. A reader opens no socket and writes no file.
5. The answer to a request marked `document` waits for the `Document` that the connector makes of it: it is then put on the
   channel without its body, after the document. One that became none before the next position, or before `WAITING` bytes of
   them wait, is put there whole, and so kept raw.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from saas_connectors.connector import (
    Connector,
    Document,
    Evidence,
    Exchange,
    Fetch,
    Filed,
    Holding,
    Json,
    Page,
    ReadPlan,
    Slice,
    T,
    Told,
    Withdrawn,
)
from saas_connectors.errors import ConnectorError, ResumeLost, Unauthorized
from saas_connectors.request import Request, Response
from sovereign.sync.channel import Channel
from sovereign.sync.errors import ConnectorFailed
from sovereign.sync.shelving import Desk
from vault.content import Content
from vault.errors import Fault

WAITING: Final = 32 * 2**20
"""Bytes of documents fetched and not handed over that a slice may hold, before they are kept raw."""
ASIDE: Final = 4 * 2**20
"""Bytes, at most, for which one answer that was put aside counts among those that wait to be written."""

Send: TypeAlias = Callable[[tuple[Request, ...]], tuple[Response, ...]]
"""Exchanges requests for responses, in their order."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A response and the request it answers; of an unsuccessful one, the status alone; of a document, all but its bytes."""

    request: Request
    response: Response
    filed: Filed | None = None


@dataclass(frozen=True, slots=True)
class Filing:
    """A document on its way to the store, and its name there."""

    document: Document
    filed: Filed


@dataclass(frozen=True, slots=True)
class Ended:
    """A slice was read to its end; the cursors of its streams."""

    cursors: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Stopped:
    """A reader met a fault."""

    fault: Fault

    @property
    def alone(self) -> bool:
        """Whether the other slices may go on."""
        return isinstance(self.fault, ConnectorError | ConnectorFailed) and not isinstance(
            self.fault, Unauthorized | ResumeLost
        )


@dataclass(frozen=True, slots=True)
class Item:
    """Something read, and the key of the slice it belongs to."""

    key: str
    what: Answered | Filing | Page | Withdrawn | Evidence | Ended | Stopped


class Readers:
    """Reads the slices of a plan concurrently."""

    def __init__(
        self,
        connector: Connector,
        plan: ReadPlan,
        work: list[tuple[Slice, Json]],
        send: Send,
        desk: Desk,
        *,
        threads: int,
        memory: int,
    ) -> None:
        """Prepare to read `work`: slices and the position each starts at.

        `threads` slices at once at most; `memory`: bytes of responses, documents and records that may wait to be written.
        """
        self._connector, self._plan, self._send, self._desk = connector, plan, send, desk
        self._work: Iterator[tuple[Slice, Json]] = iter(work)
        self._taking = threading.Lock()
        self._halt = threading.Event()
        self._channel: Channel[Item] = Channel(memory)
        self._threads = [
            threading.Thread(target=self._run, name=f"reader-{n}", daemon=True) for n in range(min(threads, len(work)))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def get(self, timeout: float) -> Item | None:
        """Take the next item, or None when none came within `timeout` seconds."""
        return self._channel.get(timeout)

    @property
    def reading(self) -> bool:
        """Whether something may still come."""
        return any(thread.is_alive() for thread in self._threads)

    def halt(self) -> None:
        """Ask the readers to stop at their next page."""
        self._halt.set()

    def close(self, timeout: float = 5.0) -> None:
        """Stop, and drop what is left. A reader deep in a request ends by itself when its answer or its time limit comes."""
        self._halt.set()
        self._channel.close()
        for thread in self._threads:
            thread.join(timeout)

    def _run(self) -> None:
        while not self._halt.is_set():
            with self._taking:
                part, position = next(self._work, (None, None))
            if part is None:
                return
            try:
                self._read(part, position)
            except Fault as fault:
                self._stop(part.key, fault)
            except Exception as error:  # noqa: BLE001 — whatever a connector does, the run ends in a fault that can be shown
                self._stop(part.key, defect(self._connector.name, error))

    def _stop(self, key: str, fault: Fault) -> None:
        stopped = Stopped(fault)
        if not stopped.alone:
            self._halt.set()
        self._channel.put(Item(key, stopped), 0)

    def _read(self, part: Slice, position: Json) -> None:
        reading = self._connector.read(self._plan, part, position)
        told: Told = None
        loose: list[Answered] = []
        try:
            while not self._halt.is_set():
                asked = reading.send(told)
                told = None
                if isinstance(asked, Fetch):
                    told = self._fetch(part, asked, loose)
                elif isinstance(asked, Holding):
                    told = self._desk.held(asked)
                elif isinstance(asked, Document):
                    told = self._file(part, asked, loose)
                else:
                    if isinstance(asked, Page) and asked.position is not None:
                        self._keep(part, loose)
                    self._put(part, asked, asked.records.nbytes if isinstance(asked, Page) else 0)
        except StopIteration as end:
            self._keep(part, loose)
            self._put(part, Ended(end.value or {}), 0)
        finally:
            reading.close()

    def _fetch(self, part: Slice, asked: Fetch, loose: list[Answered]) -> tuple[Response, ...]:
        answers = self._send(asked.requests)
        for request, response in zip(asked.requests, answers, strict=True):
            good = 200 <= response.status < 300
            answered = Answered(request, response if good else Response(response.status, response.url, b""))
            if good and request.document:
                loose.append(answered)
            else:
                self._put(part, answered, _weight(answered.response.given))
        if sum(len(each.response.body) for each in loose) > WAITING:
            self._keep(part, loose)
        return answers

    def _file(self, part: Slice, document: Document, loose: list[Answered]) -> Filed:
        filed = self._desk.name(document)
        self._put(part, Filing(document, filed), _weight(document.content))
        self._desk.coming(document, filed)
        at = origin(document, [each.response for each in loose])
        if at is not None:
            answered = loose.pop(at)
            self._put(part, Answered(answered.request, replace(answered.response, body=b"", content=None), filed), 0)
        return filed

    def _keep(self, part: Slice, loose: list[Answered]) -> None:
        """Keep raw the documents that were fetched and never handed over."""
        for answered in loose:
            self._put(part, answered, _weight(answered.response.given))
        loose.clear()

    def _put(self, part: Slice, what: Answered | Filing | Page | Withdrawn | Evidence | Ended, size: int) -> None:
        self._channel.put(Item(part.key, what), size)


def _weight(given: bytes | Content) -> int:
    """What something that waits costs; what was put aside keeps a file open, and its place on the disk."""
    return len(given) if isinstance(given, bytes) else min(given.size, ASIDE)


def origin(document: Document, responses: Sequence[Response]) -> int | None:
    """Find the response whose bytes a document is: the very same object first, else an equal one."""
    for at, response in enumerate(responses):
        if document.content is response.given:
            return at
    return next((at for at, response in enumerate(responses) if response.given == document.content), None)


def converse(exchange: Exchange[T], send: Send, connector: str) -> T:
    """Carry a short conversation (check, discover, slices) to its end and give its result."""
    try:
        asked = next(exchange)
        while True:
            asked = exchange.send(send(asked.requests))
    except StopIteration as end:
        result: T = end.value
        return result
    except Fault:
        raise
    except Exception as error:  # noqa: BLE001 — as for a reader
        raise defect(connector, error) from None
    finally:
        exchange.close()


def defect(connector: str, error: BaseException) -> ConnectorFailed:
    """Name a defect of a connector by its type and place."""
    trace = error.__traceback__
    where = "?"
    while trace is not None:
        where = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return ConnectorFailed(connector=connector, error=type(error).__name__, where=where)
