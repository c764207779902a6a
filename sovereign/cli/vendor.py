"""`sovereign vendor`: which vendors are open, cutting one off in one act, and the firewall that leaves no other way out."""

import os
import socket
from datetime import UTC
from typing import Final
from urllib.parse import urlsplit

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.marks import several
from sovereign.cli.naming import since_instant
from sovereign.cli.output import Column
from sovereign.language import say

command = Noun(
    "vendor",
    fr="Les fournisseurs : ouverts, en panne ou coupés ; les couper, les rouvrir, fermer toute autre issue.",
    en="The vendors: open, down or cut off; cut them, open them again, close every other way out.",
)

COLUMNS: Final = (
    Column("connection", "connexion", "connection"),
    Column("state", "état", "state"),
    Column("since", "depuis", "since", "time"),
    Column("until", "nouvel essai", "next trial", "time"),
    Column("reason", "raison", "reason"),
    Column("waiting", "en attente", "waiting", "number"),
)
STATES: Final = {
    "closed": ("✓ ouvert", "✓ open"),  # a circuit that is closed lets writes through: people call that open
    "open": ("✗ en panne", "✗ down"),
    "half_open": ("… à l'essai", "… on trial"),
    "refused": ("✗ secret refusé", "✗ secret refused"),
    "cut": ("✗ coupé", "✗ cut off"),
}
_REASONS: Final = {"operator": ("un opérateur", "an operator"), "credential": ("le secret", "the secret")}


@command.verb("list", fr="Liste les fournisseurs et ce qui les attend.", en="List the vendors and what waits for them.")
def list_(door: Door) -> None:
    """One row a connection."""
    from sovereign.gateway.breaker import Breaker, Circuit, stopping

    site = door.site()
    with site.state.read() as reader:
        known = Breaker(site.state, site.audit).all(reader)
        rows = []
        for name in sorted({*site.settings.connections, *known}):
            circuit, waits = known.get(name, Circuit(name)), stopping(reader, name)
            rows.append(
                {
                    "connection": name,
                    "state": circuit.state if door.out.json else say(*STATES[circuit.state]),
                    "since": circuit.since,
                    "until": circuit.until,
                    "reason": say(*_REASONS[circuit.reason])
                    if circuit.reason in _REASONS and not door.out.json
                    else circuit.reason,
                    "waiting": sum(waits.values()),
                    "deliveries": waits,
                }
            )
    door.out.table("vendor", COLUMNS, rows, empty=("Aucune connexion.", "No connection."))
    for name, circuit in sorted(known.items()):
        if circuit.state == "refused":
            door.out.remark(
                f"! {name} refuse son secret : déposez le nouveau (« sovereign secret set {name} »), tout part alors",
                f"! {name} refuses its secret: store the new one (`sovereign secret set {name}`), and all leaves",
            )


@command.verb(
    "cut",
    fr="Coupe un fournisseur : plus rien ne part vers lui par la passerelle ; dit ce qui s'arrête.",
    en="Cut a vendor off: nothing leaves for it through the gateway any more; tells what stops.",
)
@argument("name", fr="La connexion.", en="The connection.")
@option("--reason", required=True, metavar="TEXT", fr="Pourquoi ; va au journal, scellée.", en="Why; sealed in the log.")
def cut(door: Door, name: str, reason: str) -> None:
    """The next claim of a delivery, in whatever process, sees it."""
    from sovereign.gateway.breaker import Breaker, stopping

    site = door.site()
    site.connection(name)
    with site.state.begin() as transaction:
        Breaker(site.state, site.audit).cut(transaction, name, site.clock(), reason)
        waits = stopping(transaction, name)
    waiting = several(sum(waits.values()), "remise* en attente", "write* waiting")
    door.out.done(
        "vendor.cut",
        f"{name} coupé. S'arrêtent : {waiting}, et toute nouvelle écriture ou lecture par la passerelle",
        f"{name} cut off. What stops: {waiting}, and every new write or read through the gateway",
        connection=name,
        deliveries=waits,
    )


@command.verb("restore", fr="Rouvre un fournisseur ; ce qui attendait part dans l'ordre.", en="Open a vendor again, in order.")
@argument("name", fr="La connexion.", en="The connection.")
@option("--reason", required=True, metavar="TEXT", fr="Pourquoi ; va au journal, scellée.", en="Why; sealed in the log.")
def restore(door: Door, name: str, reason: str) -> None:
    """The circuit is closed, whatever it was."""
    from sovereign.gateway.breaker import Breaker

    site = door.site()
    site.connection(name)
    with site.state.begin() as transaction:
        Breaker(site.state, site.audit).restore(transaction, name, site.clock(), reason)
    door.out.done("vendor.restored", f"{name} rouvert", f"{name} open again", connection=name)


@command.verb(
    "bypassed",
    fr="Inscrit au journal une écriture faite hors de la passerelle, quand il a fallu briser la glace.",
    en="Enter in the audit log a write that was made outside the gateway, when the glass had to be broken.",
)
@argument("name", fr="La connexion.", en="The connection.")
@option(
    "--by", "people", required=True, multiple=True, metavar="NAME", fr="Qui l'a décidé ; deux personnes.", en="Who; two people."
)
@option("--since", required=True, metavar="DATE", fr="Quand l'issue a été ouverte.", en="When the way out was opened.")
@option("--until", "closed", required=True, metavar="DATE", fr="Quand elle a été refermée.", en="When it was closed again.")
@option("--reason", required=True, metavar="TEXT", fr="Quoi et pourquoi ; scellé.", en="What and why; sealed in the log.")
def bypassed(door: Door, name: str, people: tuple[str, ...], since: str, closed: str, reason: str) -> None:
    """One loud entry: what the gateway did not see, said by those who did it."""
    from sovereign.gateway.ballot import plain

    site = door.site()
    site.connection(name)
    opened, shut = (since_instant(each, site.settings.site.zone).astimezone(UTC) for each in (since, closed))
    if len({plain(each) for each in people}) < 2:
        raise click.UsageError(say("il faut deux personnes différentes (--by)", "two different people are needed (--by)"))
    if not opened <= shut <= site.clock():
        raise click.UsageError(
            say("--since vient avant --until, et les deux sont passés", "--since is before --until, both past")
        )
    facts = {"since": opened, "until": shut, "people": len(people)}
    entry = site.audit.append("vendor.bypassed", {"connection": name}, facts, {"people": list(people), "reason": reason})
    door.out.done(
        "vendor.bypassed",
        f"Inscrit au journal, entrée {entry} : comparez maintenant le journal du fournisseur avec le nôtre",
        f"Entered in the audit log, entry {entry}: now compare the vendor's own log with ours",
        connection=name,
        entry=entry,
    )


@command.verb(
    "firewall",
    fr="Écrit les règles nftables qui font de ce compte la seule issue vers les fournisseurs.",
    en="Write the nftables rules that make this account the only way out to the vendors.",
)
@option(
    "--uid",
    type=int,
    metavar="UID",
    fr="Le compte de la passerelle (le vôtre sinon).",
    en="The gateway's account (yours if not).",
)
def firewall(door: Door, uid: int | None) -> None:
    """The names are resolved now; the text goes to standard output."""
    from sovereign.egress.origin import PORTS
    from sovereign.gateway.firewall import Way, rules

    site = door.site()
    ways = []
    for name, connection in site.settings.connections.items():
        url = urlsplit(connection.url)
        if url.scheme not in PORTS or not url.hostname:
            continue
        port = url.port or PORTS[url.scheme]
        try:
            found = {str(each[4][0]) for each in socket.getaddrinfo(url.hostname, port, type=socket.SOCK_STREAM)}
        except OSError:
            door.out.remark(f"! {name} : {url.hostname} ne se résout pas", f"! {name}: {url.hostname} does not resolve")
            door.exit = 3
            continue
        ways.append(Way(name, port, tuple(sorted(found))))
    text = rules(ways, os.getuid() if uid is None else uid)
    site.audit.append("firewall.exported", {}, {"connections": [way.connection for way in ways]})
    door.out.record("firewall", rules=text)
    door.out.say(text, text)
