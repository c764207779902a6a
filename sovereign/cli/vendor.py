"""`sovereign vendor`: which vendors are open, cutting one off in one act, and the firewall that leaves no other way out."""

import os
import socket
from typing import Final
from urllib.parse import urlsplit

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.output import Column

command = Noun(
    "vendor",
    fr="Les fournisseurs : ouverts, en panne ou coupés ; les couper, les rouvrir, fermer toute autre issue.",
    en="The vendors: open, down or cut off; cut them, open them again, close every other way out.",
)

COLUMNS: Final = (
    Column("connection", "connexion", "connection"),
    Column("state", "circuit", "circuit"),
    Column("since", "depuis", "since", "time"),
    Column("until", "nouvel essai", "next trial", "time"),
    Column("reason", "raison", "reason"),
    Column("waiting", "en attente", "waiting", "number"),
)


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
                    "state": circuit.state,
                    "since": circuit.since,
                    "until": circuit.until,
                    "reason": circuit.reason,
                    "waiting": sum(waits.values()),
                    "deliveries": waits,
                }
            )
    door.out.table("vendor", COLUMNS, rows, empty=("Aucune connexion.", "No connection."))


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
    count = sum(waits.values())
    door.out.done(
        "vendor.cut",
        f"{name} coupé ; {count} remise(s) en attente, et toute nouvelle écriture ou lecture par la passerelle",
        f"{name} cut off; {count} delivery(ies) wait, and every new write or read through the gateway",
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
    from sovereign.gateway.firewall import Way, rules

    site = door.site()
    ways = []
    for name, connection in site.settings.connections.items():
        url = urlsplit(connection.url)
        if url.scheme not in ("http", "https") or not url.hostname:
            continue
        port = url.port or (443 if url.scheme == "https" else 80)
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
