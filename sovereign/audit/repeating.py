"""One act done again and again in a thread of its own while a service runs; later and later while it fails.

1. A fault ends no service: it is told once, until the next success.
2. Nor does a defect: its type is logged, nothing of what it says, and it waits as a fault does.
3. After either the next try waits `again` seconds, twice as long at each failure, up to `latest`.
4. Leaving it waits for the act that is under way; an act that may last looks at `stop`.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from vault.errors import Fault

_DOUBLINGS = 16
_LOG = logging.getLogger(__name__)


class Repeating:
    """The thread, as a context manager. name: of the thread; every: seconds between two acts; trouble: told of a fault."""

    def __init__(
        self,
        name: str,
        act: Callable[[], object],
        trouble: Callable[[Fault], None],
        *,
        every: float,
        again: float,
        latest: float,
    ) -> None:
        self._act, self._trouble = act, trouble
        self._every, self._again, self._latest = every, again, latest
        self.stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self) -> None:
        failed, pause = 0, 0.0
        while not self.stop.wait(pause):
            pause = self._every
            try:
                self._act()
                failed = 0
                continue
            except Fault as fault:
                if not failed:
                    self._trouble(fault)
            except Exception as error:  # noqa: BLE001 - a thread that ended would say nothing any more, of anything
                _LOG.error("%s rests after %s", self._thread.name, type(error).__name__)
            pause = min(self._latest, self._again * 2.0**failed)
            failed = min(failed + 1, _DOUBLINGS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop.set()
        self._thread.join()
