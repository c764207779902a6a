"""People and their groups. A person is the name under which the organisation knows them (an account name, say)."""

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, insert, select, update

from sovereign.access.errors import BadRight, UnknownPerson
from sovereign.audit import AuditLog
from sovereign.clock import Clock
from sovereign.state import State
from sovereign.state.outbound import people

_GROUP: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_NAME: Final = 128


@dataclass(frozen=True, slots=True)
class Person:
    """Someone, and the groups they are in. `removed_at` is None while they are here."""

    name: str
    groups: tuple[str, ...]
    added_at: datetime
    removed_at: datetime | None


class People:
    """The people of a site."""

    def __init__(self, state: State, audit: AuditLog, clock: Clock) -> None:
        self._state, self._audit, self._clock = state, audit, clock

    def put(self, name: str, groups: Sequence[str] | None = None) -> Person:
        """Know someone, or change their groups (None: as they are); someone who had left is back. Errors: BadRight."""
        checked(name)
        for group in groups or ():
            if not _GROUP.fullmatch(group):
                raise BadRight(
                    field="group",
                    expected_fr="attendu : minuscules, chiffres, _ et -",
                    expected_en="expected lower case, digits, _ and -",
                )
        with self._state.begin() as transaction:
            known = self.find(name, within=transaction)
            wanted = tuple(sorted(set(groups))) if groups is not None else known.groups if known else ()
            if known and known.removed_at is None and known.groups == wanted:
                return known
            if known is None:
                row = {"name": name, "groups": list(wanted), "added_at": self._clock()}
                transaction.execute(insert(people).values(**row))
            else:
                changed = update(people).where(people.c.name == name)
                transaction.execute(changed.values(groups=list(wanted), removed_at=None))
            self._audit.append(
                "access.person_put", {}, {"groups": len(wanted)}, {"person": name, "groups": wanted}, within=transaction
            )
            return self.get(name, within=transaction)

    def remove(self, name: str) -> None:
        """Someone left: none of their rights holds any more. Errors: UnknownPerson."""
        with self._state.begin() as transaction:
            if self.get(name, within=transaction).removed_at is None:
                gone = update(people).where(people.c.name == name)
                transaction.execute(gone.values(removed_at=self._clock()))
                self._audit.append("access.person_removed", {}, {}, {"person": name}, within=transaction)

    def find(self, name: str, *, within: Connection | None = None) -> Person | None:
        """Someone, here or gone; None when never known."""
        with self._reading(within) as reader:
            row = reader.execute(select(people).where(people.c.name == name)).first()
        return None if row is None else Person(row.name, tuple(row.groups), row.added_at, row.removed_at)

    def get(self, name: str, *, within: Connection | None = None) -> Person:
        """Someone, here or gone. Errors: UnknownPerson."""
        found = self.find(name, within=within)
        if found is None:
            raise UnknownPerson
        return found

    def list(self) -> tuple[Person, ...]:
        """Everyone who is here, by name."""
        with self._state.read() as reader:
            rows = reader.execute(select(people).where(people.c.removed_at.is_(None)).order_by(people.c.name)).all()
        return tuple(Person(row.name, tuple(row.groups), row.added_at, row.removed_at) for row in rows)

    def _reading(self, within: Connection | None) -> AbstractContextManager[Connection]:
        return nullcontext(within) if within is not None else self._state.read()


def checked(name: str) -> str:
    """Give the name back; errors: BadRight."""
    if not 0 < len(name) <= _NAME or not name.isprintable() or name != name.strip():
        raise BadRight(
            field="person",
            expected_fr=f"attendu : un nom de 1 à {_NAME} caractères visibles",
            expected_en=f"expected a name of 1 to {_NAME} visible characters",
        )
    return name
