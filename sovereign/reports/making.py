"""Making a report: the log is verified, its entries of the period are read once, and each part counts what it is about."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final, Literal

from sovereign.audit import AuditLog
from sovereign.audit.witnesses import Witnesses
from sovereign.reports import due as waiting
from sovereign.reports.conduct import Conduct
from sovereign.reports.due import Due
from sovereign.reports.inbound import Inbound
from sovereign.reports.model import Report, Verdict, Words
from sovereign.reports.names import Names
from sovereign.reports.outbound import Outbound
from sovereign.reports.period import Entries
from sovereign.state import State
from vault.errors import Fault

Kind = Literal["outbound", "inbound"]
KINDS: Final[dict[str, Words]] = {
    "outbound": Words("Rapport des flux sortants", "Report on outbound flows"),
    "inbound": Words("Rapport des flux entrants", "Report on inbound flows"),
}


def make(
    kind: Kind,
    state: State,
    audit: AuditLog,
    since: datetime,
    until: datetime,
    *,
    now: datetime,
    site: str,
    zone: str,
    also_due: Iterable[Due] = (),
    names: bool = False,
    witnesses: Witnesses | None = None,
) -> Report:
    """Make a report over the instants from `since` (in) to `until` (out).

    zone: where its instants are told. also_due: what waits and the state does not say. names: show people by name, not by
    pseudonym. witnesses: what the log is held against, beside itself; they are not asked. A log that does not hold is told by
    the verdict, and what can still be read is.
    """
    who, verdict = Names(state, clear=names), _verdict(audit, witnesses)
    flow = Outbound(state, who) if kind == "outbound" else Inbound(state, since, until)
    conduct, entries = Conduct(who), Entries(state, audit, since, until)
    for entry in entries:
        flow.take(entry)
        conduct.take(entry)
    if entries.unread:
        verdict = Verdict(False, verdict.said, verdict.entries, verdict.root, verdict.key, verdict.commands, entries.unread)
    sections = (waiting.section([*waiting.due(state, now), *also_due]), *flow.sections(), conduct.section())
    return Report(kind, KINDS[kind], site, since, until, now, zone, verdict, sections)


def _verdict(audit: AuditLog, witnesses: Witnesses | None) -> Verdict:
    key, known = audit.checkpoints.verifier.vkey, {} if witnesses is None else witnesses.keys
    check = f"sovereign audit verify --folder DIR --key {key}" + "".join(f" --witness {each.vkey}" for each in known.values())
    commands = ("sovereign audit export DIR", check)
    try:
        entries, checkpoint = audit.verify(), audit.checkpoints.sign()
        window = witnesses.verify() if witnesses is not None and known else None
    except Fault as fault:
        said = Words(fault.diagnostics("fr").what, fault.diagnostics("en").what)
        return Verdict(False, said, None, None, key, commands)
    fr = "Chaque entrée, chaque corps et chaque point de contrôle est ce qui fut écrit."
    en = "Each entry, body and checkpoint is what was written."
    if window is not None:
        left = window.entries - window.witnessed
        fr += f" Les témoins en ont vu {window.witnessed} ; {left} ne sont pas encore vues."
        en += f" The witnesses saw {window.witnessed} of them; {left} are not seen yet."
    return Verdict(True, Words(fr, en), entries, checkpoint.root.hex(), key, commands)
