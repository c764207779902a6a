"""`sovereign client`: the applications that write through the gateway, and their credentials."""

from datetime import timedelta
from pathlib import Path
from ssl import PEM_cert_to_DER_cert
from typing import TYPE_CHECKING, Final

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.naming import SIZE, instant
from sovereign.cli.output import Column
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.access.callbacks import Reach

command = Noun(
    "client",
    fr="Les applications qui écrivent par la passerelle, et leurs jetons.",
    en="The applications that write through the gateway, and their tokens.",
)
CLIENTS: Final = (
    Column("client", "application", "client"),
    Column("owner", "responsable", "owner"),
    Column("connections", "connexions", "connections"),
    Column("credential", "justificatif", "credential"),
    Column("kind", "nature", "kind"),
    Column("expires_at", "échéance", "until", "time"),
    Column("state", "état", "state", "state"),
)
CALLBACKS: Final = (
    Column("url", "adresse", "address"),
    Column("default", "d'office", "default"),
    Column("network", "réseau", "network"),
    Column("plaintext", "http:", "http:"),
)
_OUTCOMES: Final = {
    "waiting": ("à dire", "waiting"), "told": ("dits", "told"), "given_up": ("restés sans réponse", "given up"),
    "dropped": ("abandonnés", "dropped"),
}  # fmt: skip
_CERTIFICATE: Final = 64 * 1024
_CALLBACK: Final = option(
    "--callback", "callbacks", multiple=True, metavar="URL",
    fr="Où la prévenir (répétable ; la première d'office, une autre si elle la demande).",
    en="Where to tell it (repeatable; the first unless it asks for another).",
)  # fmt: skip
_NETWORK: Final = option(
    "--network", type=click.Choice(("public", "private", "loopback")), default="public", show_default=True,
    fr="Le réseau de ces adresses : internet, celui de la ville, ou cette machine.",
    en="The network of these addresses: the internet, the city's, or this machine.",
)  # fmt: skip
_PLAINTEXT: Final = option("--plaintext", is_flag=True, fr="Permet http: pour prévenir.", en="Allow http: to tell it.")


@command.verb("list", fr="Liste les applications et leurs justificatifs.", en="List applications and their credentials.")
def list_(door: Door) -> None:
    """One row a credential; no secret is shown, for none is kept."""
    clients = door.site().outbound.clients
    rows = []
    for client in clients.list():
        shared: dict[str, object] = {
            "client": client.id,
            "owner": client.owner,
            "connections": ", ".join(sorted(client.connections)),
        }
        held = clients.credentials(client.id)
        if not held:
            rows.append(shared | {"expires_at": client.expires_at, "state": "revoked" if client.revoked_at else "none"})
        for each in held:
            ended = client.revoked_at or each.revoked_at
            past = each.expires_at is not None and each.expires_at <= door.site().clock()
            state = "revoked" if ended else "expired" if past else "active"
            rows.append(shared | {"credential": each.id, "kind": each.kind, "expires_at": each.expires_at, "state": state})
    door.out.table("client", CLIENTS, rows, empty=("Aucune application.", "No application."))


@command.verb(
    "add",
    fr="Inscrit une application ; son jeton est montré une seule fois.",
    en="Add an application; its token is shown once.",
)
@argument("client", fr="Son nom : minuscules, chiffres et -.", en="Its name: lower case, digits and -.")
@option("--owner", required=True, fr="La personne qui en répond.", en="The person who answers for it.")
@option("--purpose", required=True, fr="À quoi elle sert.", en="What it is for.")
@option(
    "--connection",
    "connections",
    multiple=True,
    required=True,
    fr="Où elle peut écrire (répétable).",
    en="Where it may write (repeatable).",
)
@option("--rate", type=float, default=50.0, show_default=True, fr="Requêtes par seconde.", en="Requests a second.")
@option("--concurrency", type=int, default=16, show_default=True, fr="Requêtes simultanées.", en="Requests at once.")
@option(
    "--max-bytes",
    type=SIZE,
    default="16 MiB",
    show_default=True,
    fr="Le plus long corps qu'elle peut envoyer, en octets ou comme « 600 Mio ».",
    en="The longest body that it may send, in bytes or such as `600 MiB`.",
)
@option("--until", default=None, metavar="DATE", fr="L'échéance.", en="When it ends.")
@_CALLBACK
@_NETWORK
@_PLAINTEXT
def add(
    door: Door,
    client: str,
    owner: str,
    purpose: str,
    connections: tuple[str, ...],
    rate: float,
    concurrency: int,
    max_bytes: int,
    until: str | None,
    callbacks: tuple[str, ...],
    network: "Reach",
    plaintext: bool,
) -> None:
    """The token and the callback's secret go to standard output and nowhere else."""
    from sovereign.access import Limits
    from sovereign.access.callbacks import checked

    site = door.site()
    if callbacks:
        checked(client, callbacks, network, plaintext=plaintext)
    for name in connections:
        if name != "*":
            site.connection(name)
    issued = site.outbound.clients.add(
        client,
        owner=owner,
        purpose=purpose,
        connections=connections,
        limits=Limits(rate=rate, concurrency=concurrency, max_bytes=max_bytes),
        expires_at=instant(until, site.settings.site.zone) if until else None,
    )
    _show(door, issued.token, client)
    if callbacks:
        _show_secret(door, site.outbound.callbacks.put(client, callbacks, network=network, plaintext=plaintext), client)


@command.verb(
    "callback",
    fr="Dit où une application est prévenue, le change, ou renouvelle le secret qui signe.",
    en="Say where an application is told, change it, or renew the secret that signs.",
)
@argument("client", fr="L'application.", en="The application.")
@_CALLBACK
@_NETWORK
@_PLAINTEXT
@option(
    "--rotate",
    is_flag=True,
    fr="Donne un nouveau secret ; l'ancien signe encore un jour.",
    en="Give a new secret; the old one signs for a day more.",
)
@option("--remove", is_flag=True, fr="Ne la prévient plus.", en="Tell it no more.")
def callback(
    door: Door, client: str, callbacks: tuple[str, ...], network: "Reach", plaintext: bool, rotate: bool, remove: bool
) -> None:
    """Without an option it shows; a secret that is made goes to standard output and nowhere else."""
    if bool(callbacks) + rotate + remove > 1:
        raise click.UsageError(say("--callback, --rotate ou --remove : un seul", "--callback, --rotate or --remove: only one"))
    held = door.site().outbound.callbacks
    if callbacks:
        _show_secret(door, held.put(client, callbacks, network=network, plaintext=plaintext), client)
    elif rotate:
        _show_secret(door, held.rotate(client), client)
    elif remove:
        held.remove(client)
        door.out.done("callback.removed", f"N'est plus prévenue : {client}", f"No longer told: {client}", client=client)
    else:
        door.site().outbound.clients.get(client)
        found, told = held.get(client), held.told(client)
        rows = (
            [
                {"url": url, "default": place == 0, "network": found.network, "plaintext": found.plaintext}
                for place, url in enumerate(found.urls)
            ]
            if found
            else []
        )
        door.out.table("callback", CALLBACKS, rows, empty=("N'est prévenue nulle part.", "Told nowhere."))
        counts = {name: told.get(name, 0) for name in _OUTCOMES}
        door.out.record("callback.messages", client=client, **counts)
        door.out.remark(
            " · ".join(f"{_OUTCOMES[name][0]} {count}" for name, count in counts.items()),
            " · ".join(f"{_OUTCOMES[name][1]} {count}" for name, count in counts.items()),
        )


@command.verb(
    "rotate",
    fr="Donne un nouveau jeton ; l'ancien sert encore un temps.",
    en="Give a new token; the old one serves a while longer.",
)
@argument("client", fr="L'application.", en="The application.")
@option(
    "--overlap",
    type=click.IntRange(0, 24 * 90),
    default=24,
    show_default=True,
    fr="Heures pendant lesquelles l'ancien sert encore.",
    en="Hours during which the old one still serves.",
)
def rotate(door: Door, client: str, overlap: int) -> None:
    """Both open during the overlap, so that nothing stops."""
    _show(door, door.site().outbound.clients.rotate(client, overlap=timedelta(hours=overlap)).token, client)


@command.verb(
    "bind", fr="Rattache un certificat client (PEM) à une application.", en="Bind a client certificate (PEM) to an application."
)
@argument("client", fr="L'application.", en="The application.")
@argument(
    "certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False), fr="Le certificat.", en="The certificate."
)
def bind(door: Door, client: str, certificate: Path) -> None:
    """The certificate is known by its fingerprint; its key is proved at each handshake."""
    with certificate.open("rb") as source:
        text = source.read(_CERTIFICATE + 1)
    try:
        der = PEM_cert_to_DER_cert(text.decode("ascii").strip())
    except (ValueError, UnicodeDecodeError):
        raise click.BadParameter(say("ce n'est pas un certificat PEM", "not a PEM certificate")) from None
    made = door.site().outbound.clients.bind(client, der)
    door.out.done(
        "client.bound", f"Certificat rattaché : {made.id}", f"Certificate bound: {made.id}", client=client, credential=made.id
    )


@command.verb(
    "revoke",
    fr="Exclut une application, ou l'un de ses justificatifs.",
    en="Shut out an application, or one of its credentials.",
)
@argument("client", fr="L'application.", en="The application.")
@option("--credential", default=None, fr="Ce justificatif seulement.", en="This credential only.")
def revoke(door: Door, client: str, credential: str | None) -> None:
    """It acts within a second, in every process."""
    door.site().outbound.clients.revoke(client, credential)
    door.out.done("client.revoked", f"Exclu : {client}", f"Shut out: {client}", client=client, credential=credential)


def _show_secret(door: Door, secret: str | None, client: str) -> None:
    """Show a secret that was just made; None when the one it has still signs."""
    if secret is None:
        door.out.done("callback.set", f"Adresses fixées : {client}", f"Addresses set: {client}", client=client)
        return
    door.out.record("callback.secret", client=client, secret=secret)
    door.out.say(secret, secret)
    door.out.remark(
        "Ce secret, qui signe les rappels, n'est montré qu'une fois : déposez-le dans le coffre de l'application.",
        "This secret, which signs callbacks, is shown only once: put it in the application's secret store.",
    )


def _show(door: Door, token: str, client: str) -> None:
    door.out.record("client", client=client, token=token)
    door.out.say(token, token)
    door.out.remark(
        "Ce jeton n'est montré qu'une fois : déposez-le dans le coffre de l'application.",
        "This token is shown only once: put it in the application's secret store.",
    )
