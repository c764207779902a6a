"""What Maarch's refusals of a write mean, without a byte of them.

1. Of a refusal only whole sentences known beforehand are recognised: they tell a route that the account may not call, a
   privilege that it lacks, a letter out of its perimeter. A page of HTML is never read: Maarch's show the password.
2. A refusal names the route as Maarch's own setting does (`authorized_api`: `POST/resources`).
3. A letter that does not exist and one that may not be seen are refused with the same words: neither is claimed.
4. Of a payload that Maarch refuses, the field is named: those of our schemas alone, never a word of the answer.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from saas_connectors.answer import accept
from saas_connectors.errors import Rejected
from saas_connectors.mail.maarch_calls import FORBIDDEN, HELD, OUT, ROUTE_DENIED, sentence
from saas_connectors.mail.maarch_operations import FIELDS
from saas_connectors.request import Request, Response
from saas_connectors.writing import written

CREATE: Final = "POST/resources"
UPDATE: Final = "PUT/resources/{resId}"
STATUS: Final = "PUT/res/resource/status"
EXTERNAL: Final = "PUT/res/externalInfos"
FIND: Final = "PUT/resources/external"
LETTER: Final = "GET/resources/{resId}"
NOTE: Final = "POST/notes"
NOTES: Final = "GET/resources/{resId}/notes"
ATTACH: Final = "POST/attachments"
ATTACHED: Final = "GET/resources/{resId}/attachments"
CONTENT: Final = "GET/attachments/{id}/originalContent"
KNOWN: Final = "GET/statuses"
ROUTES: Final = (CREATE, UPDATE, STATUS, EXTERNAL, FIND, LETTER, NOTE, NOTES, ATTACH, ATTACHED, CONTENT, KNOWN)
PRIVILEGES: Final[Mapping[str, str]] = {STATUS: "update_status_mail", UPDATE: "update_resources"}
_FIELD: Final = re.compile(r"Body ([A-Za-z]{1,40})\b")
_FORMAT: Final = "Format with this mimeType is not allowed"
_NAMED: Final = {
    "File is mandatory for this indexing model": "encodedFile", _FORMAT: "format", "resIdMaster": "resId",
    "Resource is signed, file can not be modified": "encodedFile",
    "Resource is in external signature book, file can not be modified": "encodedFile",
    "Resource is not convertible, file can not be modified": "encodedFile",
}  # fmt: skip
"""The field of ours that is meant by a sentence which does not name it."""
_LOCKED: Final = frozenset(
    {"Resource can not be modified because of status", "Resource status is empty. It can not be modified"}
)


class WriteRefused(Rejected):
    """A refusal of a write that Maarch explains; `reason` is the route or the privilege that it is about."""

    def __init__(self, *, method: str, path: str, status: int, reason: str) -> None:
        super().__init__(method=method, path=path, status=status, definitive=True, reason=reason)


class WriteDenied(WriteRefused):
    """The account may not call a route that a write needs: `reason`, as `authorized_api` writes it."""

    code = "vendor.write_denied"
    fr = "Maarch refuse la route {reason} à ce compte ({status})."
    en = "Maarch denies the route {reason} to this account ({status})."
    todo_fr = "Ajoutez « {reason} » aux routes autorisées du compte dans Maarch, ou retirez l'opération de « writes »."
    todo_en = (
        "Add `{reason}` to the account's allowed routes in Maarch (authorized_api), or take the operation out of `writes`."
    )


class WriteForbidden(WriteRefused):
    """The account lacks a privilege of Maarch (`reason`), which a plain web-service user seldom has."""

    code = "vendor.write_forbidden"
    fr = "Il manque au compte le droit « {reason} » de Maarch ({status}), qu'un compte de service web n'a pas d'office."
    en = "The account lacks Maarch's privilege `{reason}` ({status}), which a web-service account does not have by itself."
    todo_fr = "Donnez le droit « {reason} » au groupe du compte dans Maarch, ou retirez l'opération de « writes »."
    todo_en = "Give the privilege `{reason}` to the account's group in Maarch, or take the operation out of `writes`."


class IndexingClosed(WriteRefused):
    """The account's groups may not create letters: a switch of the group, which is no privilege. `reason`: the route."""

    code = "vendor.indexing_closed"
    fr = "Aucun groupe du compte n'est autorisé à indexer dans Maarch ({status} à {reason})."
    en = "No group of the account may index in Maarch ({status} to {reason})."
    todo_fr = (
        "Dans Maarch, ouvrez le groupe du compte et, dans ses paramètres d'indexation, autorisez l'indexation et les services "
        "vers lesquels il peut créer des courriers."
    )
    todo_en = (
        "In Maarch, open the account's group and, in its indexing settings, allow indexing and the services for which it may "
        "create letters."
    )


class FieldRefused(WriteRefused):
    """Maarch refuses the value of a field, or asks for one: `reason`, as the payload writes it."""

    code = "vendor.field_refused"
    fr = "Maarch refuse le champ « {reason} », ou l'exige ({status}) ; rien n'a été fait."
    en = "Maarch refuses the field `{reason}`, or asks for it ({status}); nothing was done."
    todo_fr = (
        "Vérifiez-le dans Maarch : valeur inconnue ou désactivée, exigée par le modèle d'indexation, date passée ou à venir, "
        "service hors des paramètres d'indexation du groupe, format ou taille de fichier non admis."
    )
    todo_en = (
        "Check it in Maarch: an unknown or disabled value, one that the indexing model asks for, a date past or to come, a "
        "service outside the group's indexing settings, a file whose format or size is not allowed."
    )


class LetterLocked(WriteRefused):
    """The letter's status lets nobody change its sheet. `reason`: the route."""

    code = "vendor.letter_locked"
    fr = "L'état de ce courrier n'en permet pas la modification dans Maarch ({status} à {reason})."
    en = "The status of this letter allows no change of it in Maarch ({status} to {reason})."
    todo_fr = "Changez d'abord son état, ou rendez cet état « modifiable » dans l'administration des statuts de Maarch."
    todo_en = "Change its status first, or make that status modifiable in Maarch's administration of statuses."


class StatusRefused(WriteRefused):
    """Maarch knows no such status, or no such letter: it says which in its own language alone. `reason`: the route."""

    code = "vendor.status_refused"
    fr = "Maarch ne connaît pas cet état, ou n'a pas ce courrier ({status} à {reason}) ; rien n'a été fait."
    en = "Maarch does not know this status, or has no such letter ({status} to {reason}); nothing was done."
    todo_fr = "Vérifiez l'identifiant de l'état dans l'administration des statuts de Maarch, puis le numéro du courrier."
    todo_en = "Check the status's identifier in Maarch's administration of statuses, then the letter's number."


class WriterHeld(WriteRefused):
    """Maarch lets the account do nothing: it is said to be away, or its password has expired. `reason`: the route."""

    code = "vendor.writer_held"
    fr = "Maarch tient ce compte à l'écart ({status} à {reason}) : il est noté absent, ou son mot de passe a expiré."
    en = "Maarch holds this account back ({status} to {reason}): it is said to be away, or its password has expired."
    todo_fr = "Réactivez le compte dans Maarch, ou renouvelez son mot de passe ; un compte de service web n'y est pas soumis."
    todo_en = "Activate the account in Maarch again, or renew its password; a web-service account is not subject to it."


class LetterOut(WriteRefused):
    """The letter does not exist, or the account may not see it: Maarch says the same of both. `reason`: the route."""

    code = "vendor.letter_out"
    fr = "Maarch ne donne pas ce courrier au compte ({status} à {reason}) : il n'existe pas, ou il est hors de son périmètre."
    en = "Maarch does not give this letter to the account ({status} to {reason}): there is none, or it is out of its perimeter."
    todo_fr = "Vérifiez le numéro du courrier, puis la clause du groupe du compte dans Maarch (« 1=0 » à l'installation)."
    todo_en = "Check the letter's number, then the clause of the account's group in Maarch (`1=0` when installed)."


def accepted(request: Request, response: Response, route: str) -> None:
    """Pass a write that Maarch accepted; raise what its refusal means otherwise, always a `Rejected`."""
    denied(request, response, route)
    written(request, response)


def admitted(request: Request, response: Response, route: str) -> None:
    """Pass a look that Maarch answered; raise what its refusal means otherwise."""
    denied(request, response, route)
    accept(request, response)


def denied(request: Request, response: Response, route: str) -> None:
    """Raise the refusal of a right, or of a field, if an answer is one."""
    if response.status not in (400, 403):
        return
    kind, reason = _meant(sentence(response), response.status, route)
    if kind is not None:
        path = urlsplit(request.url).path or "/"
        raise kind(method=request.method, path=path, status=response.status, reason=reason)


def _meant(said: str, status: int, route: str) -> tuple[type[WriteRefused] | None, str]:
    """What a sentence of Maarch's means, and the word for why."""
    if said == OUT or (route == ATTACH and said == "Body resIdMaster is out of perimeter"):
        return LetterOut, route
    if status == 403:
        if said == ROUTE_DENIED:
            return WriteDenied, route
        if said == FORBIDDEN:
            return (IndexingClosed, route) if route == CREATE else (WriteForbidden, PRIVILEGES.get(route, route))
        return (WriterHeld, route) if said in HELD else (None, "")
    if said in _LOCKED:
        return LetterLocked, route
    if route == STATUS and said:
        return StatusRefused, route
    found = _FIELD.match(said)
    named = found[1] if found else _FORMAT if said.startswith(_FORMAT) else said
    named = _NAMED.get(named, named)
    return (FieldRefused, named) if named in FIELDS else (None, "")
