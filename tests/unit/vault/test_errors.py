"""What every fault of the vault promises: a stable code, a sentence in two languages, and only the fields that are given."""

import ast
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

import vault
from vault import errors
from vault.errors import Fault, VaultError

FAULTS = {name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, VaultError)}
SOURCES = sorted(Path(vault.__file__).parent.rglob("*.py"))


def fields(*sentences: str) -> set[str]:
    return {name for sentence in sentences for _, name, _, _ in Formatter().parse(sentence) if name}


def raised() -> Iterator[tuple[str, int, type[Fault], set[str]]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FAULTS:
                yield path.name, node.lineno, FAULTS[node.func.id], {word.arg or "**" for word in node.keywords}


@pytest.mark.parametrize("kind", FAULTS.values(), ids=FAULTS)
def test_a_fault_says_in_two_languages_what_happened_with_the_same_facts(kind: type[Fault]) -> None:
    assert kind.fr
    assert kind.en
    assert kind.fr != kind.en
    assert bool(kind.todo_fr) == bool(kind.todo_en)
    said = [{name.removesuffix("_fr").removesuffix("_en") for name in fields(s)} for s in (kind.fr, kind.en)]
    assert said[0] == said[1]


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in FAULTS.values()]
    assert len(set(codes)) == len(codes)


def test_each_place_that_raises_gives_the_fields_that_the_sentences_need() -> None:
    places = list(raised())
    assert len(places) > 40
    assert [p for p in places if fields(p[2].fr, p[2].en, p[2].todo_fr, p[2].todo_en) != p[3]] == []
