"""Two languages for everything a person reads: French first, English when asked.

The language is `SOVEREIGN_LANG`, else the first of `LC_ALL`, `LC_MESSAGES`, `LANG` that names French or English, else French.
"""

import os
from typing import Final, Literal

Language = Literal["fr", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("fr", "en")


def language() -> Language:
    """The language of this process."""
    for name in ("SOVEREIGN_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")[:2].lower()
        if value == "en":
            return "en"
        if value == "fr":
            return "fr"
    return "fr"


def say(fr: str, en: str) -> str:
    """Give the sentence in the language of this process."""
    return fr if language() == "fr" else en


def speak(wanted: str) -> None:
    """Choose the language of this process and of those it starts."""
    os.environ["SOVEREIGN_LANG"] = wanted
