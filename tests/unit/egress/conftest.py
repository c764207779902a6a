"""An authority of the tests' own."""

from pathlib import Path

import pytest
import trustme


@pytest.fixture
def authority(tmp_path: Path) -> tuple[trustme.CA, Path]:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made, tmp_path / "ca.pem"
