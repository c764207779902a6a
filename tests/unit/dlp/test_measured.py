import csv
import importlib.util
import io
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pytest

from sovereign.gateway.dlp import Limits, pseudonymise, scan
from sovereign.gateway.dlp.detecting import detect
from sovereign.gateway.dlp.prefilter import quiet, silent

_spec = importlib.util.spec_from_file_location("corpus", Path(__file__).parent / "corpus.py")
assert _spec is not None
assert _spec.loader is not None
corpus = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(corpus)

KEY = b"a key of a test, long enough"


def as_csv(name: str, value: str) -> bytes:
    page = io.StringIO()
    csv.writer(page, delimiter=";").writerows([["nom", name], ["Martin", value]])
    return page.getvalue().encode()


WRITERS: dict[str, Callable[[str, str], bytes]] = {
    "application/json": lambda name, value: json.dumps(
        {"nom": "Martin", name: value}, ensure_ascii=False, separators=(",", ":")
    ).encode(),
    "application/xml": lambda name, value: f'<r><c label="{escape(name)}">{escape(value)}</c></r>'.encode(),
    "text/csv": as_csv,
    "application/x-www-form-urlencoded": lambda name, value: urlencode({"nom": "Martin", name: value}).encode(),
}


def measure(content_type: str, names: str, many: int = 250) -> dict[str, tuple[float, float]]:
    right, said, true = Counter[str](), Counter[str](), Counter[str]()
    for name, value, kind in corpus.cases(7, many, names):
        found = {each.kind for each in scan(WRITERS[content_type](name, value), content_type).findings if each.sure}
        true[kind] += 1
        said.update(found)
        right[kind] += kind in found
    return {kind: (right[kind] / max(said[kind], 1), right[kind] / true[kind]) for kind in corpus.TRUE}


@pytest.mark.parametrize("content_type", WRITERS)
def test_on_named_fields_precision_and_recall_are_at_least_98_percent(content_type: str) -> None:
    measured = measure(content_type, "named")
    assert {kind: figures for kind, figures in measured.items() if min(figures) < 0.98} == {}


def test_random_digits_without_a_name_are_never_sure_more_than_one_time_in_a_thousand() -> None:
    draw = corpus.random.Random(11)
    wrong = 0
    for _ in range(5000):
        body = json.dumps({"v": corpus.digits(draw, draw.choice([9, 13, 14, 15, 16]))}).encode()
        wrong += any(each.sure for each in scan(body, "application/json").findings)
    assert wrong <= 5


def test_the_quick_look_never_passes_over_what_the_walk_finds() -> None:
    missed = []
    for names in ("named", "unnamed"):
        for name, value, _ in corpus.cases(23, 300, names):
            body = WRITERS["application/json"](name, value)
            # A list of one part has no quick look: it tells what the walk alone finds.
            walked = scan(body + b"\n", "application/x-ndjson").findings
            if walked and quiet(body, Limits()):
                missed.append((name, len(value)))
    assert missed == []
    assert [text for text in HARD if quiet(WRITERS["application/json"]("note", text), Limits())] == []
    for name in ("clé privée", "CLÉ PRIVÉE", "Cle d'accès"):  # with `ensure_ascii`, as Python writes by itself
        for body in (json.dumps({name: "Xk9fA2bQ7zLmP"}), json.dumps({name: "Xk9fA2bQ7zLmP"}, ensure_ascii=False)):
            assert scan(body.encode(), "application/json").findings
    assert quiet(b'{"type":"Point","coordinates":[2.3522219,48.8566140]}', Limits())


LETTERS = (
    "Madame, Monsieur, votre demande a bien été reçue et passera en commission avant la fin du mois ; {} vous y répondra.",
    "Objet : accès au portail. Voici ce qui vous a été remis : mot de passe {} puis la clé de votre dossier, sans rapidité.",
    "{} Authorization=Basic {} et la suite de la lettre, assez longue pour que le coup d'œil rapide ait lieu d'abord.",
)


_HARD = (
    "1 85 05 78.006 084 91", "1-99.08-86-741.012-54", "1.8505.78 006.084 91", "carte 4295-5766.9970\u20097928",
    "+336-12.34\u200956-78",
    "GI44\u202fFFEG\u202fY2XGZFG25FZEHEC", "GI61EYXF\u00a0GYZHHXF5Y0CCZEZ",
    "FR76\u00a03000\u00a06000\u00a00112\u00a03456\u00a07890\u00a0189",
    "mot de pas\u017fe : Z2g-8j0gZ3ahf9j.k45", "api\u2011\u017fecret: Z2g-8j0gZ3ahf9j.k45",
)  # fmt: skip
"""Groups parted by several signs at once, accounts of letters parted by blanks that do not break, letters that fold."""
HARD = tuple(f"Madame, votre demande a bien été reçue et sera vue avant la fin du mois {each} et merci." for each in _HARD)


def test_the_quick_look_at_a_text_never_passes_over_what_the_detectors_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sovereign.gateway.dlp.detecting._LONG", 10**9)  # the detectors alone
    texts = [
        letter.replace("{}", value)
        for names in ("named", "unnamed")
        for _, value, _ in corpus.cases(29, 300, names)
        for letter in LETTERS
    ]
    assert [text for text in texts if silent(text) and detect(text, frozenset())] == []
    assert [text for text in HARD if silent(text) or not detect(text, frozenset())] == []
    assert any(map(silent, texts))
    assert silent(LETTERS[0].format("le service des passages"))


@pytest.mark.parametrize("content_type", WRITERS)
def test_pseudonyms_are_of_the_same_form_stable_and_not_the_value(content_type: str) -> None:
    for name, value, kind in corpus.cases(5, 20, "named"):
        body = WRITERS[content_type](name, value)
        findings = scan(body, content_type).findings
        if not kind or not findings:
            continue
        masked = pseudonymise(body, content_type, tuple(each.pointer for each in findings), KEY)
        assert masked == pseudonymise(body, content_type, ("*",), KEY)
        assert WRITERS[content_type](name, value) != masked
        if kind != "secret":
            assert {each.kind for each in scan(masked, content_type).findings} == {kind}
        assert len(masked) == len(body) or kind == "secret"
        assert masked != pseudonymise(body, content_type, ("*",), KEY[::-1])
