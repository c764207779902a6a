"""How seldom a credential that a vendor refused is shown to it again: on the event loop for the gateway, on threads for runs.

1. What is refused is a 401 that stands once the authentication renewed what it could, or a token that is not given (4xx).
2. A credential that was not accepted for a while (`PROVEN`) is shown by one request alone; what waited behind it when it is
   refused does not leave (`CredentialRefused`). So one wrong password is shown once, however many requests come at once.
3. `Spared` remembers for some seconds, until whoever sends has written down that the connection is closed.
4. `Sparing` asks a `Ledger` before a run shows anything, and tells it. A first 401 is written down, and one more request is let
   through, for some vendors answer 401 for a single resource: what is accepted after it takes it back, a second in a row ends
   it. What comes last counts, for a vendor's first page may be open to anyone.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from saas_connectors.errors import refuses
from saas_connectors.request import Request, Response
from sovereign.egress.counters import Counters, Remark
from sovereign.egress.errors import CredentialRefused, NoCredential
from sovereign.egress.origin import Origin, origin, split
from sovereign.egress.transport import Transport

PROVEN: Final = 900.0
"""Seconds for which a credential that was accepted is taken to be good."""
QUIET: Final = 5.0
"""Seconds for which nothing more leaves after a refusal, whoever asks."""
PATIENCE: Final = 5.0
"""Seconds that a request waits for another to prove the credential; a vendor that is slow holds up no more than that."""
_ALONE: Final = 20
"""Requests that go one by one where a credential that was refused is tried: its first pages may be open to anyone."""
_REFUSED: Final = 401


class Spared:
    """The credential of one connection, on one event loop. Times are those of a clock that nobody sets."""

    def __init__(self, connection: str, host: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._connection, self._host, self._monotonic = connection, host, monotonic
        self._turn = asyncio.Lock()
        self._accepted: float | None = None
        self._refused: float | None = None

    async def showing(self, ask: Callable[[], Awaitable[Response]]) -> Response:
        """Carry out a request that shows the credential. Errors: CredentialRefused, those of the request."""
        if self._proven():
            return await self._noted(ask)
        had = False
        with suppress(TimeoutError):
            had = await asyncio.wait_for(self._turn.acquire(), PATIENCE)
        try:
            if not self._proven():
                return await self._noted(ask)
        finally:
            if had:
                self._turn.release()
        return await self._noted(ask)  # the one before proved it: all that waited go at once

    def _proven(self) -> bool:
        return self._accepted is not None and self._monotonic() - self._accepted < PROVEN

    async def _noted(self, ask: Callable[[], Awaitable[Response]]) -> Response:
        if self._refused is not None and self._monotonic() - self._refused < QUIET:
            raise CredentialRefused(connection=self._connection, host=self._host)
        try:
            response = await ask()
        except NoCredential as error:
            if error.refused:
                self._refuse()
            raise
        if response.status == _REFUSED:
            self._refuse()
        else:
            self._accepted = self._monotonic()
        return response

    def _refuse(self) -> None:
        self._accepted, self._refused = None, self._monotonic()


class Ledger(Protocol):
    """Where it is kept that the credential of a connection was refused to its runs. Safe to use from several threads."""

    def admit(self) -> Literal["all", "one", "none"]:
        """Whether it may be shown now: `one` is the try that is due of a refused one, the next being put off first."""
        ...

    def refuse(self, why: str, times: int) -> None:
        """Keep that it was refused, so many more times. why: a code."""
        ...

    def accept(self) -> None:
        """Keep that it was accepted."""
        ...


class Sparing:
    """A way out that shows no refused credential; see `transport.Transport`. own: where the credential is shown."""

    def __init__(self, inner: Transport, ledger: Ledger, connection: str, own: Origin) -> None:
        self.counters: Counters = inner.counters
        self._inner, self._ledger, self._connection, self._own = inner, ledger, connection, own
        self._lock = threading.Lock()
        self._first: threading.Lock | None = threading.Lock()
        """Held by the request that proves the credential; None once it was accepted."""
        self._strikes, self._admitted, self._alone = 0, False, 0
        self._accepted, self._owed = False, ""
        """Why it was refused last, where that is not kept yet."""

    def send(self, request: Request) -> Response:
        """Send one request. Errors: CredentialRefused, EgressError."""
        return self.exchange((request,))[0]

    def exchange(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        """Send requests at once, the first alone until the credential was accepted. Errors: CredentialRefused, EgressError."""
        answers: list[Response] = []
        while (first := self._first) is not None and len(answers) < len(requests):
            had = first.acquire(timeout=PATIENCE)
            try:
                self._may()
                answers += self._shown(requests[len(answers) :][:1])
            finally:
                if had:
                    first.release()
        left = requests[len(answers) :]
        return (*answers, *self._shown(left)) if left else tuple(answers)

    def describe(self) -> tuple[Remark, ...]:
        """What guards this way out, and what they cannot see."""
        return self._inner.describe()

    def close(self) -> None:
        """Close the sockets, and keep how it ended with the credential."""
        try:
            with self._lock:
                owed, accepted = self._owed, self._accepted and not self._strikes
                self._owed, self._accepted = "", False
                if owed:
                    self._ledger.refuse(owed, 1)
                elif accepted:
                    self._ledger.accept()
        finally:
            self._inner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _may(self) -> None:
        """Let pass what may show the credential. Errors: CredentialRefused."""
        with self._lock:
            if self._strikes < 2 and not self._admitted:
                passes = self._ledger.admit()
                self._admitted, self._alone = passes != "none", _ALONE if passes == "one" else 0
            if self._strikes < 2 and self._admitted:
                return
        raise CredentialRefused(connection=self._connection, host=self._own.host)

    def _shown(self, requests: tuple[Request, ...]) -> tuple[Response, ...]:
        if self._strikes > 1:
            raise CredentialRefused(connection=self._connection, host=self._own.host)
        try:
            answers = self._inner.exchange(requests)
        except Exception as error:
            if refuses(error):
                self._refuse(getattr(error, "code", "credential"), 2)
            raise
        for request, answer in zip(requests, answers, strict=True):
            if origin(*split(request.url)[:2]) != self._own:
                continue  # no credential was shown there
            if answer.status == _REFUSED:
                self._refuse(f"status.{answer.status}", 1)
            else:
                self._accept()
        return answers

    def _refuse(self, why: str, strikes: int) -> None:
        with self._lock:
            proven, self._strikes = self._first is None, self._strikes + strikes
            self._accepted = False
            if proven and self._strikes == 1:
                self._owed = why
                return
            times = strikes + bool(self._owed)
            self._owed, self._first = "", self._first or threading.Lock()
            self._ledger.refuse(why, times)

    def _accept(self) -> None:
        with self._lock:
            self._accepted, self._strikes, self._owed, self._alone = True, 0, "", self._alone - 1
            if self._alone < 0:
                self._first = None
