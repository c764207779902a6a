"""Acts on keys, rights, policy, settings, vendors and the log itself: each counted, the latest listed."""

import re
from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

from sovereign.audit import AuditEntry
from sovereign.reports.labels import act
from sovereign.reports.model import Cell, Column, Section, Table, Words
from sovereign.reports.names import Names
from sovereign.reports.outbound import COUNT

GOVERNING: Final = frozenset(
    {"site", "settings", "connection", "secret", "keys", "passphrase", "recovery", "access", "client", "approver", "approval",
     "quarantine", "job", "serve", "egress", "payload", "circuit", "vendor", "firewall", "policy", "audit", "witness",
     "raw", "report", "backup"}
)  # fmt: skip
ALSO: Final = frozenset({"snapshot.recovered", "snapshot.missed", "snapshot.amended", "snapshot.verified", "sync.replayed"})
LISTED: Final = 1000
DIGEST: Final = re.compile(r"[0-9a-f]{32,}")
"""What only a machine compares: its beginning is enough for a person."""
UNTOLD: Final = frozenset({"manifest", "policy_set"})


class Conduct:
    """Takes entries in order, and tells what was done to the site."""

    def __init__(self, names: Names) -> None:
        """Nothing is counted yet."""
        self._names, self._counts = names, Counter[str]()
        self._latest: deque[tuple[Cell, ...]] = deque(maxlen=LISTED)

    def take(self, entry: AuditEntry) -> None:
        """Count one entry."""
        if entry.act.partition(".")[0] in GOVERNING or entry.act in ALSO:
            self._counts[entry.act] += 1
            told = tuple(
                f"{name}: {_short(value)}"
                for name, value in (*entry.subject.items(), *entry.facts.items())
                if name not in UNTOLD and value not in (None, "", [], {})
            )
            self._latest.append((entry.seq, entry.at, self._names.who(entry), act(entry.act), told))

    def section(self) -> Section:
        """What was counted, as tables."""
        what = Column("act", Words("acte", "act"))
        counts = Table(
            "counts", Words("Par acte", "By act"), (what, COUNT), [(act(name), n) for name, n in sorted(self._counts.items())]
        )
        columns = (
            Column("seq", Words("n°", "no."), "number"), Column("at", Words("quand", "when"), "time"),
            Column("who", Words("qui", "who")), what, Column("facts", Words("faits", "facts")),
        )  # fmt: skip
        listed = Table("acts", Words("Les actes, du plus ancien au plus récent", "The acts, oldest first"), columns,
                       tuple(self._latest), self._counts.total())  # fmt: skip
        title = Words("Clés, droits, politiques, réglages", "Keys, rights, policies, settings")
        return Section("conduct", title, (counts, listed))


def _short(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_short(each)}" for name, each in value.items())
    if isinstance(value, list):
        return ", ".join(_short(each) for each in value[:5]) + (f" … ({len(value)})" if len(value) > 5 else "")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{text[:16]}…" if DIGEST.fullmatch(text) else text
