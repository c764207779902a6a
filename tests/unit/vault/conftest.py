"""The keyring that tests of the vault open, under a master in memory."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.servers.masters import Mortal
from vault.keys import Keys, Scope

SCOPE = Scope("ville", "personal", "2026")
OTHER = Scope("ville", "internal", "2026")
CONTEXT = b"ville/marches/part-1/personal"


def clock() -> datetime:
    return datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def provider() -> Mortal:
    return Mortal()


@pytest.fixture
def keys(tmp_path: Path, provider: Mortal) -> Keys:
    return Keys.create(tmp_path / "keys", provider, clock, name="ville.example/sovereign")


def reopened(keys: Keys, provider: Mortal) -> Keys:
    return Keys.open(keys.directory, provider, clock)
