"""Asking every witness while a service runs, each in a thread of its own: one that is slow or down holds nobody.

1. Each is asked when a checkpoint was signed that it has not seen, once at the start (a `state.db` put back is seen then), and
   every hour.
2. One that fails is asked again after a time that doubles, up to a minute.
3. Troubles are told once a change of state; a defect of ours is logged by its type and counts as no answer. Nothing that a
   witness does stops the service; its stop waits for the last asking, which is bounded in time.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from sovereign.audit.checkpoint import Checkpoint
from sovereign.audit.errors import Unreachable
from sovereign.audit.standing import Standing, witnessed
from sovereign.audit.witnesses import Asking, Witnesses
from vault.errors import Fault

AGAIN: Final = 3600.0
FIRST: Final = 2.0
LONGEST: Final = 60.0
"""Seconds: between two askings when nothing was entered; before a failed one is tried again, at first and at most."""

_LOG: Final = logging.getLogger(__name__)


class Witnessing:
    """Has each checkpoint cosigned until it is left, and the last one too; a context manager.

    trouble: told of a fault of a witness, once until it changes. back: told the name of one that answers again.
    """

    def __init__(
        self, witnesses: Witnesses, trouble: Callable[[Fault], None], back: Callable[[str], None] = lambda _: None,
        *, again: float = AGAIN, first: float = FIRST,
    ) -> None:  # fmt: skip
        self._witnesses, self._trouble, self._back = witnesses, trouble, back
        self._again, self._first, self._stop, self._size = again, first, threading.Event(), 0
        self._woken = {name: threading.Event() for name in witnesses.keys}
        self._stand = {name: Standing(name, "asked") for name in witnesses.keys}
        self._threads = [
            threading.Thread(target=self._run, args=(name,), name=f"witness-{name}", daemon=True) for name in self._woken
        ]

    def wake(self, checkpoint: Checkpoint) -> None:
        """Say which checkpoint stands signed: whoever has not seen as much is asked."""
        self._size = checkpoint.size
        for name, woken in self._woken.items():
            if self._stand[name].size < checkpoint.size:
                woken.set()

    def gauges(self) -> str:
        """How far each has seen, as Prometheus reads it; nothing when there is no witness."""
        if not self._woken:
            return ""
        stand = list(self._stand.values())
        size = witnessed([each.size for each in stand], self._witnesses.wanted)
        lines = [
            "# TYPE sovereign_audit_signed_entries gauge", f"sovereign_audit_signed_entries {self._size}",
            "# TYPE sovereign_audit_witnessed_entries gauge", f"sovereign_audit_witnessed_entries {size}",
            "# TYPE sovereign_audit_witness_entries gauge",
            *(f'sovereign_audit_witness_entries{{witness="{each.name}"}} {each.size}' for each in stand),
            "# TYPE sovereign_audit_witness_up gauge",
            *(f'sovereign_audit_witness_up{{witness="{each.name}"}} {int(each.state == "cosigning")}' for each in stand),
        ]  # fmt: skip
        return "\n".join(lines) + "\n"

    def _run(self, name: str) -> None:
        woken, pause, failed = self._woken[name], self._first, ""
        with self._witnesses.asking(name) as asking:
            while not self._stop.is_set():
                woken.clear()
                fault = self._ask(asking)
                if fault is None:
                    if failed:
                        self._back(name)
                    pause, failed = self._first, ""
                    woken.wait(self._again)
                    continue
                said = f"{fault.code} {fault.fields.get('how', '')}"
                if said != failed:
                    self._trouble(fault)
                failed = said
                self._stop.wait(pause)
                pause = min(2 * pause, LONGEST)
            if not failed and self._stand[name].size < self._size:
                self._ask(asking)

    def _ask(self, asking: Asking) -> Fault | None:
        try:
            asking.ask()
        except Fault as fault:
            return fault
        except Exception as error:  # noqa: BLE001 - a defect with one witness must not leave the log unwitnessed in silence
            _LOG.error("witness %s: defect %s", asking.name, type(error).__name__)
            return Unreachable(witness=asking.name, reason="defect")
        finally:
            self._stand[asking.name] = asking.standing
        return None

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for woken in self._woken.values():
            woken.set()
        for thread in self._threads:
            thread.join()
