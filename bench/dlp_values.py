"""Values that are sensitive, and values that only look so, drawn by the published rules of each number.

Nothing here comes from the detectors nor from the libraries they use: check digits are worked out from the texts that define
them, and the names of fields are those of public formats. Sources: INSEE (NIR, SIREN, SIRET), ISO 13616 and the SWIFT registry
(IBAN) with the national keys of France, Belgium, Spain, Italy and Portugal, ISO/IEC 7812 and the networks' ranges (cards), the
publishers' own token formats, GS1 (GTIN, SSCC), 3GPP TS 23.003 (IMEI), ITU-T E.118 (ICCID).
"""

import base64
import json
import random
import string
from collections.abc import Callable
from datetime import UTC, datetime

Draw = random.Random
Make = Callable[[Draw], str]


def drawn(seed: int) -> Draw:
    """A source of chance that repeats itself."""
    return random.Random(seed)  # noqa: S311 -- repeatable on purpose


def digits(draw: Draw, size: int) -> str:
    """So many digits."""
    return "".join(draw.choices(string.digits, k=size))


def luhn(head: str) -> str:
    """The number with its Luhn digit (ISO/IEC 7812-1, annex B)."""
    total = sum(n if at % 2 else n * 2 - 9 * (n > 4) for at, n in enumerate(map(int, reversed(head))))
    return f"{head}{-total % 10}"


def grouped(value: str, *sizes: int, by: str = " ") -> str:
    """The value in groups of these sizes, the last as often as needed."""
    made, rest = [], value
    for size in sizes:
        made.append(rest[:size])
        rest = rest[size:]
    made += [rest[at : at + sizes[-1]] for at in range(0, len(rest), sizes[-1])]
    return by.join(made)


def nir(draw: Draw) -> str:
    """A NIR: of France, Corsica, overseas or abroad; ordinary or provisional; with its key or without, as people write it."""
    sex = draw.choices("123478", weights=(47, 47, 1, 1, 2, 2))[0]
    month = f"{draw.randint(1, 12):02}" if draw.random() < 0.97 else draw.choice(["20", "31", "42", "50", "99"])
    where = draw.choices(("mainland", "corsica", "overseas", "abroad"), weights=(70, 8, 7, 15))[0]
    place = {
        "mainland": lambda: f"{draw.choice([n for n in range(1, 96) if n != 20]):02}{draw.randint(1, 700):03}",
        "corsica": lambda: f"{draw.choice(['2A', '2B'])}{draw.randint(1, 366):03}",
        "overseas": lambda: f"97{draw.choice('12346')}{draw.randint(1, 32):02}",
        "abroad": lambda: f"99{draw.randint(100, 517)}",
    }[where]()
    head = f"{sex}{digits(draw, 2)}{month}{place}{draw.randint(1, 999):03}"
    whole = f"{head}{97 - int(head.replace('2A', '19').replace('2B', '18')) % 97:02}"
    shapes = (whole, head, grouped(whole, 1, 2, 2, 2, 3, 3, 2), f"{head} {whole[13:]}")
    return draw.choices(shapes, weights=(55, 15, 20, 10))[0]


def _national(draw: Draw, country: str) -> str:
    """A national account number with its own key."""
    letters = string.ascii_uppercase
    if country == "FR":
        bank, desk, account = digits(draw, 5), digits(draw, 5), digits(draw, 11)
        if draw.random() < 0.15:  # as the accounts of La Banque Postale
            account = f"{account[:7]}{draw.choice(letters)}{account[8:]}"
        plain = account.translate(str.maketrans(letters, "12345678912345678923456789"))
        return f"{bank}{desk}{account}{97 - (89 * int(bank) + 15 * int(desk) + 3 * int(plain)) % 97:02}"
    if country == "BE":
        head = f"0{draw.randint(1, 99):02}{digits(draw, 7)}"  # banks that exist, in the list of the National Bank
        return f"{head}{int(head) % 97 or 97:02}"
    if country == "PT":
        head = digits(draw, 19)
        return f"{head}{98 - int(head) * 100 % 97:02}"
    if country == "ES":
        bank, account = digits(draw, 8), digits(draw, 10)
        keys = ""
        for part in (f"00{bank}", account):
            key = 11 - sum(int(n) * w for n, w in zip(part, (1, 2, 4, 8, 5, 10, 9, 7, 3, 6), strict=True)) % 11
            keys += str({10: 1, 11: 0}.get(key, key))
        return f"{bank}{keys}{account}"
    if country == "IT":
        odd = dict(zip(string.digits + letters, (
            1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21,
            2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23,
        ), strict=True))  # fmt: skip
        head = digits(draw, 22)
        total = sum(odd[each] if at % 2 == 0 else int(each) for at, each in enumerate(head))
        return f"{letters[total % 26]}{head}"
    if country == "NL":
        return "".join(draw.choices(letters, k=4)) + digits(draw, 10)
    return digits(draw, {"DE": 18, "LU": 16, "CH": 17}[country])


def iban(draw: Draw) -> str:
    """An IBAN of France or of a neighbour, in one piece or in groups of four."""
    country = draw.choices(
        ("FR", "DE", "BE", "ES", "IT", "PT", "NL", "LU", "CH"), weights=(72, 6, 5, 4, 4, 3, 2, 2, 2)
    )[0]  # fmt: skip
    number = _national(draw, country)
    key = 98 - int("".join(str(int(each, 36)) for each in f"{number}{country}00")) % 97
    whole = f"{country}{key:02}{number}"
    return whole if draw.random() < 0.65 else grouped(whole, 4)


def siren(draw: Draw) -> str:
    """A SIREN; those of public bodies begin with 1 or 2."""
    return luhn(draw.choices("123456789", weights=(15, 25, 8, 15, 10, 5, 7, 10, 5))[0] + digits(draw, 7))


def siret(draw: Draw) -> str:
    """A SIRET or a SIREN; an establishment of La Poste adds up to a multiple of 5 instead of bearing a Luhn digit."""
    whole = luhn(siren(draw) + f"{draw.randint(1, 60):04}")
    if draw.random() < 0.03:
        head = f"356000000{digits(draw, 4)}"
        whole = f"{head}{-sum(map(int, head)) % 5 + draw.choice((0, 5))}"
    shapes = (whole, whole[:9], grouped(whole, 3, 3, 3, 5), f"{whole[:9]} {whole[9:]}")
    return draw.choices(shapes, weights=(55, 20, 20, 5))[0]


def card(draw: Draw) -> str:
    """A card's number, of the networks met in France, then of the others."""
    network, size = draw.choices(
        (("4", 16), ("5", 16), ("2", 16), ("37", 15), ("35", 16), ("36", 14), ("6011", 16), ("62", 16), ("4", 19), ("67", 16)),
        weights=(45, 28, 6, 6, 3, 3, 3, 2, 2, 2),
    )[0]
    start = {"5": f"5{draw.randint(1, 5)}", "2": str(draw.randint(2221, 2720)), "35": f"35{draw.randint(28, 89)}"}
    head = start.get(network, network)
    whole = luhn(head + digits(draw, size - 1 - len(head)))
    if draw.random() < 0.6:
        return whole
    return grouped(whole, 4, 6, 5) if network == "37" else grouped(whole, 4, by=draw.choice(" -"))


def _url64(draw: Draw, size: int) -> str:
    return "".join(draw.choices(string.ascii_letters + string.digits + "-_", k=size))


def _mixed(draw: Draw, size: int) -> str:
    return "".join(draw.choices(string.ascii_letters + string.digits, k=size))


def _jwt(draw: Draw) -> str:
    parts = ({"alg": draw.choice(["RS256", "HS256", "ES256"]), "typ": "JWT"}, {"sub": digits(draw, 6), "exp": 1767225600})
    head = ".".join(base64.urlsafe_b64encode(json.dumps(each).encode()).decode().rstrip("=") for each in parts)
    return f"{head}.{_url64(draw, 43)}"


def _pem(draw: Draw) -> str:
    kind = draw.choice(["", "RSA ", "EC ", "OPENSSH "])
    body = "\n".join(base64.b64encode(draw.randbytes(48)).decode() for _ in range(8))
    return f"-----BEGIN {kind}PRIVATE KEY-----\n{body}\n-----END {kind}PRIVATE KEY-----"


def marked(draw: Draw) -> str:
    """A secret whose form tells it: a published prefix, a JWT, a private key, an address with its password."""
    hexadecimal = "".join(draw.choices("0123456789abcdef", k=64))
    base32 = "".join(draw.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
    return draw.choice((
        f"ghp_{_mixed(draw, 36)}", f"glpat-{_url64(draw, 20)}", f"AKIA{base32}", f"AIza{_url64(draw, 35)}",
        f"sk_live_{_mixed(draw, 24)}", f"SG.{_url64(draw, 22)}.{_url64(draw, 43)}", f"npm_{_mixed(draw, 36)}",
        f"xoxb-{digits(draw, 12)}-{digits(draw, 12)}-{_mixed(draw, 24)}", f"hvs.{_url64(draw, 90)}", f"dop_v1_{hexadecimal}",
        _jwt(draw), _pem(draw), f"postgresql://appli:{_mixed(draw, 16)}@db.ville.example:5432/etat",
    ))  # fmt: skip


def token(draw: Draw) -> str:
    """A secret that was drawn, which only the name of its field announces."""
    return draw.choice((
        base64.b64encode(draw.randbytes(32)).decode(), _url64(draw, 43), _mixed(draw, 32), _mixed(draw, 40),
        "".join(draw.choices("0123456789abcdef", k=draw.choice((32, 40, 64)))),
    ))  # fmt: skip


def password(draw: Draw) -> str:
    """A password as people choose them (ANSSI's advice followed or not)."""
    word = draw.choice(["Soleil", "mairie", "Bretagne", "chocolat", "Azerty", "marseille", "Toulouse", "camille", "Printemps"])
    number, sign = draw.choice(["1", "12", "75", "123", "2024", "2025", "31000"]), draw.choice(["", "!", "*", "@", "?", "."])
    return draw.choice((f"{word}{number}{sign}", f"{word}{sign}{number}", f"{word}-{number}-{word.lower()}", _mixed(draw, 12)))


def mistyped(make: Make, draw: Draw) -> str:
    """A value with one digit wrong, of those whose own check sees any wrong digit: not a NIR without key, nor La Poste's."""
    value = make(draw)
    while value.startswith("356") or len(value.replace(" ", "")) == 13:
        value = make(draw)
    at = draw.choice([n for n, each in enumerate(value) if each.isdigit()])
    return value[:at] + draw.choice([each for each in string.digits if each != value[at]]) + value[at + 1 :]


def gtin(draw: Draw) -> str:
    """A GTIN-13 or ISBN-13."""
    head = draw.choice(["3", "978", "979", "40", "50"])
    head += digits(draw, 12 - len(head))
    return f"{head}{-sum(int(each) * (3 if at % 2 else 1) for at, each in enumerate(head)) % 10}"


def instant(draw: Draw) -> str:
    """An instant: seconds with milli- or microseconds since 1970, or a date and time in digits."""
    seconds = draw.randint(1_500_000_000, 1_900_000_000)
    dated = datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%d%H%M%S")
    return draw.choice((f"{seconds}{digits(draw, 3)}", f"{seconds}{digits(draw, 6)}", dated))


def hashed(draw: Draw) -> str:
    """The fingerprint of a file, or the name of a thing: MD5, SHA-1, SHA-256, UUID."""
    text = "".join(draw.choices("0123456789abcdef", k=64))
    return draw.choice((text[:32], text[:40], text, grouped(text[:32], 8, 4, 4, 4, 12, by="-")))


def photo(draw: Draw) -> str:
    """The beginning of a small image in base64."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + draw.randbytes(90)).decode()


def plain(*values: str) -> Make:
    """One of these values."""
    return lambda draw: draw.choice(values)


OTHERS: tuple[tuple[str, Make], ...] = (
    ("ean13", gtin), ("gtin", gtin), ("isbn", gtin), ("codeArticle", gtin),
    ("imei", lambda draw: luhn(f"35{digits(draw, 12)}")),
    ("iccid", lambda draw: luhn(f"8933{digits(draw, 14)}")),
    ("sscc", lambda draw: digits(draw, 18)),
    ("horodatage", instant), ("createdAt", instant), ("version", instant), ("dateExport", instant),
    ("numeroFacture", lambda draw: digits(draw, draw.choice((9, 14)))),
    ("numeroDossier", lambda draw: digits(draw, draw.choice((8, 9, 13)))),
    ("numeroMarche", lambda draw: f"20{draw.randint(18, 26)}{digits(draw, draw.choice((5, 10)))}"),
    ("numero_suivi", lambda draw: f"{draw.choice(('6A', '8R', 'XY'))}{digits(draw, 11)}"),
    ("numeroFiness", lambda draw: luhn(digits(draw, 8))),
    ("rpps", lambda draw: luhn(f"10{digits(draw, 8)}")),
    ("numeroCompteur", lambda draw: digits(draw, 14)),
    ("pdl", lambda draw: digits(draw, 14)),
    ("cadastre", lambda draw: f"{digits(draw, 5)}000{draw.choice('ABCDEFG')}{draw.choice('ABCDEFG')}{digits(draw, 4)}"),
    ("telephone", lambda draw: grouped(f"0{draw.choice('1234567')}{digits(draw, 8)}", 2, by=draw.choice(("", " ", ".")))),
    ("numeroRna", lambda draw: f"W{digits(draw, 9)}"),
    ("quantite", lambda draw: f"{draw.random() * 1000:.12f}"),
    ("latitude", lambda draw: f"{41 + draw.random() * 10:.15f}"),
    ("empreinte", hashed), ("etag", hashed), ("identifiantTechnique", hashed), ("commit", hashed),
    ("photo", photo), ("codeInseeCommune", lambda draw: digits(draw, 5)),
    ("referenceEngagement", lambda draw: f"EJ{digits(draw, 12)}"),
)  # fmt: skip
"""Ordinary numbers of public software, under the names that they bear there."""
NEAR: tuple[tuple[str, Make], ...] = (
    ("nir", lambda draw: mistyped(nir, draw)), ("iban", lambda draw: mistyped(iban, draw)),
    ("siret", lambda draw: mistyped(siret, draw)), ("card", lambda draw: mistyped(card, draw)),
    ("password", plain("********", "••••••••", "[REDACTED]", "<inchangé>", "null", "none", "${MOT_DE_PASSE}")),
    ("token", plain("********", "[FILTERED]", "Bearer", "voir coffre", "${CLE_API}", "xxxxxxxxxxxxxxxx", "undefined")),
)  # fmt: skip
"""Under the very name of a kind, values that are not of it: a slip of the keyboard, a mask, a variable."""
TRUE: dict[str, Make] = {
    "nir": nir,
    "iban": iban,
    "siret": siret,
    "card": card,
    "token": token,
    "password": password,
    "marked": marked,
}
"""Values to find; `token`, `password` and `marked` are secrets, of which only the last is told by its own form."""
NAMES: dict[str, tuple[str, ...]] = {
    "nir": (
        "nir", "NIR", "numeroSecuriteSociale", "numero_securite_sociale", "numSecu", "num_ss", "nirBeneficiaire",
        "nirOuvrantDroit", "N° de sécurité sociale", "Numéro de sécurité sociale", "N° Sécu", "numero_insee",
        "socialSecurityNumber", "matriculeINS",
    ),
    "iban": (
        "IBAN", "iban", "ibanCrediteur", "codeIban", "iban_tiers", "compteBancaire", "numeroCompteBancaire", "BBAN",
        "coordonneesBancaires", "RIB", "accountNumber", "IBAN du bénéficiaire",
    ),
    "siret": (
        "siret", "SIRET", "numeroSiret", "numero_siret", "siretTitulaire", "siretEtablissementSiege", "siret_organisme",
        "siren", "N° SIRET", "siretAcheteur", "idEtablissement", "SIRET du fournisseur",
    ),
    "card": (
        "cardNumber", "card_number", "pan", "PAN", "numeroCarte", "numero_carte_bancaire", "numCB", "carteBancaire",
        "Numéro de carte", "cc_number", "creditCardNumber", "primaryAccountNumber",
    ),
    "token": (
        "client_secret", "access_token", "refresh_token", "apiKey", "api_key", "X-API-Key", "cleApi", "secretKey",
        "privateKey", "webhook_secret", "aws_secret_access_key", "jeton",
    ),
    "password": ("password", "motDePasse", "mdp", "userPassword", "passwd", "pwd", "mot_de_passe", "Mot de passe"),
}  # fmt: skip
"""What DSN, INS, pain.001, UBL, DECP, SIRENE, Hélios, OAuth, SCIM and LDAP, and the software around them, call these values."""
OPAQUE = ("valeur", "champ_12", "v", "col3", "S21.G00.30.001", "zoneLibre", "info", "donnee2", "contenu", "x")
"""Names that tell nothing."""
