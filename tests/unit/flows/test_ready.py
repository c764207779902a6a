"""Templates are flows that can be read, and are written once, under a name that is one."""

from pathlib import Path

import pytest

from sovereign.flows import ready
from sovereign.flows.errors import BadFlow, UnknownTemplate
from sovereign.flows.flow import read
from vault.errors import AlreadyThere


def test_every_template_is_a_flow_with_words_in_both_languages() -> None:
    found = ready.templates()
    assert set(found) == {"leaver", "joiner", "mover", "request-closes-letter", "award-published"}
    assert all(file.flow.title_en and file.flow.title for file in found.values())


def test_a_template_is_written_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = ready.write(tmp_path / "flows", "leaver", "depart")
    assert path.stat().st_mode & 0o077 == 0
    assert read(tmp_path / "flows", "depart").text == ready.templates()["leaver"].text
    with pytest.raises(AlreadyThere):
        ready.write(tmp_path / "flows", "leaver", "depart")
    with pytest.raises(UnknownTemplate):
        ready.write(tmp_path / "flows", "nothing", "depart2")
    for name in ("../depart", "Départ", "", "a/b"):
        with pytest.raises(BadFlow):
            ready.write(tmp_path / "flows", "leaver", name)
