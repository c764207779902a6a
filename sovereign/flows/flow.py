"""A flow: on a change, an event or a time, rows of a question, each made into writes.

    title = "Départ d'un agent"                     what people read, in French; `title_en` in English
    owner = "rh"                                    who answers for what it writes
    on = { change = "rh.agents" }                   or { event = "rh.departure" }, or { every = "15 minutes" }
    key = ["matricule"]                             the columns that name a row of the question
    select = "SELECT … FROM changes('rh.agents') …" over changes, events and any local copy within `clearance`

    [[do]]
    name = "annuaire"
    connection = "annuaire"
    operation = "disable"
    payload = { id = "{uid}" }

1. A flow file is text that a person reviews: what is enabled is that very text, by its digest; a file that changed since writes
   nothing until it is enabled again.
2. It names no secret and reaches nothing but the local copies and the gateway's front door.
3. An error names the field and what was expected, never a value.
"""

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from saas_connectors.connector import Class, Json
from snapshots.refusals import QueryFault
from snapshots.statement import parse as judge
from sovereign.flows.errors import BadFlow, UnknownFlow
from sovereign.sync.cadence import parse as cadence
from vault.errors import Fault

SUFFIX: Final = ".toml"
MAX_BYTES: Final = 2**18
MAX_STEPS: Final = 64
CHANGES: Final = "changes of"
"""The schema in which a session holds change sets: no connection can bear this name."""
EVENT: Final = "event"
"""The table that holds the event, when the flow is on one: one row."""

OCCASION: Final = frozenset({"occasion", "occasion_date", "occasion_time"})
"""What the payload of a step that takes all rows may name: the occasion's own name (letters, digits, `.` and `-`), and the
instant at which it was taken, in the site's zone: `2026-11-29`, `093000`."""

NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,40}")
NAMED: Final = "minuscules, chiffres et -, 41 au plus", "lower case, digits and -, at most 41"
"""What a name is, in French and in English."""
_DATASET: Final = re.compile(r"[a-z][a-z0-9_]{0,62}\.[a-z][a-z0-9_]{0,62}")
_CHANGES: Final = re.compile(r"\bchanges\s*\(\s*'([a-z0-9_]+\.[a-z0-9_]+)'\s*\)", re.IGNORECASE)
_TYPE: Final = re.compile(r"[a-z][a-z0-9_.-]{0,127}")
_COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")


class On(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a flow waits for: one of a dataset whose copy changes, an event of a type, a cadence."""

    change: str | None = None
    event: str | None = None
    every: str | None = None

    @property
    def kind(self) -> Literal["change", "event", "every"]:
        """Which of the three."""
        return "change" if self.change else "event" if self.event else "every"


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One write for each row. payload: its JSON, where `{column}` takes a column; needs: a column without which it is left out.

    rows: columns; the step is then one write an occasion, which carries all its rows (`mapping.gathered`). undo: the operation
    that takes it back when the row is cancelled, with its own payload (that of the step when None).
    """

    connection: str
    operation: str
    payload: dict[str, Json]
    name: str = ""
    needs: str | None = None
    rows: list[str] | None = None
    undo: str | None = None
    undo_payload: dict[str, Json] | None = None


class Flow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A flow as its file says.

    when: a column that says from when a row is due. most: rows of one occasion beyond which it is held. again: how often within
    an hour one record may be acted on before it is taken for a loop. cancel: a question whose rows, by the same key, take back
    what waits and undo what was done.
    """

    title: str
    owner: str
    on: On
    key: list[str]
    select: str
    do: list[Step]
    title_en: str = ""
    clearance: Class = "internal"
    when: str | None = None
    most: int = 100
    again: int = 3
    cancel: str | None = None


@dataclass(frozen=True, slots=True)
class FlowFile:
    """A flow, its name, and the digest of its text."""

    name: str
    flow: Flow
    text: str
    digest: str

    @property
    def client(self) -> str:
        """The application that it is for the gateway."""
        return f"flow-{self.name}"

    def title(self) -> tuple[str, str]:
        """What people read, in French and in English."""
        return self.flow.title, self.flow.title_en or self.flow.title

    @property
    def datasets(self) -> frozenset[str]:
        """The datasets whose changes its questions read."""
        return frozenset(name for sql in (self.flow.select, self.flow.cancel or "") for name in changed(sql))


def changed(sql: str) -> frozenset[str]:
    """The datasets whose changes a question reads: `changes('connection.stream')`."""
    return frozenset(found.lower() for found in _CHANGES.findall(sql))


def readable(sql: str) -> str:
    """A question as a session takes it: `changes('a.b')` becomes the table that holds them."""
    return _CHANGES.sub(lambda found: f'"{CHANGES}"."{found[1].lower()}"', sql)


def names(folder: Path) -> tuple[str, ...]:
    """The flow files of a folder, by name."""
    return tuple(sorted(path.stem for path in folder.glob(f"*{SUFFIX}"))) if folder.is_dir() else ()


def read(folder: Path, name: str) -> FlowFile:
    """Read one flow file; errors: UnknownFlow, BadFlow."""
    if not NAME.fullmatch(name) and name in names(folder):
        raise bad(name[:64], "name", *NAMED)
    if not NAME.fullmatch(name) or not (folder / f"{name}{SUFFIX}").is_file():
        raise UnknownFlow(flow=name[:64], known=", ".join(names(folder)) or "-")
    with (folder / f"{name}{SUFFIX}").open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise bad(name, "", f"au plus {MAX_BYTES} octets", f"at most {MAX_BYTES} bytes")
    try:
        return parse(name, data.decode())
    except UnicodeDecodeError:
        raise bad(name, "", "du texte en UTF-8", "text in UTF-8") from None


def parse(name: str, text: str) -> FlowFile:
    """Read a flow from its text; errors: BadFlow."""
    try:
        flow = msgspec.convert(tomllib.loads(text), Flow)
    except msgspec.ValidationError as error:
        field, fr, en = _understood(str(error))
        raise bad(name, field, fr, en) from None
    except (ValueError, RecursionError) as error:
        where = re.search(r"at line (\d+)", str(error))
        line = where[1] if where else "?"
        raise bad(name, line, f"du TOML valide à la ligne {line}", f"valid TOML on line {line}") from None
    _check(name, flow)
    for number, step in enumerate(flow.do):
        _gathering(name, f"do[{number}]", step, flow)
    steps = [msgspec.structs.replace(step, name=step.name or step.connection) for step in flow.do]
    if len({step.name for step in steps}) != len(steps):
        raise bad(name, "do.name", "un nom différent par étape", "a different name for each step")
    named = msgspec.structs.replace(flow, do=steps)
    return FlowFile(name, named, text, hashlib.sha256(text.encode()).hexdigest())


def bad(flow: str, field: str, fr: str, en: str) -> BadFlow:
    """The error for a field: what was expected."""
    return BadFlow(flow=flow, field=field or f"{flow}{SUFFIX}", expected_fr=f"attendu : {fr}", expected_en=f"expected {en}")


def _check(name: str, flow: Flow) -> None:
    given = [each for each in (flow.on.change, flow.on.event, flow.on.every) if each]
    if len(given) != 1:
        raise bad(name, "on", "un seul de change, event, every", "exactly one of change, event, every")
    _awaited(name, flow.on)
    for field, words in (("title", flow.title), ("owner", flow.owner)):
        if not words.strip() or len(words) > 200:
            raise bad(name, field, "un texte d'au plus 200 caractères", "a text of at most 200 characters")
    if not flow.key or not all(_COLUMN.fullmatch(each) for each in flow.key):
        raise bad(name, "key", "les colonnes qui nomment une ligne", "the columns that name a row")
    if not 1 <= len(flow.do) <= MAX_STEPS:
        raise bad(name, "do", f"une étape au moins, {MAX_STEPS} au plus", f"one step at least, {MAX_STEPS} at most")
    for field, number, most in (("most", flow.most, 1_000_000), ("again", flow.again, 1000)):
        if not 1 <= number <= most:
            raise bad(name, field, f"un nombre de 1 à {most}", f"a number from 1 to {most}")
    for field, sql in (("select", flow.select), ("cancel", flow.cancel)):
        if sql is not None:
            _question(name, field, sql, flow)


def _gathering(name: str, at: str, step: Step, flow: Flow) -> None:
    """Hold a step that takes all rows at once to what it can do."""
    if step.rows is None:
        return
    if not step.rows or len(set(step.rows)) != len(step.rows) or not all(_COLUMN.fullmatch(each) for each in step.rows):
        raise bad(name, f"{at}.rows", "les colonnes à écrire, chacune une fois", "the columns to write, each once")
    if {"rows", "columns"} & step.payload.keys():
        raise bad(
            name, f"{at}.payload", "ni rows ni columns : l'étape les donne", "neither rows nor columns: the step gives them"
        )
    if step.undo is not None:
        raise bad(
            name, f"{at}.undo", "rien : ce qui est écrit d'un coup ne se défait pas", "nothing: what is written at once stays"
        )
    if flow.when is not None:
        raise bad(
            name, f"{at}.rows", "une étape par ligne : « when » donne à chacune son instant",
            "a step a row: `when` gives each its own instant",
        )  # fmt: skip
    if unknown := columns_of(step.payload) - OCCASION:
        words = ", ".join(sorted(OCCASION))
        raise bad(
            name, f"{at}.payload", f"seulement {words} : il n'y a pas qu'une ligne ({min(unknown)})",
            f"only {words}: there is more than one row ({min(unknown)})",
        )  # fmt: skip


def _awaited(name: str, on: On) -> None:
    if on.change and not _DATASET.fullmatch(on.change):
        raise bad(name, "on.change", "« connexion.flux »", "`connection.stream`")
    if on.event and not _TYPE.fullmatch(on.event):
        raise bad(name, "on.event", "un type d'événement, comme « rh.departure »", "an event type, such as `rh.departure`")
    if on.every:
        try:
            cadence(f"every {on.every}", "Europe/Paris")
        except Fault:
            raise bad(name, "on.every", "une cadence, comme « 15 minutes »", "a cadence, such as `15 minutes`") from None


def _question(name: str, field: str, sql: str, flow: Flow) -> None:
    try:
        tables = judge(readable(sql)).tables
    except QueryFault as refused:
        fr, en = refused.diagnostics("fr").what, refused.diagnostics("en").what
        raise bad(name, field, f"une question en lecture ({fr})", f"a question that reads ({en})") from None
    wanted = {flow.on.change} if flow.on.change else set()
    if changed(sql) - wanted or {table for schema, table in tables if schema == CHANGES} - changed(sql):
        raise bad(
            name, field, "les changements du flux que « on » nomme, et d'aucun autre",
            "changes of the dataset that `on` names, and of no other",
        )  # fmt: skip


_FIELD: Final = re.compile(r"`\$((?:\.\w+|\[\S+?\])*)`")


def _understood(message: str) -> tuple[str, str, str]:
    """Where msgspec says that something is wrong, without what it quotes."""
    at = _FIELD.search(message)
    field = (at[1].lstrip(".") if at else "").replace("[...]", "")
    if missing := re.search(r"missing required field `(\w+)`", message):
        return f"{field}.{missing[1]}".strip("."), "ce champ", "this field"
    if unknown := re.search(r"contains unknown field `(\w{1,40})", message):
        return f"{field}.{unknown[1]}".strip("."), "pas de champ de ce nom", "no such field"
    return field, "une autre valeur", "another value"


def columns_of(template: Json) -> frozenset[str]:
    """The columns that a payload's template takes."""
    if isinstance(template, str):
        return frozenset(_TAKEN.findall(template))
    inner: list[Any] = (
        list(template.values()) if isinstance(template, Mapping) else template if isinstance(template, list) else []
    )
    return frozenset(name for each in inner for name in columns_of(each))


_TAKEN: Final = re.compile(r"(?<!\{)\{([A-Za-z_][A-Za-z0-9_]*)\}(?!\})")
