"""The search for readable data can fail: it finds each form a careless site would leave."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest
from tests.security.canaries.control import FORMS
from tests.security.canaries.search import main, search

CANARY = "Canari.Élodie-4f81c2a9@mairie.example"


@pytest.mark.parametrize("form", FORMS)
def test_the_search_finds_a_canary_left_as(form: str, tmp_path: Path) -> None:
    FORMS[form](tmp_path, CANARY)
    assert CANARY in {found.canary for found in search([tmp_path], [CANARY]).found}


def test_the_control_site_makes_the_search_fail(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, write in enumerate(FORMS.values()):
        (tmp_path / str(number)).mkdir()
        write(tmp_path / str(number), CANARY)
    assert main([str(tmp_path), "--", CANARY]) == 1
    said = capsys.readouterr().out
    assert [number for number in range(len(FORMS)) if f"/{number}/" not in said] == []


def test_what_needs_a_key_is_opaque(tmp_path: Path) -> None:
    properties = pe.create_encryption_properties(bytes(range(32)), aad_prefix=b"a", store_aad_prefix=False)
    pq.write_table(pa.table({"name": [CANARY] * 1000}), tmp_path / "part.parquet", encryption_properties=properties)
    report = search([tmp_path], [CANARY])
    assert (report.found, report.files) == ([], 1)
