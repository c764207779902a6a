"""Backups on a cadence, made by `sovereign serve` in a thread of their own.

1. A due time is claimed once, in the diary of jobs, under the name of `backed_up.JOB`; several that were missed make one.
2. What failed is tried again, later and later, until it is done or the next one is due; what its process died of, or a stop
   cut, is made when serving starts. Each failure is entered in the log (`backup.failed`), which the receiver of events is sent.
3. After a backup, old ones are pruned by `[backup.keep]`. A pruning that fails is entered too, and leaves the backup made.
4. It asks nobody anything: keys are those that serving opened, and the secret key of a store is sealed in the site.
5. While a person makes or prunes a backup it waits, and looks again.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sqlalchemy.exc import SQLAlchemyError

from sovereign import backed_up
from sovereign.audit.repeating import Repeating
from sovereign.backup import creating, pruning, targets
from sovereign.state import Jobs as Diary
from vault import files
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.site import Site

LOOK: Final = 5.0
"""Seconds between two looks at what is due."""
AGAIN: Final = 300.0
"""Seconds before a backup that failed is tried again; each failure doubles it, up to `LATEST`."""
LATEST: Final = 3600.0
_TRIED_AGAIN: Final = ("started", "failed", "interrupted")


class _StopAsked(Exception):
    """The service stops: the backup under way is left, and what it copied is not copied again."""


class Scheduled:
    """The backups that are due on a site. stop: says whether a backup under way has to end. Errors: BadCadence."""

    def __init__(self, site: "Site", stop: Callable[[], bool] = lambda: False) -> None:
        self._site, self._stop = site, stop
        self._diary = Diary(site.state, site.clock)
        self._left = self._left_undone()
        """The due time whose backup is not made yet."""

    def look(self) -> None:
        """Make the backup that is due, or was left undone; errors: those of a backup."""
        cadence, present = backed_up.cadence(self._site.settings), self._site.clock()
        if cadence is None or files.busy(self._site.root / backed_up.TURN):
            return
        job = self._diary.get(backed_up.JOB)
        if job is None or job.due_at is None or job.cadence != cadence.text:
            self._diary.plan(backed_up.JOB, cadence.text, cadence.after(present, backed_up.JOB))
        elif job.due_at <= present:
            with self._site.state.begin() as transaction:
                claimed = self._diary.claim(backed_up.JOB, job.due_at, within=transaction)
                self._diary.plan(backed_up.JOB, cadence.text, cadence.after(present, backed_up.JOB), within=transaction)
            self._left = claimed or self._left
        if self._left is not None:
            self._make(self._left)
            self._left = None

    def _left_undone(self) -> str | None:
        latest = self._diary.history(backed_up.JOB, limit=1)
        return latest[0].id if latest and latest[0].state in _TRIED_AGAIN else None

    def _make(self, occurrence: str) -> None:
        site, settings = self._site, self._site.settings.backup
        try:
            target, keys = targets.named(site, None), targets.keys_of(site, None)
            made = creating.create(site, target, keys, self._told)
        except _StopAsked:
            self._diary.settle(occurrence, "interrupted")
            return
        except (Fault, OSError, SQLAlchemyError) as error:
            self._failed(occurrence, "failed", error)
            raise
        if settings.keep is not None:
            try:
                pruning.prune(site, target, targets.policy_of(site), keys=keys)
            except (Fault, OSError, SQLAlchemyError) as error:
                self._left = None
                self._failed(occurrence, "partial", error, made.record.id)
                raise
        self._diary.settle(occurrence, "succeeded", run=made.record.id)

    def _failed(self, occurrence: str, state: str, error: Exception, made: str | None = None) -> None:
        code = error.code if isinstance(error, Fault) else f"backup.{type(error).__name__}"
        facts = {"job": occurrence, "step": "create" if made is None else "prune", "error": code}
        self._site.audit.append("backup.failed", {}, facts, {"target": self._site.settings.backup.target or ""})
        self._diary.settle(occurrence, state, run=made, error=code)

    def _told(self, _done: int, _all: int) -> None:
        if self._stop():
            raise _StopAsked


class Backing(Repeating):
    """Makes backups when they are due, in a thread, until it is left; a context manager. trouble: told of a fault.

    Errors: BadCadence.
    """

    def __init__(self, site: "Site", trouble: Callable[[Fault], None], *, look: float = LOOK, again: float = AGAIN) -> None:
        def stopping() -> bool:
            return self.stop.is_set()

        super().__init__("backups", Scheduled(site, stopping).look, trouble, every=look, again=again, latest=LATEST)
