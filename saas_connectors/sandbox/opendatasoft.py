"""A portal of open data on loopback, as Opendatasoft's Explore v2.1 answers: its caps, its daily quota, its errors.

It knows of ODSQL what follows: comparisons of a field between back-quotes with a number, a text or a date, `is null`,
`is not null`, `and`, parentheses; `min` and `max` in `select`. `limit` is at most 100, `offset + limit` at most 10,000, and an
export takes no `offset`. `/sandbox/troubles` takes troubles, as the other sandboxes do.

What it may do wrong besides: `quota` (calls left before 429, until `reset`), `exports` (False: refused), `broken_after` (an
export ends in an error text, in its 200, after so many records), `honours` (False: `where` does nothing).
"""

import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec
import orjson

from saas_connectors.request import Headers, Request, Response
from saas_connectors.sandbox.datasets import communes
from saas_connectors.sandbox.mishaps import after, instead
from saas_connectors.sandbox.troubles import Trouble, Troubles
from saas_connectors.sandbox.wire import Call, Reply

SECRET: Final = "cle-du-portail-de-demonstration"  # noqa: S105 - it opens nothing but this toy
ROOT: Final = "/api/explore/v2.1/catalog/datasets"
ERROR_TEXT: Final = b'\n{"error_code": "InternalServerError", "message": "the export of Jeanne Martin was interrupted"}'
Row = dict[str, Any]
_MOST: Final = 100
_REACH: Final = 10_000
_TOKEN: Final = re.compile(r"""\s*(?:([()])|`(\w+)`|(date)?'([^']*)'|"((?:[^"\\]|\\.)*)"|(>=|<=|!=|[<>=])|(-?[\w.+]+))""")
_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    ">=": lambda one, other: one >= other,
    "<=": lambda one, other: one <= other,
    ">": lambda one, other: one > other,
    "<": lambda one, other: one < other,
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
}
Condition = Callable[[Row], bool]


@dataclass
class PortalDataset:
    """A dataset of the portal. fields: name → kind (`text*` holds several texts); `key`: the field annotated as identifier."""

    title: str
    fields: Mapping[str, str]
    rows: list[Row]
    key: str | None = None
    processed: datetime = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
    lie: int = 0

    def put(self, *rows: Row, by: Sequence[str]) -> None:
        """Add records, or replace those that `by` names, and process the data again an hour later."""
        held = {tuple(row[name] for name in by): row for row in self.rows}
        held.update({tuple(row[name] for name in by): row for row in rows})
        self.rows = list(held.values())
        self.processed += timedelta(hours=1)


def communes_of_france() -> PortalDataset:
    """The communes of France: 37,590 records, two of which may bear one code."""
    kinds = {"code": "text", "nom": "text", "type": "text", "departement": "text", "codesPostaux": "text*", "population": "int"}
    return PortalDataset(
        "Communes de France", kinds, [{name: row.get(name) for name in kinds} for row in communes().rows(0, 40_000)]
    )


def notices(count: int = 500) -> PortalDataset:
    """Notices of public contracts, as the official bulletin shows them."""
    kinds = {
        "idweb": "text", "objet": "text", "dateparution": "date", "maj": "datetime", "montant": "double", "lots": "int",
        "code_departement": "text*", "lieu": "geo_point_2d", "perimetre": "geo_shape", "avis": "file", "annule": "boolean",
    }  # fmt: skip
    return PortalDataset("Annonces des marchés publics", kinds, [notice(n) for n in range(count)], key="idweb")


def notice(n: int, **changed: Any) -> Row:  # noqa: ANN401 - any value of a field
    """A notice."""
    at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=n)
    shape = {"type": "Feature", "geometry": {"type": "Point", "coordinates": [4.39, 45.43]}, "properties": {}}
    return {
        "idweb": f"26-{n:06}",
        "objet": f"Réfection de la voirie, lot « {n} »",
        "dateparution": at.date().isoformat(),
        "maj": at.isoformat(),
        "montant": 12_000.5 + n,
        "lots": n % 9,
        "code_departement": ["42", "69"][: n % 3],
        "lieu": {"lon": 4.39 + n / 1000, "lat": 45.43},
        "perimetre": shape if n % 2 else None,
        "avis": {"filename": f"avis-{n}.pdf", "format": "pdf", "id": f"{n:032x}"},
        "annule": n % 7 == 0,
    } | changed


class BadQuery(ValueError):
    """A parameter that the portal refuses."""


@dataclass
class Portal:
    """The portal: its datasets by identifier, what it allows, and how it fails; safe to use from several threads."""

    datasets: dict[str, PortalDataset]
    secret: str | None = None
    quota: int | None = None
    reset: datetime = datetime(2026, 11, 24, tzinfo=UTC)
    exports: bool = True
    broken_after: int | None = None
    honours: bool = True
    latency: float = 0.0
    troubles: Troubles = field(default_factory=Troubles)
    calls: deque[Call] = field(default_factory=lambda: deque(maxlen=100_000))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, call: Call) -> Reply:
        """Answer a call."""
        self.calls.append(call)
        if call.path == "/sandbox/troubles":
            return self._control(call)
        striking = self.troubles.striking(call.path, call.method)
        reply = instead(call, striking) or self._metered(call, striking)
        if striking:
            after(call, reply, striking)
        reply.delay += self.latency
        return reply

    def respond(self, request: Request) -> Response:
        """Answer a connector's request in the same process, without a socket."""
        parts = urlsplit(request.full_url)
        headers = {name.lower(): value for name, value in request.headers} | {"host": parts.netloc}
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        reply = self.answer(Call(request.method, unquote(parts.path), query, headers, request.body or b""))
        return Response(reply.status, request.full_url, reply.body, Headers(reply.headers.items()))

    def _control(self, call: Call) -> Reply:
        if call.method == "DELETE":
            self.troubles.clear()
            return Reply(204)
        try:
            self.troubles.plan(*msgspec.json.decode(call.body, type=list[Trouble]))
        except msgspec.DecodeError:
            return Reply(400, b'{"error":"bad request"}')
        return Reply(204)

    def _metered(self, call: Call, striking: Mapping[str, Any]) -> Reply:
        if self.secret is not None and call.headers.get("authorization") != f"Apikey {self.secret}":
            return _wrong("AuthenticationRequired", "a key is needed", 401)
        with self._lock:
            if self.quota is not None:
                if self.quota <= 0:
                    reply = _wrong("TooManyRequests", "the daily quota is used up", 429)
                    return _counted(reply, 0, self.reset)
                self.quota -= 1
        try:
            reply = self._serve(call, striking)
        except BadQuery as refusal:
            reply = _wrong("InvalidRESTParameterError", str(refusal), 400)
        return reply if self.quota is None else _counted(reply, self.quota, self.reset)

    def _serve(self, call: Call, striking: Mapping[str, Any]) -> Reply:
        if call.method != "GET" or not call.path.startswith(ROOT):
            return _wrong("NotFound", "no such address", 404)
        lie = striking.get("lying_count") or 0
        match call.path.removeprefix(ROOT).strip("/").split("/"):
            case [""]:
                start, size = _window(call.query, 10)
                listed = [_shown(name, each, lie) for name, each in sorted(self.datasets.items())]
                return _json({"total_count": len(listed), "results": listed[start : start + size]})
            case [name] if name in self.datasets:
                return _json(_shown(name, self.datasets[name], lie))
            case [name, "records"] if name in self.datasets:
                return self._records(self.datasets[name], call.query, lie)
            case [name, "exports", "json" | "jsonl" as form] if name in self.datasets:
                return self._export(self.datasets[name], call.query, form)
        return _wrong("NotFound", "no such dataset", 404)

    def _chosen(self, held: PortalDataset, query: Mapping[str, str]) -> list[Row]:
        rows: Iterable[Row] = held.rows
        if query.get("where") and self.honours:
            rows = filter(_condition(query["where"], held.fields), rows)
        chosen = list(rows)
        for part in reversed(query.get("order_by", "").split(",")):
            if name := part.strip().strip("`"):
                if name not in held.fields:
                    raise BadQuery(f"unknown field {name}")
                chosen.sort(key=lambda row, name=name: (row.get(name) is None, row.get(name)))  # type: ignore[misc]
        return chosen

    def _records(self, held: PortalDataset, query: Mapping[str, str], lie: int) -> Reply:
        start, size = _window(query, 10)
        rows = self._chosen(held, query)
        if bounds := re.fullmatch(r"min\(`(\w+)`\) as (\w+), max\(`\1`\) as (\w+)", query.get("select", "")):
            values = [row[bounds[1]] for row in rows if row.get(bounds[1]) is not None]
            found = [{bounds[2]: min(values), bounds[3]: max(values)}] if values else []
            return _json({"total_count": len(found), "results": found})
        return _json({"total_count": len(rows) + held.lie + lie, "results": rows[start : start + size]})

    def _export(self, held: PortalDataset, query: Mapping[str, str], form: str) -> Reply:
        if not self.exports:
            return _wrong("ExportForbidden", "exports are not allowed", 403)
        if query.get("offset", "0") != "0":
            raise BadQuery("offset is not allowed on exports")
        rows = self._chosen(held, query)
        broken = self.broken_after is not None and len(rows) > self.broken_after
        written = [orjson.dumps(row) for row in (rows[: self.broken_after] if broken else rows)]
        if form == "jsonl":
            body = b"".join(row + b"\n" for row in written)
        else:
            body = b"[" + b",\n".join(written) + (b"," if broken else b"]")
        return Reply(200, body + (ERROR_TEXT if broken else b""))


def _window(query: Mapping[str, str], usual: int) -> tuple[int, int]:
    try:
        start, size = int(query.get("offset", "0")), int(query.get("limit", str(usual)))
    except ValueError:
        raise BadQuery("limit and offset are numbers") from None
    if not -1 <= size <= _MOST:
        raise BadQuery(f"-1 <= limit <= {_MOST} is expected")
    if start + size > _REACH:
        raise BadQuery(f"offset + limit <= {_REACH} is expected")
    return start, size


def _shown(name: str, held: PortalDataset, lie: int) -> Row:
    fields: list[Row] = [
        {
            "name": each,
            "label": each.capitalize(),
            "type": kind.rstrip("*"),
            "description": None,
            "annotations": {"multivalued": [","]} if kind.endswith("*") else {"id": []} if each == held.key else {},
        }
        for each, kind in held.fields.items()
    ]
    said = {
        "title": held.title,
        "modified": held.processed.isoformat(),
        "data_processed": held.processed.isoformat(),
        "records_count": len(held.rows) + held.lie + lie,
    }
    return {"dataset_id": name, "has_records": True, "fields": fields, "metas": {"default": said}}


def _condition(text: str, kinds: Mapping[str, str]) -> Condition:
    """Understand a condition; raises `BadQuery`."""
    tokens: list[tuple[str, Any]] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise BadQuery("where")
        at = found.end()
        bracket, name, dated, quoted, doubled, sign, word = found.groups()
        if bracket or sign:
            tokens.append((bracket or sign, None))
        elif name:
            if name not in kinds:
                raise BadQuery(f"unknown field {name}")
            tokens.append(("field", name))
        elif quoted is not None:
            tokens.append(("date" if dated else "value", quoted))
        elif doubled is not None:
            tokens.append(("value", re.sub(r"\\(.)", r"\1", doubled)))
        else:
            tokens.append(("word", word.lower()))
    condition, left = _all(tokens, kinds)
    if left:
        raise BadQuery("where")
    return condition


def _all(tokens: list[tuple[str, Any]], kinds: Mapping[str, str]) -> tuple[Condition, list[tuple[str, Any]]]:
    conditions: list[Condition] = []
    while True:
        match tokens:
            case [("(", _), *rest]:
                inner, tokens = _all(rest, kinds)
                if not tokens or tokens[0][0] != ")":
                    raise BadQuery("where")
                tokens = tokens[1:]
                conditions.append(inner)
            case [("field", name), ("word", "is"), ("word", "not"), ("word", "null"), *tokens]:
                conditions.append(lambda row, name=name: row.get(name) is not None)  # type: ignore[misc]
            case [("field", name), ("word", "is"), ("word", "null"), *tokens]:
                conditions.append(lambda row, name=name: row.get(name) is None)  # type: ignore[misc]
            case [("field", name), (sign, None), (form, value), *tokens] if sign in _SIGNS:
                conditions.append(_compared(name, _SIGNS[sign], form, value, kinds[name]))
            case _:
                raise BadQuery("where")
        if not tokens or tokens[0] != ("word", "and"):
            return lambda row: all(each(row) for each in conditions), tokens
        tokens = tokens[1:]


def _compared(name: str, sign: Callable[[Any, Any], bool], form: str, value: str, kind: str) -> Condition:
    read: Callable[[Any], Any] = str
    try:
        if form == "date":
            read = date.fromisoformat if kind == "date" else datetime.fromisoformat
            bound: Any = date.fromisoformat(value[:10]) if kind == "date" else datetime.fromisoformat(value)
        else:
            bound, read = (float(value), float) if form == "word" else (value, str)
    except ValueError:
        raise BadQuery("where") from None
    return lambda row: row.get(name) is not None and sign(read(row[name]), bound)


def _json(content: Any) -> Reply:  # noqa: ANN401 - any JSON
    return Reply(body=orjson.dumps(content))


def _wrong(code: str, message: str, status: int) -> Reply:
    return Reply(status, orjson.dumps({"error_code": code, "message": message}))


def _counted(reply: Reply, left: int, reset: datetime) -> Reply:
    shown = {"X-RateLimit-Limit": "10000", "X-RateLimit-Remaining": str(left), "X-RateLimit-Reset": str(int(reset.timestamp()))}
    reply.headers |= shown
    return reply
