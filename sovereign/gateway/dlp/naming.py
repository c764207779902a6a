"""Names as a pointer may show them: some software uses a value as the name of a member."""

from functools import lru_cache
from typing import Final

from sovereign.gateway.dlp.detecting import detect
from sovereign.gateway.dlp.fields import NOTHING

UNSHOWN: Final = "{name}"
_LONGEST: Final = 64
_DIGITS: Final = 5


@lru_cache(maxsize=4096)
def shown(name: str) -> str:
    """Give a name in a JSON pointer (RFC 6901); one that could itself be a value is `{name}`."""
    if len(name) > _LONGEST or "@" in name or sum(map(str.isdigit, name)) > _DIGITS or not name.isprintable():
        return UNSHOWN
    return UNSHOWN if detect(name, NOTHING) else name.replace("~", "~0").replace("/", "~1")
