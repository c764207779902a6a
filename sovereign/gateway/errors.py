"""What the gateway refuses to do, besides what egress, connectors and the vault say in their own words.

SovereignError
└── GatewayError
    ├── UnknownDelivery     no delivery of that name
    ├── StateMoved          the delivery is no longer where it was thought to be
    ├── NoSuchStep          the states know no such step
    ├── KeyReused           an idempotency key given again with another request (422)
    ├── KeyBusy             an idempotency key whose first request is still being answered (409)
    ├── NotWritable         the connection offers no such operation
    ├── PayloadGone         the sealed payload was erased, or its key destroyed: it cannot leave again
    ├── Altered             what is kept of a write is no longer what was entered: it does not leave
    ├── NoRoom              the disk of the site cannot take a long body
    ├── ReadDenied          policy refuses a read
    ├── VendorCut           an operator cut this vendor off
    ├── VendorDown          the vendor does not answer, and no local copy can
    ├── VendorBusy          as many requests as the vendor is asked at once are under way already
    ├── NotAsked            no approval is asked for this write, or no more
    ├── BadBallot           a voice that cannot be counted
    ├── UnknownOpening      no request to open a flow of that name
    ├── BadOpening          a request to open a flow that cannot be taken, or decided
    ├── TooManyOpenings     more requests to open flows than one application may file (429)
    └── Stopping            this process is stopping and takes nothing more
"""

from sovereign.errors import SovereignError


class GatewayError(SovereignError):
    """A fault of the gateway."""

    code = "gateway"


class UnknownDelivery(GatewayError):
    """No delivery of that name."""

    code = "gateway.delivery"
    kind = "usage"
    fr = "Aucune remise ne s'appelle {intent}."
    en = "No delivery is called {intent}."
    todo_fr = "« sovereign delivery list » donne les remises connues."
    todo_en = "`sovereign delivery list` gives the deliveries on record."


class StateMoved(GatewayError):
    """The delivery is no longer where it was thought to be."""

    code = "gateway.moved"
    kind = "locked"
    fr = "La remise {intent} n'est plus « {was} » : elle est « {state} »."
    en = "Delivery {intent} is no longer `{was}`: it is `{state}`."
    todo_fr = "Regardez où elle en est (delivery show), puis décidez à nouveau."
    todo_en = "Look where it stands (delivery show), then decide again."


class NoSuchStep(GatewayError):
    """The states know no such step."""

    code = "gateway.step"
    kind = "usage"
    fr = "La remise {intent} est « {was} » : elle ne peut pas devenir « {becomes} »."
    en = "Delivery {intent} is `{was}`: it cannot become `{becomes}`."
    todo_fr = "De là, elle peut devenir : {after}."
    todo_en = "From there it may become: {after}."


class KeyReused(GatewayError):
    """An idempotency key given again with another request."""

    code = "gateway.key_reused"
    kind = "usage"
    fr = "Cette clé d'idempotence a servi à une autre demande ({intent})."
    en = "This idempotency key served another request ({intent})."
    todo_fr = "Prenez une clé neuve pour une demande nouvelle ; reprenez la demande d'origine à l'identique sinon."
    todo_en = "Take a fresh key for a new request; else repeat the original request exactly."


class KeyBusy(GatewayError):
    """An idempotency key whose first request is still being answered."""

    code = "gateway.key_busy"
    kind = "locked"
    fr = "La première demande faite avec cette clé d'idempotence est encore en cours."
    en = "The first request made with this idempotency key is still being answered."
    todo_fr = "Attendez un instant, puis redemandez avec la même clé : vous aurez sa réponse."
    todo_en = "Wait a moment, then ask again with the same key: you will have its answer."


class NotWritable(GatewayError):
    """The connection offers no such operation."""

    code = "gateway.operation"
    kind = "usage"
    fr = "La connexion « {connection} » n'offre pas l'opération « {operation} »."
    en = "Connection `{connection}` offers no operation `{operation}`."
    todo_fr = "Opérations offertes : {known}."
    todo_en = "Operations offered: {known}."


class PayloadGone(GatewayError):
    """The sealed payload was erased, or its key destroyed."""

    code = "gateway.payload_gone"
    kind = "sealed"
    fr = "Le contenu de {intent} a été effacé : cette remise ne peut plus partir ni être sondée."
    en = "The payload of {intent} was erased: this delivery can neither leave nor be probed any more."
    todo_fr = "Demandez à l'application de refaire sa demande."
    todo_en = "Ask the application to make its request again."


class Altered(GatewayError):
    """What is kept of a write is no longer what was entered when it was received."""

    code = "intent.altered"
    kind = "unverified"
    fr = "Ce qui est gardé de {intent} n'est plus ce qui a été demandé : rien n'en part."
    en = "What is kept of {intent} is no longer what was asked for: nothing of it leaves."
    todo_fr = "Quelqu'un a modifié la base du site, ou le disque l'a abîmée : cherchez qui, puis « sovereign audit verify »."
    todo_en = "Somebody altered the site's database, or the disk damaged it: find out who, then `sovereign audit verify`."


class NoRoom(GatewayError):
    """The disk of the site cannot take a long body."""

    code = "gateway.room"
    kind = "failed"
    fr = "Le disque de la passerelle ne peut pas recevoir ce corps : il n'y a plus assez de place, ou il refuse d'écrire."
    en = "The gateway's disk cannot take this body: too little room is left, or it does not write."
    todo_fr = (
        "Faites de la place, ou baissez gateway.keep_days ; rien n'a été gardé ni envoyé. « sovereign doctor » dit la place."
    )
    todo_en = "Make room, or lower gateway.keep_days; nothing was kept nor sent. `sovereign doctor` tells the room left."


class ReadDenied(GatewayError):
    """Policy refuses a read."""

    code = "policy.denied"
    kind = "denied"
    fr = "{said_fr}"
    en = "{said_en}"
    todo_fr = "Demandez au RSSI d'ouvrir ce flux : sovereign policy open {connection} http."
    todo_en = "Ask the security officer to open this flow: sovereign policy open {connection} http."


class VendorCut(GatewayError):
    """An operator cut this vendor off."""

    code = "gateway.cut"
    kind = "denied"
    fr = "Le fournisseur de « {connection} » a été coupé par un opérateur : rien ne part vers lui."
    en = "The vendor of `{connection}` was cut off by an operator: nothing leaves for it."
    todo_fr = "Voyez la raison par « sovereign vendor list » ; « vendor restore {connection} » le rouvre."
    todo_en = "See the reason with `sovereign vendor list`; `vendor restore {connection}` opens it again."


class VendorDown(GatewayError):
    """The vendor does not answer, and no local copy can."""

    code = "gateway.down"
    kind = "partial"
    fr = "Le fournisseur de « {connection} » ne répond pas, et aucune copie locale ne répond à cette lecture."
    en = "The vendor of `{connection}` does not answer, and no local copy answers this read."
    todo_fr = "Réessayez plus tard ; les écritures, elles, attendent et partiront dans l'ordre."
    todo_en = "Try again later; writes wait, and will leave in order."


class VendorBusy(GatewayError):
    """As many requests as the vendor is asked at once are under way already. `retry_after`: whole seconds."""

    code = "gateway.busy"
    kind = "locked"
    fr = "Toutes les places vers le fournisseur de « {connection} » sont prises : les écritures passent d'abord."
    en = "Every place towards the vendor of `{connection}` is taken: writes go first."
    todo_fr = "Redemandez dans {retry_after} s, ou relevez limits.concurrency si le fournisseur le permet."
    todo_en = "Ask again in {retry_after} s, or raise limits.concurrency if the vendor allows it."


class Stopping(GatewayError):
    """The process is stopping and takes nothing more."""

    code = "gateway.stopping"
    kind = "locked"
    fr = "Le service s'arrête : il ne prend plus de demande."
    en = "The service is stopping: it takes no further request."
    todo_fr = "Redemandez dans un instant, avec la même clé d'idempotence."
    todo_en = "Ask again in a moment, with the same idempotency key."


class NotAsked(GatewayError):
    """No approval is asked for this write, or no more."""

    code = "gateway.not_asked"
    kind = "usage"
    fr = "Aucune approbation n'est demandée pour {intent}, ou plus maintenant."
    en = "No approval is asked for {intent}, or no more."
    todo_fr = "« sovereign approval list » montre ce qui attend une décision."
    todo_en = "`sovereign approval list` shows what awaits a decision."


class BadBallot(GatewayError):
    """A voice that cannot be counted."""

    code = "gateway.bad_ballot"
    kind = "denied"
    fr = "Ce vote n'est pas retenu : {reason_fr}."
    en = "This voice is not counted: {reason_en}."
    todo_fr = "Rien n'a changé. « sovereign approval show » redonne ce qui est demandé, à qui, et jusqu'à quand."
    todo_en = "Nothing changed. `sovereign approval show` gives again what is asked, of whom, and until when."


class UnknownOpening(GatewayError):
    """No request to open a flow of that name."""

    code = "gateway.opening"
    kind = "usage"
    fr = "Aucune demande d'ouverture ne s'appelle {opening}."
    en = "No request to open a flow is called {opening}."
    todo_fr = "« sovereign opening list --all » donne les demandes connues."
    todo_en = "`sovereign opening list --all` gives the requests on record."


class BadOpening(GatewayError):
    """A request to open a flow that cannot be taken, or decided."""

    code = "gateway.bad_opening"
    kind = "usage"
    fr = "Cette demande d'ouverture n'aboutit pas : {reason_fr}."
    en = "This request to open a flow comes to nothing: {reason_en}."
    todo_fr = "Rien n'a changé. « sovereign opening list --all » dit où en sont les demandes."
    todo_en = "Nothing changed. `sovereign opening list --all` says where requests stand."


class TooManyOpenings(GatewayError):
    """More requests to open flows than one application may file."""

    code = "gateway.openings"
    kind = "locked"
    fr = "L'application {client} a déjà {most} demandes d'ouverture en attente, ou {a_day} faites en un jour."
    en = "Application {client} already has {most} requests to open flows waiting, or {a_day} made in a day."
    todo_fr = "Attendez que le RSSI tranche celles qui attendent (sovereign opening list)."
    todo_en = "Wait until the security officer decides those that wait (sovereign opening list)."
