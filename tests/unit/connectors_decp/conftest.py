"""A folder that publishes DECP files, read through the product's own folder transport."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.connector import Connector, ReadPlan
from sovereign.egress.folder import FolderTransport
from sovereign.egress.policy import EgressPolicy
from tests.servers.pulls import NOW, Pulled, pull

OFFICIAL = Path(str(files("saas_connectors.sandbox"))) / "data" / "decp"

MARCHE: dict[str, Any] = {
    "id": "2026-001",
    "acheteur": {"id": "21420218600018"},
    "nature": "Marché",
    "objet": "Entretien des arbres",
    "codeCPV": "77211500-7",
    "techniques": {"technique": ["Sans objet"]},
    "modalitesExecution": {"modaliteExecution": ["Sans objet"]},
    "marcheInnovant": False,
    "ccag": "Fournitures courantes et services",
    "offresRecues": 3,
    "attributionAvance": False,
    "typeGroupementOperateurs": "Pas de groupement",
    "procedure": "Procédure adaptée",
    "lieuExecution": {"code": "42218", "typeCode": "Code commune"},
    "dureeMois": 12,
    "dateNotification": "2026-01-15",
    "datePublicationDonnees": "2026-02-01",
    "montant": 120000.5,
    "typesPrix": {"typePrix": ["Définitif ferme"]},
    "formePrix": "Forfaitaire",
    "sousTraitanceDeclaree": False,
    "titulaires": [{"titulaire": {"id": "55204599900869", "typeIdentifiant": "SIRET"}}],
    "considerationsSociales": {"considerationSociale": ["Pas de considération sociale"]},
    "considerationsEnvironnementales": {"considerationEnvironnementale": ["Clause environnementale"]},
}


def marche(**changes: object) -> dict[str, Any]:
    """A valid marche, with some fields changed; `...` takes one out."""
    record: dict[str, Any] = copy.deepcopy(MARCHE) | changes
    return {name: value for name, value in record.items() if value is not ...}


@dataclass(frozen=True, slots=True)
class Published:
    """The folder, and ways to publish in it and to read it."""

    path: Path
    make: Callable[..., Connector]

    def json(self, name: str, *marches: dict[str, Any], concessions: list[dict[str, Any]] | None = None) -> None:
        held: dict[str, Any] = {"marche": list(marches)}
        if concessions is not None:
            held["contrat-concession"] = concessions
        (self.path / name).write_text(json.dumps({"marches": held}, ensure_ascii=False))

    def text(self, name: str, content: str | bytes) -> None:
        (self.path / name).write_bytes(content.encode() if isinstance(content, str) else content)

    @property
    def transport(self) -> FolderTransport:
        return FolderTransport(EgressPolicy("marches", f"folder:{self.path}"), lambda: NOW)

    def pull(self, plan: ReadPlan | None = None, **settings: object) -> Pulled:
        return pull(self.make(**settings), self.transport, plan)


@pytest.fixture
def published(tmp_path: Path) -> Published:
    def make(**settings: object) -> Connector:
        return registry.make("decp", "marches", {"url": "folder:decp", **settings})

    return Published(tmp_path, make)
