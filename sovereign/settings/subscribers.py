"""`[subscribers.NAME]`: who is told what happens here, of what, and where."""

from typing import Annotated, Final, Literal

from sovereign.settings.schema import Network, Strict, said

TYPES: Final = (
    "sovereign.snapshot.committed",
    "sovereign.snapshot.quarantined",
    "sovereign.write.held",
    "sovereign.write.delivered",
    "sovereign.write.confirmed",
    "sovereign.write.failed",
    "sovereign.write.unknown",
    "sovereign.flow.acted",
    "sovereign.flow.held",
    "sovereign.flow.done",
    "sovereign.flow.failed",
    "sovereign.flow.unknown",
)
"""What a subscriber may ask for by its type."""
MOST: Final = 64
"""Subscribers of a site."""
_CHOICES: Final = "|".join(each.replace(".", r"\.") for each in TYPES)


class Subscriber(Strict, frozen=True, kw_only=True):
    """`[subscribers.NAME]`: who is told what happens here: where, of what, and by which way."""

    url: Annotated[str, said("une adresse « https://… »", "an `https://…` address", min_length=1, max_length=2048)]
    types: Annotated[
        tuple[
            Annotated[
                str,
                said(
                    f"« * », « sovereign.write.* » ou un type parmi : {', '.join(TYPES)}",
                    f"`*`, `sovereign.write.*` or a type among: {', '.join(TYPES)}",
                    pattern=rf"^(\*|sovereign\.(snapshot|write|flow)\.\*|{_CHOICES})\Z",
                ),
            ],
            ...,
        ],
        said(
            "une liste de types d'événements, comme [« sovereign.write.* »]",
            "a list of event types, such as [`sovereign.write.*`]",
            max_length=64,
        ),
    ] = ()
    connections: Annotated[
        tuple[str, ...],
        said(
            "les connexions dont il est prévenu (toutes par défaut)",
            "the connections that it is told of (all when left out)",
            max_length=256,
        ),
    ] = ()
    changes: Annotated[
        tuple[
            Annotated[
                str,
                said(
                    "« connexion.flux »", "`connection.stream`", pattern=r"^[a-z][a-z0-9_]{0,62}\.[A-Za-z_][A-Za-z0-9_]{0,62}\Z"
                ),
            ],
            ...,
        ],
        said(
            "une liste de « connexion.flux » dont chaque ligne changée est dite, avec son contenu",
            "a list of `connection.stream` of which each changed row is told, with its content",
            max_length=64,
        ),
    ] = ()
    owner: (
        Annotated[
            str, said("la personne qui répond des lignes envoyées", "the person who answers for the rows sent", min_length=1)
        ]
        | None
    ) = None
    clearance: Annotated[
        Literal["internal", "personal", "sensitive"],
        said("« internal », « personal » ou « sensitive »", "`internal`, `personal` or `sensitive`"),
    ] = "internal"
    ordered: Annotated[
        bool,
        said(
            "true : un à la fois, dans l'ordre, celui qui n'est pas pris retient les suivants ; sinon false",
            "true: one at a time, in order, one that is not taken holds those after it; else false",
        ),
    ] = True
    most: Annotated[
        int,
        said(
            "un nombre d'événements en attente, de 1 à 1000000", "a number of waiting events, 1 to 1000000", ge=1, le=1_000_000
        ),
    ] = 100_000
    keep_days: Annotated[int, said("un nombre de jours, de 1 à 3650", "a number of days, 1 to 3650", ge=1, le=3650)] = 90
    network: Annotated[Network, said("une table", "a table")] = Network()
