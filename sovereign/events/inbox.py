"""Where sources of events post: a message is held to its source's way of signing, read, and kept once.

1. A message that no key signs is not kept; a source that does not exist is answered the same, after the same work. Refusals
   are entered once a minute for each source and reason, with how many there were: whoever forges fills no log.
2. A message is durable before its sender is answered.
3. Secrets may be rotated: `NAME` and `NAME-next` both sign.
"""

import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from sovereign.clock import Clock
from sovereign.events.diary import Diary
from sovereign.events.errors import EventError, NotSigned
from sovereign.events.reading import told
from sovereign.events.schemes import schemes, verify
from sovereign.settings import EventSource

MOST_EVENT: Final = 1 << 20
"""Bytes of one message."""
NEXT: Final = "-next"
QUIET: Final = timedelta(minutes=1)
"""How long refusals of one source and reason are counted before they are entered again."""
_NOBODY: Final = EventSource()

Keys = Callable[[str], list[bytes]]
"""The keys of a source, by the name that its settings give them; none when none was stored."""


class Inbox(Protocol):
    """Takes what a source tells."""

    def __call__(self, source: str, headers: Mapping[str, str], body: bytes, /) -> tuple[str, bool]:
        """Keep a message; gives its id, and whether it is new. Errors: NotSigned, Stale, BadEvent, those of the state."""
        ...


def no_sources(*_: object) -> tuple[str, bool]:
    """The inbox of a house without sources."""
    raise NotSigned


class Taking:
    """The inbox of a site. wake: called when a new event is kept."""

    def __init__(
        self,
        sources: Mapping[str, EventSource],
        keys: Keys,
        diary: Diary,
        clock: Clock,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._sources, self._keys, self._diary, self._clock, self._wake = sources, keys, diary, clock, wake
        self._dummy = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._refused: dict[tuple[str, str], tuple[datetime, int]] = {}

    def __call__(self, source: str, headers: Mapping[str, str], body: bytes, /) -> tuple[str, bool]:
        """Keep a message."""
        known = self._sources.get(source)
        wanted, keys = (_NOBODY, [self._dummy]) if known is None else (known, self._keys(known.secret))
        try:
            signed = verify(schemes()[wanted.scheme], keys, headers, body, self._clock(), timedelta(seconds=wanted.window))
            message = told(
                body, headers, type_=wanted.type, type_field=wanted.type_field, type_header=wanted.type_header,
                prefix=wanted.prefix, types=wanted.types,
            )  # fmt: skip
        except EventError as refused:
            if known is not None:
                self._told(source, refused.code)
            raise
        event, new = self._diary.take(source, message.name or signed.name, message, body, signed.at)
        if new:
            self._wake()
        return event, new

    def _told(self, source: str, code: str) -> None:
        """Enter a refusal, unless one of that source for that reason was entered within the minute: it is then counted."""
        now = self._clock()
        with self._lock:
            since, more = self._refused.get((source, code), (now - QUIET, 0))
            if timedelta(0) <= now - since < QUIET:
                self._refused[source, code] = (since, more + 1)
                return
            self._refused[source, code] = (now, 0)
        self._diary.refused(source, code, more)
