"""Whether the next attempt goes on with the draft of a run that stopped, or starts from nothing.

1. A draft is taken up while what was asked is what it was made for: same settings, same connector, no older than `STALE`.
2. It is kept after a fault when to go on beats to start again, which also reads anew the streams that came to their end.
3. A continued attempt that advanced nothing and met a wrong answer below 500 is stuck: the address of its resume point may
   have moved, and asking there again would bring the same. A 5xx is only a failure, a refused
   credential (401, 403) is not about the address.
"""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec

from saas_connectors.connector import Connector
from saas_connectors.errors import ConnectorError, Unauthorized, VendorError
from snapshots.draft import Draft
from snapshots.errors import ContractBroken
from sovereign.settings import Connection
from sovereign.sync.errors import ConnectorFailed
from sovereign.sync.fence import Fenced
from sovereign.sync.landing import Landing, ResumePoint
from sovereign.sync.plan import fingerprint, from_json
from sovereign.sync.progress import Progress
from vault.errors import Fault

STALE: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run was asked to do; `lost`: streams whose last snapshot is missing; `lifted`: without the guards."""

    connection: Connection
    streams: tuple[str, ...] | None
    full: bool
    trigger: str
    progress: Progress
    stop: threading.Event
    book: Fenced
    lost: frozenset[str]
    lifted: bool


def fits(asked: Asked, connector: Connector, draft: Draft, now: datetime) -> bool:
    """Whether a draft is of what is asked."""
    try:
        plan = from_json(draft.plan)
    except msgspec.ValidationError:
        return False
    read = plan.read
    return (
        plan.fingerprint == fingerprint(asked.connection, connector.version)
        and now - read.started_at < STALE
        and (not asked.full or all(mode == "full_refresh" for mode in read.modes.values()))
        and not any(mode == "incremental" for stream, mode in read.modes.items() if stream in asked.lost)
        and (asked.streams is None or {s.name for s in read.streams} >= set(asked.streams))
    )


def worth_keeping(landing: Landing | None, point: ResumePoint, fault: Fault) -> bool:
    """Whether to go on beats to start again, which also reads anew the streams that came to their end."""
    if point.finished and isinstance(fault, ConnectorError | ConnectorFailed):
        return False
    if landing is None or not (landing.point.pages or landing.point.slices_done):
        return False
    return landing.advanced or not isinstance(fault, ConnectorError | ConnectorFailed | ContractBroken)


def stuck(landing: Landing, fault: Fault) -> bool:
    """Whether the address of a resume point answers wrongly again, so that only a fresh read can go on."""
    again = landing.point.attempts > 1 and not landing.advanced and not landing.point.finished
    answered = isinstance(fault, VendorError) and not isinstance(fault, Unauthorized)
    status = fault.fields.get("status")
    return again and answered and isinstance(status, int) and status < 500
