"""The examples of the connectors' pages are settings that load."""

import re
from pathlib import Path

import pytest

from saas_connectors import registry
from sovereign.settings import load

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(
    "page",
    [
        "connectors-decp.md",
        "connectors-ogc.md",
        "connectors-opendatasoft.md",
        "connectors-scim.md",
        "connectors-graph.md",
        "connectors-ldap.md",
    ],
)
def test_the_examples_of_a_page_make_connectors(page: str, tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert examples
    for example in examples:
        (tmp_path / "sovereign.toml").write_text(example)
        for name, connection in load(tmp_path / "sovereign.toml").connections.items():
            assert registry.make(connection.connector, name, connection.options).name == name
