"""The time-stamping authority of a site, as its settings name it; what `doctor` says of it.

It is the operator's own choice of a third party: what is sent there is a hash, and egress guards the way.
"""

import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sovereign.errors import BadSettings
from vault.errors import Corrupt, Finding

if TYPE_CHECKING:
    from sovereign.audit.stamping import Stamper
    from sovereign.egress import EgressPolicy, Transport
    from sovereign.parts import Parts
    from sovereign.settings import Timestamps
    from vault.timestamps import Authority

NAME: Final = "audit.timestamps"
_PEM: Final = 2**20


def authority(site: "Parts") -> "Authority | None":
    """Whose tokens this site believes; None when its settings name no authority. Errors: BadSettings."""
    wanted = site.settings.audit.timestamps
    return None if wanted is None else read(site.root / wanted.authority)


def read(path: Path, policy: str | None = None) -> "Authority":
    """Read the certificates of an authority; errors: BadSettings when the file holds none that is a root."""
    from vault import files
    from vault.timestamps import Authority

    try:
        return Authority.read(files.read(path, limit=_PEM), policy)
    except (OSError, Corrupt):
        raise BadSettings(
            field=f"{NAME}.authority",
            expected_fr="attendu : un fichier PEM avec le certificat racine de l'autorité",
            expected_en="expected a PEM file with the root certificate of the authority",
        ) from None


def stamper(site: "Parts", stop: threading.Event | None = None) -> "Stamper | None":
    """What stamps the log of a site; None when its settings name no authority. stop: ends waits. Errors: BadSettings."""
    from sovereign.audit.stamping import Stamper

    wanted = site.settings.audit.timestamps
    if wanted is None:
        return None
    believed = read(site.root / wanted.authority, wanted.policy)
    allowed, every = _policy(site, wanted), timedelta(hours=wanted.every_hours)
    return Stamper(site.audit, believed, wanted.url, every, lambda: _open(site, allowed, stop), site.clock, os.urandom)


def findings(site: "Parts") -> Iterator[Finding]:
    """Name the authority, and say how old its last token is."""
    made, wanted = stamper(site), site.settings.audit.timestamps
    if made is None or wanted is None:
        return
    with _open(site, _policy(site, wanted), None) as way:
        said = way.describe()
    yield Finding("info", "doctor.timestamps", NAME, " ".join(each.fr for each in said), " ".join(each.en for each in said))
    last, present = made.last(), site.clock()
    if last is None or present - last > 2 * made.every:
        hours = None if last is None else int((present - last).total_seconds() // 3600)
        fr = "jamais obtenu" if hours is None else f"vieux de {hours} h"
        en = "never obtained" if hours is None else f"{hours} h old"
        yield Finding(
            "warning", "doctor.stamp", NAME,
            f"dernier jeton {fr} : « sovereign serve » tourne-t-il ? sinon « sovereign audit stamp »",
            f"last token {en}: is `sovereign serve` running? else `sovereign audit stamp`",
        )  # fmt: skip
    else:
        when = f"{last:%Y-%m-%d %H:%M}"
        yield Finding("info", "doctor.stamp", NAME, f"dernier jeton : {when} UTC", f"last token: {when} UTC")


def _policy(site: "Parts", wanted: "Timestamps") -> "EgressPolicy":
    from dataclasses import replace

    from sovereign.egress.policy import network_policy
    from vault.timestamps import LIMIT

    policy = network_policy(NAME, wanted.url, wanted.network, site.root, str.encode, at=NAME)  # the settings name no secret
    return replace(policy, timeout=10.0, total_timeout=20.0, attempts=2, patience=10.0, max_bytes=LIMIT)


def _open(site: "Parts", policy: "EgressPolicy", stop: threading.Event | None) -> "Transport":
    from sovereign.egress import open_transport

    return open_transport(policy, None, site.clock, stop=stop)
