"""The events of a site, put together: its sources and the diary they are kept in, its subscribers and what they are told."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from sovereign.events.diary import Diary
from sovereign.events.errors import BadEvent, UnknownSource
from sovereign.events.inbox import NEXT, Taking
from sovereign.settings import EventSource
from sovereign.state import StateError
from vault.errors import Fault, NoSecret

if TYPE_CHECKING:
    from sovereign.events.gathering import Changed, Rows
    from sovereign.events.news import News
    from sovereign.events.outbox import Outbox
    from sovereign.events.pruning import Pruned
    from sovereign.events.subscribing import Subscribers, Told
    from sovereign.site import Site

KEYS: Final = "event-sources"
"""Where keys of sources are sealed: a name that no connection can bear."""

ROWS: Final = 10_000
"""Changed rows of one copy that a subscriber is told; the rest is told as lost."""
_CHANGES: Final = {"i": "inserted", "u": "updated", "d": "deleted"}


def diary(site: "Site") -> Diary:
    """The diary of a site."""
    return Diary(site.state, site.audit, site.keys, site.clock, site.settings.events)


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


def subscribers(site: "Site") -> "Subscribers":
    """Who is told what happens on a site."""
    from sovereign.events.subscribing import Subscribers

    return Subscribers(site.settings.subscribers, site.state, site.audit, site.secrets, site.clock, site.root)


def outbox(site: "Site", known: "Subscribers") -> "Outbox":
    """What they are told."""
    from sovereign.events.gathering import Gathering
    from sovereign.events.outbox import Outbox

    gathering = Gathering(site.state, site.audit, site.keys, site.clock, rows(site))
    return Outbox(site.state, site.audit, site.keys, site.clock, gathering, known.all, known.ready)


def gauges(site: "Site") -> str:
    """How many events wait for subscribers, and how long; how many were never taken: in the text format of Prometheus."""
    if not site.settings.subscribers:
        return ""
    known = subscribers(site)
    standings = [known.standing(name) for name in known.declared]
    waiting, dead = (sum(each.counts.get(outcome, 0) for each in standings) for outcome in ("waiting", "given_up"))
    oldest = min((each.oldest for each in standings if each.oldest is not None), default=site.clock())
    told = {
        "waiting": ("Events that wait for a subscriber.", waiting),
        "given_up": ("Events that a subscriber never took.", dead),
        "oldest_seconds": ("For how long the oldest event has waited.", round((site.clock() - oldest).total_seconds())),
    }
    made = ((f"sovereign_subscribers_{name}", said, value) for name, (said, value) in told.items())
    return "".join(f"# HELP {name} {said}\n# TYPE {name} gauge\n{name} {value}\n" for name, said, value in made)


def prune(site: "Site") -> "Pruned":
    """Remove the events, in and out, that had their time."""
    from sovereign.events.pruning import prune as removed

    return removed(site.state, site.audit, site.settings.events, site.settings.subscribers, site.clock())


def described(site: "Site", wanted: str) -> dict[str, Any]:
    """The description of a site's events, with its sources and its subscribers (AsyncAPI 3.0). wanted: `fr` or `en`."""
    from sovereign.events.asyncapi import description

    gateway, settings = site.settings.gateway, site.settings
    scheme, host = "https" if gateway.certificate else "http", (*gateway.hosts, gateway.listen, "localhost")
    origin = f"{scheme}://{next(each for each in host if each)}"
    return description(origin, wanted, settings.events, settings.subscribers)


def rows(site: "Site") -> "Changed":
    """The changed rows of a copy, as far as whoever answers for a subscriber, and its declaration, are cleared for them."""
    from snapshots.dataset import DatasetId, visible
    from sovereign.events.gathering import Rows

    def changed(told: "Told", news: "News") -> "Rows":
        dataset, wanted = DatasetId(news.data["connection"], news.data["stream"]), told.declared.clearance
        held = site.outbound.rights.clearance(told.declared.owner or "", connection=dataset.connection)
        if held is None or wanted not in visible(held):
            return Rows(why="clearance")
        try:
            before, after = (site.snapshot(dataset, news.data["snapshot"] - back) for back in (1, 0))
            found = (row for batch in site.changes(dataset, before, after, clearance=wanted) for row in batch.to_pylist())
            told_ = tuple(_rows(news, islice(found, ROWS)))
            return Rows(told_, sum(1 for _ in found))
        except StateError:
            raise  # tried again: nothing was kept
        except (OverflowError, ValueError):  # a date beyond the calendar: it would keep every subscriber waiting for ever
            return Rows(why="unreadable")
        except Fault as fault:
            return Rows(why=fault.code)

    return changed


def _rows(news: "News", found: "Iterator[dict[str, Any]]") -> "Iterator[News]":
    from sovereign.events.news import News
    from sovereign.flows.mapping import plain

    where = {name: news.data[name] for name in ("connection", "stream", "snapshot")}
    for number, row in enumerate(found):
        data = {**where, "change": _CHANGES[row["_op"]], "before": plain(row["before"]), "after": plain(row["after"])}
        yield News(f"{news.id}.{number}", "sovereign.row.changed", news.at, news.subject, news.entry, news.connection, data)
