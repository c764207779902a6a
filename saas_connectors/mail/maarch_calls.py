"""The requests of the reading side, and what a refusal means.

1. A list is `POST /rest/res/list`: SQL in `clause`, no offset, so pages follow by `res_id > N`. Our clause always stands in
   parentheses: the vendor joins it to the group's own with AND, as it is.
2. Of a refusal only whole sentences known beforehand are recognised, to tell a route that is not allowed from a letter that is
   out of the perimeter; nothing of it is ever shown or kept.
3. A letter that does not exist is answered as one that may not be seen (403), except to root: only the sentence that says that
   it does not exist proves anything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from saas_connectors.answer import accept, cut, malformed
from saas_connectors.connector import Json
from saas_connectors.errors import VendorError
from saas_connectors.request import Pairs, Request, Response

_ACCEPT: Final = ("Accept", "application/json")
_ROWS: Final = msgspec.json.Decoder(list[dict[str, Any]])
LIST: Final = "POST/res/list"
OUT: Final = "Document out of perimeter"
GONE: Final = "Document does not exist"
ROUTE_DENIED: Final = "This route is not authorized for this user"
FORBIDDEN: Final = "Service forbidden"
_NO_GROUP: Final = "User has no groups"
HELD: Final = frozenset({"User is ABS and must be activated", "User must change his password"})
"""What a person's account is told while it is away, or when its password has expired."""
PRIVILEGES: Final = {"GET/contacts": "admin_contacts", "GET/users": "admin_users"}


class RouteDenied(VendorError):
    """The account may not call a route. Fields: `route`, as `authorized_api` writes it, and `status`."""

    code = "vendor.route_denied"
    fr = "Maarch refuse la route {route} à ce compte ({status})."
    en = "Maarch denies the route {route} to this account ({status})."
    todo_fr = "Ajoutez « {route} » aux routes autorisées du compte dans Maarch, ou limitez les flux par « streams »."
    todo_en = "Add `{route}` to the account's allowed routes in Maarch (authorized_api), or limit the streams with `streams`."


class RightMissing(VendorError):
    """The account lacks a privilege of Maarch. Fields: `route`, `right`, `status`."""

    code = "vendor.right_missing"
    fr = "Il manque au compte le droit « {right} » de Maarch pour {route} ({status})."
    en = "The account lacks Maarch's privilege `{right}` for {route} ({status})."
    todo_fr = "Donnez ce droit au groupe du compte dans Maarch, ou limitez les flux par « streams »."
    todo_en = "Give this privilege to the account's group in Maarch, or limit the streams with `streams`."


class NoGroup(VendorError):
    """The account is in no group whose clause says what it sees. Fields: `route`, `status`."""

    code = "vendor.no_group"
    fr = "Le compte n'est dans aucun groupe de Maarch dont la clause dise ce qu'il voit ({status} à {route})."
    en = "The account is in no group of Maarch whose clause says what it sees ({status} to {route})."
    todo_fr = "Mettez le compte dans un groupe, et écrivez la clause de ce groupe : une clause vide ne montre rien."
    todo_en = "Put the account into a group, and write that group's clause: an empty one shows nothing."


class AccountHeld(VendorError):
    """Maarch answers nothing to a person's account that is away, or whose password has expired. Fields: `route`, `status`."""

    code = "vendor.account_held"
    fr = "Maarch tient ce compte à l'écart ({status} à {route}) : il est noté absent, ou son mot de passe a expiré."
    en = "Maarch holds this account back ({status} to {route}): it is said to be away, or its password has expired."
    todo_fr = "Réactivez le compte dans Maarch, ou renouvelez son mot de passe ; un compte de service web n'y est pas soumis."
    todo_en = "Activate the account in Maarch again, or renew its password; a web-service account is not subject to it."


class ListRefused(VendorError):
    """Maarch takes no list of letters as it was asked."""

    code = "vendor.list_refused"
    fr = "Maarch refuse la liste des courriers ({status} à {method} {path}) : sa condition ou ses colonnes."
    en = "Maarch refuses the list of letters ({status} to {method} {path}): its condition or its columns."
    todo_fr = "Vérifiez la condition « where » de la connexion, et la version de Maarch (21.03 ou plus récente)."
    todo_en = "Check the connection's `where` condition, and the version of Maarch (21.03 or later)."


@dataclass(frozen=True, slots=True)
class Calls:
    """Makes the requests of one connection; `where` is its perimeter."""

    root: str
    where: str | None = None

    def list(self, select: Sequence[str], *conditions: str, limit: int, order: str = "res_id") -> Request:
        """Ask for letters that satisfy all the conditions."""
        clause = " AND ".join(f"({each})" for each in (*conditions, *([self.where] if self.where else [])))
        asked = {"select": ",".join(select), "clause": f"({clause or '1=1'})", "orderBy": [order]}
        body = {**asked, "limit": limit, "withFile": False}
        headers = (_ACCEPT, ("Content-Type", "application/json"))
        return Request("POST", f"{self.root}/res/list", headers=headers, body=msgspec.json.encode(body), reads=True)

    def get(self, path: str, params: Pairs = (), *, document: bool = False) -> Request:
        """Ask for something under the root; `document`: the bytes of a file."""
        headers = (("Accept", "*/*"),) if document else (_ACCEPT,)
        return Request("GET", f"{self.root}/{path}", params, headers, document=document, spooled=document)


def sentence(response: Response) -> str:
    """The vendor's word for a refusal, to be compared with those that are known; empty when it has none."""
    if response.status < 400 or len(response.body) > 4_096:
        return ""
    try:
        told: Json = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    said = told.get("errors") if isinstance(told, dict) else None
    return said if isinstance(said, str) else ""


def admit(request: Request, response: Response, route: str) -> None:
    """Pass a success; raise what a refusal means: `RouteDenied`, `RightMissing`, or what `answer.accept` raises."""
    if 200 <= response.status < 300:
        return
    said = sentence(response)
    if response.status == 403 and said == ROUTE_DENIED:
        raise RouteDenied(route=route, status=403, **_place(request))
    if response.status == 403 and said == FORBIDDEN:
        raise RightMissing(route=route, right=PRIVILEGES.get(route, "?"), status=403, **_place(request))
    if response.status == 403 and said in HELD:
        raise AccountHeld(route=route, status=403, **_place(request))
    if response.status == 400 and said == _NO_GROUP:
        raise NoGroup(route=route, status=400, **_place(request))
    if response.status == 400 and route == LIST:
        raise ListRefused(status=400, **_place(request))
    accept(request, response)


def rows(request: Request, response: Response, route: str, name: str) -> list[dict[str, Any]]:
    """The rows of an answer, under `name`; errors: those of `admit`, Malformed."""
    admit(request, response, route)
    records = cut(request, response, name).records
    try:
        return _ROWS.decode(records)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise malformed(request, response, "des objets étaient attendus", "objects were expected") from None


def _place(request: Request) -> dict[str, str]:
    return {"method": request.method, "path": urlsplit(request.url).path or "/"}
