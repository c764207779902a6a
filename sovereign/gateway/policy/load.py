"""Policy files to a set of rules, or a `BadPolicy` that names the file and the line. Pure but for `read_folder`.

1. Files are `*.cedar` of one folder, in the order of their names: at most 200, 256 KiB each, 2,000 policies in all.
2. Text is cut into policies here, so that errors have a line and so that nesting is bounded before the parser sees it (deep
   nesting would exhaust the stack of the process); each piece is then parsed by Cedar, alone, and must be one policy.
3. Each policy is valid under our schema, has its annotations, and no slot of a template.
4. The digest of a set is SHA-256 over the names and the hashes of its files: comments count, since people sign what they read.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files as resources
from pathlib import Path
from typing import Final

import cedarpy

from sovereign.gateway.policy import rules
from sovereign.gateway.policy.errors import BadPolicy, NoPolicies
from sovereign.gateway.policy.rules import Rule

SUFFIX: Final = ".cedar"
MAX_FILES, MAX_BYTES, MAX_POLICIES, MAX_DEPTH, MAX_POLICY = 200, 256 * 1024, 2000, 32, 16 * 1024
_FORMAT: Final = b"sovereign-policies/1\n"
_TOKEN: Final = re.compile(
    r"""(?P<skip>//[^\n]*|\s+)|(?P<string>"(?:[^"\\]|\\.)*+")|(?P<open>[(\[{])|(?P<close>[)\]}])|(?P<end>;)"""
    r"""|(?P<other>[^\s/"()\[\]{};]+|.)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a set: name to text, in the order of their names."""

    texts: Mapping[str, str]

    @property
    def digest(self) -> str:
        """The set's name: 64 hex digits."""
        digest = hashlib.sha256(_FORMAT)
        for name, text in sorted(self.texts.items()):
            digest.update(f"{hashlib.sha256(text.encode()).hexdigest()}  {name}\n".encode())
        return digest.hexdigest()


@cache
def schema() -> cedarpy.Schema:
    """The schema, parsed once."""
    return cedarpy.Schema.from_str(schema_text())


def schema_text() -> str:
    """The schema as people read it."""
    return (resources("sovereign.gateway.policy") / "schema.cedarschema").read_text()


def read_folder(folder: Path) -> Files:
    """Read the policy files of a folder; errors: NoPolicies, BadPolicy."""
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == SUFFIX and not path.name.startswith("."))
    except OSError:
        paths = []
    if not paths:
        raise NoPolicies(folder=folder.name)
    if len(paths) > MAX_FILES:
        raise _bad(paths[MAX_FILES].name, 1, f"plus de {MAX_FILES} fichiers", f"more than {MAX_FILES} files")
    return Files({path.name: _text(path) for path in paths})


def _text(path: Path) -> str:
    try:
        with path.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except OSError:
        raise _bad(path.name, 1, "fichier illisible", "a file that cannot be read") from None
    if len(data) > MAX_BYTES:
        raise _bad(path.name, 1, f"plus de {MAX_BYTES} octets", f"more than {MAX_BYTES} bytes")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _bad(path.name, 1, "le fichier n'est pas en UTF-8", "the file is not UTF-8") from None


def parse(files: Files) -> tuple[Rule, ...]:
    """Read every policy of a set, in the order of files and lines; errors: BadPolicy."""
    found: dict[str, Rule] = {}
    for name, text in sorted(files.texts.items()):
        for line, piece in pieces(name, text):
            rule = _rule(name, line, piece)
            if rule.id in found:
                other = found[rule.id]
                raise _bad(
                    name, line, f"@id « {rule.id} » déjà pris ({other.file}, ligne {other.line})",
                    f"@id `{rule.id}` is taken already ({other.file}, line {other.line})",
                )  # fmt: skip
            found[rule.id] = rule
            if len(found) > MAX_POLICIES:
                raise _bad(name, line, f"plus de {MAX_POLICIES} politiques", f"more than {MAX_POLICIES} policies")
    return tuple(found.values())


def _rule(file: str, line: int, piece: str) -> Rule:
    try:
        parsed = json.loads(cedarpy.policies_to_json_str(piece))
    except (ValueError, RecursionError) as error:
        raise _bad(file, line, f"Cedar ne lit pas cette politique ({_short(error)})", f"Cedar: {_short(error)}") from None
    bodies = list(parsed["staticPolicies"].values())
    if parsed["templates"] or len(bodies) != 1:
        raise _bad(file, line, "une politique à la fois, sans ?principal ni ?resource", "one policy, without slots")
    valid = cedarpy.validate_policies(piece, schema())
    if not valid.validation_passed:
        said = _short(valid.errors[0].error.removeprefix("for policy `policy0`, ") if valid.errors else "invalid")
        raise _bad(file, line, f"hors du schéma ({said})", f"off the schema ({said})")
    return rules.read(bodies[0], file, line, piece.strip())


def pieces(file: str, text: str) -> Iterator[tuple[int, str]]:
    """Cut text into its policies, each with the line where it begins, from 1; errors: BadPolicy."""
    depth, begin, first, line = 0, -1, 1, 1
    for token in _TOKEN.finditer(text):
        kind, sign = token.lastgroup, token[0]
        if begin < 0 and kind != "skip":
            # Comments above belong to whoever reads the file, not to the policy.
            begin, first = token.start(), line
        line += sign.count("\n")
        depth += (kind == "open") - (kind == "close")
        if sign == '"':
            raise _bad(file, line, "un texte entre guillemets n'est pas fermé", "a quoted text is not closed")
        if depth > MAX_DEPTH:
            raise _bad(file, line, f"plus de {MAX_DEPTH} parenthèses emboîtées", f"more than {MAX_DEPTH} nested brackets")
        if 0 <= begin < token.end() - MAX_POLICY:
            raise _bad(
                file, first, f"politique de plus de {MAX_POLICY} signes", f"a policy of more than {MAX_POLICY} characters"
            )
        if kind == "end":
            yield first, text[begin : token.end()]
            depth, begin = 0, -1
    if begin >= 0:
        raise _bad(file, first, "cette politique ne finit pas par « ; »", "this policy does not end with `;`")


def _short(error: object) -> str:
    return " ".join(str(error).split())[:200]


def _bad(file: str, line: int, fr: str, en: str) -> BadPolicy:
    return BadPolicy(file=file, line=line, why_fr=fr, why_en=en)
