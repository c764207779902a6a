"""Grants: a role or a clearance, to a person or a group, on one connection or on all, until some day, for a reason.

A grant counts from the instant it is given until its end or its withdrawal, and only while the person is here. The highest
clearance in force counts; permissions add up. `explain` gives every grant that was looked at, and why it did not count.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import Connection, insert, select, update

from sovereign.access.errors import BadRight
from sovereign.access.people import People, Person, checked
from sovereign.access.roles import PERMISSIONS, ROLES
from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.state import State
from sovereign.state.outbound import grants

Subject = Literal["person", "group"]
CLEARANCES: Final = ("internal", "personal", "sensitive")
_REASON: Final = 500


@dataclass(frozen=True, slots=True)
class Grant:
    """A right that was given. `connection` None means all; `expires_at` None means without end. Instants are UTC."""

    id: str
    subject_kind: str
    subject: str
    kind: str
    value: str
    connection: str | None
    reason: str
    granted_by: str
    granted_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def counts(self, at: datetime, connection: str | None) -> bool:
        """Whether it is in force then, for that connection (None: for whatever is of no connection)."""
        return self.why_not(at, connection) is None

    def why_not(self, at: datetime, connection: str | None) -> tuple[str, str] | None:
        """Why it does not count, in French and in English; None when it does."""
        if self.revoked_at is not None and self.revoked_at <= at:
            return "retiré", "taken back"
        if self.expires_at is not None and self.expires_at <= at:
            return "échu", "expired"
        if self.granted_at > at:
            return "pas encore donné", "not given yet"
        if self.connection is not None and self.connection != connection:
            return "pour une autre connexion", "for another connection"
        return None


@dataclass(frozen=True, slots=True)
class Explained:
    """Whether someone may, and every grant looked at, with why it does not count (French, English), None when it does."""

    allowed: bool
    grants: tuple[tuple[Grant, tuple[str, str] | None], ...]


class Rights:
    """The rights of a site."""

    def __init__(
        self, state: State, audit: AuditLog, clock: Clock, people: People, entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._state, self._audit, self._clock, self._people, self._entropy = state, audit, clock, people, entropy

    def grant(
        self,
        subject_kind: Subject,
        subject: str,
        kind: Literal["role", "clearance"],
        value: str,
        *,
        by: str,
        reason: str,
        connection: str | None = None,
        expires_at: datetime | None = None,
    ) -> Grant:
        """Give a right; whoever gives it is named. Errors: BadRight, UnknownPerson.

        Nobody gives a right to themselves, and a clearance above `internal` has an end.
        """
        known = ROLES if kind == "role" else CLEARANCES
        if value not in known:
            raise _bad(kind, f"attendu : {', '.join(known)}", f"expected one of: {', '.join(known)}")
        if not reason.strip() or len(reason) > _REASON:
            raise _bad(
                "reason",
                f"attendu : une raison, {_REASON} caractères au plus",
                f"expected a reason, at most {_REASON} characters",
            )
        if subject_kind == "person" and subject == by:
            raise _bad("by", "personne ne se donne un droit à soi-même", "nobody gives a right to themselves")
        if kind == "clearance" and value != "internal" and expires_at is None:
            raise _bad(
                "expires", f"attendu : une échéance (--until), pour « {value} »", f"expected an end (--until), for `{value}`"
            )
        present = self._clock()
        if expires_at is not None and expires_at <= present:
            raise _bad("expires", "attendu : un instant à venir", "expected an instant to come")
        checked(subject)
        with self._state.begin() as transaction:
            if subject_kind == "person":
                self._people.get(subject, within=transaction)
            made = Grant(
                f"g-{self._entropy(8).hex()}",
                subject_kind,
                subject,
                kind,
                value,
                connection,
                reason,
                by,
                present,
                expires_at,
                None,
            )
            transaction.execute(insert(grants).values(**{c: getattr(made, c) for c in _COLUMNS}))
            facts = {"kind": kind, "value": value, "expires": expires_at}
            who = {subject_kind: subject, "reason": reason, "by": by}
            self._audit.append("access.granted", {"grant": made.id, "connection": connection}, facts, who, within=transaction)
        return made

    def revoke(self, grant: str, *, by: str) -> Grant:
        """Take a right back; what was taken back already stays so. Errors: BadRight when there is no such grant."""
        with self._state.begin() as transaction:
            row = transaction.execute(select(grants).where(grants.c.id == grant)).first()
            if row is None:
                raise _bad("grant", "aucun droit de ce numéro", "no grant of that id")
            if row.revoked_at is None:
                present = self._clock()
                taken = update(grants).where(grants.c.id == grant)
                transaction.execute(taken.values(revoked_at=present, revoked_by=by))
                self._audit.append("access.revoked", {"grant": grant}, {}, {"by": by}, within=transaction)
            return _grant(transaction.execute(select(grants).where(grants.c.id == grant)).one())

    def list(self, *, all_: bool = False) -> tuple[Grant, ...]:
        """The rights in force, oldest first; with `all_`, those of the past too."""
        present = self._clock()
        with self._state.read() as reader:
            found = [_grant(row) for row in reader.execute(select(grants).order_by(grants.c.granted_at, grants.c.id))]
        return tuple(g for g in found if all_ or ((g.expires_at is None or g.expires_at > present) and g.revoked_at is None))

    def groups(self, person: str, *, within: Connection | None = None) -> frozenset[str]:
        """The groups someone is in; none when they left or are unknown."""
        found = self._people.find(person, within=within)
        return frozenset(found.groups) if found and found.removed_at is None else frozenset()

    def roles(self, person: str, *, connection: str | None = None, at: datetime | None = None) -> frozenset[str]:
        """The roles someone has, for one connection or for what is of none."""
        present = at or self._clock()
        return frozenset(g.value for g in self._of(person) if g.kind == "role" and g.counts(present, connection))

    def standing(self, person: str) -> tuple[frozenset[str], frozenset[str]]:
        """The roles someone has for what is of no connection, and their groups, in one look: as `roles` and `groups` say."""
        present = self._clock()
        with self._state.read() as reader:
            found = self._people.find(person, within=reader)
            held = self._held(reader, found)
        roles = frozenset(g.value for g in held if g.kind == "role" and g.counts(present, None))
        return roles, frozenset(found.groups) if found and found.removed_at is None else frozenset()

    def may(self, person: str, permission: str, *, connection: str | None = None) -> bool:
        """Whether someone may do this now."""
        return any(permission in ROLES[role].may for role in self.roles(person, connection=connection))

    def clearance(self, person: str, *, connection: str | None = None) -> str | None:
        """The highest class someone may read now; None when none."""
        present = self._clock()
        held = {g.value for g in self._of(person) if g.kind == "clearance" and g.counts(present, connection)}
        return next((each for each in reversed(CLEARANCES) if each in held), None)

    def explain(self, person: str, wanted: str, *, connection: str | None = None) -> Explained:
        """Why someone may, or may not: a permission, or read a class. Errors: BadRight, UnknownPerson."""
        self._people.get(person)
        if wanted in PERMISSIONS:
            fitting = [g for g in self._of(person) if g.kind == "role" and wanted in ROLES[g.value].may]
        elif wanted in CLEARANCES:
            enough = CLEARANCES[CLEARANCES.index(wanted) :]
            fitting = [g for g in self._of(person) if g.kind == "clearance" and g.value in enough]
        else:
            known = ", ".join((*PERMISSIONS, *CLEARANCES))
            raise _bad("right", f"attendu : {known}", f"expected one of: {known}")
        present = self._clock()
        looked = tuple((g, g.why_not(present, connection)) for g in fitting)
        return Explained(any(why is None for _, why in looked), looked)

    def _of(self, person: str) -> tuple[Grant, ...]:
        """Every grant, past ones too, to someone who is here, or to a group they are in."""
        with self._state.read() as reader:
            return self._held(reader, self._people.find(person, within=reader))

    def _held(self, reader: Connection, found: Person | None) -> tuple[Grant, ...]:
        if found is None or found.removed_at is not None:
            return ()
        mine = (grants.c.subject_kind == "person") & (grants.c.subject == found.name)
        ours = (grants.c.subject_kind == "group") & grants.c.subject.in_(found.groups)
        return tuple(_grant(row) for row in reader.execute(select(grants).where(mine | ours).order_by(grants.c.granted_at)))


_COLUMNS: Final = (
    "id", "subject_kind", "subject", "kind", "value", "connection", "reason", "granted_by", "granted_at", "expires_at",
    "revoked_at",
)  # fmt: skip


def _grant(row: object) -> Grant:
    return Grant(**{name: getattr(row, name) for name in _COLUMNS})


def _bad(field: str, fr: str, en: str) -> BadRight:
    return BadRight(field=field, expected_fr=fr, expected_en=en)
