"""What the HTTP door refuses by itself, before any room is asked.

SovereignError
└── ApiError                each with its HTTP status
    ├── BadRequest          400   a request that is not well formed, or that may hide another
    ├── NoSuchPlace         404   nothing at this address
    ├── NotThis             405   the address does not take this method
    ├── NoKey               400   a write without an Idempotency-Key
    ├── NotJson             415   an operation whose body is not said to be JSON
    ├── TooLarge            413   a body over the cap
    ├── TooDeep             422   JSON that nests too deep, or is not JSON
    ├── WrongHost           421   a Host that is not ours
    ├── TooMuchHead         431   a head over the cap
    ├── TooMany             429   more than this application may ask
    ├── TooSlow             408   a request that takes too long to arrive
    ├── NotReached          403   a connection that this application may not write to
    ├── NotToBeCalled       403   a callback to an address that no operator allows this application
    ├── NotYours            404   a delivery of another application
    ├── Full                503   no room for more at this instant
    └── Defect              500   an error of ours
"""

from typing import ClassVar

from sovereign.errors import SovereignError
from vault.errors import Kind


class ApiError(SovereignError):
    """A refusal of the HTTP door."""

    code = "api"
    kind: ClassVar[Kind] = "usage"
    status: ClassVar[int] = 400


class BadRequest(ApiError):
    """A request that is not well formed, or that may hide another."""

    code = "api.request"
    fr = "Requête refusée : {reason_fr}."
    en = "Request refused: {reason_en}."
    todo_fr = "Corrigez la requête ; rien n'a été transmis."
    todo_en = "Correct the request; nothing was passed on."


class NoSuchPlace(ApiError):
    """Nothing at this address."""

    code = "api.place"
    status = 404
    fr = "Il n'y a rien à cette adresse."
    en = "There is nothing at this address."
    todo_fr = "GET /v1/openapi.json décrit toutes les adresses."
    todo_en = "GET /v1/openapi.json describes every address."


class NotThis(ApiError):
    """The address does not take this method."""

    code = "api.method"
    status = 405
    fr = "Cette adresse n'accepte que {allowed}."
    en = "This address only takes {allowed}."
    todo_fr = "GET /v1/openapi.json décrit toutes les adresses."
    todo_en = "GET /v1/openapi.json describes every address."


class NoKey(ApiError):
    """A write without an Idempotency-Key."""

    code = "api.key"
    fr = "Une écriture doit porter un en-tête Idempotency-Key, de 1 à 255 caractères visibles."
    en = "A write must carry an Idempotency-Key header, 1 to 255 visible characters."
    todo_fr = "Tirez une clé au hasard (un UUID) par écriture voulue, et répétez la même si vous redemandez."
    todo_en = "Draw a random key (a UUID) for each write you want, and repeat the same when you ask again."


class NotJson(ApiError):
    """An operation whose body is not said to be JSON."""

    code = "api.type"
    status = 415
    fr = "Le corps d'une opération est en application/json."
    en = "The body of an operation is application/json."
    todo_fr = "Envoyez du JSON, et dites-le : Content-Type: application/json."
    todo_en = "Send JSON, and say so: Content-Type: application/json."


class TooLarge(ApiError):
    """A body over the cap."""

    code = "api.size"
    status = 413
    fr = "Le corps dépasse {most} octets."
    en = "The body is longer than {most} bytes."
    todo_fr = "Envoyez moins à la fois, ou faites relever la limite de cette application."
    todo_en = "Send less at a time, or have this application's limit raised."


class TooDeep(ApiError):
    """JSON that nests too deep, or is not JSON."""

    code = "api.json"
    status = 422
    fr = "Le corps doit être un objet ou une liste JSON d'au plus {most} niveaux."
    en = "The body must be a JSON object or list of at most {most} levels."
    todo_fr = "Corrigez le contenu ; le schéma de l'opération est dans GET /v1/openapi.json."
    todo_en = "Correct the content; the operation's schema is in GET /v1/openapi.json."


class WrongHost(ApiError):
    """A Host that is not ours."""

    code = "api.host"
    status = 421
    fr = "Cet hôte n'est pas servi ici."
    en = "This host is not served here."
    todo_fr = "Appelez la passerelle par son nom, ou ajoutez-le à [gateway] hosts."
    todo_en = "Call the gateway by its name, or add it to [gateway] hosts."


class TooMuchHead(ApiError):
    """A head over the cap."""

    code = "api.head"
    status = 431
    fr = "Les en-têtes dépassent {most} octets."
    en = "The headers are longer than {most} bytes."
    todo_fr = "Envoyez moins d'en-têtes."
    todo_en = "Send fewer headers."


class TooMany(ApiError):
    """More than this application may ask. `retry_after`: whole seconds."""

    code = "api.rate"
    status = 429
    fr = "Cette application demande plus que ses limites ({limit_fr})."
    en = "This application asks for more than its limits ({limit_en})."
    todo_fr = "Redemandez dans {retry_after} s, avec la même clé d'idempotence."
    todo_en = "Ask again in {retry_after} s, with the same idempotency key."


class TooSlow(ApiError):
    """A request that takes too long to arrive."""

    code = "api.slow"
    status = 408
    fr = "La requête n'est pas arrivée entière en {seconds} s."
    en = "The request did not arrive whole within {seconds} s."
    todo_fr = "Redemandez, avec la même clé d'idempotence."
    todo_en = "Ask again, with the same idempotency key."


class NotReached(ApiError):
    """A connection that this application may not write to, or that is not there: it is not told which."""

    code = "api.connection"
    kind = "denied"
    status = 403
    fr = "Cette application n'a pas accès à la connexion demandée."
    en = "This application has no access to the connection asked for."
    todo_fr = "GET /v1/connections donne celles qu'elle peut employer ; les autres s'ouvrent par « sovereign client »."
    todo_en = "GET /v1/connections gives those it may use; others are opened with `sovereign client`."


class NotToBeCalled(ApiError):
    """A callback to an address that no operator allows this application."""

    code = "api.callback"
    kind = "denied"
    status = 403
    fr = "Sovereign-Callback n'est pas une des adresses permises à cette application."
    en = "Sovereign-Callback is not one of the addresses that this application is allowed."
    todo_fr = "Donnez-en une à la lettre, ou faites-la permettre : sovereign client callback."
    todo_en = "Give one of them to the letter, or have it allowed: sovereign client callback."


class NotYours(ApiError):
    """A delivery that is not this application's, or that is not there: it is not told which."""

    code = "api.delivery"
    status = 404
    fr = "Cette application n'a pas de remise de ce nom."
    en = "This application has no delivery of that name."
    todo_fr = "Reprenez l'adresse donnée par l'en-tête Location de votre écriture."
    todo_en = "Take the address that the Location header of your write gave."


class Full(ApiError):
    """No room for more at this instant."""

    code = "api.full"
    kind = "locked"
    status = 503
    fr = "La passerelle a trop de requêtes en cours."
    en = "The gateway has too many requests in hand."
    todo_fr = "Redemandez dans {retry_after} s, avec la même clé d'idempotence."
    todo_en = "Ask again in {retry_after} s, with the same idempotency key."


class Defect(ApiError):
    """An error of ours; its cause is not told, for it may hold anything."""

    code = "api.defect"
    kind = "failed"
    status = 500
    fr = "La passerelle a rencontré une erreur interne."
    en = "The gateway met an internal error."
    todo_fr = "Redemandez avec la même clé d'idempotence : une écriture n'est pas faite deux fois."
    todo_en = "Ask again with the same idempotency key: a write is not made twice."


def bad(reason_fr: str, reason_en: str) -> BadRequest:
    """Refuse a request, for a reason in both languages."""
    return BadRequest(reason_fr=reason_fr, reason_en=reason_en)
