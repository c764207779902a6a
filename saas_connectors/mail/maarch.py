"""MaarchCourrier, by its REST interface (21.03 and later): letters, their files, attachments and notes, and what they refer to.

1. Lists of letters are asked by SQL conditions and followed by `res_id`; rows are held against what was asked (`maarch_walk`).
2. Closures and deletions move no date: surveys find them (`maarch_survey`, `maarch_planning`).
3. A file is fetched once for each content, and checked against its fingerprint (`maarch_files`).
4. A route or a privilege that the account lacks stops its own stream, and is named as the vendor writes it (`maarch_calls`);
   `check` tells all of them.
5. No page of an error is shown or kept: Maarch's show the password.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from saas_connectors.answer import accept, decode
from saas_connectors.connector import (
    Catalog,
    Checked,
    Class,
    Exchange,
    Fetch,
    Json,
    Reading,
    ReadPlan,
    Slice,
)
from saas_connectors.errors import Malformed, Unauthorized, VendorError
from saas_connectors.mail.maarch_attached import ROUTES, Attached
from saas_connectors.mail.maarch_calls import LIST, Calls, ListRefused, admit, rows
from saas_connectors.mail.maarch_files import algorithm_of
from saas_connectors.mail.maarch_letters import CONTENT, Letters
from saas_connectors.mail.maarch_planning import Planning
from saas_connectors.mail.maarch_referred import Referred, request, route
from saas_connectors.mail.maarch_rights import tried
from saas_connectors.mail.maarch_settings import Settings, load
from saas_connectors.mail.maarch_streams import CORE, GROUP, OPTIONAL, STREAMS, WORDS, number, stream
from saas_connectors.request import Request, Response
from saas_connectors.stream_settings import StreamSettings

VERSION: Final = "1"
Remark = tuple[str, str]
_CHANGE_KEY: Final = (
    "Maarch garde la clé de chiffrement de son installation (changeKey) : ses jetons sont devinables ; faites-la changer.",
    "Maarch still has the encryption key of its installation (changeKey): its tokens can be guessed; have it changed.",
)
_MIGRATING: Final = (
    "Maarch est en cours de mise à jour : il refuse tout le reste (503) jusqu'à ce qu'elle soit finie.",
    "Maarch is being updated: it refuses everything else (503) until that is over.",
)
_NOTHING: Final = (
    "Ce compte ne voit aucun courrier : la clause de son groupe est sans doute restée à « 1=0 », celle des services web.",
    "This account sees no letter: the clause of its group is probably still `1=0`, that of web services.",
)
_CLAUSE: Final = (
    "Maarch échoue à lister les courriers : une clause des groupes du compte est peut-être fausse, ou celle du premier, vide.",
    "Maarch fails to list letters: a clause of the account's groups may be wrong, or that of the first empty.",
)
_ALTERED: Final = (
    "Un fichier servi diffère de son empreinte : si Maarch y met un filigrane, ou le chiffre, réglez verify = false.",
    "A file that is served differs from its fingerprint: if Maarch marks its files, or encrypts them, set verify = false.",
)
_UNCHECKED: Final = (
    "Les empreintes des fichiers ne sont pas des SHA-512 : les fichiers seront gardés sans être contrôlés.",
    "The fingerprints of files are not SHA-512: files will be kept without being checked.",
)


def make(name: str, settings: Mapping[str, Json]) -> "Maarch":
    """Make the connector of one connection; raises `SettingsError`."""
    asked, names, tables, classes = load(name, settings)
    return Maarch(name, asked, tuple(each for each in STREAMS if each in names), tables, classes)


@dataclass(frozen=True, slots=True)
class Maarch:
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
        return Calls(self.settings.root, self.settings.where)

    def check(self) -> Exchange[Checked]:
        """Read what the server says of itself, then try the routes of streams and writes; what cannot be done is remarked."""
        asked = self.calls.get("authenticationInformations")
        (response,) = yield Fetch((asked,))
        accept(asked, response)
        told = decode(asked, response)
        vendor, remarks = _said(told)
        if isinstance(told, dict) and told.get("migrating") is True:
            return Checked(vendor, (*remarks, _MIGRATING))
        letter: int | None = None
        if self._lettered:
            found, letter = yield from self._check_letters()
            remarks += found
        for name in self.names:
            if STREAMS[name].group is None and name not in ROUTES:
                remarks += yield from _tried(request(self.calls, name), route(name), name)
        remarks += yield from tried(self.calls, self.settings.writes, letter)
        return Checked(vendor, tuple(dict.fromkeys(remarks)))

    def discover(self) -> Exchange[Catalog]:
        """Describe the streams; the server is asked once, for the columns it has."""
        columns: tuple[str, ...] | None = None
        if self._lettered:
            columns = yield from self._columns()
        else:
            asked = request(self.calls, self.names[0])  # a wrong credential is found here, by one request
            (response,) = yield Fetch((asked,))
            admit(asked, response, route(self.names[0]))
        made = []
        for name in self.names:
            said, classes = self.tables.get(name, StreamSettings()), self.classes.get(name, {})
            made.append(stream(name, said, classes, columns if name == "resources" else None))
        return Catalog(tuple(made), WORDS)

    def slices(self, plan: ReadPlan) -> Exchange[tuple[Slice, ...]]:
        """Survey the letters and cut them; one part for each of the other streams."""
        made: list[Slice] = []
        for each in plan.streams:
            if each.name in ROUTES:
                made.append(Attached(self.calls, self.settings, each).slice(plan))
            elif each.group is None:
                made.append(Slice(each.name, (each.name,)))
        letters = tuple(each for each in plan.streams if each.group == GROUP)
        if letters:
            made[:0] = yield from Planning(self.calls, self.settings, letters).slices(plan)
        return tuple(made)

    def read(self, plan: ReadPlan, part: Slice, position: Json) -> Reading:
        """Pull one part; see the laws above."""
        streams = tuple(each for each in plan.streams if each.name in part.streams)
        if streams[0].group == GROUP:
            return (yield from Letters(self.calls, self.settings).read(part, streams, position))
        reader = Attached if streams[0].name in ROUTES else Referred
        return (yield from reader(self.calls, self.settings, streams[0]).read(part, position))

    @property
    def _lettered(self) -> bool:
        return any(STREAMS[name].group == GROUP or name in ROUTES for name in self.names)

    def _columns(self) -> Exchange[tuple[str, ...]]:
        """The columns of letters that this server has: all, or those it accepts one by one."""
        whole = (*CORE, *OPTIONAL)
        if (yield from self._takes(whole)):
            return whole
        if not (yield from self._takes(CORE)):
            asked = self.calls.list(CORE, limit=1)
            raise ListRefused(method=asked.method, path="/rest/res/list", status=400)
        tried = [self.calls.list(("res_id", name), limit=1) for name in OPTIONAL]
        answers = yield Fetch(tuple(tried))
        taken = [_listed(*each) for each in zip(tried, answers, strict=True)]
        return (*CORE, *(name for name, accepted in zip(OPTIONAL, taken, strict=True) if accepted))

    def _takes(self, columns: tuple[str, ...]) -> Exchange[bool]:
        asked = self.calls.list(columns, limit=1)
        (response,) = yield Fetch((asked,))
        return _listed(asked, response)

    def _check_letters(self) -> Exchange[tuple[list[Remark], int | None]]:
        """What is to be said of letters, and the number of one."""
        columns = yield from self._columns_or_remark()
        if isinstance(columns, list):
            return columns, None
        asked = self.calls.list(columns, limit=1)
        (response,) = yield Fetch((asked,))
        found = rows(asked, response, LIST, "resources")
        identifier = number(found[0].get("res_id")) if found else None
        if identifier is None:
            return [_NOTHING], None
        remarks: list[Remark] = []
        fingerprint = found[0].get("fingerprint")
        if "documents" in self.names and self.settings.verify and fingerprint and len(str(fingerprint)) not in (64, 128):
            remarks.append(_UNCHECKED)
        for name in self.names:
            if name in ROUTES:
                remarks += yield from _tried(self.calls.get(f"resources/{identifier}/{name}"), ROUTES[name], name)
        if "documents" in self.names and (found[0].get("filename") or fingerprint):
            probe = self.calls.get(f"resources/{identifier}/originalContent", document=True)
            (served,) = yield Fetch((probe,))
            remarks += _told(probe, served, CONTENT, "documents")
            algorithm = algorithm_of(str(fingerprint)) if self.settings.verify and fingerprint else None
            if algorithm and 200 <= served.status < 300:
                altered = hashlib.new(algorithm, served.body).hexdigest() != str(fingerprint).lower()
                remarks += [_ALTERED] if altered else []
        return remarks, identifier

    def _columns_or_remark(self) -> Exchange[tuple[str, ...] | list[Remark]]:
        try:
            return (yield from self._columns())
        except Unauthorized:
            raise
        except VendorError as fault:
            if isinstance(fault, Malformed):
                raise
            failed = isinstance(status := fault.fields.get("status"), int) and status >= 500
            return [_unread("resources", fault), *([_CLAUSE] if failed else [])]


def _listed(asked: Request, response: Response) -> bool:
    """Whether a list is accepted; errors: all others than the refusal of its condition or columns."""
    try:
        rows(asked, response, LIST, "resources")
    except ListRefused:
        return False
    return True


def _tried(asked: Request, named: str, name: str) -> Exchange[list[Remark]]:
    """Call a route once; what stops it is a remark, a refused credential is raised."""
    (response,) = yield Fetch((asked,))
    return _told(asked, response, named, name)


def _told(asked: Request, response: Response, named: str, name: str) -> list[Remark]:
    try:
        admit(asked, response, named)
    except VendorError as fault:
        if response.status == 401:
            raise
        return [_unread(name, fault)]
    return []


def _unread(name: str, fault: VendorError) -> Remark:
    said = {language: fault.diagnostics(language) for language in ("fr", "en")}
    return (
        f"Le flux « {name} » ne peut pas être lu. {said['fr'].what} {said['fr'].todo}",
        f"Stream `{name}` cannot be read. {said['en'].what} {said['en'].todo}",
    )


def _said(told: Json) -> tuple[str, list[Remark]]:
    """What the server is, by its own words, cleaned."""
    if not isinstance(told, dict):
        return "MaarchCourrier", []
    named = [told.get(name) for name in ("applicationName", "version", "applicationVersion")]
    words = [word for word in named if isinstance(word, str) and word.isprintable() and 0 < len(word) <= 60]
    vendor = f"MaarchCourrier ({' '.join(words)})" if words else "MaarchCourrier"
    return vendor, [_CHANGE_KEY] if told.get("changeKey") is True else []
