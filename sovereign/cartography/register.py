"""Lines of the record of processing activities (GDPR, article 30), made of what is declared and observed. Pure.

What nobody declared, and nothing here can know, is said to be completed; nothing is guessed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from sovereign.reports.labels import CLASSES, coded
from sovereign.reports.model import Cell, Code, Column, Table, Words

MISSING: Final = Code("to_complete", Words("à compléter", "to be completed"))
_EEA: Final = "ATBEBGCYCZDEDKEEESFIFRGRHRHUIEISITLILTLULVMTNLNOPLPTROSESISK"
EEA: Final = frozenset(_EEA[at : at + 2] for at in range(0, len(_EEA), 2))
"""The European Economic Area, within which data moves freely (GDPR, article 1.3): ISO 3166 codes."""
COLUMNS: Final = (
    Column("name", Words("traitement", "processing activity")),
    Column("kind", Words("nature", "kind")),
    Column("purpose", Words("finalité", "purpose")),
    Column("controller", Words("responsable du traitement", "controller")),
    Column("owner", Words("qui en répond ici", "who answers for it here")),
    Column("basis", Words("base juridique", "legal basis")),
    Column("persons", Words("catégories de personnes", "categories of persons")),
    Column("data", Words("catégories de données", "categories of data")),
    Column("classes", Words("classes", "classes")),
    Column("sources", Words("sources", "sources")),
    Column("recipients", Words("destinataires", "recipients")),
    Column("transfers", Words("lieux des données, transferts", "places of the data, transfers")),
    Column("safeguards", Words("garanties hors de l'EEE", "safeguards outside the EEA")),
    Column("retention", Words("durées de conservation", "retention")),
    Column("measures", Words("mesures de sécurité", "security measures")),
    Column("missing", Words("reste à compléter", "left to be completed")),
)
_NEEDED: Final = ("purpose", "controller", "owner", "basis", "persons", "data", "transfers", "safeguards", "retention")
Told = tuple[str | Code, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where data is held: a host, and its country when someone declared it. ours: it is this machine."""

    host: str
    country: str | None = None
    ours: bool = False

    def told(self) -> str | Code:
        """The place, in words."""
        if self.ours:
            return Code("ours", Words("dossier de la collectivité", "a folder of this body"))
        if self.country is None:
            return Code(
                f"{self.host}:{MISSING.code}", Words(f"{self.host} : pays à compléter", f"{self.host}: country to be completed")
            )
        beyond = self.country not in EEA
        fr, en = (" (hors EEE)", " (outside the EEA)") if beyond else ("", "")
        return Code(
            f"{self.host}:{self.country}", Words(f"{self.host} : {self.country}{fr}", f"{self.host}: {self.country}{en}")
        )


@dataclass(frozen=True, slots=True)
class Processing:
    """A line before it is told; what is empty is to be completed. kept: retention that settings impose, in words."""

    name: str
    kind: Code
    purpose: str = ""
    controller: str = ""
    owner: str = ""
    basis: str = ""
    persons: tuple[str, ...] = ()
    data: Told = ()
    classes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    recipients: Told = ()
    places: tuple[Place, ...] = ()
    safeguards: str = ""
    retention: str = ""
    kept: tuple[Code, ...] = ()
    measures: tuple[Code, ...] = ()

    def cells(self) -> tuple[Cell, ...]:
        """Its cells, by column, the last telling what is missing."""
        known: dict[str, Cell] = {
            "name": self.name, "kind": self.kind, "purpose": self.purpose, "controller": self.controller,
            "owner": self.owner, "basis": self.basis, "persons": self.persons, "data": self.data,
            "classes": tuple(coded(each, CLASSES) for each in self.classes), "sources": self.sources,
            "recipients": self.recipients, "transfers": tuple(place.told() for place in self.places),
            "safeguards": self._guaranteed(), "retention": (self.retention or MISSING, *self.kept), "measures": self.measures,
        }  # fmt: skip
        titles = {column.key: column.title for column in COLUMNS}
        missing = tuple(Code(each, titles[each]) for each in _NEEDED if _lacks(known[each]))
        cells: dict[str, Cell] = {name: MISSING if name in _NEEDED and not value else value for name, value in known.items()}
        return tuple(missing if column.key == "missing" else cells[column.key] for column in COLUMNS)

    def _guaranteed(self) -> str | Code:
        """What protects data that leaves the EEA; it cannot be known while a country is not."""
        if self.safeguards:
            return self.safeguards
        if any(not place.ours and (place.country is None or place.country not in EEA) for place in self.places):
            return MISSING
        return Code("none_needed", Words("sans objet", "none needed"))


def _lacks(value: object) -> bool:
    """Whether a cell, or one of its values, is to be completed."""
    told: Sequence[object] = value if isinstance(value, tuple) else (value,)
    return not value or any(isinstance(each, Code) and each.code.endswith(MISSING.code) for each in told)


def table(found: Iterable[Processing]) -> Table:
    """The record, a line a processing activity."""
    title = Words("Une ligne par traitement, telle que les réglages et ce qui est observé la donnent",
                  "A line a processing activity, as settings and what is observed give it")  # fmt: skip
    return Table("register", title, COLUMNS, [each.cells() for each in found])
