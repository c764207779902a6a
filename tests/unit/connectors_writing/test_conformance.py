"""Every writer keeps the laws of writers, and the suite sees one that does not."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance.suite import Violation
from saas_connectors.conformance.writing import run_writer
from saas_connectors.connector import Applied, Exchange, Fetch, Json
from saas_connectors.request import Request
from saas_connectors.rest.writer import RestWriter
from saas_connectors.sandbox import Sandbox, Table, Vendor
from sovereign.egress import Transport
from tests.servers.wayout import way
from tests.unit.connectors_writing.conftest import Town
from tests.unit.connectors_writing.test_decp_publication import payload as publication
from tests.unit.connectors_writing.test_pygeoapi_writes import created, creation
from tests.unit.connectors_writing.test_rest_writes import OPERATIONS, STREAMS


def test_a_real_server_of_features_is_written_to_by_the_laws(town: Town) -> None:
    run_writer(town.writer(), "create_item", creation(), town.transport.send)
    identifier = created(town, creation())
    run_writer(town.writer(), "replace_item", {**creation(), "id": identifier}, town.transport.send)
    change = {"collection": "travaux", "id": identifier, "changes": {"properties": {"objet": "Pavage"}}}
    run_writer(town.writer(), "update_item", change, town.transport.send)
    run_writer(town.writer(), "delete_item", {"collection": "travaux", "id": identifier}, town.transport.send)


def test_contracts_are_published_by_the_laws(tmp_path: Path) -> None:
    writer = registry.writer("decp", "marches", {"url": f"folder:{tmp_path}", "publishes": ["decp.json"]})
    with way(f"folder:{tmp_path}") as out:
        run_writer(writer, "publish", publication(), out.send)


@pytest.fixture
def out() -> Iterator[Transport]:
    vendor = Vendor({"letters": Table.of(({"id": f"l{n}", "ref": f"R{n}", "status": "open"} for n in range(5)), ["id"])})
    with Sandbox(vendor) as sandbox, way(f"{sandbox.url}/records", attempts=1) as opened:
        yield opened


def _settings(out: Transport) -> dict[str, Any]:
    return {"url": out._policy.url, "streams": STREAMS, "operations": OPERATIONS}  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("operation", "payload"),
    [("create", {"ref": "N", "subject": "s"}), ("change", {"id": "l1", "status": "closed"}), ("remove", {"id": "l2"})],
)
def test_declared_operations_keep_the_laws(out: Transport, operation: str, payload: dict[str, Any]) -> None:
    run_writer(registry.writer("rest", "courrier", _settings(out)), operation, payload, out.send)


class _Twice(RestWriter):
    """Sends its write again."""

    def apply(self, operation: str, payload: Json, key: str | None = None) -> Exchange[Applied]:
        yield from RestWriter.apply(self, operation, payload, key)
        return (yield from RestWriter.apply(self, operation, payload, key))


class _Prober(RestWriter):
    """Writes while it looks."""

    def probe(self, operation: str, payload: Json) -> Exchange[Any]:
        yield Fetch((Request("PATCH", f"{self.settings.url}/letters/l1", body=b"{}"),))
        return (yield from RestWriter.probe(self, operation, payload))


@pytest.mark.parametrize("kind", [_Twice, _Prober])
def test_the_suite_sees_a_writer_that_breaks_a_law(out: Transport, kind: type[RestWriter]) -> None:
    sound = registry.writer("rest", "courrier", _settings(out))
    assert isinstance(sound, RestWriter)
    broken = kind(sound.name, sound.settings, sound.streams, sound.said, sound.known)
    with pytest.raises(Violation):
        run_writer(broken, "change", {"id": "l1", "status": "closed"}, out.send)
