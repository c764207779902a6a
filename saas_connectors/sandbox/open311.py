"""An Open311 GeoReport v2 server of a French city, for the demo and the tests: reports about streets, waste and lights.

Requests are made by `reports`, the same each time. The server is the sandbox vendor with other paths: it has its troubles too.
`moods` say in what it departs from the standard:

| mood | what the server does |
|---|---|
| `reversed` | takes `start_date` for `<` and `end_date` for `>` |
| `ignored` | ignores both dates |
| `exclusive` | leaves out what was made at either date exactly |
| `days` | keeps only the days of both dates |
| `unlimited` | knows neither the 90 days nor the cap |
| `jurisdiction` | answers `[]` to who names no jurisdiction |
| `tokens` | answers a token to a new request |
| `xml_only` | refuses JSON |
| `naive` | writes times in Paris time, without a zone |
| `updates` | honours `updated_after` and `updated_before` |
| `no_lists` | knows one identifier at a time |
| `all_statuses` | ignores `status` |
| `late_closures` | closes its five oldest open requests whenever time passes (`elapse`) |
| `repeats`, `echoes` | shows in its answer to a new request the description, or the whole form with its key |
| `open_only` | shows only open requests to who names no status |
| `always` | knows the cap, not the 90 days |
| `oldest_first` | lists the oldest first |
| `local_dates` | drops the zone of the dates it is given, and takes them for Paris time |
| `page_size`, `per_page`, `limit` | gives up to 500 requests an answer to who asks so |
| `no_ids`, `one_id`, `id_breaks` | ignores `service_request_id`; takes a list for one identifier, unknown; fails on it (500) |
| `unnamed` | shows the requests of the last hour before they have an identifier |
| `withheld` | refuses the attributes of services but one (403) |

How answers are written is in `open311_shapes`, with the families of servers.
"""

import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, unquote
from zoneinfo import ZoneInfo

import orjson

from saas_connectors.sandbox.open311_shapes import Shape, element, xml
from saas_connectors.sandbox.vendor import SECRET, Vendor
from saas_connectors.sandbox.wire import Call, Reply

NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
JURISDICTION: Final = "ville.example"
PARIS: Final = ZoneInfo("Europe/Paris")
_SPAN: Final = timedelta(days=90)
_SERVICES: Final = (
    ("001", "Nid-de-poule", "Chaussée dégradée", "voirie", True),
    ("002", "Trottoir encombré", "Passage gêné sur le trottoir", "voirie", False),
    ("010", "Dépôt sauvage", "Déchets abandonnés sur la voie publique", "propreté", True),
    ("011", "Corbeille pleine", "Corbeille de rue à vider", "propreté", False),
    ("20", "Lampadaire éteint", "Éclairage public en panne", "éclairage", True),
    ("21", "Feu tricolore en panne", "Signalisation lumineuse", "éclairage", False),
)
_STREETS: Final = ("rue de la République", "place Jean-Jaurès", "cours Fauriel", "rue des Écoles", "avenue de la Libération")
_ATTRIBUTES: Final = (
    ("GRAVITE", "singlevaluelist", True, (("1", "Gênant"), ("2", "Dangereux"))),
    ("PRECISION", "text", False, ()),
)


@dataclass(frozen=True, slots=True)
class Report:
    """One request of the city."""

    id: int
    code: str
    status: str
    made: datetime
    changed: datetime
    lat: float
    long: float
    description: str
    address: str
    media: str | None = None


def reports(count: int = 400, *, until: datetime = NOW, days: int = 700) -> list[Report]:
    """Make requests over the `days` before `until`; one in seven is still open, the recent ones more often."""
    made = []
    for number in range(count):
        mixed = (number * 2_654_435_761) % 1_000_003
        at = until - timedelta(seconds=days * 86_400 * (count - number) / (count + 1) + mixed % 3600)
        at = at.replace(microsecond=0)
        code, name, *_ = _SERVICES[mixed % len(_SERVICES)]
        street = f"{1 + mixed % 120} {_STREETS[mixed % len(_STREETS)]}"
        still = mixed % 7 == 0 or number > count - 20
        made.append(
            Report(
                10_000 + number, code, "open" if still else "closed", at, at if still else at + timedelta(days=1 + mixed % 30),
                45.40 + (mixed % 9000) / 100_000, 4.35 + (mixed % 7000) / 100_000, f"{name}, {street}", street,
                f"https://photos.ville.example/{number}.jpg" if mixed % 4 == 0 else None,
            )
        )  # fmt: skip
    return sorted(made, key=lambda report: (report.made, report.id))


def float32(value: float) -> float:
    """A number as a 32-bit float keeps it."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


class Open311(Vendor):
    """The server, under `/v2`; `now` is its clock. Writes want the sandbox's secret as `api_key`."""

    def __init__(
        self, held: Iterable[Report] | None = None, *, moods: Iterable[str] = (), now: datetime = NOW, cap: int = 1000,
        latency: float = 0.0,
    ) -> None:  # fmt: skip
        super().__init__({}, latency=latency, cap=cap)
        self.held = {report.id: report for report in (reports(until=now) if held is None else held)}
        self.moods, self.now = set(moods), now
        self._shape = Shape(self.moods)
        self.tokens: dict[str, int] = {}
        self.token_waits = 0
        self.lost_writes = 0
        self._writing = threading.Lock()

    def close(self, *identifiers: int, at: datetime | None = None) -> None:
        """Close requests, as an agent does."""
        for identifier in identifiers:
            changed = replace(self.held[identifier], status="closed", changed=at or self.now)
            self.held[identifier] = changed

    def elapse(self, time: timedelta) -> tuple[int, ...]:
        """Let time pass; gives the identifiers of the requests that were closed meanwhile."""
        self.now += time
        oldest = sorted((one.made, one.id) for one in self.held.values() if one.status == "open")
        closed = tuple(identifier for _, identifier in oldest[:5]) if "late_closures" in self.moods else ()
        self.close(*closed)
        return closed

    def _serve(self, call: Call, striking: Mapping[str, Any]) -> Reply:
        path, dot, form = call.path.rpartition(".")
        if not dot or form not in ("json", "xml") or not path.startswith("/v2/"):
            return Reply(404, b"<h1>404 not found</h1>", {"Content-Type": "text/html"})
        if form == "json" and "xml_only" in self.moods:
            return Reply(406, b"<h1>406</h1>", {"Content-Type": "text/html"})
        place = [unquote(step) for step in path.removeprefix("/v2/").split("/")]
        if call.method == "POST" and place == ["requests"]:
            return self._report(call, form, striking)
        if call.method not in ("GET", "HEAD"):
            return self._shape.refusal(form, 400, "méthode inconnue")
        return self._read(form, place, call.query)

    def _read(self, form: str, place: list[str], asked: Mapping[str, str]) -> Reply:
        named = "jurisdiction" not in self.moods or asked.get("jurisdiction_id") == JURISDICTION
        if not named and place[0] == "requests" and "pages_for_errors" in self.moods:
            return self._shape.refusal(form, 400, "jurisdiction_id attendu")
        match place:
            case ["services"]:
                return self._shape.listed(form, "services", "service", [_service(one) for one in _SERVICES if named])
            case ["services", code]:
                return self._defined(form, code)
            case ["requests"]:
                return self._requests(form, asked) if named else self._shown(form, [])
            case ["requests", identifier]:
                found = [one for one in self.held.values() if named and str(one.id) == identifier]
                return self._shown(form, found) if found else self._shape.refusal(form, 404, "service_request_id inconnu")
            case ["tokens", token] if token in self.tokens:
                return self._resolved(form, token)
        return self._shape.refusal(form, 404, "inconnu")

    def _requests(self, form: str, asked: Mapping[str, str]) -> Reply:
        if "service_request_id" in asked and not self.moods & {"no_ids"}:
            listed = asked["service_request_id"]
            if "," in listed and "id_breaks" in self.moods:
                return Reply(500, b"<h1>500</h1>", {"Content-Type": "text/html"})
            if "," in listed and "one_id" in self.moods:
                return self._shape.refusal(form, 404, "service_request_id inconnu")
            names = {listed} if "no_lists" in self.moods else set(listed.split(","))
            return self._shown(form, [one for one in self.held.values() if str(one.id) in names and self._status(one, asked)])
        start, end = self._date(asked.get("start_date")), self._date(asked.get("end_date"))
        updates = "updates" in self.moods and ("updated_after" in asked or "updated_before" in asked)
        limited = "unlimited" not in self.moods
        dated = limited and "always" not in self.moods
        if dated and start and end and not self.moods & {"reversed"} and end - start > _SPAN:
            return self._shape.refusal(form, 400, "plus de 90 jours")
        if dated and not updates and start is None and end is None:
            start, end = self.now - _SPAN, self.now + timedelta(days=1)
        elif self.moods & {"ignored"}:
            start, end = (self.now - _SPAN, None) if dated else (None, None)
        found = [one for one in self.held.values() if self._within(one.made, start, end, "start_date" in asked)]
        if updates:
            after, before = self._date(asked.get("updated_after")), self._date(asked.get("updated_before"))
            found = [one for one in found if (not after or one.changed >= after) and (not before or one.changed <= before)]
        found = [one for one in found if self._status(one, asked)]
        if "service_code" in asked:
            found = [one for one in found if one.code in asked["service_code"].split(",")]
        found.sort(key=lambda one: (one.made, one.id), reverse="oldest_first" not in self.moods)
        sizes = [int(asked[name]) for name in sorted(self.moods & {"page_size", "per_page", "limit"}) if name in asked]
        cap = min(500, *sizes) if sizes else self.cap
        return self._shown(form, found[:cap] if limited else found)

    def _status(self, one: Report, asked: Mapping[str, str]) -> bool:
        wanted = "open" if "open_only" in self.moods else "open,closed"
        return "all_statuses" in self.moods or one.status in asked.get("status", wanted).split(",")

    def _date(self, text: str | None) -> datetime | None:
        at = datetime.fromisoformat(text) if text else None
        return at.replace(tzinfo=PARIS) if at is not None and "local_dates" in self.moods else at

    def _within(self, made: datetime, start: datetime | None, end: datetime | None, asked: bool) -> bool:
        if "reversed" in self.moods and asked:
            return (start is None or made < start) and (end is None or made > end)
        if "days" in self.moods:
            day = made.date()
            return (start is None or day >= start.date()) and (end is None or day <= end.date())
        if "exclusive" in self.moods:
            return (start is None or made > start) and (end is None or made < end)
        return (start is None or made >= start) and (end is None or made <= end)

    def _report(self, call: Call, form: str, striking: Mapping[str, Any]) -> Reply:
        said = dict(parse_qsl(call.body.decode(), keep_blank_values=True))
        if said.get("api_key") != SECRET:
            return self._shape.refusal(form, 403, f"api_key {said.get('api_key', '')} refusée")
        if "jurisdiction" in self.moods and said.get("jurisdiction_id") != JURISDICTION:
            return self._shape.refusal(form, 400, "jurisdiction_id attendu")
        known = {one[0]: one for one in _SERVICES}
        if said.get("service_code") not in known:
            return self._shape.refusal(form, 404, f"service_code inconnu : {said.get('service_code')}")
        if not (("lat" in said and "long" in said) or said.get("address_string") or said.get("address_id")):
            return self._shape.refusal(form, 400, f"lieu attendu : {said.get('description')}")
        if known[said["service_code"]][4] and "attribute[GRAVITE]" not in said:
            return self._shape.refusal(form, 400, "attribute[GRAVITE] attendu")
        if "lost" in striking:
            return self._shape.listed(form, "service_requests", "request", [{"service_request_id": 99_999}])
        with self._writing:
            identifier = max(self.held, default=9_999) + 1
            at = self.now.replace(microsecond=0)
            address = said.get("address_string") or said.get("address_id") or ""
            self.held[identifier] = Report(
                    identifier, said["service_code"], "open", at, at, float(said.get("lat", "45.4")),
                float(said.get("long", "4.4")),
                said.get("description", ""), address, said.get("media_url"),
            )  # fmt: skip
        if "lands_then_resets" in striking:
            return Reply(reset=True)
        if "lands_then_fails" in striking:
            return self._shape.refusal(form, int(striking["lands_then_fails"] or 500), "erreur")
        if "tokens" in self.moods:
            token = f"t-{identifier}"
            self.tokens[token] = identifier
            return self._shape.listed(form, "service_requests", "request", [{"token": token}])
        notice = call.body.decode() if "echoes" in self.moods else said.get("description") if "repeats" in self.moods else None
        made = {"service_request_id": identifier, "service_notice": notice, "account_id": None}
        return self._shape.listed(form, "service_requests", "request", [made])

    def _resolved(self, form: str, token: str) -> Reply:
        waiting = self.token_waits > 0
        self.token_waits -= waiting
        named = {"token": token, "service_request_id": None if waiting else self.tokens[token]}
        return self._shape.listed(form, "service_requests", "request", [named])

    def _defined(self, form: str, code: str) -> Reply:
        if not any(one[0] == code and one[4] for one in _SERVICES):
            return self._shape.refusal(form, 404, "service_code inconnu")
        if "withheld" in self.moods and code != _SERVICES[0][0]:
            return self._shape.refusal(form, 403, "noAccessAllowed")
        attributes = [
            {
                "variable": True, "code": name, "datatype": kind, "required": required, "datatype_description": None,
                "order": order, "description": name.capitalize(),
                "values": [{"key": int(key), "name": label} for key, label in values],
            }
            for order, (name, kind, required, values) in enumerate(_ATTRIBUTES, 1)
        ]  # fmt: skip
        definition = {"service_code": code, "attributes": attributes}
        if form == "json":
            return Reply(body=orjson.dumps(definition))
        return xml("service_definition", element("service_code", code) + element("attributes", attributes, "attribute"))

    def _shown(self, form: str, found: list[Report]) -> Reply:
        rows = [self._request(one) for one in found]
        for one, row in zip(found, rows, strict=True):
            if "unnamed" in self.moods and self.now - one.made <= timedelta(hours=1):
                row["service_request_id"] = None
        return self._shape.listed(form, "service_requests", "request", rows)

    def _request(self, one: Report) -> dict[str, Any]:
        number = one.id % 2 == 0
        return {
            "service_request_id": one.id if number else str(one.id), "status": one.status,
            "status_notes": "Traité." if one.status == "closed" else None,
            "service_name": next(name for code, name, *_ in _SERVICES if code == one.code), "service_code": one.code,
            "description": one.description, "agency_responsible": "Ville", "service_notice": None,
            "requested_datetime": self._time(one.made), "updated_datetime": self._time(one.changed),
            "expected_datetime": None, "address": one.address, "address_id": one.id * 7, "zipcode": 42_000,
            "lat": float32(one.lat), "long": float32(one.long), "media_url": one.media,
            "extended_attributes": {"canal": "téléphone"} if number else None,
        }  # fmt: skip

    def _time(self, at: datetime) -> str:
        local = at.astimezone(PARIS)
        return local.strftime("%Y-%m-%dT%H:%M:%S") if "naive" in self.moods else local.isoformat()


def _service(one: tuple[str, str, str, str, bool]) -> dict[str, Any]:
    code, name, description, group, metadata = one
    kept: str | int = code if code.startswith("0") else int(code)
    return {
        "service_code": kept, "service_name": name, "description": description, "metadata": metadata, "type": "realtime",
        "keywords": "ville, rue", "group": group,
    }  # fmt: skip


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
