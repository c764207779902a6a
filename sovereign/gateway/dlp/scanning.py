"""What a body holds that is sensitive, as findings: type, pointer, count, never the value."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from sovereign.gateway.decision import Finding
from sovereign.gateway.dlp import body_json, prefilter
from sovereign.gateway.dlp.detecting import detect, spelled
from sovereign.gateway.dlp.hits import Hit
from sovereign.gateway.dlp.limits import Budget, Limits, OverBounds, Unreadable
from sovereign.gateway.dlp.pseudonyms import pseudonym
from sovereign.gateway.dlp.visiting import Place
from sovereign.gateway.dlp.walking import Walk, described

DEFAULT: Final = Limits()
ELSEWHERE: Final = "*"
"""The pointer of what was found past the number of pointers that are told apart."""
_MANY: Final = ("email_volume", "phone_volume")


@dataclass(frozen=True, slots=True)
class Scan:
    """What was seen.

    records: how many the body holds. truncated: a bound was reached. unreadable: a part could not be looked into. Both are
    findings too (`truncated`, `unreadable`), so that a policy hears of them: sure when the body is not what its type says or is
    past a bound, suspected when it is merely of a kind that is not opened (an image, a PDF).
    """

    findings: tuple[Finding, ...] = ()
    records: int = 1
    truncated: bool = False
    unreadable: bool = False


def scan(body: bytes, content_type: str = "", limits: Limits = DEFAULT) -> Scan:
    """Look into a body. Never raises for what the body is."""
    if len(body) <= limits.bytes and (records := _nothing(body, content_type, limits)) >= 0:
        return Scan(records=records)
    notes = _Notes(limits)
    walk = Walk(notes, Budget(limits))
    long = len(body) > limits.bytes
    walked = walk.beginning(body[: limits.bytes], content_type) if long else walk.read(body, content_type)
    findings = notes.findings()
    findings += [Finding("truncated", "")] * walk.truncated + [Finding("unreadable", "")] * walk.unreadable
    findings += [Finding("unreadable", pointer, sure=False) for pointer in walked.opaque[: limits.pointers]]
    return Scan(tuple(findings), walked.records, walk.truncated, walk.unreadable or bool(walked.opaque))


def pseudonymise(body: bytes, content_type: str, pointers: tuple[str, ...], key: bytes, limits: Limits = DEFAULT) -> bytes:
    """Replace what is found at these pointers by keyed pseudonyms; other values stay as they are.

    Gives the body, byte for byte when nothing was replaced. Errors: ValueError when the body cannot be read whole, so that a
    value that was to be hidden never leaves; or when the key is shorter than 16 bytes.
    """
    if len(key) < 16:
        raise ValueError("a key of at least 16 bytes is needed")
    mask = _Mask(frozenset(pointers), key)
    walk = Walk(mask, Budget(limits))
    walked = walk.read(body, content_type) if len(body) <= limits.bytes else None
    if walked is None or walk.truncated or walk.unreadable:
        raise ValueError("a body that cannot be read whole cannot be pseudonymised")
    return walked.body if mask.replaced else body


def _nothing(body: bytes, content_type: str, limits: Limits) -> int:
    """The number of records of a JSON body that holds nothing, or -1 when it must be looked into."""
    kind, charset = described(content_type)
    if not kind.endswith(("/json", "+json")) or charset not in ("", "utf-8") or not prefilter.quiet(body, limits):
        return -1
    try:
        return body_json.count(body.decode())
    except (UnicodeDecodeError, OverBounds, Unreadable):
        return -1


def _hits(place: Place, text: str) -> list[Hit]:
    return detect(spelled(text) if place.number else text, place.hints)


class _Notes:
    """Counts what each visit finds."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._found: Counter[tuple[str, str, bool]] = Counter()

    def __call__(self, place: Place, text: str) -> str:
        for hit in _hits(place, text):
            known = len(self._found) < self._limits.pointers or (hit.kind, place.pointer, hit.sure) in self._found
            self._found[hit.kind, place.pointer if known else ELSEWHERE, hit.sure] += 1
        return text

    def findings(self) -> list[Finding]:
        volume: Counter[str] = Counter()
        for (kind, _, _), count in self._found.items():
            volume[kind] += count
        enough = {"email_volume": self._limits.emails, "phone_volume": self._limits.phones}
        return [
            Finding(kind, pointer, count, sure)
            for (kind, pointer, sure), count in self._found.items()
            if kind not in _MANY or volume[kind] >= enough[kind]
        ]


class _Mask:
    """Replaces what each visit finds at chosen pointers."""

    def __init__(self, pointers: frozenset[str], key: bytes) -> None:
        self._pointers, self._key, self._all = pointers, key, ELSEWHERE in pointers
        self.replaced = 0

    def __call__(self, place: Place, text: str) -> str:
        if not self._all and place.pointer not in self._pointers:
            return text
        if place.number:
            text = spelled(text)
        hits = _hits(place, text)
        if not hits:
            return text
        self.replaced += len(hits)
        pieces, at = [], 0
        for hit in hits:
            pieces += [text[at : hit.start], pseudonym(hit.kind, text[hit.start : hit.end], self._key)]
            at = hit.end
        return "".join((*pieces, text[at:]))
