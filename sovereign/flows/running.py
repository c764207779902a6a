"""The bus at work: a thread that looks and works until it is told to end.

It looks each second, and at once when it is woken. What goes wrong is told once, until it goes well again; nothing that a
flow meets ends the thread.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from sovereign.flows.bus import Bus
from sovereign.flows.errors import Unforeseen
from sovereign.flows.ports import Front
from sovereign.flows.taking import HOUSE
from vault.errors import Fault

EVERY: Final = 1.0
"""Seconds between two looks, when nothing wakes it."""


class Working:
    """The thread of a bus. trouble: told of each fault that is new."""

    def __init__(self, bus: Bus, front: Front, trouble: Callable[[Fault], None] = lambda _: None) -> None:
        self._bus, self._front, self._trouble = bus, front, trouble
        self._woken, self._ending = threading.Event(), False
        self._told: set[str] = set()
        self._seen: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="flows", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Look at once."""
        self._woken.set()

    def close(self) -> None:
        """End, when what it is at is done."""
        self._ending = True
        self._woken.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending:
            self._woken.clear()
            self._seen = set()
            with suppress(*HOUSE):
                self._once()
            self._told = self._seen
            self._woken.wait(EVERY)

    def _once(self) -> None:
        try:
            self._bus.look(self._tell)
            while not self._ending and self._bus.work(self._front):
                pass
        except Fault as fault:
            self._tell(fault)
        except HOUSE:
            raise
        except Exception as error:  # noqa: BLE001 - a thread that ended would close no account any more
            self._tell(Unforeseen(flow="*", kind=type(error).__name__))

    def _tell(self, fault: Fault) -> None:
        said = str(fault)
        if said not in self._told | self._seen:
            self._trouble(fault)
        self._seen.add(said)
