"""Thousands of true and look-alike values, drawn from a seed, beside the names that French software gives to fields."""

import random
from collections.abc import Callable

from stdnum import iban, luhn
from stdnum.fr import nir

NAMES = {
    "nir": ["nir", "numSecu", "numero_securite_sociale", "N° de sécurité sociale", "NSS", "nirAssure", "num_ss", "numeroInsee"],
    "iban": ["iban", "IBAN", "compteBancaire", "coordonnees_bancaires", "ibanTiers", "rib", "numero_compte"],
    "siret": ["siret", "SIRET", "siretTiers", "numero_siret", "siren", "etablissement", "fournisseur"],
    "card": ["carte", "numeroCarte", "cb", "card_number", "PAN", "num_cb"],
    "secret": ["mot_de_passe", "motDePasse", "password", "mdp", "apiKey", "cle_api", "client_secret", "access_token"],
}
BESIDE = [
    "reference",
    "numeroDossier",
    "ean13",
    "suivi_colis",
    "timestamp",
    "numero_facture",
    "imei",
    "idTechnique",
    "bordereau",
]
UNNAMED = ["valeur", "champ7", "v", "donnee", "info", "zone2"]


def digits(draw: random.Random, size: int) -> str:
    return "".join(draw.choices("0123456789", k=size))


def true_nir(draw: random.Random) -> str:
    department = draw.choice([*(f"{n:02}" for n in range(1, 96) if n != 20), "2A", "2B", "99"])
    place = f"{draw.randint(1, 900):03}{draw.randint(1, 999):03}"
    head = f"{draw.choice('12')}{digits(draw, 2)}{draw.randint(1, 12):02}{department}{place}"
    whole = head + nir.calc_check_digits(head + "00")
    return draw.choice([whole, whole, head, nir.format(whole)])


def true_iban(draw: random.Random) -> str:
    bank, desk, account = digits(draw, 5), digits(draw, 5), digits(draw, 11)
    number = f"{bank}{desk}{account}{97 - (89 * int(bank) + 15 * int(desk) + 3 * int(account)) % 97:02}"
    country = "FR" if draw.random() < 0.8 else "DE"
    number = number if country == "FR" else digits(draw, 18)
    whole = country + iban.calc_check_digits(f"{country}00{number}") + number
    return draw.choice([whole, iban.format(whole)])


def true_siret(draw: random.Random) -> str:
    head = draw.choice("3456789") + digits(draw, 7)
    head += luhn.calc_check_digit(head)
    whole = head + "000" + digits(draw, 1)
    whole += luhn.calc_check_digit(whole)
    return draw.choice([head, whole, f"{whole[:3]} {whole[3:6]} {whole[6:9]} {whole[9:]}"])


def true_card(draw: random.Random) -> str:
    head = draw.choice(["4", "51", "55", "2221", "4970"])
    head += digits(draw, 15 - len(head))
    whole = head + luhn.calc_check_digit(head)
    return draw.choice([whole, " ".join(whole[at : at + 4] for at in range(0, 16, 4))])


def true_secret(draw: random.Random) -> str:
    letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    return "".join(draw.choices(letters, k=draw.randint(24, 48))) + digits(draw, 2) + "aB"


TRUE: dict[str, Callable[[random.Random], str]] = {
    "nir": true_nir, "iban": true_iban, "siret": true_siret, "card": true_card, "secret": true_secret,
}  # fmt: skip


def alike(kind: str, draw: random.Random) -> str:
    """A value that looks like one of the kind, by its length and characters, and is none."""
    if kind == "secret":
        return draw.choice(["********", "<masqué>", "null", "true", "${MOT_DE_PASSE}", "{{ secret }}", "aucun", "bonjour"])
    size = {"nir": 15, "siret": 14, "card": 16, "iban": 23}[kind]
    return ("FR76" if kind == "iban" else "") + digits(draw, size)


def cases(seed: int, many: int, names: str) -> list[tuple[str, str, str]]:
    """(name, value, kind or empty); names: `named` for telling ones, `beside` for others, `unnamed` for none."""
    draw, made = random.Random(seed), []  # noqa: S311 -- repeatable on purpose
    for kind, make in TRUE.items():
        for _ in range(many):
            name = draw.choice(NAMES[kind] if names == "named" else UNNAMED)
            made.append((name, make(draw), kind))
            # A look-alike stands under the name of the kind, of something else, or none, as often as each other.
            beside = {"named": draw.choice([NAMES[kind], BESIDE]), "unnamed": UNNAMED}[names]
            made.append((draw.choice(beside), alike(kind, draw), ""))
    draw.shuffle(made)
    return made
