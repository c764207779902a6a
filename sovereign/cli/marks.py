"""How states, numbers, sizes and instants are written for a person, in the language of the process."""

import re
import unicodedata
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from sovereign.language import language, say

STATES: Final[dict[str, tuple[str, str, str]]] = {
    # state: glyph, French, English
    "succeeded": ("✓", "réussi", "succeeded"),
    "complete": ("✓", "complet", "complete"),
    "active": ("✓", "active", "active"),
    "ok": ("✓", "bon", "ok"),
    "partial": ("!", "partiel", "partial"),
    "interrupted": ("!", "interrompu net", "interrupted"),
    "committed": ("✓", "publié", "committed"),
    "unchanged": ("✓", "sans changement", "unchanged"),
    "unverified": ("!", "non vérifié", "unverified"),
    "quarantined": ("!", "en quarantaine", "quarantined"),
    "warning": ("!", "à voir", "warning"),
    "late": ("!", "en retard", "late"),
    "failed": ("✗", "échoué", "failed"),
    "error": ("✗", "faux", "wrong"),
    "held": ("✓", "gardé", "held"),
    "missing": ("✗", "manquant", "missing"),
    "sealed": ("✗", "clé détruite", "key destroyed"),
    "destroyed": ("✗", "détruite", "destroyed"),
    "cancelled": ("✗", "arrêté", "cancelled"),
    "running": ("…", "en cours", "running"),
    "waiting": ("…", "attend le fournisseur", "waiting for the vendor"),
    "started": ("…", "en cours", "started"),
    "missed": ("!", "manqué", "missed"),
    "due": ("…", "à faire", "due"),
    "open": ("…", "attend une décision", "open"),
    "approved": ("✓", "approuvée", "approved"),
    "refused": ("✗", "refusée", "refused"),
    "expired": ("✗", "échue", "expired"),
    "revoked": ("✗", "révoquée", "revoked"),
    "none": ("·", "sans justificatif", "no credential"),
    "never": ("·", "jamais", "never"),
    "retired": ("·", "remplacée", "retired"),
    "info": ("·", "pour information", "for information"),
    "manual": ("·", "à la demande", "on demand"),
    "scheduled": ("·", "prévu", "scheduled"),
}

_zone: list[ZoneInfo] = [ZoneInfo("Europe/Paris")]


def set_zone(name: str) -> None:
    """Show instants in this zone: the site's."""
    _zone[0] = ZoneInfo(name)


def mark(state: str) -> str:
    """A state as a glyph and a word."""
    glyph, fr, en = STATES.get(state, ("·", state, state))
    return f"{glyph} {escape(say(fr, en))}"


def number(value: int) -> str:
    """37590 → 37 590 (a narrow no-break space) in French, 37,590 in English."""
    return f"{value:,}".replace(",", "\u202f") if language() == "fr" else f"{value:,}"


def several(count: int, fr: str, en: str) -> str:
    """How many of something; `fr` and `en` are singular, each word that takes an s marked by `*`: `instantané* vérifié*`."""
    return say(
        f"{number(count)} {fr.replace('*', 's' if count > 1 else '')}",
        f"{number(count)} {en.replace('*', '' if count == 1 else 's')}",
    )


def rows(count: int) -> str:
    """How many rows, in words."""
    return several(count, "ligne*", "row*")


def size(value: float) -> str:
    """Bytes, in powers of 1000."""
    unit, mega = ("o", 1000) if language() == "fr" else ("B", 1000)
    for prefix in ("", "k", "M", "G"):
        if value < mega:
            digits = f"{value:.0f}" if not prefix or value >= 100 else f"{value:.1f}"
            return f"{digits.replace('.', ',') if language() == 'fr' else digits} {prefix}{unit}"
        value /= mega
    return f"{value:.1f} T{unit}"


def when(instant: datetime | str) -> str:
    """An instant (or its RFC 3339 text), in the site's zone."""
    if isinstance(instant, str):
        instant = datetime.fromisoformat(instant)
    local = instant.astimezone(_zone[0]) if instant.tzinfo else instant
    return local.strftime("%d/%m/%Y %H:%M:%S %Z" if language() == "fr" else "%Y-%m-%d %H:%M:%S %Z").rstrip()


_CADENCES: Final = (
    # French and English, each pair tried in this order: the longest first
    ("toutes les minutes", "every minute"), ("toutes les heures", "every hour"),
    (r"tous les(?= \d+ jour)", r"every(?= \d+ day)"), (r"toutes les(?= \d)", r"every(?= \d)"),
    ("chaque jour ouvré", "every weekday"), ("tous les jours", "every day"), ("chaque", "every"),
    ("les jours ouvrés", "on weekdays"), ("entre", "between"), ("étalée? sur", "spread over"), ("heures", "hours"),
    ("heure", "hour"), ("à", "at"), ("et", "and"), ("jours", "days"), ("jour", "day"),
    ("lundi", "monday"), ("mardi", "tuesday"), ("mercredi", "wednesday"), ("jeudi", "thursday"),
    ("vendredi", "friday"), ("samedi", "saturday"), ("dimanche", "sunday"),
)  # fmt: skip


def cadence(text: str) -> str:
    """A cadence (`every 15 minutes`, `chaque jour à 03:30`) in the language of the process."""
    for fr, en in _CADENCES:
        wanted, written = (fr, en) if language() == "fr" else (en, fr)
        text = re.sub(rf"(?<!\w){written}(?!\w)", re.sub(r"\(.*\)|e\?", "", wanted) if "?" in wanted else wanted, text)
    return text


def lasting(seconds: float) -> str:
    """A duration, rounded to what matters."""
    if seconds < 10:
        text = f"{seconds:.1f} s"
        return text.replace(".", ",") if language() == "fr" else text
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d}"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def escape(text: str, keep: str = "") -> str:
    """Make a text harmless on a terminal: control and format characters are shown as escapes.

    Terminal escapes (ECMA-48), but also bidirectional overrides (UAX 9), can make a screen say what is not there.
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character in keep or unicodedata.category(character) not in {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
        else character.encode("unicode_escape").decode()
        for character in text
    )
