"""A look at a request by an approver who is elsewhere: a note signed by their own key asks for it. Pure but for what was seen.

    sovereign-look/1
    site NAME               of the site's key: a note made for one site opens nothing at another
    intent ID
    person NAME
    at INSTANT              when it was signed, UTC

1. It counts for `LIFE` around its instant, once: given again, it is refused.
2. It shows; it decides nothing. A voice is a note of its own (`ballot`).
"""

import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sovereign.gateway.errors import BadBallot
from sovereign.state.schema import instant_text

FORMAT: Final = "sovereign-look/1"
LIFE: Final = timedelta(minutes=5)
_MOST: Final = 10_000
_LINES: Final = re.compile(
    rf"{FORMAT}\nsite (?P<site>[^\n]{{1,200}})\nintent (?P<intent>w-[0-9a-z]{{26}})\nperson (?P<person>[^\n]{{1,128}})\n"
    r"at (?P<at>[0-9T:.-]{26}Z)\n"
)


@dataclass(frozen=True, slots=True)
class Look:
    """A wish to see one request. at: UTC."""

    site: str
    intent: str
    person: str
    at: datetime

    def text(self) -> str:
        """What is signed."""
        return f"{FORMAT}\nsite {self.site}\nintent {self.intent}\nperson {self.person}\nat {instant_text(self.at)}\n"


def parse(text: str) -> Look:
    """Read what was signed; errors: BadBallot."""
    found = _LINES.fullmatch(text)
    if found is None:
        raise BadBallot(reason_fr="ce n'est pas une demande à voir", reason_en="this asks to see nothing")
    try:
        return Look(found["site"], found["intent"], found["person"], datetime.fromisoformat(found["at"]))
    except ValueError:
        raise BadBallot(reason_fr="instant illisible", reason_en="an instant that cannot be read") from None


class Once:
    """What was shown already, as long as it could be asked again."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, datetime] = OrderedDict()

    def take(self, look: Look, site: str, now: datetime) -> None:
        """Let a look through, once and in its time. Errors: BadBallot."""
        if look.site != site:
            raise BadBallot(reason_fr="il est fait pour un autre site", reason_en="it is made for another site")
        if abs(now - look.at) > LIFE:
            raise BadBallot(reason_fr="signé trop tôt ou trop tard", reason_en="signed too early or too late")
        while self._seen and next(iter(self._seen.values())) < now - 2 * LIFE:
            self._seen.popitem(last=False)
        name = hashlib.sha256(look.text().encode()).digest()
        if name in self._seen or len(self._seen) >= _MOST:
            raise BadBallot(reason_fr="il a déjà servi", reason_en="it has served already")
        self._seen[name] = now
