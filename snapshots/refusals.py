"""What a person who asks a question of the local copies can be told.

    Fault
    └── QueryFault
        ├── BadQuery            not SQL that can be read: says where
        ├── NotAllowed          SQL that a session does not run: says which part, and why
        ├── UnknownName         a table, a column or a function that this session does not have
        ├── BadParameters       values that do not match the statement's parameters
        ├── BadValue            a value of the data that the query could not handle: says what kind, never the value
        ├── TimedOut            longer than the session's limit
        ├── Cancelled           stopped on demand, or replaced by the session's next query
        ├── TooLarge            more memory or more spill than the session's limits
        ├── MartUnreadable      a mart whose bytes are not what was written, or that is gone
        └── MartNotMade         a mart that could not be made: no room on disk, most often

`BadQuery` and `UnknownName` may quote words of the question itself. None quotes a value of the data, a key or a path.
"""

import re
from typing import ClassVar

from vault.errors import Fault, Kind


class QueryFault(Fault):
    """A fault of a query."""

    code = "query"
    kind: ClassVar[Kind] = "failed"
    fr = "La requête a échoué."
    en = "The query failed."
    todo_fr = "Simplifiez la requête ; si la panne demeure, lancez « sovereign doctor »."
    todo_en = "Make the query simpler; if the failure stays, run `sovereign doctor`."


class BadQuery(QueryFault):
    """Not SQL that can be read."""

    code = "query.syntax"
    kind = "usage"
    fr = "La requête n'est pas comprise{place} : {message}."
    en = "The query is not understood{place}: {message}."
    todo_fr = "Corrigez-la ; le dialecte est celui de DuckDB (https://duckdb.org/docs)."
    todo_en = "Correct it; the dialect is DuckDB's (https://duckdb.org/docs)."


class NotAllowed(QueryFault):
    """SQL that a session does not run."""

    code = "query.not_allowed"
    kind = "denied"
    fr = "Une session ne fait que lire les copies locales : {what_fr}."
    en = "A session only reads the local copies: {what_en}."
    todo_fr = "Posez une seule question, qui commence par SELECT, FROM, WITH, SHOW, DESCRIBE, SUMMARIZE ou EXPLAIN."
    todo_en = "Ask one question that begins with SELECT, FROM, WITH, SHOW, DESCRIBE, SUMMARIZE or EXPLAIN."


class UnknownName(QueryFault):
    """A table, a column or a function that this session does not have."""

    code = "query.unknown_name"
    kind = "usage"
    fr = "Avec l'habilitation « {clearance} », un nom n'existe pas{place} : {message}."
    en = "At clearance {clearance}, a name does not exist{place}: {message}."
    todo_fr = "Voyez les noms avec SHOW TABLES et DESCRIBE.{advice_fr}"
    todo_en = "See the names with SHOW TABLES and DESCRIBE.{advice_en}"


class BadParameters(QueryFault):
    """Values that do not match the statement's parameters."""

    code = "query.parameters"
    kind = "usage"
    fr = "Les valeurs données ne correspondent pas aux paramètres de la requête."
    en = "The values given do not match the statement's parameters."
    todo_fr = "Donnez une valeur à chaque paramètre ($nom ou ?), et aucune autre."
    todo_en = "Give each parameter ($name or ?) one value, and no other."


class BadValue(QueryFault):
    """A value of the data that the query could not handle."""

    code = "query.value"
    kind = "usage"
    fr = "Une valeur ne se prête pas à la requête{place} : {what_fr}."
    en = "A value does not suit the query{place}: {what_en}."
    todo_fr = "Écartez-la par un filtre, ou convertissez par TRY_CAST, qui rend NULL."
    todo_en = "Filter it out, or convert with TRY_CAST, which gives NULL."


class TimedOut(QueryFault):
    """Longer than the session's limit."""

    code = "query.timeout"
    fr = "La requête a dépassé {seconds} s et a été arrêtée."
    en = "The query went past {seconds} s and was stopped."
    todo_fr = "Filtrez davantage, ou demandez une limite plus longue."
    todo_en = "Filter more, or ask for a longer limit."


class Cancelled(QueryFault):
    """Stopped on demand, or replaced by the session's next query."""

    code = "query.cancelled"
    fr = "La requête a été arrêtée."
    en = "The query was stopped."
    todo_fr = todo_en = ""


class TooLarge(QueryFault):
    """More memory or more spill than the session's limits."""

    code = "query.too_large"
    fr = "La requête demande plus que les limites de la session ({memory} Mio de mémoire, {spill} Mio sur disque)."
    en = "The query needs more than the session's limits ({memory} MiB of memory, {spill} MiB on disk)."
    todo_fr = "Agrégez ou filtrez avant de trier et de joindre."
    todo_en = "Aggregate or filter before sorting and joining."


class MartUnreadable(QueryFault):
    """A mart whose bytes are not what was written, or that is gone."""

    code = "query.mart"
    kind = "unverified"
    fr = "La base de lecture de {dataset} n'est pas lisible."
    en = "The mart of {dataset} cannot be read."
    todo_fr = "Reposez la question ; si la panne demeure, supprimez le dossier marts/ : il se refait depuis les instantanés."
    todo_en = "Ask again; if the failure stays, delete the marts/ folder: it is made again from the snapshots."


class MartNotMade(QueryFault):
    """A mart that could not be made: no room on disk, most often."""

    code = "query.mart_not_made"
    fr = "La base de lecture de {dataset} n'a pas pu être faite."
    en = "The mart of {dataset} could not be made."
    todo_fr = "Les instantanés sont intacts. Vérifiez la place sur le disque et les droits du dossier marts/, puis recommencez."
    todo_en = "The snapshots are untouched. Check the room on disk and the rights on the marts/ folder, then do it again."


def translated(text: str, clearance: str) -> QueryFault:
    """Say in our words what DuckDB said of a question.

    An error met while a result streams has lost its type but not its first words, so the text alone is read.
    """
    head, _, rest = text.partition(" Error: ")
    message, place = rest.split("\n")[0].rstrip("!. "), _place(text)
    match head:
        case "Parser" | "Syntax":
            return BadQuery(place=place, message=message)
        case "Catalog" | "Binder" if re.search(r"not found|does not exist|does not have a column|not in the FROM", message):
            return _unknown_name(text, message, place, clearance)
        case "Catalog" | "Binder":
            return BadQuery(place=place, message=message)
        case "Permission":
            return NotAllowed(what_fr="cet accès est fermé", what_en="that access is closed")
        case "Invalid Input" if re.match(r"(Values were not provided|Parameter argument)", message):
            return BadParameters()
        case "Conversion" | "Out of Range" | "Invalid Input" | "Constraint" | "Mismatch Type":
            return _bad_value(head, message, place)
    return QueryFault()


def _place(text: str) -> str:
    """Line and column of a mistake, from the arrow that DuckDB draws under the line it quotes."""
    drawn = re.search(r"\nLINE (\d+): (.*)\n( *)\^", text)
    if drawn is None:
        return ""
    number, quoted, blanks = drawn.groups()
    if quoted.startswith("..."):  # a long line is cut: its column is not known
        return f" ({number})"
    return f" ({number}:{len(blanks) - len(f'LINE {number}: ') + 1})"


def _unknown_name(text: str, message: str, place: str, clearance: str) -> UnknownName:
    hints = re.findall(r"(?:Did you mean|Candidate bindings:) (.*)", text)
    near = [name for hint in hints for name in re.findall(r'"([^"]+)"', hint) if "mart-" not in name]
    if near:
        message += f" ({', '.join(near[:5])} ?)"
    # The same words whether or not a higher clearance has that name: names of personal columns are personal.
    sealed = clearance != "sensitive"
    advice_fr = (
        " Ce que voit une habilitation plus élevée n'est pas dit ici ; s'il vous la faut : --clearance personal."
        if sealed
        else ""
    )
    advice_en = " What a higher clearance sees is not told here; if you need it: --clearance personal." if sealed else ""
    return UnknownName(clearance=clearance, place=place, message=message, advice_fr=advice_fr, advice_en=advice_en)


def _bad_value(head: str, message: str, place: str) -> BadValue:
    """Name the kind of trouble and the types; the message itself quotes the value."""
    fr, en = {
        "Conversion": ("elle ne se convertit pas", "it cannot be converted"),
        "Out of Range": ("elle sort des bornes de son type", "it is out of its type's range"),
    }.get(head, ("une fonction ne l'accepte pas", "a function does not accept it"))
    unquoted = re.sub(r"'.*'|\".*\"", "", message)
    if types := ", ".join(re.findall(_TYPES, unquoted)):
        fr, en = f"{fr} ({types})", f"{en} ({types})"
    return BadValue(place=place, what_fr=fr, what_en=en)


_TYPES = re.compile(
    r"\b(?:U?INT(?:8|16|32|64|128)|BOOL|FLOAT|DOUBLE|DECIMAL\(\d+,\d+\)|VARCHAR|DATE|TIME|TIMESTAMP|INTERVAL|UUID|JSON)\b"
)
