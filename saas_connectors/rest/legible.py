"""An answer as the one shape the rest reads, UTF-8 JSON: JSON lines, CSV, other charsets, records named by key come to it here.

1. The form is the one the settings name, else the one `Content-Type` names, else JSON; nothing is guessed from the bytes.
2. No value is altered: a line stays as it was written, a cell is text, an empty cell is null; `types` declares the rest.
3. What cannot be read is `Malformed`, by line and never by content.
"""

import csv
import io
import re
from dataclasses import replace
from typing import Final, Literal

import msgspec

from saas_connectors.answer import malformed
from saas_connectors.request import Request, Response

Form = Literal["json", "jsonl", "csv"]

_FORMS: Final[dict[str, Form]] = {
    "application/x-ndjson": "jsonl", "application/ndjson": "jsonl", "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl", "application/jsonlines": "jsonl", "text/csv": "csv", "application/csv": "csv",
}  # fmt: skip
ACCEPT: Final[dict[Form, str]] = {
    "json": "application/json",
    "jsonl": "application/x-ndjson, application/jsonl",
    "csv": "text/csv",
}
_CHARSET: Final = re.compile(r';\s*charset\s*=\s*"?([A-Za-z0-9._:-]{1,40})', re.IGNORECASE)
_SEPARATORS: Final = ";,\t|"
_MOST_FIELDS: Final = 2000
_RAW: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def legible(request: Request, response: Response, form: Form | None, keyed: str, path: str | None) -> Response:
    """Give the same answer with a body in UTF-8 JSON; raises `Malformed`.

    form: what the settings say; keyed: the field that takes the name of each record, "" where records come as a list;
    path: where the records are.
    """
    said = response.headers.get("content-type", "")
    form = form or _FORMS.get(said.partition(";")[0].strip().lower(), "json")
    body = _utf8(request, response, said)
    if not 200 <= response.status < 300 or (not body.strip() and form == "json"):
        return response
    if form == "jsonl":
        body = b"[" + b",".join(line for line in body.splitlines() if line.strip()) + b"]"
    elif form == "csv":
        body = _rows(request, response, body)
    if keyed:
        body = _listed(request, response, body, keyed, path or "")
    return response if body is response.body else replace(response, body=body)


def _utf8(request: Request, response: Response, said: str) -> bytes:
    found = _CHARSET.search(said)
    body = response.body
    if found is not None and found[1].lower() not in {"utf-8", "utf8", "us-ascii", "ascii"}:
        try:
            body = body.decode(found[1]).encode()
        except (LookupError, UnicodeError):
            named = found[1].lower()
            raise malformed(
                request, response, f"un texte qui n'est pas en « {named} »", f"text that is not in `{named}`"
            ) from None
    return body.removeprefix(b"\xef\xbb\xbf") if body.startswith(b"\xef\xbb\xbf") else body


def _rows(request: Request, response: Response, body: bytes) -> bytes:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise malformed(
            request,
            response,
            "un CSV qui n'est pas en UTF-8, et dont l'en-tête Content-Type ne dit pas le jeu de caractères",
            "a CSV that is not in UTF-8, and whose Content-Type names no charset",
        ) from None
    head = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        names = next(reader, [])
        if len(set(names)) != len(names) or len(names) > _MOST_FIELDS or not all(names):
            raise malformed(request, response, "un CSV aux titres vides ou répétés", "a CSV with empty or repeated titles")
        records = []
        for cells in reader:
            if cells and len(cells) != len(names):
                line = reader.line_num
                raise malformed(
                    request, response, f"un CSV à {len(names)} colonnes, sauf à la ligne {line}",
                    f"a CSV of {len(names)} columns, but not on line {line}",
                )  # fmt: skip
            if cells:
                records.append(dict(zip(names, (cell or None for cell in cells), strict=True)))
    except csv.Error:
        line = reader.line_num
        raise malformed(request, response, f"un CSV mal formé à la ligne {line}", f"a malformed CSV on line {line}") from None
    return msgspec.json.encode(records)


def _listed(request: Request, response: Response, body: bytes, keyed: str, path: str) -> bytes:
    """Turn the object at `path`, key to record, into the list of its records, each with its key as `keyed`."""
    try:
        top = _RAW.decode(body)
        if path:
            head, _, rest = path.partition(".")
            if head not in top:
                raise malformed(request, response, f"aucun enregistrement sous « {path} »", f"no records at `{path}`")
            top[head] = msgspec.Raw(_listed(request, response, bytes(top[head]), keyed, rest))
            return msgspec.json.encode(top)
        return b"[" + b",".join(_named(keyed, key, bytes(record)) for key, record in top.items()) + b"]"
    except (msgspec.DecodeError, RecursionError):
        fr, en = f"des objets nommés par leur clé (keyed = « {keyed} »)", f"objects named by their key (keyed = `{keyed}`)"
        raise malformed(request, response, f"attendu : {fr}", f"expected {en}") from None


def _named(keyed: str, key: str, record: bytes) -> bytes:
    held = _RAW.decode(record)
    held.pop(keyed, None)
    return msgspec.json.encode({keyed: key, **held})
