"""A real OGC API Features server for the tests: pygeoapi from PyPI, in an environment of its own (`.tools/pygeoapi`).

`running(folder)` serves three collections on loopback and gives the address:

- `arbres`: 250 features in a GeoJSON file; its provider ignores `datetime=`;
- `signalements`: 120 features in TinyDB, with a time field; its provider honours `datetime=`;
- `travaux`: one feature in TinyDB, editable; its provider answers 204 to a PUT that it loses.

The server gives at most 100 features a page, whatever is asked. `write_arbres` changes the file behind it.
"""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.environment import Environment
from tests.servers.ports import free_port

HERE = Environment("pygeoapi")
missing = HERE.missing

TREES = 250
REPORTS = 120
CAP = 100

_SERVE = """
import sys
from werkzeug.serving import make_server
from pygeoapi.flask_app import APP
make_server("127.0.0.1", int(sys.argv[1]), APP, threaded=True).serve_forever()
"""


def tree(number: int) -> dict[str, object]:
    """One tree of the GeoJSON collection."""
    return {
        "type": "Feature",
        "id": number,
        "geometry": {"type": "Point", "coordinates": [4.3 + number / 1000, 45.4]},
        "properties": {
            "essence": ["Platane", "Tilleul", "Érable"][number % 3],
            "hauteur": 5 + number % 7 + 0.25,
            "plantation": f"2020-01-{1 + number % 28:02d}T00:00:00Z",
            "ID": f"ARB-{number:04d}",
            "remarque": None,
        },
    }


def report(number: int) -> dict[str, object]:
    """One report of the TinyDB collection, each an hour after the one before."""
    return {
        "type": "Feature",
        "id": f"sig-{number:03d}",
        "geometry": {"type": "Point", "coordinates": [4.39, 45.43]},
        "properties": {
            "objet": "Nid-de-poule",
            "maj": f"2026-01-{1 + number // 24:02d}T{number % 24:02d}:00:00Z",
            "urgent": number % 2,
        },
    }


def work(number: int) -> dict[str, object]:
    """One street work of the editable collection."""
    return {
        "type": "Feature",
        "id": f"tra-{number:03d}",
        "geometry": {"type": "Point", "coordinates": [4.39, 45.43]},
        "properties": {"numero": f"T-{number:03d}", "objet": "Réfection", "largeur": 3.5, "debut": "2026-02-01T08:00:00Z"},
    }


def write_arbres(folder: Path, trees: list[dict[str, object]]) -> None:
    """Change the GeoJSON collection; the server reads the file at each request."""
    fresh = folder / "arbres.new"
    fresh.write_text(json.dumps({"type": "FeatureCollection", "features": trees}))
    fresh.replace(folder / "arbres.geojson")


def _collection(title: str, provider: dict[str, object]) -> dict[str, object]:
    return {
        "type": "collection",
        "title": title,
        "description": title,
        "keywords": ["ville"],
        "extents": {"spatial": {"bbox": [-180, -90, 180, 90], "crs": "http://www.opengis.net/def/crs/OGC/1.3/CRS84"}},
        "providers": [{"type": "feature", **provider}],
    }


def _configuration(folder: Path, port: int, public_url: str | None) -> dict[str, object]:
    return {
        "server": {
            "bind": {"host": "127.0.0.1", "port": port},
            "url": public_url or f"http://127.0.0.1:{port}",
            "mimetype": "application/json; charset=UTF-8",
            "encoding": "utf-8",
            "gzip": False,
            "languages": ["fr-FR", "en-US"],
            "limits": {"default_items": 10, "max_items": CAP, "on_exceed": "throttle"},
            "map": {"url": "", "attribution": ""},
        },
        "logging": {"level": "ERROR"},
        "metadata": {
            "identification": {
                "title": "Ville de démonstration",
                "description": "Espaces urbains",
                "keywords": ["ville"],
                "keywords_type": "theme",
                "terms_of_service": "",
                "url": "",
            },
            "license": {"name": "Licence Ouverte 2.0", "url": ""},
            "provider": {"name": "Ville", "url": ""},
            "contact": {"name": "DSI"},
        },
        "resources": {
            "arbres": _collection(
                "Arbres",
                {"name": "GeoJSON", "data": str(folder / "arbres.geojson"), "id_field": "id", "time_field": "plantation"},
            ),
            "signalements": _collection(
                "Signalements",
                {"name": "TinyDB", "data": str(folder / "signalements.json"), "id_field": "id", "time_field": "maj"},
            ),
            "travaux": _collection(
                "Travaux",
                {"name": "TinyDB", "data": str(folder / "travaux.json"), "id_field": "id", "editable": True},
            ),
        },
    }


@contextmanager
def running(folder: Path, *, public_url: str | None = None) -> Iterator[str]:
    """Serve the collections out of `folder` and give the landing page's address.

    `public_url` is where the server believes it stands, when that is not the truth (a proxy in front of it).
    """
    port = free_port()
    write_arbres(folder, [tree(number) for number in range(TREES)])
    reports = {str(number + 1): report(number) for number in range(REPORTS)}
    (folder / "signalements.json").write_text(json.dumps({"_default": reports}))
    (folder / "travaux.json").write_text(json.dumps({"_default": {"1": work(1)}}))
    # JSON is YAML.
    (folder / "pygeoapi.yml").write_text(json.dumps(_configuration(folder, port, public_url)))
    environment = os.environ | {
        "PYGEOAPI_CONFIG": str(folder / "pygeoapi.yml"),
        "PYGEOAPI_OPENAPI": str(folder / "openapi.yml"),
        "PYTHONWARNINGS": "ignore",
    }
    log = (folder / "pygeoapi.log").open("wb")
    subprocess.run(
        [
            HERE.bin("pygeoapi"),
            "openapi",
            "generate",
            str(folder / "pygeoapi.yml"),
            "--output-file",
            environment["PYGEOAPI_OPENAPI"],
        ],
        check=True,
        env=environment,
        stdout=log,
        stderr=log,
    )
    process = subprocess.Popen([HERE.bin("python"), "-c", _SERVE, str(port)], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _await(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=60)
        log.close()


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/conformance?f=json", timeout=30):  # noqa: S310 - loopback
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise RuntimeError("pygeoapi does not answer: see pygeoapi.log in its folder")
