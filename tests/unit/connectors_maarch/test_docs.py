"""The page on MaarchCourrier names every setting, stream, route and refused word, and its example makes a connector."""

import re
import tomllib
from pathlib import Path

import msgspec

from saas_connectors.mail import maarch_refusals
from saas_connectors.mail.maarch_attached import FILE, ROUTES
from saas_connectors.mail.maarch_calls import LIST, PRIVILEGES, AccountHeld, NoGroup
from saas_connectors.mail.maarch_letters import CONTENT
from saas_connectors.mail.maarch_operations import OPERATIONS, operations
from saas_connectors.mail.maarch_planning import LETTER
from saas_connectors.mail.maarch_referred import PLACES, route
from saas_connectors.mail.maarch_refusals import WriteRefused
from saas_connectors.mail.maarch_settings import DENIED, SAID_HERE, Settings
from saas_connectors.mail.maarch_streams import STREAMS
from saas_connectors.registry import make, writer

PAGE = (Path(__file__).parents[3] / "docs" / "connectors-maarch.md").read_text()
WORDS = set(re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL)))


def test_every_setting_is_explained_in_the_page_and_in_both_languages() -> None:
    settings = {field.name for field in msgspec.structs.fields(Settings)} - {"url"}
    assert settings <= WORDS
    assert settings <= SAID_HERE.keys()


def test_every_stream_route_privilege_and_refused_word_is_named() -> None:
    assert STREAMS.keys() <= WORDS
    assert {LIST, CONTENT, LETTER, FILE, *ROUTES.values(), *map(route, PLACES)} <= WORDS
    assert set(PRIVILEGES.values()) <= WORDS
    assert all(re.search(rf"\b{word}\b", PAGE) for word in DENIED)


def test_every_personal_field_exists() -> None:
    for shape in STREAMS.values():
        assert shape.personal <= shape.fields.keys()
        assert {*shape.key, *filter(None, (shape.cursor, shape.document))} <= shape.fields.keys()


def test_the_example_makes_a_connector() -> None:
    declared = tomllib.loads(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[0])["connections"]["courrier"]
    assert make(declared["connector"], "courrier", {"url": declared["url"]}).name == "courrier"


def test_every_operation_is_named_with_its_fields_its_routes_and_its_privilege() -> None:
    known = operations(OPERATIONS)
    assert known.keys() == set(OPERATIONS)
    assert known.keys() <= WORDS
    assert {field for each in known.values() for field in each.schema["properties"]} <= WORDS
    assert set(maarch_refusals.ROUTES) <= WORDS
    assert {*maarch_refusals.PRIVILEGES.values(), *(kind.code for kind in WriteRefused.__subclasses__())} <= WORDS
    assert {NoGroup.code, AccountHeld.code} <= WORDS


def test_the_example_of_writes_opens_what_it_says() -> None:
    declared = tomllib.loads(re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)[1])["connections"]["courrier"]
    made = writer(declared.pop("connector"), "courrier", declared)
    assert [each.name for each in made.operations()] == declared["writes"]
