"""`make demo`: a city's first hour with Sovereign, told while it happens.

It types public commands and shows them before their answers; whatever it does, a reader can do. The vendor is the sandbox of
`saas_connectors.sandbox`, on loopback, with real public data; nothing leaves the machine. `demo-site/` is made anew each time,
with fresh keys, and stays for the reader to play with.
"""

import io
import os
import re
import secrets
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sovereign.cli.main import main
from sovereign.language import language, say, speak

if TYPE_CHECKING:
    from sovereign.cli.demo_town import Town

MARK: Final = "DEMO"
_UNBROKEN: Final = re.compile(r" (?=[:;!?»])|(?<=«) ")
"""Spaces that French puts before a sign, or after the one that opens a quotation: no line ends there."""
DECP: Final = '["marches_avec_modifications.json", "concessions_avec_modifications.json", "marches_concessions.json"]'
INTERNAL: Final = (
    "code", "nom", "type", "departement", "region", "arrondissement", "population", "siren", "codesPostaux", "zone",
    "typeLiaison", "rangChefLieu", "commune", "chefLieu", "anciensCodes",
)  # fmt: skip


class Unexpected(Exception):
    """A command of the demonstration did not end as it should."""


@dataclass(slots=True)
class Story:
    """Tells, types, and checks how each command ended."""

    chapter: int = 0
    began: float = field(default_factory=time.monotonic)

    def title(self, fr: str, en: str) -> None:
        """Open a chapter."""
        self.chapter += 1
        text = f"{self.chapter}. {say(fr, en)}"
        _print(f"\n\n{_bold(text)}\n{'─' * len(text)}")

    def tell(self, fr: str, en: str) -> None:
        """Say something."""
        _print("\n" + textwrap.fill(_UNBROKEN.sub("\N{NO-BREAK SPACE}", say(fr, en)), 100))

    def type(self, *arguments: str, expect: int = 0, last: int = 0) -> None:
        """Type a command, show its answer; last: only so many of its last lines, when a like one was shown whole before."""
        _print(f"\n{_bold('$')} {_typed(['sovereign', *arguments])}")
        said = io.StringIO()
        with redirect_stdout(said) if last else nullcontext():
            code = main(arguments)
        if last:
            _print("\n".join(said.getvalue().splitlines()[-last:]))
        sys.stdout.flush()
        if code != expect:
            raise Unexpected(f"sovereign {arguments[0]}: {code}, {expect} expected")
        if expect:
            _print(_dim(f"(code {code})"))


def _typed(arguments: Sequence[str]) -> str:
    """Write a command as one would type it, cut before its options when it is long."""
    pieces: list[str] = []
    for word in arguments:
        text = f'"{word}"' if word.startswith("SELECT") else shlex.quote(word)
        if pieces and pieces[-1].startswith("--") and " " not in pieces[-1]:
            pieces[-1] += f" {text}"
        else:
            pieces.append(text)
    if sum(map(len, pieces)) < 110 and "\n" not in "".join(pieces):
        return " ".join(pieces)
    head = [piece for piece in pieces if not piece.startswith("--")]
    return " \\\n    ".join([" ".join(head), *(piece for piece in pieces if piece.startswith("--"))])


def _bold(text: str) -> str:
    return f"\033[1m{text}\033[0m" if _coloured() else text


def _dim(text: str) -> str:
    return f"\033[2m{text}\033[0m" if _coloured() else text


def _coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def prepare(site: Path) -> Path:
    """Make room for a new site; gives the file of its new passphrase. Only a former demonstration is ever removed."""
    passphrase = site.with_name(f"{site.name}.passphrase")
    if site.exists():
        if not (site / MARK).is_file():
            raise Unexpected(f"{site}: {MARK} ?")
        shutil.rmtree(site)
    passphrase.unlink(missing_ok=True)
    with os.fdopen(os.open(passphrase, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    return passphrase


def play(site: Path) -> None:
    """Tell the whole story."""
    from saas_connectors.sandbox import Sandbox, Vendor
    from sovereign.cli.demo_town import town

    passphrase = prepare(site)
    os.environ |= {"SOVEREIGN_SITE": str(site), "SOVEREIGN_PASSPHRASE_FILE": str(passphrase)}
    story = Story()
    _print(_bold(say("Sovereign : reprendre la main sur ses données.", "Sovereign: taking back the mastery of one's data.")))
    with Sandbox(Vendor()) as vendor, town() as here:
        connect(story, site, passphrase, vendor.url, here)
        ask(story)
        live(story, site, here)
        change(story, vendor.vendor.datasets["communes"])
        restrict(story)
        write(story, site)
        leave(story, site)
        prove(story)
    took = round(time.monotonic() - story.began)
    _print(
        say(
            f"\n✓ Terminé en {took} s. Le site reste dans {site}/ ; à vous :",
            f"\n✓ Done in {took} s. The site stays in {site}/; your turn:",
        )
    )
    _print(f"  export SOVEREIGN_SITE={site} SOVEREIGN_PASSPHRASE_FILE={passphrase}")
    _print('  .venv/bin/sovereign query "SHOW TABLES"')


def connect(story: Story, site: Path, passphrase: Path, vendor: str, here: "Town") -> None:
    """A site, keys, four vendors, a first pull."""
    story.title("Un site à soi, avec ses clés", "A site of one's own, with its keys")
    story.tell(
        f"La clé maîtresse est protégée par une phrase de passe, tirée au hasard à l'instant. Elle est dans {passphrase}, à "
        "côté du site, lisible par vous seul : c'est commode pour une démonstration, et seulement pour elle.",
        f"The master key is protected by a passphrase, drawn at random just now. It is in {passphrase}, beside the site, "
        "readable by you alone: handy for a demonstration, and for nothing else.",
    )
    _print(f"\n{_bold('$')} export SOVEREIGN_SITE={site} SOVEREIGN_PASSPHRASE_FILE={passphrase}")
    story.type("init", str(site), "--name", say("Ville de démonstration", "Demonstration city"))
    (site / MARK).write_text("made by sovereign.cli.demo, which may remove it\n")
    (site / MARK).chmod(0o600)

    story.title("Quatre fournisseurs", "Four vendors")
    story.tell(
        "Les marchés publics (DECP, les exemples officiels), les 37 590 communes de France, le courrier (MaarchCourrier) et "
        "les signalements de l'espace public (Open311). Tous sont joués ici, sur cette machine, par le bac à sable.",
        "Public procurement (DECP, the official examples), the 37,590 communes of France, mail (MaarchCourrier) and what "
        "people report of public space (Open311). All are played here, on this machine, by the sandbox.",
    )
    local = ("--set", "network.loopback=true", "--set", "network.plaintext=true")
    story.type(
        "connection", "add", "decp", "--connector", "decp", "--url", f"{vendor}/files/decp/", "--set", f"files={DECP}", *local
    )
    internal = ", ".join(f'"{name}"' for name in INTERNAL)
    story.type(
        "connection", "add", "geo", "--connector", "rest", "--url", vendor,
        "--set", "streams.communes.path=/page/communes", "--set", 'streams.communes.primary_key=["code", "type"]',
        "--set", f"streams.communes.classes.internal=[{internal}]", *local,
    )  # fmt: skip
    from sovereign.cli.demo_town import connect as join

    join(here, site, story.type)

    story.title("Tirer, chiffrer, dater", "Pull, encrypt, date")
    story.tell(
        "Une ligne par flux : lignes ajoutées, changées, retirées, puis un verdict. « Complet » : ce qui fut lu s'accorde avec "
        "le compte que donne le fournisseur. « Non vérifié » : il n'en donne pas, et rien ne dit qu'il manque quelque chose.",
        "A line a stream: rows added, changed, taken away, then a verdict. Complete: what was read agrees with the count that "
        "the vendor gives. Unverified: it gives none, and nothing says that anything is missing.",
    )
    story.type("sync", "run")
    story.type("snapshot", "list")


def ask(story: Story) -> None:
    """Three questions a city cares about."""
    story.title("Trois questions, en SQL, sans le fournisseur", "Three questions, in SQL, without the vendor")
    story.type(
        "query",
        "SELECT departement, count(*) AS communes, sum(population) AS habitants\n"
        "  FROM geo.communes WHERE departement = '42' AND type = 'commune-actuelle' GROUP BY ALL",
    )
    story.type(
        "query",
        "SELECT code, nom, population, siren\n"
        "  FROM geo.communes WHERE departement = '42' AND type = 'commune-actuelle' ORDER BY population DESC LIMIT 5",
    )
    story.tell(
        "Les marchés par acheteur ; le SIREN de l'acheteur retrouve sa commune dans l'autre source.",
        "Contracts by buyer; the buyer's SIREN finds its commune in the other source.",
    )
    story.type(
        "query",
        "SELECT coalesce(c.nom, 'SIRET ' || m.acheteur) AS acheteur, count(*) AS marches, sum(m.montant) AS euros\n"
        "  FROM decp.marches m\n"
        "  LEFT JOIN geo.communes c ON c.siren = left(m.acheteur, 9) AND c.type = 'commune-actuelle'\n"
        "  GROUP BY ALL ORDER BY euros DESC",
    )


def live(story: Story, site: Path, here: "Town") -> None:
    """Mail and what people report."""
    from sovereign.cli.demo_town import read

    story.title("Le courrier et l'espace public", "Mail and public space")
    read(here, site, story.type, story.tell)


def change(story: Story, communes: Any) -> None:  # noqa: ANN401 - a table of the sandbox
    """The vendor's data change; the past stays."""
    story.title("Le fournisseur change ; le passé reste", "The vendor changes; the past stays")
    rows: dict[tuple[str, str], Mapping[str, Any]] = {
        (row["code"], row["type"]): row for row in communes.rows(0, communes.total())
    }
    town, village = rows["42218", "commune-actuelle"], rows["42186", "commune-actuelle"]
    communes.put(
        {**town, "population": town["population"] + 1864},
        {**village, "nom": village["nom"].replace("-", " ")},
        {**town, "code": "42999", "nom": "Nouvelle-Commune", "siren": "214299990", "population": 12},
    )
    communes.remove(("01015", "commune-deleguee"))
    story.tell(
        "Chez le fournisseur : une population corrigée, un nom corrigé, une commune créée, une autre retirée.",
        "At the vendor: a population corrected, a name corrected, a commune created, another removed.",
    )
    story.type("sync", "run", "geo")
    story.type("snapshot", "diff", "geo.communes", "1", "2")
    before = "SELECT nom, population FROM geo.communes WHERE code = '42218' AND type = 'commune-actuelle'"
    story.tell("Avant, puis maintenant :", "Before, then now:")
    story.type("query", before, "--as-of", "1")
    story.type("query", before)


def restrict(story: Story) -> None:
    """What a lower clearance sees."""
    story.title("À chacun ses clés", "To each her keys")
    story.tell(
        "L'objet d'un marché peut nommer quelqu'un : il est classé personnel. Sans ces clés, la colonne n'existe pas.",
        "The object of a contract may name someone: it is classed personal. Without those keys, the column does not exist.",
    )
    question = "SELECT id, objet, montant FROM decp.marches ORDER BY id"
    story.type("query", question, expect=REFUSED)
    story.type("query", question, "--clearance", "personal", "--limit", "3")


REFUSED: Final = 2
"""A question that names a column out of reach is a wrong question."""


def write(story: Story, site: Path) -> None:
    """An application writes to a vendor, through the gateway."""
    from sovereign.cli.demo_writes import writes

    story.title("Écrire chez un fournisseur, par la passerelle", "Write to a vendor, through the gateway")
    if not writes(site, story.type, story.tell, _print):
        raise Unexpected(say("une écriture n'a pas fini comme prévu", "a write did not end as expected"))


def leave(story: Story, site: Path) -> None:
    """Human resources say that someone left."""
    from sovereign.cli.demo_leaver import leaves

    story.title(
        "Quelqu'un s'en va : chaque compte se ferme, preuve à l'appui", "Someone leaves: every account closes, with proof"
    )
    if not leaves(site, story.type, story.tell, _print):
        raise Unexpected(say("un compte n'a pas fini comme prévu", "an account did not end as expected"))


def prove(story: Story) -> None:
    """Verification, and the book."""
    story.title("Vérifier, prouver", "Verify, prove")
    story.type("snapshot", "verify")
    story.type("audit", "verify")
    story.tell(
        "Chaque acte qui précède est une entrée du journal d'audit. En voici les dernières, puis la preuve que la première y "
        "est : n'importe qui la vérifie ailleurs, avec la seule clé publique.",
        "Each act above is an entry of the audit log. Here are the latest, then the proof that the first one is in it: anyone "
        "checks it elsewhere, with the public key alone.",
    )
    story.type("audit", "show", "--limit", "8")
    story.type("audit", "prove", "0")
    story.tell("Ce que lit la RSSI :", "What the security officer reads:")
    for kind in ("outbound", "inbound"):
        page = Path("demo-site") / "reports" / f"{kind}.html"
        story.type("report", kind, "--output", str(page))
    story.tell(
        "La page du départ, et la carte de tout ce qui circule :", "The departure's page, and the map of all that flows:"
    )
    pages = Path("demo-site") / "reports"
    story.type("flow", "show", "depart", "--key", "M00007", "--html", str(pages / "departure.html"))
    story.type("flow", "map", "--html", str(pages / "map.html"))


def run(arguments: Sequence[str]) -> int:
    """Play in the language asked for; gives the exit code."""
    if list(arguments[:1]) == ["--lang"] and len(arguments) == 2:
        speak(arguments[1])
    speak(language())
    try:
        play(Path("demo-site"))
    except Unexpected as wrong:
        _print(f"✗ {wrong}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
