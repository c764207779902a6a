"""The fields of `[backup]`: where data and keys are copied. What is named here is the operator's own infrastructure."""

from typing import Annotated

import msgspec

from sovereign.settings.schema import Name, Network, SecretName, Strict, said


class BackupTarget(Strict, frozen=True, kw_only=True):
    """`[backup.targets.NAME]`: where backups go: a folder, or a bucket of an object store that speaks S3."""

    folder: Annotated[str, said("un dossier, hors du site", "a folder, outside of the site", min_length=1)] | None = None
    bucket: (
        Annotated[str, said("le nom d'un compartiment S3", "the name of an S3 bucket", pattern=r"^[a-z0-9][a-z0-9.\-]{1,62}\Z")]
        | None
    ) = None
    prefix: Annotated[
        str,
        said(
            "le début du nom des objets, comme « ville/ », ou vide",
            "how the names of objects begin, such as `city/`, or empty",
            pattern=r"^([A-Za-z0-9_.\-]+/)*\Z",
        ),
    ] = ""
    url: (
        Annotated[
            str,
            said("l'adresse « https://… » du serveur S3", "the `https://…` address of the S3 server", max_length=2048),
        ]
        | None
    ) = None
    region: Annotated[str, said("une région S3", "an S3 region", pattern=r"^[a-z0-9\-]{1,40}\Z")] = "us-east-1"
    access_key: (
        Annotated[
            str,
            said("l'identifiant de la clé d'accès S3", "the id of the S3 access key", pattern=r"^[A-Za-z0-9/+=_\-.]{1,200}\Z"),
        ]
        | None
    ) = None
    secret: SecretName | None = None
    network: Annotated[Network, said("une table", "a table")] = Network()


_Many = Annotated[int, said("un nombre, de 0 à 10000", "a number, 0 to 10000", ge=0, le=10_000)]


class BackupKeep(Strict, frozen=True, kw_only=True):
    """`[backup.keep]`: which backups `backup prune` keeps: the latest ones, and the newest of each day, week and month."""

    last: _Many = 0
    daily: _Many = 0
    weekly: _Many = 0
    monthly: _Many = 0


class BackupSettings(Strict, frozen=True, kw_only=True):
    """`[backup]`: where copies of the site are kept, and those of its keys, apart."""

    keys: (
        Annotated[
            str,
            said(
                "un dossier pour les clés, hors du site et des destinations, sur un autre support",
                "a folder for the keys, outside of the site and of the targets, on another medium",
                min_length=1,
            ),
        ]
        | None
    ) = None
    target: Annotated[Name, said("le nom d'une table de backup.targets", "the name of a table of backup.targets")] | None = None
    every: (
        Annotated[
            str,
            said(
                "une cadence, comme « 1 day », avec « keys » et une destination",
                "a cadence, such as `1 day`, with `keys` and a target",
            ),
        ]
        | None
    ) = None
    schedule: (
        Annotated[
            str,
            said(
                "un horaire, comme « every day at 03:30 », à la place de « every »",
                "a time, such as `every day at 03:30`, instead of `every`",
            ),
        ]
        | None
    ) = None
    keep: Annotated[BackupKeep | None, said("une table qui garde quelque chose", "a table that keeps something")] = None
    targets: Annotated[dict[str, BackupTarget], said("une table par destination", "a table a target")] = msgspec.field(
        default_factory=dict
    )
