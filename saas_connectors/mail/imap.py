"""Mailboxes, by IMAP (RFC 9051, RFC 3501, CONDSTORE and QRESYNC of RFC 7162): folders, messages, attachments.

1. Requests are the commands of `sovereign/egress/imap.py`, answers the server's own words: nothing here holds a session.
2. What changed is found by each folder's state (`imap_planning`); a mailbox where nothing moved costs a few requests.
3. Messages and attachments are documents, fetched once each (`imap_messages`). No flag is ever set.
4. Trash and Junk are left out unless a setting names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from saas_connectors.asking import Answer
from saas_connectors.connector import (
    Catalog,
    Checked,
    Class,
    Evidence,
    Exchange,
    Json,
    Page,
    Reading,
    ReadPlan,
    Slice,
)
from saas_connectors.mail.imap_calls import UNREADABLE, Calls, Folder
from saas_connectors.mail.imap_messages import Messages, removal
from saas_connectors.mail.imap_names import decoded
from saas_connectors.mail.imap_planning import Planning
from saas_connectors.mail.imap_settings import Settings, load
from saas_connectors.mail.imap_streams import GROUP, stream, table
from saas_connectors.records import pieces
from saas_connectors.stream_settings import StreamSettings

VERSION: Final = "1"
_SLOW: Final = (
    "Ce serveur n'a pas CONDSTORE : à chaque lecture, tous les UID et les drapeaux sont demandés.",
    "This server has no CONDSTORE: all UIDs and flags are asked for at each read.",
)
_NONE: Final = (
    "Aucun dossier n'est lu : voyez « include » et « exclude ».",
    "No folder is read: see `include` and `exclude`.",
)


def make(name: str, settings: Mapping[str, Json]) -> "Imap":
    """Make the connector of one connection; raises `SettingsError`."""
    return Imap(name, *load(name, settings))


@dataclass(frozen=True, slots=True)
class Imap:
    """The connector; `names` are the streams it offers, `tables` and `classes` what was said of some."""

    name: str
    settings: Settings
    names: tuple[str, ...]
    tables: Mapping[str, StreamSettings]
    classes: Mapping[str, Mapping[str, Class]]
    version: str = VERSION

    @property
    def calls(self) -> Calls:
        """The requests of this connection."""
        return Calls(self.settings.root)

    def check(self) -> Exchange[Checked]:
        """Log in, ask what the server can do, and list the folders."""
        return self._checked()  # type: ignore[return-value] # it only fetches

    def discover(self) -> Exchange[Catalog]:
        """Describe the streams, known beforehand; a wrong credential is found here, by one request."""
        return self._discovered()  # type: ignore[return-value] # it only fetches

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """One part for each folder that moved, one that bears the cursor, one for the folders themselves."""
        return self._sliced(plan)  # type: ignore[return-value] # it only fetches

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one part; see the laws above."""
        del plan
        if part.key == "folders":
            return {} if position else (yield from self._folders())
        if part.key == GROUP:
            return (yield from self._end(part, position))
        return (yield from Messages(self.calls, self.settings, part).read(position))

    def _checked(self) -> Answer[Checked]:
        able = yield from self.calls.capabilities()
        listed = yield from self.calls.folders(able)
        remarks = [] if able & {"CONDSTORE", "QRESYNC"} else [_SLOW]
        if not any(self.settings.wants(each.name, each.flags) for each in listed):
            remarks.append(_NONE)
        return Checked("IMAP", tuple(remarks))

    def _discovered(self) -> Answer[Catalog]:
        yield from self.calls.capabilities()
        said = {name: self.tables.get(name, StreamSettings()) for name in self.names}
        return Catalog(tuple(stream(name, said[name], self.classes.get(name, {})) for name in self.names))

    def _sliced(self, plan: ReadPlan) -> Answer[tuple[Slice, ...]]:
        made: tuple[Slice, ...] = ()
        if any(each.group == GROUP for each in plan.streams):
            made = yield from Planning(self.calls, self.settings).slices(plan)
        if any(each.group is None for each in plan.streams):
            made = (*made, Slice("folders", ("folders",)))
        return made

    def _end(self, part: Slice, position: Json) -> Reading:
        """Remove what stood in folders that are gone, weigh the counts, and give the cursor."""
        detail = part.detail
        done = position["gone"] if position else 0
        if not done:
            for count in detail["counts"]:
                if "messages" in part.streams:
                    yield Evidence("messages", "vendor_count", None, {"count": count})
            if detail["unread"]:
                for name in part.streams:
                    yield Evidence(name, "vanished", False, {"count": detail["unread"], "folders": True})
        for n, (raw, validity, uids) in enumerate(detail["gone"][done:], done + 1):
            yield from removal(part, decoded(raw.encode("latin-1")), validity, uids, {"gone": n})
        return {name: {"folders": detail["cursor"]} for name in part.streams}

    def _folders(self) -> Reading:
        able = yield from self.calls.capabilities()
        listed = yield from self.calls.folders(able)
        named: dict[str, Folder] = {}
        for each in listed:
            named.setdefault(each.name, each)
        unreadable = sum(UNREADABLE in each.flags for each in listed) + len(listed) - len(named)
        if unreadable:
            yield Evidence("folders", "invalid_records", False, {"count": unreadable, "rules": {"name": unreadable}})
        rows = [
            {
                "name": each.name, "server_name": each.raw, "flags": sorted(each.flags), "delimiter": each.delimiter,
                "read": self.settings.wants(each.name, each.flags),
                "uidvalidity": each.validity or None, "uidnext": each.next or None, "highestmodseq": each.modseq or None,
                "messages": each.messages if each.known else None, "unseen": each.unseen if each.known else None,
            }
            for each in named.values()
        ]  # fmt: skip
        *others, last = pieces(table("folders", rows))
        for one in others:
            yield Page("folders", one)
        yield Page("folders", last, {"done": True})
        return {}
