"""What a map of flows is: boxes in columns, arrows between them, each declared, observed, or both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from sovereign.reports.model import Words

NodeKind = Literal[
    "vendor", "sender", "connection", "client", "dataset", "event", "door", "flow", "news", "target", "subscriber"
]
EdgeKind = Literal["pull", "copy", "read", "send", "wake", "write", "ask", "deliver", "tell"]
Mark = Literal["unseen", "undeclared", "above", "silent"]
CLASSES: Final = ("internal", "personal", "sensitive")

KINDS: Final[Mapping[str, Words]] = {
    "vendor": Words("fournisseur", "vendor"),
    "sender": Words("émetteur d'événements", "sender of events"),
    "connection": Words("connexion", "connection"),
    "client": Words("application", "application"),
    "dataset": Words("copie", "dataset"),
    "event": Words("événement", "event"),
    "door": Words("passerelle", "gateway"),
    "flow": Words("flux", "flow"),
    "news": Words("événements d'ici", "events from here"),
    "target": Words("destination", "target"),
    "subscriber": Words("abonné", "subscriber"),
}
COLUMN: Final[Mapping[str, int]] = {
    "vendor": 0, "sender": 0, "connection": 1, "client": 1, "dataset": 2, "event": 2, "door": 2, "flow": 3, "news": 3,
    "target": 4, "subscriber": 4,
}  # fmt: skip
COLUMNS: Final = (
    Words("Sources", "Sources"),
    Words("Connexions, applications", "Connections, applications"),
    Words("Copies, passerelle", "Copies, gateway"),
    Words("Flux", "Flows"),
    Words("Destinations", "Targets"),
)
ARROWS: Final[Mapping[str, Words]] = {
    "pull": Words("lecture chez le fournisseur", "pull"),
    "copy": Words("copie locale", "local copy"),
    "read": Words("lu par un flux", "read by a flow"),
    "send": Words("événement reçu", "event taken"),
    "wake": Words("déclenche un flux", "wakes a flow"),
    "write": Words("écriture demandée", "write asked for"),
    "ask": Words("lecture par la passerelle", "read through the gateway"),
    "deliver": Words("écriture remise", "write delivered"),
    "tell": Words("événement envoyé", "event sent"),
}
MARKS: Final[Mapping[str, Words]] = {
    "unseen": Words("déclaré, jamais observé", "declared, never observed"),
    "undeclared": Words("observé, n'est plus déclaré", "observed, no more declared"),
    "above": Words("données d'une classe au-dessus de ce qui est déclaré", "data of a class above what is declared"),
    "silent": Words("silencieux plus longtemps que sa cadence", "silent for longer than its cadence"),
}
SHORT: Final[Mapping[str, Words]] = {
    "unseen": Words("∅ jamais vu", "∅ never seen"),
    "undeclared": Words("? non déclaré", "? undeclared"),
    "above": Words("▲ classe", "▲ class"),
    "silent": Words("! silencieux", "! silent"),
}


@dataclass(frozen=True, slots=True)
class Node:
    """A box. key: unique, stable; detail: what it is (a host, a kind of connector, a title); classes: of its data."""

    key: str
    kind: NodeKind
    name: str
    detail: str = ""
    classes: tuple[str, ...] = ()
    rows: int | None = None
    bytes: int | None = None
    last: datetime | None = None
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """An arrow, from a box to one of a later column. rows, bytes, writes: over the period of the map; last: ever.

    refused: how many of the writes did not leave. what: the operations, or the types of events. classes: those declared.
    """

    source: str
    target: str
    kind: EdgeKind
    declared: bool = True
    rows: int | None = None
    bytes: int | None = None
    writes: int | None = None
    done: int | None = None
    last: datetime | None = None
    what: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    marks: tuple[Mark, ...] = ()

    @property
    def observed(self) -> bool:
        """Whether anything was ever seen on it."""
        return self.last is not None


@dataclass(frozen=True, slots=True)
class Chart:
    """A map. Volumes are those since `since`; boxes and arrows are in the order of their keys."""

    site: str
    zone: str
    since: datetime
    made_at: datetime
    nodes: tuple[Node, ...] = field(repr=False)
    edges: tuple[Edge, ...] = field(repr=False)


def highest(classes: tuple[str, ...] | frozenset[str]) -> int:
    """The rank of the highest class, -1 when there is none."""
    return max((CLASSES.index(each) for each in classes if each in CLASSES), default=-1)
