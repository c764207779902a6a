"""The two vendors of `make demo` that hold a town's daily life: its mail (MaarchCourrier) and what people report (Open311).

Both are played by the sandbox on loopback, with the habits of the real servers. The letters and requests are invented.
"""

import io
import json
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from saas_connectors.sandbox import Sandbox
from saas_connectors.sandbox.maarch import Maarch
from saas_connectors.sandbox.open311 import Open311
from saas_connectors.sandbox.vendor import SECRET, USER
from sovereign.cli.main import main

LETTERS: Final = 60
Type = Callable[..., None]
Tell = Callable[[str, str], None]
_LOCAL: Final = ("--set", "network.loopback=true", "--set", "network.plaintext=true")


@dataclass(frozen=True, slots=True)
class Town:
    """The vendors, and where they answer."""

    mail: Sandbox[Maarch]
    reports: Sandbox[Open311]

    def close(self, letter: int) -> None:
        """Close a letter at the vendor, as an agent does; Maarch moves no date for it."""
        self.mail.vendor.store.change("res_letterbox", "res_id", letter, status="END")


@contextmanager
def town() -> Iterator[Town]:
    """Keep the two vendors open."""
    with ExitStack() as stack:
        mail = stack.enter_context(Sandbox(Maarch(LETTERS, document_bytes=20_000)))
        yield Town(mail, stack.enter_context(Sandbox(Open311())))


def connect(here: Town, site: Path, type_: Type) -> None:
    """Name both vendors; the password of the mail's account is sealed from a file that goes at once."""
    file = site.with_name(f"{site.name}.secret-{secrets.token_hex(4)}")
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as written:
        written.write(SECRET)
    try:
        auth = f'auth={{ kind = "basic", user = "{USER}" }}'
        type_(
            "connection", "add", "courrier", "--connector", "maarch", "--url", here.mail.url, "--secret-file", str(file),
            "--set", auth, "--set", "mode=incremental", *_LOCAL,
        )  # fmt: skip
    finally:
        file.unlink()
    type_(
        "connection", "add", "signalements", "--connector", "open311", "--url", f"{here.reports.url}/v2",
        "--set", "since=2026-01-01", *_LOCAL,
    )  # fmt: skip
    type_("connection", "check", "courrier")


def read(here: Town, site: Path, type_: Type, tell: Tell) -> None:
    """Letters and their files, what people report, and a closure that no date betrays."""
    tell(
        "Le courrier, par service et par état ; et ce que les gens signalent, ouvert et clos.",
        "Mail by office and state; and what people report, open and closed.",
    )
    type_(
        "query",
        "SELECT e.entity_label AS service, s.label_status AS etat, count(*) AS courriers\n"
        "  FROM courrier.resources r JOIN courrier.entities e ON e.entity_id = r.destination\n"
        "  JOIN courrier.statuses s ON s.id = r.status GROUP BY ALL ORDER BY ALL LIMIT 6",
    )
    type_(
        "query",
        "SELECT service_name AS sujet, count(*) FILTER (status = 'open') AS ouvertes,\n"
        "       count(*) FILTER (status = 'closed') AS closes\n"
        "  FROM signalements.requests GROUP BY ALL ORDER BY ouvertes + closes DESC, sujet",
    )
    tell(
        "Chaque courrier a son fichier, scellé, gardé une fois. Il s'ouvre sous habilitation, et le journal le dit.",
        "Each letter has its file, sealed, kept once. It opens under a clearance, and the log says so.",
    )
    listed = "SELECT res_id, state, size, document FROM courrier.documents WHERE res_id <= 103 ORDER BY res_id"
    type_("query", listed, "--clearance", "personal")
    pdf = site.with_name(f"{site.name}.pdf")
    pdf.unlink(missing_ok=True)
    type_("document", "get", "courrier.documents", _address(listed), "--clearance", "personal", "--output", str(pdf))
    here.close(112)
    tell(
        "Un agent clôt le courrier 112 chez l'éditeur. Maarch n'avance aucune date pour une clôture ; elle est vue quand même.",
        "An agent closes letter 112 at the vendor. Maarch moves no date for a closure; it is seen all the same.",
    )
    type_("sync", "run", "courrier")
    type_("snapshot", "diff", "courrier.resources", "1", "2")


def _address(listed: str) -> str:
    """The document of the first row, asked again for a machine."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(io.StringIO()):
        main(["query", listed, "--clearance", "personal", "--json"])
    rows = (json.loads(line) for line in said.getvalue().splitlines())
    return str(next(row["values"]["document"] for row in rows if row["type"] == "row"))
