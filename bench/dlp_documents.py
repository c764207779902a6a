"""Documents that hold one chosen value among ordinary ones, in the formats that applications send."""

import csv
import io
import json
import unicodedata
from dataclasses import dataclass
from urllib.parse import urlencode
from xml.sax.saxutils import escape, quoteattr

from dlp_values import NAMES, NEAR, OPAQUE, OTHERS, TRUE, Draw, digits

FORMATS = ("json", "xml", "csv", "form")
TYPES = {
    "json": "application/json", "xml": "application/xml", "csv": "text/csv", "form": "application/x-www-form-urlencoded",
}  # fmt: skip
SETTINGS = ("named", "opaque", "text")
"""Whether the field bears a telling name, a name that tells nothing, or is a sentence."""
KINDS = ("nir", "iban", "siret", "card", "secret")
_ORDINARY = {
    "nom": ("Martin", "Le Goff", "N'Diaye", "Nguyen", "Élouard"), "prenom": ("Anne", "Yann", "Fatou", "Léa", "Jean-Marc"),
    "commune": ("Quimper", "Saint-Denis", "Ajaccio", "Lille"), "objet": ("Demande de place", "Paiement de facture", "Voirie"),
    "statut": ("reçu", "validé", "rejeté"), "date": ("2025-03-14", "14/03/2025"), "montant": ("1250.40", "87,00", "12000"),
}  # fmt: skip
_TOLD = {
    "nir": ("Le NIR de l'agent est {}, à mettre à jour.", "Numéro de sécurité sociale : {}", "n° de sécu {} (voir pièce)"),
    "iban": ("Merci de virer sur l'IBAN {} avant le 30.", "Nouveau RIB : {}", "Coordonnées bancaires du titulaire : {}."),
    "siret": ("Société Dupont, SIRET {}, est retenue.", "Le fournisseur (SIREN/SIRET {}) a été relancé.", "siret : {}"),
    "card": ("Il a payé par carte {} hier.", "Numéro de carte : {}", "Carte bancaire {} à rembourser"),
    "token": ("Voici la clé d'API : {}", "Authorization: Bearer {}", "token={} à ne pas diffuser"),
    "password": ("mot de passe : {}", "Votre mdp: {}", "password={}"),
    "marked": ("À configurer : {}", "voir {} dans le coffre", "{}"),
}  # fmt: skip
_UNTOLD = ("Vu le {} ce matin.", "Suite à votre message : {}.", "Réf. {} à traiter", "{}")


@dataclass(frozen=True, slots=True)
class Case:
    """One document: in what setting and format, what it holds (empty for a look-alike), and its bytes."""

    setting: str
    format: str
    kind: str
    what: str
    body: bytes


def cases(draw: Draw, many: int) -> list[Case]:
    """So many documents of each kind, setting and format, and as many that hold only a look-alike."""
    made = []
    for setting in SETTINGS:
        for format_ in FORMATS:
            for what, make in TRUE.items():
                kind = what if what in KINDS else "secret"
                # The three sorts of secrets share the place of one kind; a drawn one has no form of its own to be known by.
                count = many if kind == what else many // 3
                for _ in range(count if what not in ("token", "password") or setting != "opaque" else 0):
                    name, text = _dressed(draw, setting, what, make(draw))
                    made.append(Case(setting, format_, kind, what, document(draw, format_, name, text)))
            for _ in range(many * len(KINDS)):
                name, text = _alike(draw, setting)
                made.append(Case(setting, format_, "", "", document(draw, format_, name, text)))
    return made


def _dressed(draw: Draw, setting: str, what: str, value: str) -> tuple[str, str]:
    """A field's name and text, of a true value."""
    if setting == "named":
        return draw.choice(NAMES.get(what, OPAQUE)), value
    return (draw.choice(OPAQUE), value) if setting == "opaque" else ("commentaire", draw.choice(_TOLD[what]).format(value))


def _alike(draw: Draw, setting: str) -> tuple[str, str]:
    """A field's name and text, of a look-alike: one in four under the very name of a kind."""
    near = setting != "opaque" and draw.random() < 0.25
    name, make = draw.choice(NEAR if near else OTHERS)
    value = make(draw)
    if setting == "named":
        return draw.choice(NAMES[name]) if near else name, value
    if setting == "opaque":
        return draw.choice(OPAQUE), value
    return "commentaire", draw.choice(_TOLD[name] if near else _UNTOLD).format(value)


def document(draw: Draw, format_: str, name: str, text: str) -> bytes:
    """A document of a few fields, one of which is given."""
    fields = [(each, draw.choice(values)) for each, values in draw.sample(sorted(_ORDINARY.items()), k=5)]
    at = draw.randint(0, len(fields))
    fields.insert(at, (name, text))
    if format_ == "form":
        return urlencode(fields).encode()
    if format_ == "csv":
        return _csv(draw, fields, at)
    return _json(draw, fields) if format_ == "json" else _xml(draw, fields)


def _json(draw: Draw, fields: list[tuple[str, str]]) -> bytes:
    # Whoever keeps numbers as numbers loses leading zeros: those are written as texts.
    number = draw.random() < 0.2
    held = {n: int(v) if number and v.isdecimal() and v[0] != "0" else v for n, v in fields}
    shapes = (held, {"dossier": held}, {"demandes": [held]}, {"data": {"type": "demande", "attributes": held}})
    return json.dumps(draw.choice(shapes), ensure_ascii=draw.random() < 0.3, indent=draw.choice((None, 2))).encode()


def _xml(draw: Draw, fields: list[tuple[str, str]]) -> bytes:
    shape = draw.randrange(3)
    made = []
    for name, text in fields:
        bare = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        element = "".join(each if each.isalnum() else "_" for each in bare)
        if shape == 0:
            made.append(f"<{element}>{escape(text)}</{element}>")
        elif shape == 1:  # as the Hélios protocol does
            made.append(f"<{element} V={quoteattr(text)}/>")
        else:
            made.append(f"<champ libelle={quoteattr(name)}>{escape(text)}</champ>")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<flux xmlns="urn:ville"><ligne>{"".join(made)}</ligne></flux>'.encode()


def _csv(draw: Draw, fields: list[tuple[str, str]], at: int) -> bytes:
    page = io.StringIO()
    writer = csv.writer(page, delimiter=draw.choice(";,"))
    writer.writerow([name for name, _ in fields])
    for place in range(3):
        row = [text for _, text in fields]
        writer.writerow(row if place == 1 else [*row[:at], digits(draw, 3), *row[at + 1 :]])
    return page.getvalue().encode()
