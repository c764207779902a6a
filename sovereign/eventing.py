"""The events of a site, put together: its sources, their keys, the diary they are kept in."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from sovereign.events.diary import Diary
from sovereign.events.errors import BadEvent, UnknownSource
from sovereign.events.inbox import NEXT, Taking
from sovereign.settings import EventSource
from vault.errors import NoSecret

if TYPE_CHECKING:
    from sovereign.site import Site

KEYS: Final = "event-sources"
"""Where keys of sources are sealed: a name that no connection can bear."""


def diary(site: "Site") -> Diary:
    """The diary of a site."""
    return Diary(site.state, site.audit, site.keys, site.clock)


def inbox(site: "Site", wake: Callable[[], None]) -> Taking:
    """Where the sources of a site post. wake: called when an event is new."""

    def keys(name: str) -> list[bytes]:
        found = []
        for each in (name, f"{name}{NEXT}"):
            try:
                found.append(site.secrets.get(KEYS, each))
            except NoSecret:
                continue
        return found

    return Taking(site.settings.events, keys, diary(site), site.clock, wake)


def source_of(site: "Site", name: str) -> EventSource:
    """The declaration of a source; errors: UnknownSource."""
    if name not in site.settings.events:
        raise UnknownSource(source=name[:64], known=", ".join(sorted(site.settings.events)) or "-")
    return site.settings.events[name]


def look(site: "Site", event: str) -> bytes:
    """An event as it came, which is entered in the log. Errors: BadEvent."""
    found = diary(site).body(event)
    if found is None:
        raise BadEvent(field="event", expected_fr="attendu : un événement connu", expected_en="expected a known event")
    site.audit.append("event.shown", {"event": event}, {"source": found[0].source})
    return found[1]
