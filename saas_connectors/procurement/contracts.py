"""A contract of the official schema becomes rows of four tables, related by the contract's key.

1. `marches` and `concessions`: one row a contract, keyed by the buyer's SIRET and the contract's id.
2. `modifications`: one row a modification of either, keyed by the contract (`contrat`, `acheteur`, `contratId`) and its number.
3. `titulaires`: who holds a contract: titulaires of marches, concessionnaires of concessions, and those that a modification
   names. `modification` is 0 for the initial award. Keyed by the contract, the modification and the holder.
4. Each field has a class. Holders and subcontractors may be natural persons (a sole trader's SIRET, a foreigner's name under
   HORS-UE), and buyers write people's names into `objet`: personal. The rest, which the law publishes, is internal.
5. A modification number given twice in one contract: the last published stands. A holder given twice: one row. Both are
   remarked.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pyarrow as pa

from saas_connectors.connector import Class, Stream
from saas_connectors.procurement.shapes import Many, Record, Remarks, shape_of
from saas_connectors.procurement.validation import json_schema, wrong_siret

GROUP = "decp"
PERSONAL = {
    "marches": ("objet", "actesSousTraitance"),
    "concessions": ("objet",),
    "modifications": (),
    "titulaires": ("id",),
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two kinds of contract: how the schema calls it and its parts."""

    name: str
    tag: str
    stream: str
    buyer: str
    holders: str
    shape: Record

    @property
    def parent(self) -> pa.Schema:
        """The fields of the contract's own row: all but those that have a table of their own."""
        kept = [(name, shape.type) for name, shape in self.shape.fields.items() if name not in (self.holders, "modifications")]
        return pa.schema(kept)

    @property
    def modification(self) -> Record:
        """The shape of one modification."""
        match self.shape.fields["modifications"]:
            case Many(item=Record() as item):
                return item
        raise TypeError("the official schema describes modifications as a list of objects")


@cache
def kinds() -> tuple[Kind, Kind]:
    """Marches and concessions, as the official schema describes them."""
    schema = json_schema()
    marche, concession = (shape_of(schema["definitions"][tag], schema) for tag in ("marche", "contrat-concession"))
    if not isinstance(marche, Record) or not isinstance(concession, Record):
        raise TypeError("the official schema describes contracts as objects")
    return (
        Kind("marche", "marche", "marches", "acheteur", "titulaires", marche),
        Kind("concession", "contrat-concession", "concessions", "autoriteConcedante", "concessionnaires", concession),
    )


@cache
def schemas() -> Mapping[str, pa.Schema]:
    """The Arrow schema of each stream."""
    marche, concession = kinds()
    changed = {name: shape.type for kind in kinds() for name, shape in kind.modification.fields.items()}
    changed.pop("titulaires")
    contract = [("contrat", pa.string()), ("acheteur", pa.string()), ("contratId", pa.string())]
    holder = [("modification", pa.int64()), ("typeIdentifiant", pa.string()), ("id", pa.string()), ("rang", pa.int64())]
    return {
        "marches": marche.parent,
        "concessions": concession.parent,
        "modifications": pa.schema([*contract, *changed.items()]),
        "titulaires": pa.schema([*contract, *holder]),
    }


_TITLES = {
    "marches": "Marchés publics",
    "concessions": "Contrats de concession",
    "modifications": "Modifications des marchés et des concessions",
    "titulaires": "Titulaires des marchés, concessionnaires",
}
_KEYS = {
    "marches": ("acheteur", "id"),
    "concessions": ("autoriteConcedante", "id"),
    "modifications": ("contrat", "acheteur", "contratId", "id"),
    "titulaires": ("contrat", "acheteur", "contratId", "modification", "typeIdentifiant", "id"),
}


def streams(classes: Mapping[str, Mapping[str, Class]]) -> tuple[Stream, ...]:
    """The four streams; `classes` gives some fields another class than ours."""
    return tuple(
        Stream(
            name=name,
            title=_TITLES[name],
            primary_key=_KEYS[name],
            schema=schema,
            classes={field: "personal" if field in PERSONAL[name] else "internal" for field in schema.names}
            | dict(classes.get(name, {})),
            group=GROUP,
        )
        for name, schema in schemas().items()
    )


@dataclass(slots=True)
class Rows:
    """Rows of the four tables, and what was remarked while making them, counted a stream."""

    tables: dict[str, list[Row]] = field(default_factory=lambda: {name: [] for name in schemas()})
    remarks: dict[str, Remarks] = field(default_factory=lambda: {name: Counter() for name in schemas()})

    def add(self, kind: Kind, contract: Row) -> None:
        """Spread one contract over its tables."""
        key = {"contrat": kind.name, "acheteur": contract[kind.buyer], "contratId": contract["id"]}
        self._siret(kind.stream, kind.buyer, contract[kind.buyer])
        for act in contract.get("actesSousTraitance") or ():
            self._identified(kind.stream, "sousTraitant", act["sousTraitant"])
        changes: dict[int, Row] = {}
        for change in contract.pop("modifications") or ():
            other = changes.get(change["id"])
            if other is not None:
                self.remarks["modifications"]["id:repeated"] += 1
            if other is None or other["datePublicationDonneesModification"] <= change["datePublicationDonneesModification"]:
                changes[change["id"]] = change
        self._hold(key, 0, contract.pop(kind.holders))
        for number, change in changes.items():
            self._hold(key, number, change.pop("titulaires", None))
            self.tables["modifications"].append(key | change)
        self.tables[kind.stream].append(contract)

    def _hold(self, key: Row, modification: int, holders: list[Row] | None) -> None:
        seen = set()
        for rank, holder in enumerate(holders or (), 1):
            who = (holder["typeIdentifiant"], holder["id"] or "")
            if who in seen:
                self.remarks["titulaires"]["id:repeated"] += 1
                continue
            seen.add(who)
            self._identified("titulaires", "id", holder)
            row = {"modification": modification, "typeIdentifiant": who[0], "id": who[1], "rang": rank}
            self.tables["titulaires"].append(key | row)

    def _identified(self, stream: str, name: str, who: Row) -> None:
        if not who["id"]:
            self.remarks[stream][f"{name}:empty"] += 1
        elif who["typeIdentifiant"] == "SIRET":
            self._siret(stream, name, who["id"])

    def _siret(self, stream: str, name: str, value: str) -> None:
        if wrong := wrong_siret(value):
            self.remarks[stream][f"{name}:{wrong}"] += 1
