"""Faults of the state.

StateError
├── StateTooNew     the database was written by a later Sovereign
├── StateBusy       another process has been writing for too long
├── StateFull       no room left to write; the transaction was undone
├── StateReadOnly   the file or its folder cannot be written
├── StateUnreadable the disk gives an error of its own
├── StateUnsure     the disk did not confirm what was written; the process writes nothing more
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


class StateFull(StateError):
    """No room left to write; the transaction was undone."""

    code = "state.disk_full"
    fr = "Plus de place sur le disque de {path} ; rien de cette opération n'y a été écrit."
    en = "No room left on the disk of {path}; nothing of this operation was written to it."
    todo_fr = "Libérez de la place (ou relevez le quota), puis recommencez ; ce qui était écrit est intact."
    todo_en = "Make room (or raise the quota), then try again; what was written before is intact."


class StateReadOnly(StateError):
    """The file or its folder cannot be written."""

    code = "state.read_only"
    fr = "{path} ne peut pas être écrit ({reason}) ; rien n'a été changé."
    en = "{path} cannot be written ({reason}); nothing was changed."
    todo_fr = (
        "Vérifiez que le disque n'est pas monté en lecture seule et que ce compte possède le dossier du site, puis recommencez."
    )
    todo_en = "Check that the disk is not mounted read-only and that this account owns the site's folder, then try again."


class StateUnreadable(StateError):
    """The disk gives an error of its own."""

    code = "state.disk"
    fr = "Le disque de {path} a répondu par une erreur ({reason}) ; l'opération a été défaite."
    en = "The disk of {path} answered with an error ({reason}); the operation was undone."
    todo_fr = "Vérifiez le disque et ses journaux ; s'il se dégrade, copiez le site ailleurs avant de continuer."
    todo_en = "Check the disk and its logs; if it is failing, copy the site elsewhere before going on."


class StateUnsure(StateError):
    """The disk did not confirm what was written to it."""

    code = "state.unsure"
    fr = "Le disque de {path} n'a pas confirmé la dernière écriture ({reason}) : elle est peut-être gardée, peut-être perdue."
    en = "The disk of {path} did not confirm the last write ({reason}): it may be kept, it may be lost."
    todo_fr = "Plus rien n'est écrit d'ici là : vérifiez le disque, puis redémarrez Sovereign, qui relira ce qui est resté."
    todo_en = "Nothing more is written until then: check the disk, then restart Sovereign, which reads what is left."


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
