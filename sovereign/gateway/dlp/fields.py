"""What a field's name says of its value: `numSecu`, `N° de sécurité sociale` and `nir` mean the same.

A check digit alone accepts one random number in ten or in a hundred; beside the name of its field it is evidence.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final

Hints = frozenset[str]
NOTHING: Final[Hints] = frozenset()

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_BREAK: Final = re.compile(r"[^a-z0-9]+")
_LONGEST: Final = 120

# The words are those of French public software (Démarches simplifiées, DSN, Hélios, SIRENE, DECP) and their usual shortenings.
_HINTS: Final = {
    "nir": r"\b(?:nir|n?ss|ssn|insee|nia)\b|nir(?:assure|agent)|secu(?:rite)? ?soc|\bsecu\b"
    r"|(?:num(?:ero)?|no?) ?(?:de )?(?:secu|ss\b)"
    r"|social security|immatriculation sociale|\bassure|matricule ?ins\b",
    "iban": r"iban\b|\brib\b|\bbban\b|compte ?bancaire|coordonnees bancaires|bank ?account|(?:num(?:ero)?|no) ?(?:de )?compte"
    r"|(?<!primary )account ?num",
    "siret": r"sire[nt]\b|\bnic\b|\b(?:acheteur|titulaire|entreprise|fournisseur|employeur|etablissement|societe)\b",
    "card": r"\bcartes?\b|\bcb\b|\bpan\b|primary account num|\bcc ?num|\bcard|cardnum|\bvisa\b|mastercard|\bamex\b"
    r"|(?:num(?:ero)?|no) ?(?:de )?(?:carte|cb)\b",
    "password": r"pass ?word|passwd|\bpwd\b|\bmdp\b|mot ?de ?passe|pass ?phrase|phrase ?de ?passe",
    "token": r"\bsecrets?\b|secret ?key|client ?secret|\btoken\b|\bjeton\b|api ?key|cle ?(?:d )?api|\bapikey\b"
    r"|(?:private|access|signing) ?key"
    r"|cle (?:privee|secrete|d acces)|credential|\bauthorization\b|\bbearer\b",
    "phone": r"\btel|phone\b|\b(?:mobile|portable|gsm|fax)\b",
    "other": r"\b(?:ean|ean ?13|gtin|isbn|issn|imei|upc|barcode|tracking|suivi|colis|timestamp|horodatage|epoch|facture"
    r"|commande|dossier|ref|reference|serie|serial|latitude|longitude|lat|lon|lng|montant|amount|uuid|hash|sha\d*|md5|lot|bordereau|parcelle"
    r"|checksum|empreinte|trace|span|mandat|engagement|seconds|millis|ms)\b|code ?barre|\bid technique\b",
}
_PATTERNS: Final = tuple((hint, re.compile(pattern)) for hint, pattern in _HINTS.items())
_NOT_SECRET: Final = re.compile(
    r"\b(?:type|url|uri|endpoint|policy|politique|expir\w*|duree|length|longueur|count|nombre|nb|page|next|prev\w*|sync|continuation|date"
    r"|updated|changed|oubli\w*|forgot\w*|reset|algo\w*|name|nom|id|ids|presence|hint|indice|strength|force)\b"
)
_GENERIC: Final = re.compile(
    r"^(?:v|(?:string ?)?(?:value|valeur)s?|text|texte|content|contenu|reponse|answer|num(?:ero)?|number|no|id|identifiant|data"
    r"|donnee|item"
    r"|code|saisie|\d+|)$"
)
_LABELS: Final = frozenset(
    {"label", "libelle", "name", "nom", "key", "cle", "champ", "field", "type", "question", "scheme", "code"}
)


def words(name: str) -> str:
    """Give a name as plain words: `numSécuSociale` is `num secu sociale`."""
    if not name.isascii():
        name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _BREAK.sub(" ", _CAMEL.sub(" ", name).lower()).strip()


@lru_cache(maxsize=4096)
def hints(name: str, above: str = "") -> Hints:
    """Say what a name tells; a name that tells nothing (`value`) speaks by the one above it."""
    if len(name) > _LONGEST:
        name = name[-_LONGEST:]
    plain = words(name)
    if above and _GENERIC.match(plain):
        return hints(above[-_LONGEST:])
    return _read(plain)


def around(before: str) -> Hints:
    """Say what the words just before a value tell, in a text."""
    return _read(words(before.rpartition("\n")[2]))


@lru_cache(maxsize=4096)
def is_label(name: str) -> bool:
    """Say whether a field names what its neighbours hold, as in `{"label": "NIR", "value": …}`."""
    return len(name) <= _LONGEST and words(name) in _LABELS


def _read(plain: str) -> Hints:
    if not plain:
        return NOTHING
    found = {hint for hint, pattern in _PATTERNS if pattern.search(plain)}
    if ("token" in found or "password" in found) and _NOT_SECRET.search(plain):
        found -= {"token", "password"}
    return frozenset(found)
