"""What stands under letters: attachments with their files, and notes.

1. Only the letters that have some are asked for them: the list's clause looks in the tables of attachments and notes. Maarch's
   own perimeters are written so; a server that refuses it is asked for every letter in a full read.
2. An incremental read asks the letters with an attachment or a note that was added or changed since the last copy, by its date
   or by the vendor's history, `lookback` included; looking at one is no change. The two clocks must agree within `lookback`.
3. The vendor lists what there is, not what is gone: an attachment or a note that was deleted leaves the copy at the next full
   read, which the engine makes every week.
4. A letter that may no longer be seen keeps what was held of it, and is told.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Evidence, Json, Page, Reading, ReadPlan, Slice, Stream
from saas_connectors.mail.maarch_calls import OUT, Calls, ListRefused, rows, sentence
from saas_connectors.mail.maarch_files import AT_ONCE, Files, Wanted, batches
from saas_connectors.mail.maarch_planning import local
from saas_connectors.mail.maarch_settings import Settings
from saas_connectors.mail.maarch_streams import Tables, number
from saas_connectors.mail.maarch_walk import Walk

ROUTES: Final = {"attachments": "GET/resources/{resId}/attachments", "notes": "GET/resources/{resId}/notes"}
FILE: Final = "GET/attachments/{id}/originalContent"
_HAVING: Final = {
    "attachments": "res_id IN (SELECT res_id_master FROM res_attachments WHERE status NOT IN ('DEL', 'OBS'))",
    "notes": "res_id IN (SELECT identifier FROM notes)",
}
_TOLD: Final = (
    "(SELECT record_id FROM history WHERE table_name = '{table}' AND event_type <> 'VIEW' AND event_date >= '{since}')"
)
_SINCE: Final = {
    "attachments": "res_id IN (SELECT res_id_master FROM res_attachments WHERE modification_date >= '{since}' "
    "OR CAST(res_id AS varchar) IN {told})",
    "notes": "res_id IN (SELECT identifier FROM notes WHERE creation_date >= '{since}' OR CAST(id AS varchar) IN {told})",
}
_TABLES: Final = {"attachments": "res_attachments", "notes": "notes"}
_MOVED: Final = "modification_date >= '{since}' OR creation_date >= '{since}'"


@dataclass(frozen=True, slots=True)
class Attached:
    """Plans and reads one of the two streams."""

    calls: Calls
    settings: Settings
    stream: Stream

    def slice(self, plan: ReadPlan) -> Slice:
        """One part: letters are asked several at once."""
        name = self.stream.name
        past = plan.cursors.get(name)
        since = self._since(past) if plan.modes[name] == "incremental" else None
        return Slice(name, (name,), {"since": since, "at": plan.started_at.astimezone(UTC).isoformat()})

    def read(self, part: Slice, position: Json) -> Reading:
        """Ask the letters that have some, in their order."""
        name, since = self.stream.name, part.detail["since"]
        start = position or {"after": 0, "plain": False}
        yield from self._walked(since, start["after"], plain=start["plain"])
        return {name: {"at": part.detail["at"]}}

    def _since(self, past: Json) -> str | None:
        try:
            at = datetime.fromisoformat(past["at"])
        except (KeyError, TypeError, ValueError):
            return None
        return local(at - timedelta(seconds=self.settings.lookback), self.settings.server_zone)

    def _walked(self, since: str | None, after: int, *, plain: bool) -> Answer[None]:
        name = self.stream.name
        walk = self._walk(since, after, plain=plain)
        reader = _Reader(self)
        while True:
            try:
                letters = yield from walk.page()
            except ListRefused:
                if plain or walk.after:
                    raise
                plain, walk = True, self._walk(since, after, plain=True)
                yield Evidence(name, "filter_ignored", None, {"filter": "subquery"})
                continue
            for check, holds, detail in walk.facts:
                yield Evidence(name, check, holds, detail)
            walk.facts.clear()
            if not letters:
                return
            for at in range(0, len(letters), AT_ONCE):
                asked = [identifier for identifier, _ in letters[at : at + AT_ONCE]]
                yield from reader.pages(asked, {"after": asked[-1], "plain": plain})

    def _walk(self, since: str | None, after: int, *, plain: bool) -> Walk:
        if plain:
            conditions: tuple[str, ...] = (_MOVED.format(since=since),) if since else ()
        elif since:
            name = self.stream.name
            conditions = (_SINCE[name].format(since=since, told=_TOLD.format(since=since, table=_TABLES[name])),)
        else:
            conditions = (_HAVING[self.stream.name],)
        return Walk(self.calls, ("res_id",), self.settings.limit, after, None, conditions)


class _Reader:
    """Turns letters into the rows that stand under them."""

    def __init__(self, attached: Attached) -> None:
        self.calls, self.name = attached.calls, attached.stream.name
        self.tables = Tables(self.name, attached.stream.schema, attached.settings.server_zone)
        self.files = Files("attachments", FILE, verify=False)

    def pages(self, letters: Sequence[int], position: Json) -> Answer[None]:
        """Ask some letters at once; the last page bears the position."""
        requests = [self.calls.get(f"resources/{each}/{self.name}") for each in letters]
        responses = yield from fetch(*requests)
        found: list[Mapping[str, Any]] = []
        unseen = 0
        for letter, request, response in zip(letters, requests, responses, strict=True):
            if response.status == 403 and sentence(response) == OUT:
                unseen += 1
                continue
            held = rows(request, response, ROUTES[self.name], self.name)
            found += [{**row, "resIdMaster": letter, "identifier": letter} for row in held if self._sound(row)]
        if unseen:
            yield Evidence(self.name, "vanished", False, {"count": unseen, "hidden": 0, "unsure": unseen})
        if self.name == "attachments":
            yield from self._filed(found, position)
        else:
            yield from self._page(found, position)

    def _sound(self, row: Mapping[str, Any]) -> bool:
        return number(row.get("resId" if self.name == "attachments" else "id")) is not None

    def _filed(self, found: list[Mapping[str, Any]], position: Json) -> Answer[None]:
        wanted = [self._wanted(row) for row in found]
        held = yield from self.files.held(wanted)
        parts = list(batches(wanted, held)) or [slice(0, 0)]
        for part in parts:
            taken = yield from self.files.take(wanted[part], held)
            made = [
                {
                    **row,
                    "state": each.state,
                    "document": each.filed.document if each.filed else None,
                    "size": each.filed.size if each.filed else None,
                    "sha256": each.filed.sha256 if each.filed else None,
                }
                for row, each in zip(found[part], taken, strict=True)
            ]
            for state, count in sorted(self.files.troubles.items()):
                yield Evidence(self.name, f"document_{state}", False, {"count": count})
            self.files.troubles.clear()
            yield from self._page(made, position if part is parts[-1] else None)

    def _wanted(self, row: Mapping[str, Any]) -> Wanted:
        identifier = number(row["resId"])
        when = row.get("modificationDate") or row.get("creationDate")
        tag = f"attachment:{identifier}:{row.get('relation')}:{when}"
        request = self.calls.get(f"attachments/{identifier}/originalContent", document=True)
        return Wanted(request, f"attachment-{identifier}", tag if when else None)

    def _page(self, found: Sequence[Mapping[str, Any]], position: Json) -> Answer[None]:
        made = self.tables.table(found)
        if self.tables.suspect:
            count, self.tables.suspect = self.tables.suspect, 0
            yield Evidence(self.name, "suspect_values", None, {"count": count, "rules": {"type": count}})
        yield Page(self.name, made, position)
