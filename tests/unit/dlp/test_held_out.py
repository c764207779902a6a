"""The corpus of `bench/bench_dlp.py`: its values are what it says they are, and what is found of them has a floor."""

import importlib.util
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from stdnum import iban, luhn
from stdnum.fr import nir, siren, siret

from sovereign.gateway.dlp import Limits, scan
from sovereign.gateway.dlp.prefilter import quiet

BENCH = Path(__file__).parents[3] / "bench"
FLOORS = {
    "named": {"nir": 0.98, "iban": 0.99, "siret": 0.99, "card": 0.98, "secret": 0.98},
    "opaque": {"nir": 0.70, "iban": 0.99, "siret": 0.15, "card": 0.29, "secret": 0.98},
    "text": {"nir": 0.99, "iban": 0.99, "siret": 0.99, "card": 0.99, "secret": 0.67},
}
"""Of what is said to be sure; a little under what is measured."""


@pytest.fixture(scope="module")
def held() -> Iterator[tuple[ModuleType, ModuleType]]:
    """The two modules of the corpus, which lie beside the benches."""
    made = []
    for name in ("dlp_values", "dlp_documents"):
        spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
        made.append(sys.modules[name])
    yield made[0], made[1]
    for each in made:
        del sys.modules[each.__name__]


def test_true_values_are_true_and_mistyped_ones_are_not_by_another_hand_s_rules(held: tuple[ModuleType, ModuleType]) -> None:
    values, draw = held[0], held[0].drawn(3)
    holds = {
        "nir": lambda value: len(value) == 13 or nir.is_valid(value), "iban": iban.is_valid,
        "siret": lambda value: siren.is_valid(value) if len(value) == 9 else siret.is_valid(value), "card": luhn.is_valid,
    }  # fmt: skip
    wrong = Counter[str]()
    near = dict(values.NEAR)
    for kind, judge in holds.items():
        for _ in range(400):
            wrong[f"true {kind}"] += not judge(values.TRUE[kind](draw).replace(" ", "").replace("-", ""))
            wrong[f"mistyped {kind}"] += judge(near[kind](draw).replace(" ", "").replace("-", ""))
    assert +wrong == Counter()


def test_recall_has_a_floor_in_every_setting_and_look_alikes_hardly_ever_alarm(held: tuple[ModuleType, ModuleType]) -> None:
    values, documents = held
    right, true, alarms, alike = Counter[tuple[str, str]](), Counter[tuple[str, str]](), 0, 0
    for case in documents.cases(values.drawn(20_261_124), 40):
        sure = {each.kind for each in scan(case.body, documents.TYPES[case.format]).findings if each.sure}
        if case.kind:
            true[case.setting, case.kind] += 1
            right[case.setting, case.kind] += case.kind in sure
            alarms += bool(sure - {case.kind})
        else:
            alarms, alike = alarms + bool(sure), alike + 1
    recall = {each: right[each] / true[each] for each in true}
    assert {each: share for each, share in recall.items() if share < FLOORS[each[0]][each[1]]} == {}
    assert alarms <= alike / 200


def test_the_quick_look_passes_over_no_secret_whose_form_tells_it(held: tuple[ModuleType, ModuleType]) -> None:
    values, draw = held[0], held[0].drawn(31)
    bodies = [json.dumps({"v": f"voir {values.marked(draw)} ici"}).encode() for _ in range(600)]
    # A list of one part has no quick look: it tells what the walk alone finds.
    walked = [bool(scan(body + b"\n", "application/x-ndjson").findings) for body in bodies]
    assert sum(walked) == 600
    assert sum(quiet(body, Limits()) for body in bodies) == 0


def test_an_element_of_the_helios_protocol_names_what_its_attribute_v_holds() -> None:
    body = b'<Tiers><Siret V="21750001600019"/></Tiers>'
    assert [(each.kind, each.pointer, each.sure) for each in scan(body, "application/xml").findings] == [
        ("siret", "/Tiers/Siret/@V", True)
    ]


def test_a_mask_in_brackets_is_no_secret_and_part_of_a_mistyped_account_is_no_sure_card() -> None:
    assert scan(b'{"password":"[REDACTED]"}', "application/json").findings == ()
    found = scan(b'{"codeIban":"FR12 4707 9646 6397 2474 1M01 341"}', "application/json").findings
    assert [each.kind for each in found if each.sure] == []
