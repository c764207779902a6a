"""A vendor that fails as vendors do: the real WireMock, whose jar is in the npm package of that name, in `.tools/wiremock`.

`python tests/servers/wiremock.py install` fetches the package with npm, holds it to its digest, and takes the jar out.
`running(folder)` serves it on loopback; it needs a Java runtime (Debian's openjdk-17-jre-headless).
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".tools" / "wiremock"
VERSION = "3.13.2"
DIGEST = "YkqP6qQhVS45/SjG1sz5rQXQp19NCWkEKygb2OJ5zGKsS5DYZTLYodkH6x5IFG43QtVyeSv1C5oes4Whg31flg=="
"""SHA-512 of the package."""
JAR = HOME / f"wiremock-standalone-{VERSION}.jar"


def missing() -> list[str]:
    """Name what is not installed."""
    java = [] if shutil.which("java") else ["java (openjdk-17-jre-headless)"]
    return java + ([] if JAR.exists() else ["wiremock (run tests/provision)"])


def install() -> None:
    """Fetch the jar, unless it is there."""
    if JAR.exists():
        return
    with TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", f"wiremock@{VERSION}"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
        (package,) = Path(folder).glob("*.tgz")
        if base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode() != DIGEST:
            sys.exit("wiremock: not the package that was expected")
        with tarfile.open(package) as opened:
            found = opened.extractfile(f"package/build/{JAR.name}")
            if found is None:
                sys.exit("wiremock: no jar in the package")
            HOME.mkdir(parents=True, exist_ok=True)
            part = JAR.with_suffix(".part")
            part.write_bytes(found.read())
            part.rename(JAR)


@dataclass(frozen=True)
class WireMock:
    """A running one: its address, and what it is told by its administration interface."""

    url: str

    def stub(self, request: dict[str, Any], response: dict[str, Any], **more: Any) -> None:  # noqa: ANN401 - JSON
        """Answer what matches `request` by `response`; more: `scenarioName` and its states."""
        told = requests.post(
            f"{self.url}/__admin/mappings", json={"request": request, "response": response, **more}, timeout=30
        )
        told.raise_for_status()

    def asked(self, **request: Any) -> int:  # noqa: ANN401 - JSON
        """How many requests matched."""
        told = requests.post(f"{self.url}/__admin/requests/count", json=request, timeout=30)
        told.raise_for_status()
        return int(told.json()["count"])


@contextmanager
def running(folder: Path) -> Iterator[WireMock]:
    """Run one on a free port of this machine, its files in a folder."""
    # Dribbles and delays each hold a thread of its.
    line = [
        "java", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-jar", str(JAR), "--port", "0", "--bind-address", "127.0.0.1",
        "--root-dir", str(folder), "--disable-banner", "--disable-request-logging", "--container-threads", "64",
    ]  # fmt: skip
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        said = process.stdout or iter(())
        port = next(line.split(":")[1].strip() for line in said if line.startswith("port:"))
        yield WireMock(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    if sys.argv[1:] != ["install"]:
        sys.exit("usage: python tests/servers/wiremock.py install")
    install()
