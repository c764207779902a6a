"""What several journeys stand on: an object store, and places for backups."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import seaweedfs
from tests.servers.places import Place, bucket


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[seaweedfs.Served]:
    if parts := seaweedfs.missing():
        assert os.environ.get("CI") != "true", parts
        pytest.skip(f"not installed: {parts}")
    for attempt in range(3):  # a port that was free may be taken by a neighbour before the store has it
        with ExitStack() as stack:
            try:
                served = stack.enter_context(seaweedfs.running(tmp_path_factory.mktemp("seaweedfs")))
            except RuntimeError:
                if attempt == 2:
                    raise
                continue
            yield served
            return


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A folder, then a bucket of a real object store."""
    if request.param == "folder":
        return Place(tmp_path / "data")
    store = request.getfixturevalue("object_store")
    return Place(tmp_path / "data", bucket(store.url, f"{secrets.token_hex(6)}/"))
