"""Ready texts: the set that a site starts with, and the policy that opens one flow, for a person to review."""

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

from sovereign.gateway.policy.errors import BadPolicy
from sovereign.gateway.policy.load import SUFFIX, Files, parse
from sovereign.gateway.policy.rules import Rule
from vault import files

YEAR: Final = timedelta(days=365)


def starting(today: date) -> Files:
    """The policies of a new site: nothing is open; red lines and holds, to be reviewed within a year."""
    folder = resources("sovereign.gateway.policy") / "defaults"
    review = (today + YEAR).isoformat()
    return Files(
        {each.name: each.read_text().replace("{review}", review) for each in folder.iterdir() if each.name.endswith(SUFFIX)}
    )


def write_starting(folder: Path, today: date) -> tuple[str, ...]:
    """Put the starting files that a folder lacks there; gives their names. Files that are there stay as they are."""
    files.folder(folder)
    missing = {name: text for name, text in starting(today).texts.items() if not (folder / name).exists()}
    for name, text in missing.items():
        files.write(folder / name, text.encode(), new=True)
    return tuple(sorted(missing))


@dataclass(frozen=True, slots=True)
class Flow:
    """What is to be opened. hold: the terms of an approval, None for none. until: its last day. said: its sentences."""

    client: str
    connection: str
    operation: str
    owner: str
    until: date
    reads: bool = False
    hold: str | None = None
    said: tuple[str, str] | None = None

    @property
    def id(self) -> str:
        """The id that the policy is given."""
        parts = ("read" if self.reads else "flow", self.client, self.connection, self.operation)
        return ".".join(re.sub(r"[^a-z0-9_-]", "-", part.lower()) for part in parts)

    @property
    def file(self) -> str:
        """The file that the policy is put in."""
        return f"50-{self.id}.cedar"

    def text(self) -> str:
        """The policy, as Cedar text. Errors: BadPolicy when what was given cannot stand in one."""
        verb_fr, verb_en = ("lire", "read") if self.reads else ("écrire", "write")
        to = f"{self.connection} ({self.operation})"
        fr, en = f"{self.client} peut {verb_fr} vers {to}", f"{self.client} may {verb_en} to {to}"
        if self.reads:
            fr, en = f"{self.client} peut lire chez {to}", f"{self.client} may read from {to}"
        fr, en = self.said or (
            fr + (", après approbation." if self.hold else "."),
            en + (", once approved." if self.hold else "."),
        )
        lines = [
            f"// Ouvre un seul flux ; à relire avant de l'ajouter à policies/{self.file}",
            f"// Opens one flow; review it before adding it to policies/{self.file}",
            f"@id({_quoted(self.id)})",
            f"@owner({_quoted(self.owner)})",
            f"@expires({_quoted(self.until.isoformat())})",
            *([] if self.hold is None else [f"@hold({_quoted(self.hold)})"]),
            f"@fr({_quoted(fr)})",
            f"@en({_quoted(en)})",
            "permit (",
            f"  principal == Client::{_quoted(self.client)},",
            f'  action == Action::"{"read" if self.reads else "write"}",',
            f"  resource == Operation::{_quoted(f'{self.connection}/{self.operation}')}",
            ");",
        ]
        text = "\n".join(lines) + "\n"
        self.rule(text)
        return text

    def rule(self, text: str) -> Rule:
        """Read it back; errors: BadPolicy."""
        found = parse(Files({self.file: text}))
        if len(found) != 1 or found[0].id != self.id:
            raise BadPolicy(file=self.file, line=1, why_fr="plus d'une politique", why_en="more than one policy")
        return found[0]


def _quoted(text: str) -> str:
    if not text.isprintable():
        raise BadPolicy(file="-", line=1, why_fr="signes invisibles dans un nom", why_en="invisible characters in a name")
    return json.dumps(text, ensure_ascii=False)
