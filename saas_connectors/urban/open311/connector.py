"""Open311 GeoReport v2: the services of a city, their attributes, and the requests that people make, as three streams.

1. Services and their attributes are read whole. While the list of services is what it was, the attributes are asked for again
   once a week only; a list that did not move makes no page. A service that withholds its attributes speaks against
   completeness until a later read is refused them too: then it is a remark.
2. Requests are pulled by `pull`.
3. An endpoint that serves several jurisdictions may answer `[]` when none is named: `check` says so.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import pyarrow as pa

from saas_connectors.connector import (
    Catalog,
    Checked,
    Evidence,
    Exchange,
    Fetch,
    Json,
    Page,
    Reading,
    ReadPlan,
    Slice,
)
from saas_connectors.errors import Malformed, NotFound, Rejected, Unauthorized
from saas_connectors.records import pieces
from saas_connectors.urban.open311 import records
from saas_connectors.urban.open311.answers import Speech, is_error
from saas_connectors.urban.open311.pull import Pull
from saas_connectors.urban.open311.settings import DAY, Said, load

VERSION: Final = "1"
_AT_ONCE: Final = 20
_RECENT: Final = 7 * DAY


def make(name: str, settings: Mapping[str, Json]) -> "Open311":
    """Make the connector of one connection; raises `SettingsError`."""
    return Open311(name, load(name, settings))


@dataclass(frozen=True, slots=True)
class Open311:
    """The connector."""

    name: str
    said: Said
    version: str = VERSION

    def check(self) -> Exchange[Checked]:
        """Ask for the services, and for the last requests."""
        speech = self._speech()
        services, _ = records.services((yield from speech.ask("services", "services")))
        try:
            requests = yield from speech.ask("requests", "requests")
        except Malformed as page:
            raise page if self.said.settings.jurisdiction_id else _jurisdiction(page) from None
        remarks: list[tuple[str, str]] = []
        if (not services or not requests) and self.said.settings.jurisdiction_id is None:
            remarks.append(
                (
                    "Le serveur répond une liste vide : s'il sert plusieurs collectivités, réglez jurisdiction_id.",
                    "The server answers an empty list: if it serves several jurisdictions, set jurisdiction_id.",
                )
            )
        elif not services:
            remarks.append(
                (
                    "Le serveur ne donne aucun service : vérifiez jurisdiction_id.",
                    "The server gives no service: check jurisdiction_id.",
                )
            )
        if self.said.settings.format == "auto" and speech.form == "xml":
            remarks.append(("Le serveur ne parle pas JSON : il est lu en XML.", "The server speaks no JSON: XML is read."))
        return Checked(f"Open311 GeoReport v2 ({speech.form.upper()})", tuple(remarks))

    def discover(self) -> Exchange[Catalog]:
        """The three streams, known beforehand: nothing is asked."""
        yield from ()
        said = self.said
        return Catalog(
            tuple(records.stream(name, said.classes.get(name, {})) for name in records.STREAMS if name in said.names)
        )

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One a stream."""
        yield from ()
        return tuple(Slice(stream.name, (stream.name,)) for stream in plan.streams)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one stream; see the laws above."""
        (name,) = part.streams
        past = plan.cursors.get(name)
        if name == "requests":
            again = plan.modes.get(name) != "incremental"
            pull = Pull(self._speech(), self.said, int(plan.started_at.timestamp()), past, again)
            yield from pull.pages(position)
            return {name: pull.cursor()}
        if position is not None:
            return {name: position}
        return (yield from self._catalogue(name, past, int(plan.started_at.timestamp())))

    def _speech(self) -> Speech:
        said = self.said.settings
        return Speech.of(said.url, said.format, said.jurisdiction_id, said.params)

    def _catalogue(self, name: str, past: Json, started: int) -> Reading:
        """Read the services, or their attributes; one page, whose position is the cursor."""
        speech = self._speech()
        found = yield from speech.ask("services", "services")
        rows, invalid = records.services(found)
        untold, withheld = 0, list[str]()
        digest = hashlib.sha256(repr(rows).encode()).hexdigest()[:32]
        cursor: dict[str, Json] = {"services": digest, "read": started}
        if past and past.get("services") == digest and (name == "services" or started - past["read"] < _RECENT):
            yield Evidence(name, "unchanged", True, {"services": len(rows)})
            return {name: past}
        if name == "service_definitions":
            codes = [row["service_code"] for row in rows if row["metadata"]]
            rows, invalid, untold, withheld = yield from self._definitions(speech, codes)
        if withheld:
            news = set(withheld).difference((past or {}).get("withheld", ()))
            yield Evidence(name, "withheld", False if news else None, {"count": len(withheld), "new": len(news)})
            cursor |= {"withheld": withheld} | ({"read": 0} if news else {})
        if untold:
            yield Evidence(name, "vanished", False, {"count": untold})
            cursor["read"] = 0  # asked again by the next read
        if invalid:
            rules = {records.stream(name, {}).primary_key[-1]: invalid}
            yield Evidence(name, "invalid_records", False, {"count": invalid, "rules": rules})
        if rows:
            tables = list(pieces(pa.Table.from_pylist(rows, schema=records.STREAMS[name])))
            for table in tables[:-1]:
                yield Page(name, table)
            yield Page(name, tables[-1], cursor)
        return {name: cursor}

    def _definitions(self, speech: Speech, codes: Iterable[str]) -> Exchange[tuple[list[dict[str, Json]], int, int, list[str]]]:
        """The attributes of services, how many cannot be read, how many services gave a page in their stead, which withhold.

        A service that promises some and has none (400, 404), or withholds them (403), is passed over when the interface says
        so; not so a server that withholds all.
        """
        rows: list[dict[str, Json]] = []
        withheld: list[str] = []
        invalid = untold = given = 0
        left = [code for code in codes if code not in (".", "..")]
        while left:
            asked = [(code, f"services/{quote(code, safe='')}") for code in left[:_AT_ONCE]]
            requests = [speech.request(path) for _, path in asked]
            form = speech.form
            answers = yield Fetch(tuple(requests))
            for (code, path), request, response in zip(asked, requests, answers, strict=True):
                try:
                    if speech.form == form:
                        told = yield from speech.told("service_definition", path, (), request, response)
                    else:  # an answer before this one showed that the server does not speak JSON
                        told = yield from speech.ask("service_definition", path)
                except (NotFound, Rejected, Unauthorized) as refusal:
                    last = asked[-1][0] == code and len(left) <= _AT_ONCE
                    if response.status not in (400, 403, 404) or (response.status == 403 and last and not given):
                        raise refusal from None
                    if not (is_error("json", response) or is_error("xml", response)):
                        untold += 1
                    elif response.status == 403:
                        withheld.append(code)
                    continue
                given += 1
                for definition in told:
                    attributes, wrong = records.definitions(code, definition)
                    rows, invalid = rows + attributes, invalid + wrong
            left = left[_AT_ONCE:]
        return rows, invalid, untold, withheld


def _jurisdiction(page: Malformed) -> Malformed:
    """Say what may be wrong where services are listed and requests are not (a server answers a page to who names no city)."""
    told = dict(page.fields)
    told["expected_fr"] = f"{told['expected_fr']} ; si le serveur sert plusieurs collectivités, réglez jurisdiction_id"
    told["expected_en"] = f"{told['expected_en']}; if the server serves several jurisdictions, set jurisdiction_id"
    return Malformed(**told)
