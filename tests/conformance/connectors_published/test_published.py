"""DECP from a folder and over HTTPS, OGC API Features from a real pygeoapi: the laws that every connector keeps."""

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from saas_connectors import registry
from saas_connectors.conformance import suite
from sovereign.egress.policy import EgressPolicy
from sovereign.egress.transport import open_transport
from tests.servers import https, pygeoapi
from tests.servers.pulls import NOW

EXAMPLES = Path(str(files("saas_connectors.sandbox"))) / "data" / "decp"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    published = tmp_path / "published"
    published.mkdir()
    for example in ("Marche.xml", "marches_avec_modifications.json", "marches_concessions.json"):
        shutil.copy(EXAMPLES / example, published)
    return published


def test_decp_from_a_folder_keeps_the_laws(folder: Path) -> None:
    connector = registry.make("decp", "marches", {"url": f"folder:{folder}"})
    with open_transport(EgressPolicy("marches", f"folder:{folder}"), None, lambda: NOW) as transport:
        report = suite.run(connector, transport.send)
    assert report.rows == {"marches": 3, "concessions": 2, "modifications": 4, "titulaires": 9}


def test_decp_over_https_keeps_the_laws(folder: Path, tmp_path: Path) -> None:
    with https.running(folder, tmp_path / "ca.pem") as served:
        names = sorted(file.name for file in folder.iterdir())
        connector = registry.make("decp", "marches", {"url": served.url, "files": names})
        policy = EgressPolicy("marches", served.url, private=True, loopback=True, ca_bundle=served.authority, attempts=1)
        with open_transport(policy, None, lambda: NOW) as transport:
            report = suite.run(connector, transport.send)
    assert report.rows["marches"] == 3


@pytest.fixture
def city(tmp_path: Path, real_parts: None) -> Iterator[str]:
    with pygeoapi.running(tmp_path) as url:
        yield url


@pytest.mark.parametrize("mode", ["full_refresh", "incremental"])
def test_ogc_api_features_of_a_real_server_keeps_the_laws(city: str, mode: suite.SyncMode) -> None:
    streams = {"arbres": {"cursor": "plantation"}, "signalements": {"cursor": "maj"}}
    connector = registry.make("ogc-features", "city", {"url": city, "limit": 50, "streams": streams})
    policy = EgressPolicy("city", city, private=True, loopback=True, plaintext=True, attempts=1)
    cursors = {"arbres": {"after": "2020-01-20T00:00:00+00:00"}, "signalements": {"after": "2026-01-02T12:00:00+00:00"}}
    with open_transport(policy, None, lambda: NOW) as transport:
        report = suite.run(connector, transport.send, mode=mode, cursors=cursors if mode == "incremental" else None)
    honoured = pygeoapi.REPORTS if mode == "full_refresh" else 84
    assert report.rows == {"arbres": pygeoapi.TREES, "signalements": honoured}
