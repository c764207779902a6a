"""`[events.NAME]`: who may send events, and how each signs."""

from typing import Annotated, Literal

from sovereign.settings.schema import SecretName, Strict, said

_TYPES = r"^(\*|[a-z0-9][a-z0-9_.-]{0,127}|[a-z0-9][a-z0-9_.-]{0,125}\.\*)\Z"
_SCHEMES = ("standard", "github", "stripe", "slack", "shopify", "zendesk", "docusign", "plain")


class EventSource(Strict, frozen=True, kw_only=True):
    """`[events.NAME]`: who may send events to /v1/events/NAME, and how they are signed and read."""

    scheme: Annotated[
        str,
        said(
            f"la façon de signer : {', '.join(_SCHEMES)}",
            f"the way of signing: {', '.join(_SCHEMES)}",
            pattern=rf"^({'|'.join(_SCHEMES)})\Z",
        ),
    ] = "standard"
    secret: SecretName = "webhook"  # noqa: S105 - a name
    type: (
        Annotated[
            str,
            said(
                "le type de tous ses événements, comme « rh.departure »",
                "the type of all its events, such as `rh.departure`",
                pattern=r"^[a-z0-9][a-z0-9_.-]{0,127}\Z",
            ),
        ]
        | None
    ) = None
    type_field: (
        Annotated[
            str,
            said(
                "où le corps dit le type, comme « event.name »",
                "where the body says the type, such as `event.name`",
                pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,7}\Z",
            ),
        ]
        | None
    ) = None
    type_header: (
        Annotated[str, said("l'en-tête qui dit le type", "the header that says the type", pattern=r"^[A-Za-z0-9-]{1,64}\Z")]
        | None
    ) = None
    prefix: Annotated[str, said("ce qui précède ce type", "what goes before that type", pattern=r"^[a-z0-9_.-]{0,64}\Z")] = ""
    types: Annotated[
        tuple[Annotated[str, said("un type", "a type", pattern=_TYPES)], ...],
        said(
            "la liste des types qu'elle peut dire, comme « rh.departure », « rh.* » ; « * » pour tous",
            "a list of the types that it may tell, such as `rh.departure`, `rh.*`; `*` for all",
            max_length=64,
        ),
    ] = ()
    class_: Annotated[
        Literal["internal", "personal", "sensitive"],
        said(
            "la classe de ce que disent ses événements : « internal », « personal » ou « sensitive »",
            "the class of what its events say: `internal`, `personal` or `sensitive`",
        ),
    ] = "personal"
    window: Annotated[
        int, said("un nombre de secondes, de 30 à 86400", "a number of seconds, 30 to 86400", ge=30, le=86_400)
    ] = 300
    keep_days: Annotated[int, said("un nombre de jours, de 1 à 3650", "a number of days, 1 to 3650", ge=1, le=3650)] = 90
