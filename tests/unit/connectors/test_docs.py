"""The page on connectors names every setting, and its example is a source."""

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import msgspec
import pytest

from saas_connectors.conformance.driver import converse
from saas_connectors.registry import make, writer
from saas_connectors.rest.operations import LookSettings, OperationSettings
from saas_connectors.rest.settings import KINDS, ConnectionSettings, StreamSettings
from saas_connectors.sandbox import Table, Vendor
from saas_connectors.sandbox import troubles as troubles_of_the_sandbox
from saas_connectors.sandbox.mishaps import _INSTEAD

PAGE = (Path(__file__).parents[3] / "docs" / "connectors.md").read_text()
WORDS = set(re.findall(r"`([a-z_0-9]+)`", PAGE)) | set(re.findall(r"`([a-z_]+) = ", PAGE))
FOUND_BY_THE_RUN = {"start_at", "end_at"}


@pytest.mark.parametrize("kind", [StreamSettings, ConnectionSettings, OperationSettings, LookSettings])
def test_every_setting_is_explained(kind: type[msgspec.Struct]) -> None:
    assert {field.name for field in msgspec.structs.fields(kind)} - {"url", "streams"} <= WORDS


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_paging_is_explained_with_its_fields(kind: str) -> None:
    section = PAGE.split("## Paging")[1].split("\n## ")[0]
    (line,) = re.findall(rf"^\| `{kind}` \| (.*) \| .* \|$", section, re.MULTILINE) or [""]
    expected = {field.name for field in fields(KINDS[kind])} - FOUND_BY_THE_RUN
    if kind == "link":
        expected.discard("path")
    if kind == "none":
        expected = set()
    if kind == "windows":
        expected.add("start")
    assert set(re.findall(r"`(\w+)`", line)) == expected


def test_the_example_is_at_most_ten_lines_and_makes_a_connector() -> None:
    example = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0]
    assert len(example.strip().splitlines()) <= 10
    declared = tomllib.loads(example)["connections"]["courrier"]
    settings = {"url": "http://vendor.example/page", "streams": declared["streams"]}
    letters = Table.of([{"id": 1, "updated_at": "2026-01-01"}], ["id"])
    vendor = Vendor({"letters": letters, "services": Table.of([{"code": "a", "label": "b"}], ["code"])})
    catalog = converse(make("rest", "courrier", settings).discover(), vendor.respond)
    assert [stream.name for stream in catalog.streams] == ["letters", "services"]
    assert catalog.streams[1].classes == {"code": "internal", "label": "internal"}


def test_the_declared_operations_of_the_page_make_a_writer() -> None:
    source, operations = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[:2]
    declared = tomllib.loads(source + operations)["connections"]["courrier"]
    settings = {"url": declared["url"], "streams": declared["streams"], "operations": declared["operations"]}
    made = writer("rest", "courrier", settings)
    assert [operation.name for operation in made.operations()] == ["close", "create"]
    assert made.entity("close", {"id": "12", "status": "closed"}) == "letters/12"


def test_every_trouble_of_the_sandbox_is_listed() -> None:
    kinds = re.findall(r"^\| (`.*?) \|", troubles_of_the_sandbox.__doc__ or "", re.MULTILINE)
    listed = set(re.findall(r"`(\w+)`", "".join(kinds)))
    folder = Path(troubles_of_the_sandbox.__file__).parent
    source = "".join((folder / name).read_text() for name in ("vendor.py", "desk.py", "mishaps.py"))
    used = (
        set(_INSTEAD) | set(re.findall(r'striking\.get\("(\w+)"\)', source)) | set(re.findall(r'"(\w+)" in striking', source))
    )
    assert listed == used | {"swapped"}
