"""Names of files that a stream takes, told by a pattern: `agents_{%Y%m%d}.csv`, `*.csv`, or a name as it is.

`*` stands for any characters, `{…}` for a date (the directives of strptime that are digits: %Y %m %d %H %M %S %j). The date of
a file is the one in its name, never that of its last change: a copy made today of yesterday's file is yesterday's.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

_WIDTHS: Final = {"%Y": 4, "%m": 2, "%d": 2, "%H": 2, "%M": 2, "%S": 2, "%j": 3}
_DIRECTIVE: Final = re.compile(r"%.|[^%]")
_STARS: Final = 4


class BadPattern(ValueError):
    """It is not a pattern of names."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Names, and the date in each. form: what strptime reads, "" when names bear no date."""

    written: str
    compiled: re.Pattern[str]
    form: str

    def match(self, name: str) -> bool:
        """Whether a file has such a name."""
        return self._found(name) is not None

    def date(self, name: str) -> datetime | None:
        """The date in a name; None when there is none."""
        found = self._found(name)
        return found[1] if found else None

    def _found(self, name: str) -> tuple[bool, datetime | None] | None:
        held = self.compiled.fullmatch(name) if len(name) <= 255 else None
        if held is None:
            return None
        if not self.form:
            return True, None
        try:
            return True, datetime.strptime(held["date"], self.form)  # noqa: DTZ007 - a name says no zone; only the order counts
        except ValueError:
            return None


def pattern(written: str) -> Pattern:
    """Read a pattern; raises `BadPattern`."""
    head, brace, rest = written.partition("{")
    form, closed, tail = rest.partition("}")
    if brace and (not closed or "{" in tail or "}" in tail or not form):
        raise BadPattern(written)
    if (
        (not brace and "}" in written)
        or "/" in written
        or "\\" in written
        or written.count("*") > _STARS
        or not written.strip("*{}")
    ):
        raise BadPattern(written)
    parts = _DIRECTIVE.findall(form)
    if any(part.startswith("%") and part not in _WIDTHS for part in parts) or (brace and "%Y" not in parts):
        raise BadPattern(written)
    date = "".join(rf"\d{{{_WIDTHS[part]}}}" if part in _WIDTHS else re.escape(part) for part in parts)
    dated = f"(?P<date>{date})" if brace else ""
    return Pattern(written, re.compile(_plain(head) + dated + _plain(tail), re.ASCII), form)


def _plain(text: str) -> str:
    return "".join("[^/]*" if part == "*" else re.escape(part) for part in text)
