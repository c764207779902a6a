"""What Maarch's refusals of a write mean, without a byte of them.

1. Of a refusal only whole sentences known beforehand are recognised: they tell a route that the account may not call, a
   privilege that it lacks, a letter out of its perimeter. A page of HTML is never read: Maarch's show the password.
2. A refusal names the route as Maarch's own setting does (`authorized_api`: `POST/resources`).
3. A letter that does not exist and one that may not be seen are refused with the same words: neither is claimed.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from saas_connectors.answer import accept
from saas_connectors.errors import Rejected
from saas_connectors.mail.maarch_calls import FORBIDDEN, OUT, ROUTE_DENIED, sentence
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
ROUTES: Final = (CREATE, UPDATE, STATUS, EXTERNAL, FIND, LETTER, NOTE, NOTES, ATTACH, ATTACHED, CONTENT)
PRIVILEGES: Final[Mapping[str, str]] = {STATUS: "update_status_mail", UPDATE: "update_resources"}


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
    """Raise the refusal of a right, if an answer is one."""
    if response.status not in (400, 403):
        return
    said, method, path = sentence(response), request.method, urlsplit(request.url).path or "/"
    if said == OUT or (route == ATTACH and said == "Body resIdMaster is out of perimeter"):
        raise LetterOut(method=method, path=path, status=response.status, reason=route)
    if response.status == 403 and said == ROUTE_DENIED:
        raise WriteDenied(method=method, path=path, status=403, reason=route)
    if response.status == 403 and said == FORBIDDEN:
        raise WriteForbidden(method=method, path=path, status=403, reason=PRIVILEGES.get(route, route))
