"""Faults of rights.

AccessError
├── UnknownPerson       nobody of that name here
├── UnknownClient       no application of that name here
├── BadRight            a right, a group or a limit that is not one
└── NotAuthenticated    a credential that opens nothing here, or nothing any more
"""

from sovereign.errors import SovereignError


class AccessError(SovereignError):
    """A fault of rights."""

    code = "access"


class UnknownPerson(AccessError):
    """Nobody of that name here."""

    code = "access.unknown_person"
    kind = "usage"
    fr = "Personne de ce nom n'est inscrit ici."
    en = "Nobody of that name is known here."
    todo_fr = "« sovereign access list » montre qui l'est ; « sovereign access grant » inscrit en donnant un droit."
    todo_en = "`sovereign access list` shows who is; `sovereign access grant` adds someone by giving a right."


class UnknownClient(AccessError):
    """No application of that name here."""

    code = "access.unknown_client"
    kind = "usage"
    fr = "Aucune application ne s'appelle {client} ici."
    en = "No application is called {client} here."
    todo_fr = "« sovereign client list » montre celles qui sont inscrites."
    todo_en = "`sovereign client list` shows those that are known."


class BadRight(AccessError):
    """A right, a group or a limit that is not one."""

    code = "access.bad_right"
    kind = "usage"
    fr = "« {field} » : {expected_fr}."
    en = "`{field}`: {expected_en}."
    todo_fr = "Rien n'a changé. Corrigez et recommencez."
    todo_en = "Nothing changed. Correct it and try again."


class NotAuthenticated(AccessError):
    """A credential that opens nothing here, or nothing any more. It does not say which: that would help to guess."""

    code = "access.not_authenticated"
    kind = "unauthenticated"
    fr = "Ce justificatif n'ouvre rien ici."
    en = "This credential opens nothing here."
    todo_fr = "Vérifiez le jeton ou le certificat, et son échéance, auprès de qui l'a remis (« sovereign client list »)."
    todo_en = "Check the token or the certificate, and its end, with whoever issued it (`sovereign client list`)."
