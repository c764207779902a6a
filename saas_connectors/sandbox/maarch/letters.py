"""Letters of a town hall, made of nothing but their number: the same number always gives the same letter and the same bytes.

People, streets and subjects are invented. A document is made when it is asked for, so a hundred thousand cost nothing to hold.
"""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

Row = dict[str, Any]
FIRST: Final = 101
"""The identifier of the first letter."""
_START: Final = datetime(2025, 10, 25, 18, tzinfo=UTC)
"""The evening before clocks go back: early letters fall in the hour that comes twice."""
_SPAN: Final = timedelta(days=300)

_NAMES: Final = (
    "Adélaïde",
    "Basile",
    "Capucine",
    "Donatien",
    "Éléonore",
    "Firmin",
    "Gersende",
    "Hippolyte",
    "Isaure",
    "Josselin",
)
_FAMILIES: Final = (
    "Vauquelin-Roy",
    "Tréfonel",
    "Larribeau",
    "Oustalet",
    "d'Aspremont",
    "Quinsonnat",
    "Beaurepère",
    "Çavallier",
)
_STREETS: Final = ("rue des Tilleuls", "impasse du Vieux-Lavoir", "place Jeanne-de-Flandre", "chemin de l'Étang")
_SUBJECTS: Final = (
    "Demande de place en crèche",
    "Signalement : éclairage éteint {street}",
    "Réclamation sur la taxe de séjour",
    "Invitation à l'inauguration de la médiathèque",
    "Demande de subvention de l'association « Les Amis du Canal »",
    "Nuisances sonores {street}",
    "Remerciements pour la fête de l'été",
    "Demande d'acte de naissance de {person}",
    "Recours gracieux : permis de construire n° {number}",
    "Candidature spontanée de {person}",
)
DOCTYPES: Final = ((101, "Réclamation"), (102, "Demande de document"), (103, "Invitation"), (104, "Candidature"))
ENTITIES: Final = (
    (1, "COU", "Service du courrier", "Courrier", None),
    (2, "PE", "Petite enfance", "Petite enfance", "COU"),
    (3, "URB", "Urbanisme", "Urbanisme", "COU"),
    (4, "DGS", "Direction générale", "DGS", None),
)
STATUSES: Final = (
    ("NEW", "Nouveau"),
    ("COU", "En cours"),
    ("VAL", "Validé"),
    ("END", "Clos"),
    ("DEL", "Supprimé"),
    ("ATT", "En attente"),
)
CLOSING: Final = frozenset({"END"})


def person(number: int) -> tuple[str, str]:
    """Invent somebody: first name, family name."""
    return _NAMES[number % len(_NAMES)], _FAMILIES[(number // len(_NAMES)) % len(_FAMILIES)]


def stamp(moment: datetime, zone: str) -> str:
    """Write an instant as PostgreSQL shows a timestamp without zone: in the server's zone, trailing zeros cut."""
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    written = local.isoformat(" ", "microseconds")
    return written.rstrip("0").rstrip(".")


def letters(count: int, zone: str) -> Iterator[Row]:
    """Give letters in the order of their identifiers."""
    step = min(timedelta(minutes=37), _SPAN / max(1, count))
    for n in range(count):
        number = FIRST + n
        created = _START + n * step + timedelta(microseconds=(number * 7919) % 1_000_000)
        first, last = person(n)
        subject = _SUBJECTS[n % len(_SUBJECTS)].format(
            street=_STREETS[n % len(_STREETS)], person=f"{first} {last}", number=f"PC-2025-{number:05}"
        )
        status = ("NEW", "COU", "COU", "VAL", "END")[n % 5]
        yield {
            "res_id": number,
            "subject": subject,
            "type_id": DOCTYPES[n % len(DOCTYPES)][0],
            "format": "pdf",
            "typist": 1 + n % 5,
            "creation_date": stamp(created, zone),
            "modification_date": stamp(created + timedelta(minutes=n % 50), zone),
            "doc_date": stamp(created - timedelta(days=2), zone)[:10] + " 00:00:00",
            "admission_date": stamp(created, zone)[:10] + " 00:00:00",
            "status": status,
            "destination": ENTITIES[n % len(ENTITIES)][1],
            "dest_user": 1 + (n * 3) % 5,
            "initiator": "COU",
            "priority": ("poiuytre1357nbvc", "poiuytre1379nbvc")[n % 2],
            "confidentiality": "Y" if n % 17 == 0 else "N",
            "category_id": ("incoming", "outgoing", "internal")[n % 3],
            "alt_identifier": f"MAARCH/{2025}A/{number}",
            "process_limit_date": stamp(created + timedelta(days=30), zone)[:10] + " 23:59:59",
            "closing_date": stamp(created + timedelta(days=1), zone) if status in CLOSING else None,
            "model_id": 1,
            "version": 1,
            "external_id": f'{{"gateway": "G-{number:06}"}}' if n % 7 == 0 else "{}",
            "custom_fields": f'{{"3": "{_STREETS[n % len(_STREETS)]}"}}' if n % 6 == 0 else None,
            "filename": f"{number:08}.pdf",
            "fingerprint": None,
            "filesize": None,
        }


def document(kind: str, number: int, size: int) -> bytes:
    """Make the PDF of a letter or of an attachment: at least `size` bytes, always the same for the same arguments."""
    said = f"{kind} {number}".encode("ascii")
    text = b"BT /F1 18 Tf 60 760 Td (" + said + b") Tj ET"
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(text), text),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    filling = hashlib.shake_256(said).digest(max(0, size - 600))
    objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(filling), filling))
    body, places = b"%PDF-1.4\n", []
    for n, held in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (n, held)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    return body + b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1) + table + end
