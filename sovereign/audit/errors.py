"""Faults of the audit log.

AuditError
├── BadEntry    what was to be entered is not an entry: unknown act, value that JSON cannot carry, too long
└── Damaged     an entry, a body or their order is not what was written
"""

from sovereign.errors import SovereignError


class AuditError(SovereignError):
    """A fault of the audit log."""

    code = "audit"


class BadEntry(AuditError):
    """What was to be entered is not an entry."""

    code = "audit.bad_entry"
    fr = "Entrée d'audit refusée ({act}) : {why_fr}."
    en = "Audit entry refused ({act}): {why_en}."
    todo_fr = "C'est un défaut de Sovereign : signalez-le."
    todo_en = "This is a defect of Sovereign: report it."


class Damaged(AuditError):
    """An entry, a body or their order is not what was written."""

    code = "audit.damaged"
    kind = "unverified"
    fr = "Le journal d'audit est altéré à l'entrée {seq} ({what})."
    en = "The audit log is altered at entry {seq} ({what})."
    todo_fr = "Comparez avec une sauvegarde de state.db, et cherchez qui a écrit dans ce fichier."
    todo_en = "Compare with a backup of state.db, and find out who wrote to this file."
