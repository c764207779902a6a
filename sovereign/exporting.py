"""The receiver that the settings name for the events of the audit log; what `doctor` says of it.

It is the operator's own machine, reached by TLS through egress's guard. The log itself is what waits for it: see
docs/adr/0008-the-log-is-the-spool.md.
"""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sovereign.errors import BadSettings
from vault.errors import Fault, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from sovereign.audit.forwarding import Forwarder
    from sovereign.egress.policy import EgressPolicy
    from sovereign.parts import Parts
    from sovereign.settings import Export

NAME: Final = "audit.export"
SECONDS: Final = 10.0
"""How long the receiver may leave one step waiting."""


def forwarder(site: "Parts", trouble: Callable[[Fault], None]) -> "Forwarder | None":
    """What follows the log of a site; None when its settings name no receiver. Errors: BadSettings, TlsFailed."""
    from sovereign.audit.forwarding import Forwarder, Position
    from sovereign.audit.syslog import Writer
    from sovereign.egress import tls
    from sovereign.egress.stream import TlsStream

    wanted = site.settings.audit.export
    if wanted is None:
        return None
    policy = _policy(site.root, wanted)
    tls.context(policy, ())  # a file that cannot be used is told at once
    writer = Writer(wanted.facility, socket.gethostname(), wanted.enterprise, site.audit.checkpoints.verifier.name)

    def line() -> TlsStream:
        return TlsStream.open(policy, wanted.host, wanted.port, close_notify=wanted.close_notify)

    return Forwarder(site.audit, Position(site.state), writer, line, trouble)


def unconfirmed(site: "Parts") -> int | None:
    """The first entry that the receiver has not confirmed; None when the settings name no receiver."""
    from sovereign.audit.forwarding import Position

    return None if site.settings.audit.export is None else Position(site.state).get()


def gauges(site: "Parts") -> str:
    """How far the receiver has confirmed, in the text format of Prometheus; empty when the settings name none."""
    confirmed = unconfirmed(site)
    if confirmed is None:
        return ""
    name = "sovereign_audit_exported_entries"
    said = "Entries of the audit log that the receiver of events has confirmed."
    return f"# HELP {name} {said}\n# TYPE {name} gauge\n{name} {confirmed}\n"


def findings(site: "Parts", patience: "timedelta") -> "Iterator[Finding]":
    """Name the receiver, and say what it has not confirmed. patience: how old that may be before it is a warning."""
    wanted, first = site.settings.audit.export, unconfirmed(site)
    if wanted is None or first is None:
        return
    _policy(site.root, wanted)
    waiting = site.audit.bare(first, limit=1)
    count = site.audit.size() - waiting[0][0] if waiting else 0
    place = f"{wanted.host}:{wanted.port}"
    if waiting and site.clock() - waiting[0][1].at > patience:
        yield Finding(
            "warning", "doctor.export", NAME,
            f"{place} n'a pas confirmé {count} entrées, depuis le {waiting[0][1].at:%Y-%m-%d %H:%M} UTC : le récepteur "
            "répond-il, et « sovereign serve » tourne-t-il ?",
            f"{place} has not confirmed {count} entries, since {waiting[0][1].at:%Y-%m-%d %H:%M} UTC: does the receiver "
            "answer, and is `sovereign serve` running?",
        )  # fmt: skip
    else:
        fr = f"événements envoyés à {place} (syslog, TLS) ; {count} entrées en route"
        en = f"events sent to {place} (syslog, TLS); {count} entries on their way"
        yield Finding("info", "doctor.export", NAME, fr, en)


def _policy(root: Path, wanted: "Export") -> "EgressPolicy":
    from sovereign.egress.policy import EgressPolicy

    def file(field: str, name: str | None) -> Path | None:
        if name is not None and not (root / name).is_file():
            raise BadSettings(
                field=f"{NAME}.{field}", expected_fr="attendu : un fichier lisible", expected_en="expected a readable file"
            )
        return None if name is None else root / name

    return EgressPolicy(
        connection=NAME,
        url=f"https://{wanted.host}:{wanted.port}",
        private=wanted.private,
        loopback=wanted.loopback,
        ca_bundle=file("ca_bundle", wanted.ca_bundle),
        client_certificate=file("client_certificate", wanted.client_certificate),
        client_key=file("client_key", wanted.client_key),
        connect_timeout=SECONDS,
        timeout=SECONDS,
    )
