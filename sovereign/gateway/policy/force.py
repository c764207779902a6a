"""The set in force: it decides, looks whether the files changed, and puts the next set in its place or says why not.

1. At most once a second, before a decision, the folder is looked at; a decision made a second after a change follows it.
2. A set comes in force by an entry of the audit log, in the transaction that keeps its text (`policy_sets`); the diff is in the
   entry's sealed body. When that cannot be written, the former set stays.
3. A set that cannot be read, or lacks the signature asked for, is entered as refused, told by `trouble`, and the former set
   stays: through a restart too, from its kept text, provided that the audit log names it as the last one put in force.
4. Without any good set, everything is denied.

A set that is proposed (`proposed/`) is asked beside, and never decides.
"""

import difflib
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import insert, select, update

from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.gateway.decision import Decision, Policy, Question
from sovereign.gateway.policy import signing
from sovereign.gateway.policy.cedar import CedarPolicy
from sovereign.gateway.policy.errors import NoPolicies, PolicyError
from sovereign.gateway.policy.load import SUFFIX, Files, read_folder
from sovereign.gateway.policy.sentences import DenyAll
from sovereign.gateway.policy.shadow import Differences
from sovereign.state import State
from sovereign.state.outbound import policy_sets
from vault.errors import Fault
from vault.notes import Verifier

PROPOSED: Final = "proposed"
"""The folder, among the policies, of a set that is only tried."""
LOOK: Final = 1.0
"""Seconds between two looks at the files."""
_DIFF: Final = 256 * 1024
_IDS: Final = 100


class Policies:
    """The policies of a site: the Policy port, over whatever set is in force. Safe to use from several threads."""

    def __init__(
        self,
        folder: Path,
        state: State,
        audit: AuditLog,
        clock: Clock,
        *,
        site: str,
        actor: str,
        signed: bool = False,
        signers: Callable[[], Iterable[Verifier]] = tuple,
        elapsed: Callable[[], float] = time.monotonic,
    ) -> None:
        """Find the set in force and look at the files.

        site: the name of the site's key. signed: whether only signed sets count; signers: whose signatures do.
        """
        self.folder, self.site = folder, site
        self._state, self._audit, self._clock, self._actor = state, audit, clock, actor
        self._signed, self._signers, self._elapsed = signed, signers, elapsed
        self._lock = threading.Lock()
        self._current: Policy = _kept(state, audit, signed=signed) or DenyAll()
        self._proposed: CedarPolicy | None = None
        self._differences = Differences(audit)
        self._seen: object = None
        self._next = 0.0
        self.trouble: Fault | None = None
        """Why the files are not what is in force; None when they are."""
        self._look()

    @property
    def digest(self) -> str:
        """The hash of the set in force, hex; empty when there is none."""
        return self._current.digest

    @property
    def current(self) -> Policy:
        """The set in force."""
        return self._current

    @property
    def proposed(self) -> CedarPolicy | None:
        """The set that is tried beside."""
        return self._proposed

    def decide(self, question: Question) -> Decision:
        """Answer one question by the set in force; never raises."""
        if self._elapsed() >= self._next and self._lock.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._lock.release()
        decision, proposed = self._current.decide(question), self._proposed
        if proposed is not None:
            self._differences.compare(question, decision, proposed.decide(question))
        return decision

    def refresh(self) -> None:
        """Look at the files now."""
        with self._lock:
            self._look()

    def close(self) -> None:
        """Enter the differences that are still to be told."""
        self._differences.close()

    def _look(self) -> None:
        self._next = self._elapsed() + LOOK
        seen = _fingerprint(self.folder), _fingerprint(self.folder / PROPOSED)
        if seen == self._seen:
            return
        try:
            self._take()
            self._propose()
            self._seen = seen
        except Exception as error:  # noqa: BLE001 — a look that fails leaves the former set; the next look tries again
            self.trouble = error if isinstance(error, Fault) else PolicyError()

    def _take(self) -> None:
        try:
            made, note = CedarPolicy(read_folder(self.folder)), None
            if made.digest != self._current.digest:
                if self._signed:
                    note = signing.check(self.folder, made.files, self.site, self._current.digest, self._signers())
                self._put(made, note)
        except PolicyError as refused:
            self._refuse(refused, proposed=False)
            self.trouble = refused
            return
        self._current, self.trouble = made, None

    def _propose(self) -> None:
        before = self._proposed.digest if self._proposed else None
        try:
            self._proposed = CedarPolicy(read_folder(self.folder / PROPOSED))
        except NoPolicies:
            self._proposed = None
        except PolicyError as refused:
            self._proposed = None
            self._refuse(refused, proposed=True)
        if self._proposed is None or self._proposed.digest != before:
            self._differences.restart()

    def _put(self, made: CedarPolicy, note: str | None) -> None:
        present = self._clock()
        with self._state.begin() as transaction:
            former = transaction.execute(select(policy_sets).where(policy_sets.c.state == "in_force")).first()
            if former is not None and former.digest == made.digest:
                return
            transaction.execute(update(policy_sets).where(policy_sets.c.state == "in_force").values(state="former"))
            known = transaction.execute(select(policy_sets.c.digest).where(policy_sets.c.digest == made.digest)).first()
            signatures = [note] if note else []
            row: dict[str, Any] = {"state": "in_force", "added_at": present, "added_by": self._actor, "signatures": signatures}
            if known:
                transaction.execute(update(policy_sets).where(policy_sets.c.digest == made.digest).values(**row))
            else:
                transaction.execute(insert(policy_sets).values(digest=made.digest, files=dict(made.files.texts), **row))
            texts: dict[str, str] = dict(former.files) if former is not None else {}
            facts, text = changes(Files(texts), made.files)
            facts["before"] = former.digest if former is not None else None
            facts |= {"signed": note is not None, "policies": len(made.rules)}
            self._audit.append("policy.changed", {"set": made.digest}, facts, {"diff": text}, within=transaction)

    def _refuse(self, refused: PolicyError, *, proposed: bool) -> None:
        where: dict[str, object] = {name: refused.fields[name] for name in ("file", "line") if name in refused.fields}
        facts: dict[str, object] = {"why": refused.code, "proposed": proposed, "in_force": self._current.digest or None}
        facts.update(where)
        self._audit.append("policy.refused", {}, facts, {"said": str(refused)})


def changes(old: Files, new: Files) -> tuple[dict[str, Any], str]:
    """What differs between two sets: the names of the files added, removed and changed, and a unified diff."""
    names = sorted({*old.texts, *new.texts})
    lines: list[str] = []
    for name in names:
        before, after = old.texts.get(name, ""), new.texts.get(name, "")
        lines += difflib.unified_diff(before.splitlines(), after.splitlines(), f"a/{name}", f"b/{name}", lineterm="")
    text = "\n".join(lines)
    facts = {
        "added": [name for name in names if name not in old.texts][:_IDS],
        "removed": [name for name in names if name not in new.texts][:_IDS],
        "changed": [n for n in names if n in old.texts and n in new.texts and old.texts[n] != new.texts[n]][:_IDS],
    }
    return facts, text if len(text) <= _DIFF else text[:_DIFF] + "\n[…]"


def _kept(state: State, audit: AuditLog, *, signed: bool) -> CedarPolicy | None:
    """The set put in force last, from its kept text; None when the audit log, its digest or its signature do not agree."""
    try:
        last = audit.entries(act="policy.changed", limit=1)
        with state.read() as reader:
            row = reader.execute(select(policy_sets).where(policy_sets.c.state == "in_force")).first()
        if row is None or not last or last[0].subject["set"] != row.digest or (signed and not row.signatures):
            return None
        made = CedarPolicy(Files(row.files))
    except Fault:
        return None
    return made if made.digest == row.digest else None


def _fingerprint(folder: Path) -> tuple[tuple[str, int, int, int], ...]:
    try:
        with os.scandir(folder) as found:
            names = [each for each in found if each.name.endswith(SUFFIX) or each.name == signing.NOTE]
            told = [(each.name, each.stat()) for each in names]
    except OSError:
        return ()
    return tuple(sorted((name, status.st_mtime_ns, status.st_size, status.st_ino) for name, status in told))
