"""The gateway and its door on a thread with an event loop of their own, beside the jobs of the same process.

What must live on the loop (the gateway, the ways out) is opened there. A failure at the start is raised to whoever starts; a
later one asks the whole process to stop, and is raised at the end: a service never goes on with half of itself.
"""

import asyncio
import gc
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from types import TracebackType
from typing import Final, Generic, Self, TypeVar

from sovereign.api.app import App, House
from sovereign.api.server import listening, serve, tls
from sovereign.settings import GatewaySettings

_COLLECTED: Final = (20_000, 20, 50)
"""How many new objects, and rounds, come before each generation is collected (`gc.set_threshold`)."""
Opened = Callable[[], AbstractAsyncContextManager[House]]
"""Opens the rooms on the running loop, and closes them."""


class Running:
    """The door while it is open: a context manager. `stop` is set when it fails; `address` is what it listens on."""

    def __init__(self, opened: Opened, settings: GatewaySettings, root: Path, stop: threading.Event) -> None:
        self._opened, self._settings, self._root, self._stop = opened, settings, root, stop
        self._started = threading.Event()
        self._error: BaseException | None = None
        self._ending: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self.address = ""

    def __enter__(self) -> Self:
        tls(self._settings, self._root)
        self._bound = listening(self._settings)
        host, port = self._bound.getsockname()[:2]
        self.address = f"{'https' if self._settings.certificate else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - told to whoever waits on the other thread
            self._error = error
        finally:
            self._bound.close()
            if self._error is not None:
                self._stop.set()
            self._started.set()

    async def _serve(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        async with self._opened() as house:
            door = asyncio.create_task(serve(App(house), self._settings, self._root, self._bound, ended))
            moving = asyncio.create_task(house.gateway.run(ended))
            _settle_memory()
            self._ending = lambda: loop.call_soon_threadsafe(ended.set) if not loop.is_closed() else None
            self._started.set()
            try:
                await asyncio.wait({door, moving}, return_when=asyncio.FIRST_EXCEPTION)
            finally:
                ended.set()
                await asyncio.gather(door, moving)


T = TypeVar("T")


class Loop(Generic[T]):
    """An event loop on a thread of its own, for as long as something opened on it is needed: a context manager of that."""

    def __init__(self, opened: Callable[[], AbstractAsyncContextManager[T]]) -> None:
        self._opened, self._given = opened, Future[T]()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="loop", daemon=True)
        self._ending: Callable[[], object] = lambda: None

    def __enter__(self) -> T:
        self._thread.start()
        return self._given.result()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ending()
        self._thread.join()

    async def _run(self) -> None:
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        self._ending = lambda: loop.call_soon_threadsafe(ended.set) if not loop.is_closed() else None
        try:
            async with self._opened() as made:
                self._given.set_result(made)
                await ended.wait()
        except BaseException as error:  # told to whoever waits on the other thread
            if self._given.done():
                raise
            self._given.set_exception(error)


def _settle_memory() -> None:
    """Leave out of every later collection what a service keeps for its whole life: going over it again stalls all who wait."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_COLLECTED)
