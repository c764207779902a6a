"""Faults of the state.

StateError
├── StateTooNew     the database was written by a later Sovereign
├── StateBusy       another process has been writing for too long
├── StateDamaged    the file is not a database, or its migrations are not ours
└── LeaseLost       the lease was taken over, or ran out
LeaseHeld (a Locked)    another holder, alive, has the lease
"""

from sovereign.errors import Locked, SovereignError


class StateError(SovereignError):
    """A fault of the state."""

    code = "state"


class StateTooNew(StateError):
    """The database was written by a later Sovereign."""

    code = "state.too_new"
    fr = "state.db a été écrit par une version plus récente (migration {number})."
    en = "state.db was written by a later version (migration {number})."
    todo_fr = "Mettez Sovereign à jour ; rien n'a été changé."
    todo_en = "Upgrade Sovereign; nothing was changed."


class StateDamaged(StateError):
    """The file is not a database of ours."""

    code = "state.damaged"
    fr = "{path} n'est pas lisible comme état de Sovereign ({reason})."
    en = "{path} cannot be read as Sovereign's state ({reason})."
    todo_fr = "Restaurez state.db d'une sauvegarde ; les copies de données n'en dépendent pas."
    todo_en = "Restore state.db from a backup; the copies of data do not depend on it."


class StateBusy(StateError):
    """Another process has been writing for too long."""

    code = "state.busy"
    kind = "locked"
    fr = "{path} est occupé par un autre processus depuis plus de {seconds:.0f} s."
    en = "{path} has been held by another process for more than {seconds:.0f} s."
    todo_fr = "Réessayez ; si cela dure, cherchez qui tient ce fichier (sauvegarde, antivirus, outil SQLite)."
    todo_en = "Try again; if it lasts, look for who holds this file (backup, antivirus, SQLite tool)."


class LeaseHeld(Locked):
    """Another holder, alive, has the lease."""

    code = "state.lease.held"


class LeaseLost(StateError):
    """The lease was taken over, or ran out."""

    code = "state.lease.lost"
    kind = "locked"
    fr = "Le bail « {name} » est passé à un autre processus."
    en = "The lease `{name}` went to another process."
    todo_fr = "Rien n'a été publié par celui-ci ; relancez s'il le faut."
    todo_en = "This one published nothing; start again if needed."
