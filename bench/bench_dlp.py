"""What is found in what leaves, on documents that the detectors were never shown; and what looking costs.

Precision and recall of findings said to be sure, and of all findings (the suspected included), by kind and by setting, with
the Wilson interval at 95 %. Then the CPU of a scan against that of one plain pattern over the same bytes, in turn, in one run.
"""

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Callable
from math import sqrt

from dlp_documents import FORMATS, KINDS, SETTINGS, TYPES, Case, cases
from dlp_values import drawn
from measure import report

from sovereign.gateway.dlp import scan

SEED = 20_260_301
PLAIN = re.compile(rb"(?<![0-9A-Za-z])(?:[0-9][ .-]?){9,19}(?![0-9A-Za-z])|[A-Z]{2}[0-9]{2}(?: ?[0-9A-Z]{4}){3,7}|-----BEGIN")
"""What a script of ten lines would look for, without reading the document, checking a digit or naming a field."""


Judged = tuple[Case, tuple[set[str], set[str]]]
"""A document, and the kinds found in it: those said to be sure, then all."""


def found(case: Case) -> tuple[set[str], set[str]]:
    """The kinds found in a document: those said to be sure, then all."""
    findings = scan(case.body, TYPES[case.format]).findings
    return {each.kind for each in findings if each.sure}, {each.kind for each in findings}


def interval(part: int, whole: int) -> tuple[float, float]:
    """The Wilson interval of a proportion, at 95 %."""
    if not whole:
        return 0.0, 1.0
    share, z = part / whole, 1.96
    middle, spread = share + z * z / (2 * whole), z * sqrt(share * (1 - share) / whole + z * z / (4 * whole * whole))
    return (middle - spread) / (1 + z * z / whole), (middle + spread) / (1 + z * z / whole)


def tally(chosen: list[Judged], kind: str, level: int) -> dict[str, int]:
    """How many documents hold a kind, of how many it is said, and how many of these are right; level: 0 sure, 1 all."""
    held = said = right = 0
    for case, kinds in chosen:
        holds, says = case.kind == kind, kind in kinds[level]
        held, said, right = held + holds, said + says, right + (holds and says)
    return {"held": held, "said": said, "right": right}


def figures(counts: dict[str, int]) -> dict[str, object]:
    """Precision and recall, each with its interval."""
    made: dict[str, object] = dict(counts)
    for name, whole in (("precision", "said"), ("recall", "held")):
        made[name] = round(counts["right"] / counts[whole], 3) if counts[whole] else None
        made[f"{name}_95"] = [round(each, 3) for each in interval(counts["right"], counts[whole])]
    return made


def judge(many: int, seed: int) -> None:
    """Report by setting and kind, then by format, then what alarmed or escaped most."""
    made = [(case, found(case)) for case in cases(drawn(seed), many)]
    for setting in SETTINGS:
        chosen = [each for each in made if each[0].setting == setting]
        for kind in KINDS:
            for level, name in enumerate(("sure", "any")):
                report("dlp", setting=setting, kind=kind, findings=name, **figures(tally(chosen, kind, level)))
    for format_ in FORMATS:
        chosen = [each for each in made if (each[0].setting, each[0].format) == ("named", format_)]
        sums: Counter[str] = Counter()
        for kind in KINDS:
            sums.update(tally(chosen, kind, 0))
        report("dlp", format=format_, setting="named", findings="sure", **figures(dict(sums)))
    missed = Counter(f"{case.setting} {case.what}" for case, (sure, _) in made if case.kind and case.kind not in sure)
    alarms = [kind for case, (sure, _) in made if not case.kind for kind in sure]
    alike = sum(not case.kind for case, _ in made)
    report("dlp", look_alikes=alike, false_alarms=dict(Counter(alarms)), missed=dict(missed.most_common()))


def cost(rounds: int) -> None:
    """Report the CPU of a scan of a body that holds nothing, and of one that holds something, against the plain pattern's."""
    quiet = json.dumps(
        {"objet": "Demande", "texte": "Bonjour, je souhaite une place en crèche. " * 53}, ensure_ascii=False
    ).encode()
    loud = json.dumps([{"nom": "Martin", "iban": "FR7630006000011234567890189", "texte": "Bonjour. " * 20}] * 10).encode()

    def timed(look: Callable[[bytes], object], body: bytes) -> float:
        began = time.process_time()
        for _ in range(200):
            look(body)
        return (time.process_time() - began) / 200

    for name, body in (("nothing to find", quiet), ("ten accounts", loud)):
        pairs = [(timed(lambda each: scan(each, TYPES["json"]), body), timed(PLAIN.findall, body)) for _ in range(rounds)]
        scans, plains = (sorted(each)[rounds // 2] * 1e6 for each in zip(*pairs, strict=True))
        report("dlp", body=name, bytes=len(body), scan_us=scans, plain_us=plains, ratio=scans / plains)


def main() -> None:
    """Judge, then time."""
    options = argparse.ArgumentParser()
    options.add_argument("--many", type=int, default=150, help="documents of each kind, setting and format")
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--rounds", type=int, default=9)
    given = options.parse_args()
    judge(given.many, given.seed)
    cost(given.rounds)


if __name__ == "__main__":
    main()
