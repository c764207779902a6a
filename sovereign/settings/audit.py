"""The fields of `[audit.…]`: where the audit log is stamped, and where its events are sent.

What is named here is the operator's own infrastructure: `doctor` lists it, and egress guards the way there.
"""

from typing import Annotated

import msgspec

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


class Witness(Strict, frozen=True, kw_only=True):
    """`[audit.witnesses.NAME]`: a witness that is asked to cosign each checkpoint of the audit log."""

    url: Annotated[
        str,
        said(
            "l'adresse « https://… » ou « http://… » du témoin",
            "the `https://…` or `http://…` address of the witness",
            max_length=2048,
        ),
    ]
    key: Annotated[
        str,
        said(
            "la clé publique du témoin, autre que celles des autres, que « sovereign witness init » donne",
            "the witness's public key, unlike those of the others, as `sovereign witness init` gives it",
            max_length=2048,
        ),
    ]
    network: Annotated[Network, said("une table", "a table")] = Network()


class Export(Strict, frozen=True, kw_only=True):
    """`[audit.export]`: which receiver of syslog over TLS is sent every entry, as an OCSF event."""

    host: Annotated[
        str,
        said(
            "le nom du récepteur, celui de son certificat",
            "the receiver's name, the one in its certificate",
            pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]{0,252})\Z",
        ),
    ]
    port: Annotated[int, said("un port, de 1 à 65535", "a port, 1 to 65535", ge=1, le=65_535)] = 6514
    ca_bundle: File
    client_certificate: File | None = None
    client_key: File | None = None
    facility: Annotated[
        int, said("un code de la RFC 5424, de 0 à 23 (13 : audit)", "a code of RFC 5424, 0 to 23 (13: audit)", ge=0, le=23)
    ] = 13
    enterprise: Annotated[
        int,
        said(
            "votre numéro d'entreprise IANA (PEN) ; 32473 est celui des exemples",
            "your IANA enterprise number (PEN); 32473 is the one of examples",
            ge=1,
            le=2**31 - 1,
        ),
    ] = 32473
    close_notify: Annotated[
        bool,
        said(
            "false pour un récepteur qui clôt sans fin TLS (RFC 5425, 4.4), sinon true",
            "false for a receiver that closes without ending TLS (RFC 5425, 4.4), else true",
        ),
    ] = True
    private: Annotated[
        bool, said("false pour interdire les réseaux privés, sinon true", "false to forbid private networks, else true")
    ] = True
    loopback: Annotated[
        bool, said("true pour permettre cette machine, sinon false", "true to allow this machine, else false")
    ] = False


class AuditSettings(Strict, frozen=True, kw_only=True):
    """`[audit]`: what is done with the audit log beside keeping it."""

    cosignatures: (
        Annotated[
            int,
            said(
                "le nombre de témoins qui doivent avoir vu une entrée, au plus autant qu'il y en a (tous par défaut)",
                "how many witnesses must have seen an entry, at most as many as there are (all when left out)",
                ge=1,
                le=16,
            ),
        ]
        | None
    ) = None
    witnesses: Annotated[dict[str, Witness], said("au plus 16 tables, une par témoin", "at most 16 tables, one a witness")] = (
        msgspec.field(default_factory=dict)
    )
    timestamps: Annotated[Timestamps | None, said("une table", "a table")] = None
    export: Annotated[Export | None, said("une table", "a table")] = None

    @property
    def wanted(self) -> int:
        """How many witnesses must have seen an entry; 0 when none is configured."""
        return len(self.witnesses) if self.cosignatures is None else self.cosignatures
