"""One policy: what its annotations say, and whether they say enough.

    @id("flow.paie.agents")           stable name, unique in the set
    @owner("drh")                     who answers for it
    @expires("2027-06-30")            last day of its life, in the site's zone
    @fr("…") @en("…")                 the sentence that whoever asked is given
    @hold("quorum=2;groups=rssi,dsi;within=24h")     only with an approval
    @pseudonymise("nir,iban")         these findings are replaced by pseudonyms before the payload leaves

1. No other annotation is known: a misspelt `@hold` must not become a plain permission.
2. A permit past its day opens nothing. A forbid, or a hold that conditions, past its day goes on: its day is when it is due for
   review, and forgetting a review must not lift a red line.
3. A hold names seats: each group gives one voice, so a quorum is never above the number of groups named. Holds that meet can
   then be joined without asking less than any of them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sovereign.gateway.policy.errors import BadPolicy

KINDS: Final = ("nir", "iban", "siret", "card", "secret", "email_volume", "phone_volume")
"""The findings that a policy can name; any other counts as `other`."""
RESERVED: Final = "policy."
"""Ids of what the evaluator itself says begin so."""
LONGEST_HOLD: Final = timedelta(days=90)

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")
_OWNER: Final = re.compile(r"[^\s\x00-\x1f][^\x00-\x1f]{0,95}")
_GROUP: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_WITHIN: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_NEEDED: Final = ("id", "owner", "expires", "fr", "en")
_KNOWN: Final = frozenset({*_NEEDED, "hold", "pseudonymise"})
_SENTENCE: Final = 400


@dataclass(frozen=True, slots=True)
class Hold:
    """What an approval takes: so many voices, one of each group named, before so long."""

    quorum: int
    groups: tuple[str, ...]
    within: timedelta


@dataclass(frozen=True, slots=True)
class Rule:
    """A policy with its annotations read. `effect` is Cedar's own, `body` its JSON form; `line` counts from 1."""

    id: str
    owner: str
    expires: date
    fr: str
    en: str
    effect: str
    hold: Hold | None
    pseudonymise: frozenset[str]
    file: str
    line: int
    text: str
    body: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """How people call it: `permit`, `forbid` or `hold`."""
        return self.effect if self.hold is None else "hold"

    @property
    def opens(self) -> bool:
        """Whether it lets something through, at once or once approved."""
        return self.effect == "permit"

    def expired(self, at: datetime) -> bool:
        """Whether its last day is past. at: in the site's zone."""
        return at.date() > self.expires


def read(body: Mapping[str, Any], file: str, line: int, text: str) -> Rule:
    """Read a policy from Cedar's JSON form; errors: BadPolicy."""
    said: dict[str, str] = {name: value or "" for name, value in body.get("annotations", {}).items()}
    effect = str(body["effect"])
    expires, hold = _expires(said.get("expires", "")), _hold(said["hold"]) if "hold" in said else None
    masked = frozenset(each.strip() for each in said["pseudonymise"].split(",")) if "pseudonymise" in said else frozenset()
    for wrong, fr, en in _trouble(said, effect, masked, expires, hold):
        if wrong:
            raise BadPolicy(file=file, line=line, why_fr=fr, why_en=en)
    return Rule(
        said["id"], said["owner"], expires or date.min, said["fr"], said["en"], effect, hold, masked, file, line, text, body
    )


def _trouble(
    said: Mapping[str, str], effect: str, masked: frozenset[str], expires: date | None, hold: Hold | None
) -> Iterator[tuple[bool, str, str]]:
    """Every rule that annotations keep, with what to say when it is broken."""
    for name in sorted(said.keys() - _KNOWN):
        yield True, f"annotation inconnue @{name}", f"unknown annotation @{name}"
    for name in _NEEDED:
        yield not said.get(name, "").strip(), f"il manque @{name}(…)", f"@{name}(…) is missing"
    yield (
        not _ID.fullmatch(said["id"]) or said["id"].startswith(RESERVED),
        "@id : minuscules, chiffres, « . », « _ », « - » ; « policy. » est réservé",
        "@id: lower case, digits, `.`, `_`, `-`; `policy.` is reserved",
    )
    yield not _OWNER.fullmatch(said["owner"]), "@owner : un nom, 96 signes au plus", "@owner: a name, at most 96 characters"
    for name in ("fr", "en"):
        wrong = len(said[name]) > _SENTENCE or not said[name].isprintable()
        yield (
            wrong,
            f"@{name} : une phrase, {_SENTENCE} signes au plus",
            f"@{name}: one sentence, at most {_SENTENCE} characters",
        )
    yield expires is None, "@expires : une date AAAA-MM-JJ", "@expires: a date YYYY-MM-DD"
    kinds = ", ".join(KINDS)
    yield (
        bool(masked - {*KINDS}) or (bool(masked) and effect != "permit"),
        f"@pseudonymise : sur un « permit », parmi {kinds}",
        f"@pseudonymise: on a permit, among {kinds}",
    )
    yield (
        "hold" in said and hold is None,
        "@hold : « quorum=2;groups=rssi,dsi;within=24h », un siège par groupe nommé, 90 jours au plus",
        "@hold: `quorum=2;groups=rssi,dsi;within=24h`, one seat a group named, 90 days at most",
    )


def _expires(text: str) -> date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _hold(terms: str) -> Hold | None:
    given: dict[str, str] = {}
    for term in terms.split(";"):
        name, equals, value = (part.strip() for part in term.partition("="))
        if not equals or name in given or name not in ("quorum", "groups", "within"):
            return None
        given[name] = value
    groups = tuple(dict.fromkeys(each.strip() for each in given["groups"].split(","))) if "groups" in given else ()
    quorum, within = given.get("quorum", str(max(len(groups), 1))), _WITHIN.fullmatch(given.get("within", "24h"))
    if within is None or not re.fullmatch(r"[1-9][0-9]?", quorum) or len(groups) > 16 or not all(map(_GROUP.fullmatch, groups)):
        return None
    last = int(within[1]) * _UNITS[within[2]]
    if last > LONGEST_HOLD or (groups and int(quorum) > len(groups)):
        return None
    return Hold(max(int(quorum), len(groups)), groups, last)


def joined(holds: list[Hold]) -> Hold:
    """What satisfies every one of these holds: all their groups, the highest quorum, the shortest delay."""
    groups = tuple(dict.fromkeys(group for hold in holds for group in hold.groups))
    return Hold(max(*(hold.quorum for hold in holds), len(groups), 1), groups, min(hold.within for hold in holds))
