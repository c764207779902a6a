"""The search for readable data can fail: it finds each form that a careless site would leave."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from tests.security.canaries.control import FORMS
from tests.security.canaries.search import main, search

CANARY = "Canari.Élodie-4f81c2a9@mairie.example"


@pytest.fixture(scope="module")
def betrayed(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The forms of the control site, where nothing is encrypted, that the search found."""
    control = tmp_path_factory.mktemp("control")
    for number, write in enumerate(FORMS.values()):
        (control / str(number)).mkdir()
        write(control / str(number), CANARY)
    found = {each.path.relative_to(control).parts[0] for each in search([control], [CANARY]).found}
    return {form for number, form in enumerate(FORMS) if str(number) in found}


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_a_canary_left_as(form: str, betrayed: set[str]) -> None:
    assert form in betrayed


def test_the_command_fails_on_a_find_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FORMS["base64 of gzip"](tmp_path, CANARY)
    assert main([str(tmp_path), "--", CANARY]) == 1
    assert "file: base64/gzip: " in capsys.readouterr().out
    assert main([str(tmp_path), "--", "something else"]) == 0


def test_what_needs_a_key_is_opaque(tmp_path: Path) -> None:
    properties = pe.create_encryption_properties(bytes(range(32)), aad_prefix=b"a", store_aad_prefix=False)
    pq.write_table(pa.table({"name": [CANARY] * 1000}), tmp_path / "part.parquet", encryption_properties=properties)
    report = search([tmp_path], [CANARY])
    assert (report.found, report.files) == ([], 1)
