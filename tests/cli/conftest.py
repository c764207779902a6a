"""A terminal to type in: `run` gives the exit code and what was said on each channel, as a transcript."""

import json
import os
import shutil
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.cli.main import main
from sovereign.cli.output import Output


@dataclass(frozen=True, slots=True)
class Said:
    """What one command line answered."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The JSON lines of standard error that are errors."""
        lines = [json.loads(line) for line in self.err.splitlines()]
        return [line for line in lines if line["type"] == "error"]

    def of(self, type_: str) -> list[dict[str, Any]]:
        """The JSON lines of one type."""
        return [record for record in self.records if record["type"] == type_]


Run = Callable[..., Said]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith(("SOVEREIGN_", "CREDENTIALS_DIRECTORY", "LC_", "LANG", "NO_COLOR", "FORCE_COLOR")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("SOVEREIGN_LANG", "en")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Type a command line, in this process."""

    def typed(*arguments: str) -> Said:
        capsys.readouterr()
        code = main(arguments, out=Output())
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return typed


@pytest.fixture
def shell() -> Run:
    """Type a command line in a process of its own."""

    def typed(*arguments: str, **environment: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-m", "sovereign.cli.main", *arguments],
            capture_output=True,
            text=True,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            timeout=60,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return typed


COMMUNES = (
    "--set", "streams.communes.path=/page/communes", "--set", 'streams.communes.primary_key=["code","type"]',
    "--set", 'streams.communes.classes.internal=["code","type","nom","departement","population"]',
    "--set", "network.loopback=true", "--set", "network.plaintext=true",
)  # fmt: skip
TOWNS = [
    {
        "code": f"42{number:03}",
        "type": "commune-actuelle",
        "nom": f"Ville {number}",
        "departement": "42",
        "population": number * 10,
    }
    | {"maire": f"Personne {number}"}
    for number in range(1, 251)
]


@pytest.fixture(scope="session")
def _sandbox() -> Iterator[Sandbox]:
    with Sandbox(Vendor({})) as sandbox:
        yield sandbox


@pytest.fixture
def vendor(_sandbox: Sandbox) -> Iterator[Sandbox]:
    """A vendor on loopback with 250 communes; `maire` is left unclassified, hence personal."""
    _sandbox.vendor.datasets["communes"] = Table.of(TOWNS, ("code", "type"))
    yield _sandbox
    _sandbox.vendor.troubles.clear()


@pytest.fixture(scope="session")
def _models(_sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site as `init` leaves it, and one that has pulled; their master is a credential of systemd, which costs no scrypt."""
    folder = tmp_path_factory.mktemp("models")
    (folder / "credentials").mkdir(mode=0o700)
    (folder / "credentials" / "city").write_text(b64encode(os.urandom(32)).decode() + "\n")
    _sandbox.vendor.datasets["communes"] = Table.of(TOWNS, ("code", "type"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(folder / "credentials"))
        patch.setenv("SOVEREIGN_SITE", str(folder / "new"))
        assert main(["init", str(folder / "new"), "--keys", "systemd-cred:city"]) == 0
        shutil.copytree(folder / "new", folder / "pulled")
        patch.setenv("SOVEREIGN_SITE", str(folder / "pulled"))
        assert main(["connection", "add", "geo", "--connector", "rest", "--url", _sandbox.url, *COMMUNES]) == 0
        assert main(["sync", "run", "geo"]) == 0
    return folder


def _copy(models: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(models / "credentials", tmp_path / "credentials")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    path = tmp_path / "city"
    shutil.copytree(models / name, path)
    monkeypatch.setenv("SOVEREIGN_SITE", str(path))
    return path


@pytest.fixture
def site(_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site that was just made."""
    return _copy(_models, "new", tmp_path, monkeypatch)


@pytest.fixture
def pulled(_models: Path, vendor: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site that pulled the communes of `vendor` as `geo`."""
    return _copy(_models, "pulled", tmp_path, monkeypatch)
