"""The fields of `[audit.…]`: where the audit log is stamped, and where its events are sent.

What is named here is the operator's own infrastructure: `doctor` lists it, and egress guards the way there.
"""

from typing import Annotated

from sovereign.settings.schema import File, Network, Strict, said


class Timestamps(Strict, frozen=True, kw_only=True):
    """`[audit.timestamps]`: who tells, by signed tokens, when the audit log stood where it stands."""

    url: Annotated[
        str,
        said(
            "l'adresse « https://… » ou « http://… » de l'autorité d'horodatage",
            "the `https://…` or `http://…` address of the time-stamping authority",
            max_length=2048,
        ),
    ]
    authority: File
    policy: (
        Annotated[
            str,
            said(
                "l'identifiant (OID) de la politique à demander, comme « 1.2.3.4.1 »",
                "the identifier (OID) of the policy to ask for, such as `1.2.3.4.1`",
                pattern=r"^[012](\.(0|[1-9]\d{0,15})){1,30}\Z",
            ),
        ]
        | None
    ) = None
    every_hours: Annotated[int, said("un nombre d'heures, de 1 à 720", "a number of hours, 1 to 720", ge=1, le=720)] = 24
    network: Annotated[Network, said("une table", "a table")] = Network()


class AuditSettings(Strict, frozen=True, kw_only=True):
    """`[audit]`: what is done with the audit log beside keeping it."""

    timestamps: Annotated[Timestamps | None, said("une table", "a table")] = None
