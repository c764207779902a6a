"""schemathesis, which we did not write, reads the description of a real `sovereign serve` and holds the door to it.

Cases are drawn from a seed: as the description says, and against it. All its checks count: statuses, media types, schemas and
headers of answers, what must be refused (data off the schema, a header left out, a method, no credential), no error of ours.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.access import Limits
from sovereign.cli import demo_writes
from tests.servers.service import service

ROOT = Path(__file__).parents[2]
CONNECTION = demo_writes.SETTINGS[demo_writes.SETTINGS.index("[connections.guichet]") :]


METHODS = {"get", "head", "post", "put", "patch", "delete"}


@contextmanager
def door(folder: Path) -> Iterator[tuple[str, str]]:
    """The address of a gateway before the sandbox, and the token of an application that may do all."""
    vendor = Vendor({"letters": Table.of(({"id": f"l{n}", "ref": f"R{n}", "subject": "s"} for n in range(3)), ["id"])})
    with Sandbox(vendor) as sandbox:
        site = service(folder, "wait_seconds = 0.2\n" + CONNECTION.format(url=sandbox.url))
        token = site.client("desk", "guichet", limits=Limits(rate=10_000, concurrency=512))
        site.allow("desk", "guichet", "create", "http")
        site.allow("desk", "guichet", "http", reads=True)
        with site.serving() as address:
            yield address, token


def held_to(description: str, token: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "tests/servers/schemathesis.toml"), "run",
         description, "--header", f"Authorization: Bearer {token}", "--checks", "all", "--no-color", *options],
        cwd=folder, env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.servers.schemathesis_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seed", "examples"), [(1, 3), *(pytest.param(seed, 40, marks=pytest.mark.torture) for seed in range(2, 6))]
)
def test_the_door_does_what_its_description_says_and_refuses_what_it_does_not(seed: int, examples: int, tmp_path: Path) -> None:
    with door(tmp_path) as (address, token):
        said = requests.get(f"{address}/v1/openapi.json", headers={"Authorization": f"Bearer {token}"}, timeout=30).json()
        options = ("--seed", str(seed), "--max-examples", str(examples), "--continue-on-failure")
        done = held_to(f"{address}/v1/openapi.json", token, tmp_path, *options)
    assert done.returncode == 0, done.stdout[-8000:]
    # All of them but the one by which it read the description.
    all_ = sum(method in METHODS for item in said["paths"].values() for method in item) - 1
    assert f"Selected: {all_}/{all_}" in done.stdout


def test_a_description_that_lies_is_found_out(tmp_path: Path) -> None:
    with door(tmp_path) as (address, token):
        said = requests.get(f"{address}/v1/openapi.json", headers={"Authorization": f"Bearer {token}"}, timeout=30).json()
        said["paths"]["/health"]["get"]["responses"].pop("200")
        said["paths"]["/v1/connections"]["get"]["security"] = []
        (tmp_path / "lie.json").write_text(json.dumps(said))
        options = (
            "--url",
            address,
            "--include-path-regex",
            "^/(health|v1/connections)$",
            "--phases",
            "coverage",
            "--seed",
            "1",
        )
        done = held_to(str(tmp_path / "lie.json"), token, tmp_path, *options)
    assert done.returncode == 1
    assert "Undocumented status code" in done.stdout, done.stdout
