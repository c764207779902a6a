"""The way out that the gateway uses: one a connection, on the event loop, under the same rules and budget as the pulls.

1. A write is put on the wire at most once; the one thing that is sent again is a request that the vendor refused with 401 for a
   token out of date. A read is tried a second time, at once, when a connection that had been kept gave no byte of an answer.
2. An error whose `may_have_arrived` is False was raised before any byte of the request reached an open connection, or after the
   vendor refused it (401). Of anything else, a cancellation included, `Progress.left` says it.
3. What the authentication asks for itself is not the request: when that fails, the request was not sent (`NoCredential`).
4. A host that asked to be left alone is not waited for unless `patience` is given: `Waiting` carries the instant.
5. Redirections are not followed, cookies not kept, the environment not read, errors never quote a library.

A channel belongs to the event loop that first sends on it.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from types import TracebackType
from typing import Self, cast

from saas_connectors.auth import Auth
from saas_connectors.errors import ConnectorError, refuses
from saas_connectors.request import Request, Response
from sovereign.clock import Clock
from sovereign.egress import errors
from sovereign.egress.admission import Admission, Step
from sovereign.egress.answer import Answer
from sovereign.egress.budget import BUDGETS, Budgets
from sovereign.egress.counters import Remark
from sovereign.egress.outlet import Outlet
from sovereign.egress.policy import EgressPolicy, Resolve
from sovereign.egress.remarks import remarks
from sovereign.egress.upload import Source, Upload
from sovereign.egress.wire import Progress


class Channel:
    """The way out of one connection, for the event loop."""

    def __init__(self, policy: EgressPolicy, auth: Auth | None, clock: Clock, budgets: Budgets, resolve: Resolve) -> None:
        self._policy, self._admission = policy, Admission(policy, auth)
        self._outlet = Outlet(policy, self._admission, clock, budgets, resolve)
        self.counters = self._outlet.counters
        self._renewing = asyncio.Lock()

    async def send(
        self,
        request: Request,
        *,
        stream_body: Source | None = None,
        length: int | None = None,
        cap: int | None = None,
        patience: float = 0.0,
        progress: Progress | None = None,
    ) -> Response:
        """Send one request, and give the whole answer; arguments and errors as `stream`."""
        async with self.stream(
            request, stream_body=stream_body, length=length, cap=cap, patience=patience, progress=progress
        ) as answer:
            return Response(answer.status, answer.url, await answer.read(), answer.headers, answer.received_at)

    @asynccontextmanager
    async def stream(
        self,
        request: Request,
        *,
        stream_body: Source | None = None,
        length: int | None = None,
        cap: int | None = None,
        patience: float = 0.0,
        progress: Progress | None = None,
    ) -> AsyncIterator[Answer]:
        """Send one request, and give the answer as it comes, until the context is left.

        stream_body: sent instead of the request's body, in chunks, or as `length` bytes when given; a function gives it anew
        where a token out of date has the request sent again. cap: the most of it, in
        bytes (None: the connection's `max_bytes`). patience: seconds that a closed host may be waited for. progress: is told
        how far the request went, for a caller that may be cancelled. Errors: EgressError.
        """
        progress = progress or Progress()
        upload = await self._upload(stream_body, length, cap, request) if stream_body is not None else None
        answer: Answer | None = None
        try:
            answer = await self._converse(request, upload, patience, progress)
            yield answer
        finally:
            if answer is not None:
                answer.close()
            if upload is not None:
                await upload.close()

    def describe(self) -> tuple[Remark, ...]:
        """What guards this way out, and what they cannot see."""
        return remarks(self._policy, self._admission.origins)

    async def close(self) -> None:
        """Close the sockets; what is in flight breaks."""
        await self._outlet.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _upload(self, source: Source, length: int | None, cap: int | None, request: Request) -> Upload:
        """Take the first piece of a streamed body; errors: Refused when its length passes its cap, NotSent."""
        cap = self._policy.max_bytes if cap is None else cap
        host, connection = self._admission.own.host, self._policy.connection
        if request.body is not None or (length is not None and length > cap):
            raise errors.Refused("egress.upload", host, connection)
        upload = Upload(source, length, cap)
        await self._begin(upload)
        return upload

    async def _begin(self, upload: Upload) -> None:
        """Take the first piece; errors: NotSent."""
        try:
            await upload.begin()
        except Exception:  # noqa: BLE001 — whatever the source raises, nothing was sent
            host, connection = self._admission.own.host, self._policy.connection
            raise errors.NotSent(host=host, connection=connection, reason="upload") from None

    async def _converse(  # noqa: C901 — one conversation, told in its order
        self, request: Request, upload: Upload | None, patience: float, progress: Progress
    ) -> Answer:
        """Run the authentication around a request; gives the answer to the request."""
        steps = self._admission.steps(request)
        answer: Answer | None = None
        renewing, sent = False, 0
        try:
            step = next(steps)
            while True:
                if not step.own:
                    if renewing:
                        self._renewing.release()
                        renewing = False
                    if sent and upload is not None:
                        await self._begin(upload)
                    answer = await self._outlet.put(step, upload, patience, progress)
                    sent += 1
                    if answer.status != 401 or sent > 1:
                        return answer
                    # Refused: it had no effect. The flow may have a newer token, or ask for one.
                    response = await _whole(answer)
                    answer = _kept(response)
                    progress.left = False
                elif renewing:
                    response = await self._token(step, patience)
                else:
                    late, renewing = self._renewing.locked(), await self._renewing.acquire()
                    if late:
                        # Another task renewed it meanwhile: its token is tried rather than a second one asked for.
                        steps.close()
                        steps = self._admission.steps(request)
                        step = next(steps)
                    continue
                step = steps.send(response)
                if upload is not None and answer is not None and not upload.repeats:
                    # What was streamed cannot be sent again; the token is dropped, and the next request renews it.
                    return answer
        except StopIteration:
            return cast(Answer, answer)
        except ConnectorError as error:
            host, refused = self._admission.own.host, refuses(error)
            raise errors.NoCredential(
                host=host, connection=self._policy.connection, reason=error.code, refused=refused
            ) from None
        finally:
            steps.close()
            if renewing:
                self._renewing.release()

    async def _token(self, step: Step, patience: float) -> Response:
        """Put a request of the authentication's own; when it fails, the request that wanted it was not sent."""
        try:
            return await _whole(await self._outlet.put(step, None, patience, Progress()))
        except errors.EgressError as fault:
            if not fault.may_have_arrived:
                raise
            host = step.place.host
            raise errors.NoCredential(host=host, connection=self._policy.connection, reason=fault.code) from None


def open_channel(
    policy: EgressPolicy,
    auth: Auth | None,
    clock: Clock,
    *,
    budgets: Budgets = BUDGETS,
    resolve: Resolve = socket.getaddrinfo,
) -> Channel:
    """Open the way out of a connection for the gateway; nothing is dialled yet.

    budgets: shared by the whole process, pulls included. resolve: as `socket.getaddrinfo`. Errors: Refused when the address
    itself is not allowed, TlsFailed when a certificate file cannot be read.
    """
    return Channel(policy, auth, clock, budgets, resolve)


async def _whole(answer: Answer) -> Response:
    return Response(answer.status, answer.url, await answer.read(), answer.headers, answer.received_at)


def _kept(response: Response) -> Answer:
    """An answer that was read already."""
    received = cast(datetime, response.received_at)
    return Answer(response.status, response.url, response.headers, received, response.body, close=lambda: None)
