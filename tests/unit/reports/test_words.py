"""Nothing of a closed list reaches a person as a bare code: each has its words, in both languages."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from saas_connectors.connector import Probed, ReadBack
from sovereign.gateway.breaker import Position
from sovereign.gateway.policy.rules import KINDS
from sovereign.gateway.states import EDGES
from sovereign.reports import labels
from sovereign.reports.reasons import reason
from sovereign.sync.outcome import RunState
from sovereign.sync.verdict import _REASONS, State

ROOT = Path(__file__).parents[3] / "sovereign"
STEPS = re.compile(r"(?:turn|too_late|(?:retry|process|client|intent|read_back|probe|operator|policy|approval)\.[a-z_]+)")


def steps() -> set[str]:
    """Every reason that the source gives a step, besides acts of the log."""
    acts = set(labels.ACTS)
    sources = (*(ROOT / "gateway").glob("*.py"), ROOT / "cli" / "delivery.py")
    nodes = (node for each in sources for node in ast.walk(ast.parse(each.read_text(encoding="utf-8"))))
    texts = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in texts if STEPS.fullmatch(text)} - acts


def test_every_state_has_words() -> None:
    assert {edge.becomes for edge in EDGES} <= set(labels.STATES)
    assert set(get_args(RunState)) == set(labels.RUNS)
    assert set(get_args(State)) == set(labels.VERDICTS)
    assert set(get_args(Position)) - {"closed"} == set(labels.CIRCUITS)
    assert set(KINDS) == set(labels.FINDINGS)
    assert set(_REASONS) == set(labels.GUARDS)


def test_every_reason_of_a_step_has_words() -> None:
    found = steps()
    assert len(found) > 12
    outcomes = {f"read_back.{each}" for each in get_args(ReadBack.__annotations__["outcome"]) if each != "unsupported"}
    outcomes |= {f"probe.{each}" for each in get_args(Probed.__annotations__["outcome"])}
    assert {code for code in found | outcomes if reason(code).label.fr == code} == set()


@pytest.mark.parametrize(
    ("code", "fr", "en"),
    [
        ("status.503", "réponse 503 du fournisseur", "the vendor answered 503"),
        ("probe.status.500", "sonde : réponse 500 du fournisseur", "probe: the vendor answered 500"),
        ("defect.KeyError", "défaut de la passerelle (KeyError)", "a defect of the gateway (KeyError)"),
        ("brand.new", "brand.new", "brand.new"),
    ],
)
def test_a_reason_says_what_it_is_about(code: str, fr: str, en: str) -> None:
    found = reason(code)
    assert (found.code, *found.label) == (code, fr, en)
