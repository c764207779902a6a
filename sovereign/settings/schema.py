"""The fields of `sovereign.toml`: their types, their bounds, and what each expects in two languages.

The sentence beside a field is at once its reference (docs/settings.md is checked against it) and the end of its error message.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from sovereign.language import Language


class Size(int):
    """A number of bytes, written as such or as text: `"256 MiB"`, `"256 Mio"`, `"1.5 GB"`."""

    LEAST: ClassVar[int] = 1
    MOST: ClassVar[int] = 2**50
    _UNITS: ClassVar[Mapping[str, int]] = {
        "": 1, "b": 1, "o": 1,
        "kb": 10**3, "ko": 10**3, "mb": 10**6, "mo": 10**6, "gb": 10**9, "go": 10**9, "tb": 10**12, "to": 10**12,
        "kib": 2**10, "kio": 2**10, "mib": 2**20, "mio": 2**20, "gib": 2**30, "gio": 2**30, "tib": 2**40, "tio": 2**40,
    }  # fmt: skip

    @classmethod
    def read(cls, value: object) -> "Size":
        """Read a size; ValueError when it is not one, below `LEAST`, or above 1 PiB (`MOST`)."""
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("not a size")  # noqa: TRY004 — to msgspec, a ValueError is a wrong value
        found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,3})?)\s*([A-Za-z]{0,3})\s*", str(value))
        if found is None or found[2].lower() not in cls._UNITS:
            raise ValueError("not a size")
        unit = cls._UNITS[found[2].lower()]
        size = int(float(found[1]) * unit) if "." in found[1] else int(found[1]) * unit
        if not cls.LEAST <= size <= cls.MOST:
            raise ValueError("too little, or beyond what any machine has")
        return cls(size)


class SizeOrNone(Size):
    """A number of bytes, as `Size`, or 0 for none."""

    LEAST: ClassVar[int] = 0


def said(fr: str, en: str, **bounds: Any) -> msgspec.Meta:  # noqa: ANN401 — the keyword arguments of msgspec.Meta
    """What a field expects, in both languages, with its bounds."""
    return msgspec.Meta(extra={"fr": fr, "en": en}, **bounds)


Name = Annotated[
    str, said("un nom en minuscules, chiffres et _", "a name in lower case, digits and _", pattern=r"^[a-z][a-z0-9_]{0,62}\Z")
]
SecretName = Annotated[
    str,
    said(
        "le nom d'un secret : minuscules, chiffres, _ et -",
        "a secret's name: lower case, digits, _ and -",
        pattern=r"^[a-z][a-z0-9_-]{0,62}\Z",
    ),
]
Period = Literal["year", "month"]
Mode = Literal["full_refresh", "incremental"]
File = Annotated[str, said("un chemin de fichier, relatif au site", "a file path, relative to the site", min_length=1)]
_Seconds = Annotated[
    float,
    said(
        "un nombre de secondes, au-dessus de 0, au plus 86400", "a number of seconds, above 0, at most 86400", gt=0, le=86_400
    ),
]
_Share = Annotated[float, said("une part entre 0 et 1", "a share between 0 and 1", ge=0, le=1)]
_Size = Annotated[
    Size,
    said(
        "un nombre d'octets, ou un texte comme « 256 Mio » (1 Pio au plus)",
        "a number of bytes, or text such as `256 MiB` (1 PiB at most)",
    ),
]
_Text = Annotated[str, said("un texte", "text", min_length=1)]
_Zone = Annotated[str, said("un fuseau horaire, comme « Europe/Paris »", "a time zone, such as `Europe/Paris`")]


class Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table whose every field is known."""


class SiteSettings(Strict, frozen=True, kw_only=True):
    """`[site]`: whose copy this is."""

    name: _Text = "Sovereign"
    language: Annotated[Language, said("« fr » ou « en »", "`fr` or `en`")] = "fr"
    zone: _Zone = "Europe/Paris"


class KeySettings(Strict, frozen=True, kw_only=True):
    """`[keys]`: where the master key lives, and how long one key-encryption key serves."""

    provider: Annotated[
        str,
        said(
            "un fournisseur de clés, comme « os-keyring:sovereign », « file:keys/master.json » ou « systemd-cred:sovereign »",
            "a key provider's address, such as `os-keyring:sovereign`, `file:keys/master.json` or `systemd-cred:sovereign`",
            pattern=r"^[a-z][a-z0-9-]*:.+\Z",
        ),
    ] = "os-keyring:sovereign"
    period: Annotated[Period, said("« year » ou « month »", "`year` or `month`")] = "year"


class ConnectorSettings(Strict, frozen=True, kw_only=True):
    """`[connectors]`: which kinds that installed packages bring may run here; the product's own always may."""

    allow: Annotated[
        tuple[
            Annotated[
                str,
                said(
                    "le nom d'un connecteur : minuscules, chiffres et -",
                    "a connector's name: lower case, digits and -",
                    pattern=r"^[a-z][a-z0-9-]{0,39}\Z",
                ),
            ],
            ...,
        ],
        said(
            "une liste de connecteurs de paquets installés, comme [« acme »] ; « sovereign connector list » les montre",
            "a list of connectors of installed packages, such as [`acme`]; `sovereign connector list` shows them",
            max_length=64,
        ),
    ] = ()


class Limits(Strict, frozen=True, kw_only=True):
    """`[limits]`: what this machine may spend on a query or on a comparison."""

    memory: _Size = Size(2**29)
    threads: Annotated[
        int, said("un nombre de fils d'exécution, de 1 à 256", "a number of threads, 1 to 256", ge=1, le=256)
    ] = 2
    query_seconds: _Seconds = 60.0


class GatewaySettings(Strict, frozen=True, kw_only=True):
    """`[gateway]`: where applications reach the gateway, and what they may send it at most."""

    listen: Annotated[
        str,
        said(
            "« adresse:port », comme « 127.0.0.1:8460 », ou vide pour ne rien ouvrir",
            "`address:port`, such as `127.0.0.1:8460`, or empty to open nothing",
            pattern=r"^(|(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.\-]+):\d{1,5})\Z",
        ),
    ] = ""
    hosts: Annotated[
        tuple[str, ...],
        said(
            "les noms par lesquels on appelle la passerelle, comme [« passerelle.ville.fr »]",
            "the names by which the gateway is called, such as [`gateway.city.example`]",
            max_length=64,
        ),
    ] = ()
    certificate: File | None = None
    key: File | None = None
    client_ca: File | None = None
    max_body: _Size = Size(2**24)
    max_upload: Annotated[
        SizeOrNone,
        said(
            "un nombre d'octets d'au moins max_body, comme « 1 Gio », ou 0 pour ne recevoir aucun corps plus long que max_body",
            "a number of bytes, at least max_body, such as `1 GiB`, or 0 to take no body longer than max_body",
        ),
    ] = SizeOrNone(2**30)
    uploads: Annotated[
        int, said("un nombre d'envois longs à la fois, de 1 à 64", "a number of long uploads at once, 1 to 64", ge=1, le=64)
    ] = 4
    max_scan: _Size = Size(2**24)
    max_depth: Annotated[
        int, said("un nombre de niveaux de JSON, de 1 à 256", "a number of levels of JSON, 1 to 256", ge=1, le=256)
    ] = 64
    connections: Annotated[
        int, said("un nombre de connexions ouvertes, de 1 à 65536", "a number of open connections, 1 to 65536", ge=1, le=65_536)
    ] = 1024
    connections_per_address: Annotated[
        int,
        said(
            "un nombre de connexions ouvertes depuis une même adresse, de 1 à 65536",
            "a number of open connections from one address, 1 to 65536",
            ge=1,
            le=65_536,
        ),
    ] = 256
    head_seconds: _Seconds = 10.0
    body_seconds: _Seconds = 60.0
    wait_seconds: _Seconds = 30.0
    keep_days: Annotated[int, said("un nombre de jours, de 1 à 3650", "a number of days, 1 to 3650", ge=1, le=3650)] = 30
    signed_policies: Annotated[
        bool,
        said(
            "true pour n'appliquer que des politiques signées, sinon false",
            "true to put only signed policies in force, else false",
        ),
    ] = False


class Network(Strict, frozen=True, kw_only=True):
    """`network`: by which way a connection reaches its vendor, and what it may reach."""

    private: Annotated[
        bool,
        said(
            "true pour permettre les réseaux privés (RFC 1918, ULA), sinon false",
            "true to allow private networks (RFC 1918, ULA), else false",
        ),
    ] = False
    loopback: Annotated[
        bool, said("true pour permettre cette machine, sinon false", "true to allow this machine, else false")
    ] = False
    plaintext: Annotated[bool, said("true pour permettre http:, sinon false", "true to allow http:, else false")] = False
    proxy: Annotated[
        str | None,
        said(
            "« http://hôte:port » ou « https://hôte:port », sans identifiant",
            "`http://host:port` or `https://host:port`, without credentials",
        ),
    ] = None
    proxy_secret: SecretName | None = None
    ca_bundle: File | None = None
    client_certificate: File | None = None
    client_key: File | None = None
    client_key_secret: SecretName | None = None
    host_key: (
        Annotated[
            str,
            said(
                "la clé d'un serveur SSH : son empreinte « SHA256:… » ou la clé publique elle-même, une par ligne",
                "the key of an SSH server: its fingerprint `SHA256:…` or the public key itself, one a line",
                max_length=16_384,
            ),
        ]
        | None
    ) = None
    allow: Annotated[
        tuple[str, ...],
        said("une liste d'origines, comme [« https://hôte »]", "a list of origins, such as [`https://host`]", max_length=64),
    ] = ()


class ConnectionLimits(Strict, frozen=True, kw_only=True):
    """`limits` of a connection: how hard the vendor is asked, how long it is awaited, how much it may answer."""

    rate: (
        Annotated[
            float,
            said(
                "un nombre de requêtes par seconde, au-dessus de 0, au plus 10000",
                "a number of requests a second, above 0, at most 10000",
                gt=0,
                le=10_000,
            ),
        ]
        | None
    ) = None
    concurrency: Annotated[
        int, said("un nombre de requêtes simultanées, de 1 à 64", "a number of concurrent requests, 1 to 64", ge=1, le=64)
    ] = 4
    connect_timeout: _Seconds = 10.0
    timeout: _Seconds = 60.0
    total_timeout: _Seconds = 600.0
    patience: Annotated[float, said("un nombre de secondes, de 0 à 3600", "a number of seconds, 0 to 3600", ge=0, le=3600)] = (
        30.0
    )
    attempts: Annotated[int, said("un nombre d'essais, de 1 à 10", "a number of attempts, 1 to 10", ge=1, le=10)] = 4
    max_bytes: _Size = Size(2**28)


class Guards(Strict, frozen=True, kw_only=True):
    """`guards`: beyond which change a pull is kept aside instead of published."""

    max_fall: _Share = 0.5
    max_deletions: _Share = 0.3


_Said = Annotated[
    str, said("un texte d'au plus 500 caractères", "a text of at most 500 characters", min_length=1, max_length=500)
]
_Listed = Annotated[
    tuple[Annotated[str, said("un texte", "a text", min_length=1, max_length=200)], ...],
    said("une liste de textes, 64 au plus", "a list of texts, at most 64", max_length=64),
]


class Treatment(Strict, frozen=True, kw_only=True):
    """`treatment` of a connection: its lines in the record of processing activities (GDPR, article 30)."""

    purpose: _Said | None = None
    owner: _Said | None = None
    basis: _Said | None = None
    persons: _Listed = ()
    data: _Listed = ()
    recipients: _Listed = ()
    country: (
        Annotated[
            str,
            said(
                "le pays où le fournisseur tient les données, en deux lettres, comme « FR »",
                "the country where the vendor holds the data, in two letters, such as `FR`",
                pattern=r"^[A-Z]{2}\Z",
            ),
        ]
        | None
    ) = None
    safeguards: _Said | None = None
    retention: _Said | None = None


class Connection(Strict, frozen=True, kw_only=True):
    """`[connections.NAME]`: a configured connector.

    `options` is what the connector itself is given: `url`, `streams` and every field that is not one of these.
    """

    name: Name
    connector: Annotated[
        str, said("un type de connecteur, comme « rest »", "a kind of connector, such as `rest`", pattern=r"^[a-z][a-z0-9-]*\Z")
    ]
    url: Annotated[
        str,
        said(
            "une adresse « https://… », « http://… », « imaps://… », « ldaps://… », « sftp://… » ou « folder:… »",
            "an `https://…`, `http://…`, `imaps://…`, `ldaps://…`, `sftp://…` or `folder:…` address",
            max_length=2048,
        ),
    ]
    secret: SecretName | None = None
    auth: Annotated[dict[str, Any], said("une table, comme { kind = « bearer » }", "a table, such as { kind = `bearer` }")] = {}
    every: Annotated[str | None, said("une cadence, comme « 15 minutes »", "a cadence, such as `15 minutes`")] = None
    schedule: Annotated[
        str | None, said("un horaire, comme « every day at 03:30 »", "a time, such as `every day at 03:30`")
    ] = None
    zone: (
        Annotated[
            str,
            said(
                "le fuseau horaire de la cadence, comme « Europe/Paris » (celui du site par défaut)",
                "the time zone of the cadence, such as `Europe/Paris` (the site's when left out)",
            ),
        ]
        | None
    ) = None
    missed: Annotated[
        Literal["once", "skip"],
        said(
            "« once » (rattraper une fois) ou « skip » (laisser passer)", "`once` (make up for it once) or `skip` (let it pass)"
        ),
    ] = "once"
    mode: Annotated[Mode | None, said("« full_refresh » ou « incremental »", "`full_refresh` or `incremental`")] = None
    streams: Annotated[
        dict[str, dict[str, Any]] | list[str] | None,
        said("une liste de flux, ou une table par flux", "a list of streams, or a table a stream"),
    ] = None
    network: Annotated[Network, said("une table", "a table")] = Network()
    limits: Annotated[ConnectionLimits, said("une table", "a table")] = ConnectionLimits()
    guards: Annotated[Guards, said("une table", "a table")] = Guards()
    raw_days: Annotated[
        int,
        said(
            "un nombre de jours d'archive brute, 0 pour aucune", "a number of days of raw archive, 0 for none", ge=0, le=36_500
        ),
    ] = 30
    documents_days: (
        Annotated[
            int,
            said(
                "un nombre de jours, après quoi un document que plus rien ne nomme est détruit (jamais par défaut)",
                "a number of days after which a document that nothing names any more is destroyed (never when left out)",
                ge=1,
                le=36_500,
            ),
        ]
        | None
    ) = None
    treatment: Annotated[Treatment | None, said("une table", "a table")] = None
    options: dict[str, Any] = {}
