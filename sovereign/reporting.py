"""Reports of a site: the period, what waits beside what the state says, and the entry that one was made."""

from collections.abc import Iterator
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sovereign import governing, quarantining
from sovereign.gateway.policy import CedarPolicy, read_folder
from sovereign.reports import Kind, Report, make
from sovereign.reports.due import Due
from vault.errors import Fault

if TYPE_CHECKING:
    from sovereign.site import Site


def report(site: "Site", kind: Kind, since: datetime, until: datetime, *, names: bool = False) -> Report:
    """Make a report over the instants from `since` (in) to `until` (out); that it was made is entered.

    names: show people by name, not by pseudonym. A log that is not what was written is told by the report's verdict.
    """
    settings = site.settings.site
    made = make(
        kind, site.state, site.audit, since, until, now=site.clock(), site=settings.name, zone=settings.zone,
        also_due=_due(site), names=names, witnesses=site.witnesses,
    )  # fmt: skip
    facts = {"kind": kind, "from": since.isoformat(), "to": until.isoformat(), "names": names, "intact": made.verdict.intact}
    site.audit.append("report.made", {}, facts)
    return made


def _due(site: "Site") -> Iterator[Due]:
    zone = ZoneInfo(site.settings.site.zone)
    try:
        for rule in CedarPolicy(read_folder(governing.folder(site))).rules:
            if rule.expired(site.clock().astimezone(zone) + governing.SOON):
                last = datetime.combine(rule.expires, time(), zone) + timedelta(days=1)
                yield "policy", rule.id, "", None, last
    except Fault as fault:  # a broken set: the old one stays in force, and someone is to mend it
        yield "policy", fault.code, "", None, None
    for held in quarantining.held(site):
        if held.waits:
            name = held.dataset.connection
            yield "quarantine", f"{name}.{held.dataset.stream}", name, held.created, None
