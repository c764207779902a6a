"""Findings of a verification: shown one a line, and turned into an exit code."""

from collections.abc import Callable, Iterable
from typing import Protocol

from sovereign.cli import exits
from sovereign.cli.door import Door
from sovereign.cli.marks import mark, several
from sovereign.language import say


class Finding(Protocol):
    """What a verification found: `severity` is `error`, `warning` or `info`."""

    @property
    def severity(self) -> str: ...  # noqa: D102 - a port of plain fields
    @property
    def code(self) -> str: ...  # noqa: D102
    @property
    def subject(self) -> str: ...  # noqa: D102
    @property
    def fr(self) -> str: ...  # noqa: D102
    @property
    def en(self) -> str: ...  # noqa: D102


def show(door: Door, findings: Iterable[Finding], good: Callable[[], tuple[str, str]]) -> int:
    """Show findings, then the conclusion; gives 20 when one is an error, else 0."""
    counts = {"error": 0, "warning": 0, "info": 0}
    for finding in findings:
        counts[finding.severity] = counts.get(finding.severity, 0) + 1
        said = say(finding.fr, finding.en)
        door.out.record("finding", severity=finding.severity, code=finding.code, subject=finding.subject, what=said)
        line = f"{mark(finding.severity)}  {finding.subject} · {said} [{finding.code}]"
        door.out.say(line, line, style={"error": "red", "warning": "yellow"}.get(finding.severity, ""))
    door.out.record("verdict", ok=not counts["error"], errors=counts["error"], warnings=counts["warning"])
    if counts["error"]:
        said_fr, said_en = (f"✗ {several(counts['error'], 'défaut*', 'fault*')}",) * 2
        door.out.say(said_fr, said_en, style="bold red")
        return exits.UNVERIFIED
    if warnings := counts["warning"]:
        door.out.say(f"✓ aucun défaut, {warnings} à voir", f"✓ no fault, {warnings} to look at", style="yellow")
        return exits.DONE
    fr, en = good()
    door.out.say(f"✓ {fr}", f"✓ {en}", style="green")
    return exits.DONE
