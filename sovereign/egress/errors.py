"""What can go wrong on the way to a vendor, and whether the vendor may have received the request.

    EgressError
    ├── Refused         a rule of ours says no: names the rule; nothing was sent
    ├── NotSent         no connection could be made (name, network, proxy): provably not sent
    │   ├── TlsFailed   the peer could not prove who it is, or refused our certificate, before the request left
    │   ├── HostKey     the SSH server showed a key that is not the one of the settings
    │   ├── Busy        our own budget for this host had no room in time
    │   └── NoCredential  the credential could not be had, so the request was not sent, or was refused (401) for want of it
    ├── Waiting         the vendor asked us to come back at a given instant; nothing was sent
    ├── CredentialRefused  the vendor refused this credential a while ago: it is not shown to it again; nothing was sent
    ├── Interrupted     we were asked to stop
    ├── TimedOut        sent, and the answer did not come, or not whole, in time
    ├── Broken          sent, and the connection broke before the whole answer came
    ├── Unconfirmed     sent by a stream that the peer closed without ending TLS: it may not have read all of it
    ├── Unfinished      what was to be sent broke off, or passed its cap, when a part of it had left
    ├── Echoed          the answer repeats the credential: it was cut before it
    ├── TooLarge        the answer, or what it decompresses to, passes the cap
    ├── BadEncoding     the answer is compressed in a way we did not ask for, or does not decompress
    └── Redirected      the vendor answered with a redirection, which is never followed

`may_have_arrived` is False when it is provable that the vendor received nothing. No error holds the query or the user part of
an URL, a header's value, or a body.
"""

from typing import ClassVar

from sovereign.errors import SovereignError


class EgressError(SovereignError):
    """A fault on the way to a vendor."""

    code = "egress"
    may_have_arrived: ClassVar[bool] = True


RULES: dict[str, tuple[str, str]] = {
    "egress.url": ("l'adresse demandée n'est pas une adresse bien formée", "the requested address is not well formed"),
    "egress.userinfo": ("une adresse ne porte ni identifiant ni mot de passe", "an address carries no login and no password"),
    "egress.origin": ("cette origine n'est pas dans la liste de la connexion", "this origin is not on the connection's list"),
    "egress.plaintext": (
        "le trafic en clair n'est pas permis à cette connexion",
        "traffic in clear is not allowed to this connection",
    ),
    "egress.method": ("la méthode n'est pas permise ici", "the method is not allowed here"),
    "egress.header": (
        "un en-tête est mal formé, ou réservé au transport",
        "a header is malformed, or belongs to the transport",
    ),
    "egress.body": ("le corps de la requête n'est pas celui de sa méthode", "the request's body is not that of its method"),
    "egress.upload": ("le contenu à envoyer dépasse son plafond", "what is to be sent passes its cap"),
    "egress.credential": (
        "le secret de la connexion ne sort que vers le fournisseur lui-même",
        "the connection's credential only goes to the vendor itself",
    ),
    "egress.address.malformed": ("l'adresse réseau est illisible", "the network address cannot be read"),
    "egress.address.loopback": ("l'adresse désigne cette machine", "the address is this machine"),
    "egress.address.private": ("l'adresse est celle d'un réseau privé", "the address belongs to a private network"),
    "egress.address.link_local": ("l'adresse est locale au lien", "the address is link-local"),
    "egress.address.metadata": ("l'adresse est celle d'un service de métadonnées", "the address is a metadata service"),
    "egress.address.shared": ("l'adresse est celle d'un opérateur (CGNAT)", "the address is a carrier's (CGNAT)"),
    "egress.address.multicast": ("l'adresse est de multidiffusion", "the address is multicast"),
    "egress.address.reserved": ("l'adresse est réservée", "the address is reserved"),
    "egress.path": ("le chemin sort du dossier de la connexion", "the path leaves the connection's folder"),
    "egress.name": (
        "un nom de fichier du dossier n'est pas en UTF-8 : renommez-le",
        "the name of a file of the folder is not in UTF-8: rename it",
    ),
    "egress.host_key": ("la clé du serveur n'est pas dans les réglages", "the server's key is not in the settings"),
    "egress.kind": ("ce n'est pas un fichier ordinaire", "this is not a regular file"),
}
"""Each rule, and the sentence a person reads (French, English)."""


class Refused(EgressError):
    """A rule of ours says no; nothing was sent."""

    code = "egress.refused"
    kind = "denied"
    may_have_arrived = False
    fr = "Refusé par la règle {rule} vers {host} : {why_fr}."
    en = "Refused by rule {rule} towards {host}: {why_en}."
    todo_fr = "Si cette destination est voulue, déclarez-la dans « network » de la connexion {connection}."
    todo_en = "If this destination is intended, declare it in `network` of connection {connection}."

    def __init__(self, rule: str, host: str = "?", connection: str = "?") -> None:
        self.rule = rule
        why_fr, why_en = RULES[rule]
        super().__init__(rule=rule, host=host, connection=connection, why_fr=why_fr, why_en=why_en)


class NotSent(EgressError):
    """No connection could be made: provably not sent."""

    code = "egress.not_sent"
    may_have_arrived = False
    fr = "Impossible de joindre {host} ({reason}) ; rien n'a été envoyé."
    en = "Cannot reach {host} ({reason}); nothing was sent."
    todo_fr = "Vérifiez l'adresse, le réseau et le mandataire de la connexion {connection} (« sovereign doctor »)."
    todo_en = "Check the address, the network and the proxy of connection {connection} (`sovereign doctor`)."


class TlsFailed(NotSent):
    """The peer could not prove who it is, or refused our certificate."""

    code = "egress.tls"
    fr = "Pas de canal sûr avec {host} ({reason}) ; rien n'a été envoyé."
    en = "No secure channel with {host} ({reason}); nothing was sent."
    todo_fr = "Vérifiez le certificat du fournisseur, « ca_bundle » et « client_certificate » de la connexion {connection}."
    todo_en = "Check the vendor's certificate, and `ca_bundle` and `client_certificate` of connection {connection}."


class HostKey(NotSent):
    """The SSH server showed a key that `network.host_key` does not name. Field `seen`: fingerprints, which are public."""

    code = "egress.host_key"
    kind = "denied"
    fr = "{host} montre la clé {seen}, que network.host_key ne nomme pas ; rien n'a été envoyé."
    en = "{host} shows the key {seen}, which network.host_key does not name; nothing was sent."
    todo_fr = (
        "Demandez au fournisseur, par un autre canal, s'il a changé de clé ; si oui, mettez la nouvelle dans "
        "network.host_key de la connexion {connection}. Sinon, quelqu'un se fait passer pour lui."
    )
    todo_en = (
        "Ask the vendor, by another channel, whether it changed its key; if so, put the new one in network.host_key of "
        "connection {connection}. If not, someone poses as the vendor."
    )


class Busy(NotSent):
    """Our own budget for this host had no room in time."""

    code = "egress.busy"
    kind = "partial"
    fr = "Trop de requêtes vers {host} attendent déjà leur tour ; rien n'a été envoyé."
    en = "Too many requests to {host} already wait for their turn; nothing was sent."
    todo_fr = "Réessayez plus tard, ou relevez limits.rate ou limits.concurrency si le fournisseur le permet."
    todo_en = "Try again later, or raise limits.rate or limits.concurrency if the vendor allows it."


class NoCredential(NotSent):
    """The credential could not be had. Field `reason`: a code, of the error met at the endpoint that gives tokens.

    refused: whether that endpoint refused what it was shown (4xx), rather than failed.
    """

    code = "egress.no_credential"
    fr = "Pas de jeton pour {host} ({reason}) ; la requête n'a pas eu d'effet."
    en = "No token for {host} ({reason}); the request had no effect."
    todo_fr = "Vérifiez « auth » et le secret de la connexion {connection}, et que l'adresse qui donne les jetons répond."
    todo_en = "Check `auth` and the secret of connection {connection}, and that the address that gives tokens answers."

    def __init__(self, *, host: str, connection: str, reason: str, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(host=host, connection=connection, reason=reason)


class CredentialRefused(EgressError):
    """The vendor refused this credential, which is not shown to it again for now: nothing was sent.

    Wrong passwords shown again and again lock accounts. It is shown again once it, or the settings, changed, when a person asks
    (`connection check`), and else once an hour at most.
    """

    code = "egress.credential_refused"
    may_have_arrived = False
    fr = "Le fournisseur a refusé le secret de la connexion {connection} : il ne lui est plus montré, et rien n'a été envoyé."
    en = "The vendor refused the secret of connection {connection}: it is not shown to it any more, and nothing was sent."
    todo_fr = (
        "Déposez le nouveau secret (« sovereign secret set {connection} ») : ce qui attend part alors tout seul. S'il est bon "
        "et que le compte était bloqué chez le fournisseur : « sovereign connection check {connection} »."
    )
    todo_en = (
        "Store the new secret (`sovereign secret set {connection}`): what waits then leaves by itself. If it is right, and the "
        "account was locked at the vendor: `sovereign connection check {connection}`."
    )


class Waiting(EgressError):
    """The vendor asked us to come back later. Field `until`: an instant, UTC."""

    code = "egress.waiting"
    kind = "partial"
    may_have_arrived = False
    fr = "Le fournisseur {host} demande d'attendre jusqu'au {until:%d/%m/%Y à %H:%M:%S} UTC."
    en = "The vendor {host} asks us to wait until {until:%Y-%m-%d %H:%M:%S} UTC."
    todo_fr = "Rien à faire : le travail reprendra alors."
    todo_en = "Nothing to do: the work resumes then."


class Interrupted(EgressError):
    """We were asked to stop."""

    code = "egress.interrupted"
    fr = "Arrêt demandé."
    en = "Stop requested."
    todo_fr = "Rien à faire : relancez quand vous voulez, le travail reprend où il en était."
    todo_en = "Nothing to do: start again when you like, the work goes on from where it was."


class TimedOut(EgressError):
    """The answer did not come, or not whole, in time. Field `phase`: `read` (silence) or `total` (too slow)."""

    code = "egress.timeout"
    fr = "{host} n'a pas répondu à temps ({phase}, {seconds} s)."
    en = "{host} did not answer in time ({phase}, {seconds} s)."
    todo_fr = "Réessayez plus tard, ou relevez limits.timeout ou limits.total_timeout de la connexion {connection}."
    todo_en = "Try again later, or raise limits.timeout or limits.total_timeout of connection {connection}."


class Broken(EgressError):
    """The connection broke before the whole answer came."""

    code = "egress.broken"
    fr = "La réponse de {host} s'est interrompue ({reason})."
    en = "The answer of {host} broke off ({reason})."
    todo_fr = "Réessayez plus tard ; si cela dure, signalez-le au fournisseur."
    todo_en = "Try again later; if it lasts, tell the vendor."


class Unconfirmed(EgressError):
    """The peer closed a stream without ending TLS: it may not have read all that was sent."""

    code = "egress.unconfirmed"
    fr = "{host} a clos sans fin TLS : ce qui est envoyé n'est pas confirmé, et le sera de nouveau."
    en = "{host} closed without ending TLS: what was sent is not confirmed, and will be sent again."
    todo_fr = (
        "Si ce récepteur clôt toujours ainsi (rsyslog avec gtls le fait), mettez close_notify = false dans [{connection}] ; "
        "sinon cherchez ce qui coupe."
    )
    todo_en = (
        "If this receiver always closes so (rsyslog with gtls does), put close_notify = false in [{connection}]; "
        "else find out what cuts it."
    )


class Unfinished(EgressError):
    """What was to be sent broke off when a part of it had left. Field `reason`: `source`, `cap` or `length`."""

    code = "egress.unfinished"
    fr = "L'envoi vers {host} s'est interrompu en chemin ({reason})."
    en = "What was being sent to {host} broke off on its way ({reason})."
    todo_fr = "Le fournisseur a pu en recevoir une partie : vérifiez chez lui avant de renvoyer."
    todo_en = "The vendor may have received a part of it: look there before sending again."


class Echoed(EgressError):
    """The answer repeats the credential that was sent: it was cut before it."""

    code = "egress.echoed"
    fr = "La réponse de {host} contient le secret de la connexion {connection} ; elle a été coupée."
    en = "The answer of {host} holds the credential of connection {connection}; it was cut."
    todo_fr = "Signalez-le au fournisseur, et remplacez ce secret."
    todo_en = "Tell the vendor, and replace this credential."


class TooLarge(EgressError):
    """The answer, or what it decompresses to, passes the cap. Field `limit`: bytes."""

    code = "egress.too_large"
    fr = "La réponse de {host} dépasse {limit} octets ({what}) ; elle a été abandonnée."
    en = "The answer of {host} passes {limit} bytes ({what}); it was dropped."
    todo_fr = "Demandez des pages plus petites, ou relevez limits.max_bytes de la connexion {connection}."
    todo_en = "Ask for smaller pages, or raise limits.max_bytes of connection {connection}."


class BadEncoding(EgressError):
    """The answer is compressed in a way we did not ask for, or does not decompress."""

    code = "egress.encoding"
    fr = "La réponse de {host} n'est pas décodable ({encoding})."
    en = "The answer of {host} cannot be decoded ({encoding})."
    todo_fr = "Signalez-le au fournisseur."
    todo_en = "Tell the vendor."


class Redirected(EgressError):
    """The vendor answered with a redirection, which is never followed. Field `target`: the host it points to, nothing else."""

    code = "egress.redirected"
    fr = "{host} redirige ({status}) vers {target} ; les redirections ne sont pas suivies."
    en = "{host} redirects ({status}) to {target}; redirections are not followed."
    todo_fr = "Si c'est voulu, mettez la nouvelle adresse dans la connexion {connection}."
    todo_en = "If it is intended, put the new address in connection {connection}."
