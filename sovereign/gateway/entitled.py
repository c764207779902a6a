"""Who can approve a request now, and why the others cannot: names, groups, the reason of their right.

1. Looked at: whoever has an enrolled key, the right to approve there, or a seat in a group that is asked.
2. The first thing that stands in the way is said. It is a picture of this instant: each vote is checked again when it is given.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from sovereign.access import People, Rights
from sovereign.gateway.approvals import APPROVE, Approvals, Asked


@dataclass(frozen=True, slots=True)
class Entitled:
    """Someone, and whether their approval would count now. why: what stands in the way (French, English), None when nothing.

    reason: the reason written beside the right that counts. groups: theirs, among those asked when some are.
    """

    person: str
    groups: tuple[str, ...]
    why: tuple[str, str] | None
    reason: str = ""


def entitled(reader: Connection, approvals: Approvals, asked: Asked, people: People, rights: Rights) -> tuple[Entitled, ...]:
    """Those who can approve first, then those who cannot, by name."""
    keys = {each.person for each in approvals.approvers() if each.revoked_at is None}
    voted = approvals.voices(reader, asked.intent)
    found = []
    for each in people.list():
        groups = frozenset(each.groups)
        explained = rights.explain(each.name, APPROVE, connection=asked.connection)
        fitting = groups & set(asked.groups)
        if not (explained.allowed or each.name in keys or fitting):
            continue
        reason = next((grant.reason for grant, why in explained.grants if why is None), "")
        lost = next((why for _, why in explained.grants if why is not None), None)
        why: tuple[str, str] | None = None
        if each.name in voted:
            why = ("a déjà tranché", "has decided already")
        elif not explained.allowed:
            fr, en = lost or ("aucun", "none")
            why = (f"sans le droit d'approuver ici ({fr})", f"without the right to approve here ({en})")
        elif approvals.excludes(reader, asked.intent, each.name):
            why = ("la demande vient d'elle ou de son application", "the request is their own, or their application's")
        elif asked.groups and not fitting:
            why = ("d'aucun des groupes demandés", "of none of the groups asked")
        elif each.name not in keys:
            why = ("aucune clé inscrite", "no enrolled key")
        shown = tuple(sorted(fitting if asked.groups else groups))
        found.append(Entitled(each.name, shown, why, reason))
    return tuple(sorted(found, key=lambda each: (each.why is not None, each.person)))
