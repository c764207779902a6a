"""Templates are flows that can be read, and are written once, under a name that is one."""

from pathlib import Path

import pytest

from saas_connectors.identity.ldap.operations import OPERATIONS as DIRECTORY
from saas_connectors.identity.scim.operations import OPERATIONS as SCIM
from saas_connectors.payloads import check
from sovereign.flows import ready
from sovereign.flows.errors import BadFlow, UnknownTemplate
from sovereign.flows.flow import read
from sovereign.flows.mapping import payload
from vault.errors import AlreadyThere

KINDS = {"annuaire": DIRECTORY, "messagerie": SCIM}
PERSON = dict.fromkeys(("matricule", "compte", "courriel", "prenom", "nom", "ancien", "nouveau"), "texte")


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


@pytest.mark.parametrize("name", ["joiner", "leaver", "mover"])
def test_what_a_template_asks_of_a_directory_and_of_a_service_is_what_they_take(name: str) -> None:
    steps = ready.templates()[name].flow.do
    assert {step.connection for step in steps} == set(KINDS)
    for step in steps:
        operations = KINDS[step.connection]
        check(operations[step.operation], payload(step, PERSON))
        if step.undo is not None:
            check(operations[step.undo], payload(step, PERSON, undo=True))
