"""What an approver signs, and how voices are counted. Pure: no store, no clock.

    sovereign-approval/1
    intent ID
    digest HEX              of the intent: what is approved is exactly this
    verdict approve|refuse
    person NAME
    at INSTANT              when it was signed, UTC
    until INSTANT           the request's end: a signature never outlives what it answered
    quorum N [GROUP,…]      what the approver was told was asked, so that asking less afterwards voids the voice
    reason TEXT             why, in the approver's words: at most 200 characters; the line is absent without one

The text is signed as a C2SP note by the approver's own key. A quorum is so many different people; when groups are named, each
group gives at least one of them, and nobody stands for two.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sovereign.gateway.errors import BadBallot
from sovereign.state.schema import instant_text

Verdict = Literal["approve", "refuse"]
FORMAT: Final = "sovereign-approval/1"
_LINES: Final = re.compile(
    rf"{FORMAT}\nintent (?P<intent>w-[0-9a-z]{{26}})\ndigest (?P<digest>[0-9a-f]{{64}})\nverdict (?P<verdict>approve|refuse)\n"
    r"person (?P<person>[^\n]{1,128})\nat (?P<at>[0-9T:.-]{26}Z)\nuntil (?P<until>[0-9T:.-]{26}Z)\n"
    r"quorum (?P<quorum>[0-9]{1,3})(?P<groups>(?: [a-z][a-z0-9_-]{0,62}(?:,[a-z][a-z0-9_-]{0,62}){0,15})?)\n"
    r"(?:reason (?P<reason>[^\n]{1,200})\n)?"
)
_MARKS: Final = ("Mn", "Cf")
"""Unicode categories of what tells no two people apart: accents once decomposed, and signs that are not seen."""


@dataclass(frozen=True, slots=True)
class Ballot:
    """One voice on one intent. digest: 32 bytes. Instants are UTC."""

    intent: str
    digest: bytes
    verdict: str
    person: str
    at: datetime
    until: datetime
    quorum: int
    groups: tuple[str, ...] = ()
    reason: str = ""

    def text(self) -> str:
        """What is signed."""
        return (
            f"{FORMAT}\nintent {self.intent}\ndigest {self.digest.hex()}\nverdict {self.verdict}\nperson {self.person}\n"
            f"at {instant_text(self.at)}\nuntil {instant_text(self.until)}\n"
            f"quorum {self.quorum}{' ' if self.groups else ''}{','.join(self.groups)}\n"
            f"{f'reason {self.reason}' + chr(10) if self.reason else ''}"
        )


def parse(text: str) -> Ballot:
    """Read what was signed; errors: BadBallot."""
    found = _LINES.fullmatch(text)
    if found is None:
        raise BadBallot(reason_fr="ce n'est pas un vote", reason_en="this is no ballot")
    try:
        at, until = datetime.fromisoformat(found["at"]), datetime.fromisoformat(found["until"])
    except ValueError:
        raise BadBallot(reason_fr="instant illisible", reason_en="an instant that cannot be read") from None
    digest, groups = bytes.fromhex(found["digest"]), tuple(found["groups"].strip().split(",")) if found["groups"] else ()
    quorum, reason = int(found["quorum"]), found["reason"] or ""
    return Ballot(found["intent"], digest, found["verdict"], found["person"], at, until, quorum, groups, reason)


def plain(name: str) -> str:
    """One writing of a name for all of them: no accent, capital, width or hidden sign, one space between words."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(each for each in apart if unicodedata.category(each) not in _MARKS).split())


def met(voices: Mapping[str, frozenset[str]], quorum: int, groups: Sequence[str]) -> bool:
    """Whether those who approve are enough. voices: the groups of each person who approves."""
    able = [held for held in voices.values() if not groups or held & set(groups)]
    return len(able) >= max(quorum, 1) and _seated(able, list(groups))


def _seated(able: Sequence[frozenset[str]], groups: Sequence[str]) -> bool:
    """Whether each group can be given a person of its own (augmenting paths: the lists are short)."""
    seat: dict[int, str] = {}

    def place(group: str, tried: set[int]) -> bool:
        for number, held in enumerate(able):
            if group in held and number not in tried:
                tried.add(number)
                if number not in seat or place(seat[number], tried):
                    seat[number] = group
                    return True
        return False

    return all(place(group, set()) for group in groups)
