"""What is asked of a directory and how it answers: searches, page after page, its root, one entry; never more than it said.

1. Names of entries are in bodies alone. The address is that of the server: no log shows whom a request is about.
2. An answer is entries, or it is malformed: what has no entries is no empty list.
3. A limit of the server (413) is a fault: what came before is not the whole. A walk whose session is lost (410) starts again.
4. Attributes given by halves (`member;range=0-1499`) are asked for to their end.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Literal

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.asking import Answer, fetch
from saas_connectors.connector import Exchange, Fetch, Json, Page
from saas_connectors.errors import Malformed, ResumeLost, VendorError
from saas_connectors.identity.ldap import names
from saas_connectors.identity.ldap.filters import Tree
from saas_connectors.payloads import encode
from saas_connectors.request import Request, Response

Scope = Literal["base", "one", "subtree"]
DIRSYNC: Final = "1.2.840.113556.1.4.841"
SHOW_DELETED: Final = "1.2.840.113556.1.4.417"
ACTIVE_DIRECTORY: Final = frozenset({"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1851"})
ANY: Final[Tree] = {"present": "objectClass"}
BINARY: Final = ("objectGUID", "objectSid", "invocationId", "tokenGroups")
_JSON: Final = ("Content-Type", "application/json")
_ROOT: Final = (
    "supportedControl", "supportedCapabilities", "namingContexts", "defaultNamingContext", "dnsHostName",
    "highestCommittedUSN", "dsServiceName", "vendorName", "objectClass",
)  # fmt: skip
_RANGE: Final = re.compile(r"(.+);range=(\d{1,10})-(\d{1,10}|\*)", re.IGNORECASE)
_ANSWER: Final = 64 << 20
_TOKEN: Final = 1 << 20
"""The longest token of DIRSYNC, in base64: 24 bytes for each domain controller there ever was."""
_MOST_PAGES: Final = 20_000


class Limited(VendorError):
    """The directory stopped at a limit of its own."""

    code = "vendor.limited"
    fr = "L'annuaire s'est arrêté à une de ses limites ({status}) : ce qu'il a donné n'est pas le tout, rien n'en est gardé."
    en = "The directory stopped at one of its limits ({status}): what it gave is not the whole, none of it is kept."
    todo_fr = "Relevez la limite du compte chez l'annuaire (« limits » d'OpenLDAP), ou baissez « page »."
    todo_en = "Raise the account's limit in the directory (`limits` of OpenLDAP), or lower `page`."


class NoBase(VendorError):
    """The directory does not show an entry that something is looked for below."""

    code = "vendor.no_base"
    fr = "L'annuaire ne montre pas l'une des entrées sous lesquelles chercher ({status})."
    en = "The directory does not show one of the entries to look below ({status})."
    todo_fr = "Vérifiez « bases » et « destinations », puis ce que le compte a le droit de voir."
    todo_en = "Check `bases` and `destinations`, then what the account may see."


class Denied(VendorError):
    """The account may not ask the directory what changed."""

    code = "vendor.dirsync_denied"
    fr = "L'annuaire refuse à ce compte de lui dire ce qui a changé par DIRSYNC ({status})."
    en = "The directory denies this account what changed by DIRSYNC ({status})."
    todo_fr = "Donnez au compte le droit « Réplication des changements d'annuaire », ou laissez « changes » à « auto »."
    todo_en = "Give the account the right `Replicating Directory Changes`, or leave `changes` at `auto`."


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: its name, and its attributes by name in lower case; values are text, or bytes."""

    dn: str
    attributes: Mapping[str, tuple[str | bytes, ...]]

    def values(self, name: str) -> tuple[str, ...]:
        """The texts of an attribute."""
        return tuple(value for value in self.attributes.get(name.lower(), ()) if isinstance(value, str))

    def text(self, name: str) -> str | None:
        """The first text of an attribute."""
        return next(iter(self.values(name)), None)

    def raw(self, name: str) -> bytes | str | None:
        """The first value of an attribute, as it came."""
        return next(iter(self.attributes.get(name.lower(), ())), None)

    def number(self, name: str) -> int | None:
        """The first value of an attribute as an integer of 64 bits, None when it is none."""
        held = self.text(name)
        if held is None or re.fullmatch(r"-?\d{1,19}", held) is None:
            return None
        return int(held) if abs(int(held)) < 1 << 63 else None

    def onward(self, name: str) -> tuple[tuple[str, ...], int | None]:
        """The texts of an attribute that may come by halves, and where to go on (None: they are whole)."""
        found, after = self.values(name), None
        for held in self.attributes:
            cut = _RANGE.fullmatch(held)
            if cut is not None and cut[1] == name.lower():
                found += self.values(held)
                after = None if cut[3] == "*" else int(cut[3]) + 1
        return found, after


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave. `more`: DIRSYNC has more, to be asked with `dirsync`, its cookie."""

    entries: tuple[Entry, ...]
    cookie: str = ""
    dirsync: str = ""
    more: bool = False
    referrals: int = 0


@dataclass(frozen=True, slots=True)
class Root:
    """What the server says that it is. `server`: what names this very one; `usn`: how far its changes are counted."""

    active: bool
    contexts: tuple[str, ...]
    default: str
    host: str
    server: str = ""
    usn: int = 0
    controls: frozenset[str] = field(default_factory=frozenset)
    service: str = ""


def search(
    url: str, base: str, tree: Tree, attributes: Sequence[str], *, scope: Scope = "subtree", page: int | None = None,
    cookie: str = "", dirsync: str | None = None, show_deleted: bool = False,
) -> Request:  # fmt: skip
    """Ask for entries. dirsync: the cookie of the last answer, empty at first; None where changes are not asked for."""
    body: dict[str, Json] = {
        "base": base, "scope": scope, "filter": tree, "attributes": list(attributes), "binary": list(BINARY)
    }  # fmt: skip
    if page is not None:
        body["page"] = page
    if cookie:
        body["cookie"] = cookie
    if dirsync is not None:
        body["dirsync"] = {"flags": 0, "max": 1 << 20, "cookie": dirsync}
    if show_deleted:
        body["show_deleted"] = True
    return Request("SEARCH", f"{url}/", headers=(_JSON,), body=encode(body), max_bytes=_ANSWER, reads=True)


def write(url: str, method: Literal["MODIFY", "MOVE", "ADD"], **said: Json) -> Request:
    """Ask for a change."""
    return Request(method, f"{url}/", headers=(_JSON,), body=encode(said))


def read(request: Request, response: Response, stream: str = "", *, below: bool = False) -> Found:
    """Read what a search gave; raises `VendorError`, `ResumeLost`. below: it looked below an entry of the settings."""
    if response.status == 404 and below:
        raise NoBase(method=request.method, path="/", status=404)
    if response.status == 410:
        raise ResumeLost(stream=stream)
    if response.status == 413:
        raise Limited(method=request.method, path="/", status=413)
    accept(request, response)
    found = decode(request, response)
    listed = found.get("entries") if isinstance(found, dict) else None
    if not isinstance(found, dict) or not isinstance(listed, list):
        raise _strange(request, response)
    entries = tuple(_entry(request, response, one) for one in listed)
    cookie, changes, referrals = found.get("cookie", ""), found.get("dirsync"), found.get("referrals", 0)
    changes = {} if changes is None else changes
    if not isinstance(cookie, str) or not isinstance(changes, dict) or type(referrals) is not int:
        raise _strange(request, response)
    token, more = changes.get("cookie", ""), changes.get("more", False)
    if not isinstance(token, str) or len(token) > _TOKEN or not isinstance(more, bool):
        raise _strange(request, response)
    return Found(entries, cookie, token, more, referrals)


def _entry(request: Request, response: Response, one: Any) -> Entry:  # noqa: ANN401 - any JSON
    held = one.get("attributes") if isinstance(one, dict) else None
    if not isinstance(held, dict) or not isinstance(one.get("dn"), str):
        raise _strange(request, response)
    made: dict[str, tuple[str | bytes, ...]] = {}
    for name, values in held.items():
        if not isinstance(values, list):
            raise _strange(request, response)
        made[name.lower()] = tuple(_value(request, response, value) for value in values)
    return Entry(names.plain(one["dn"]), made)


def _value(request: Request, response: Response, value: Any) -> str | bytes:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value
    try:
        return base64.b64decode(value["base64"], validate=True)
    except (TypeError, KeyError, ValueError, binascii.Error):
        raise _strange(request, response) from None


def _strange(request: Request, response: Response) -> Malformed:
    return malformed(request, response, "les entrées d'un annuaire étaient attendues", "entries of a directory were expected")


def ask(request: Request, *, below: bool = False) -> Exchange[Found]:
    """Send one search, outside of a read."""
    (response,) = yield Fetch((request,))
    return read(request, response, below=below)


def gather(url: str, bases: Sequence[str], tree: Tree, attributes: Sequence[str], page: int) -> Exchange[tuple[Entry, ...]]:
    """Give all entries of a search below some bases, outside of a read; one that loses its session starts again, once."""
    found: list[Entry] = []
    for base in bases:
        cookie, start, lost = "", len(found), False
        for turned in count(1):
            request = search(url, base, tree, attributes, page=page, cookie=cookie)
            (response,) = yield Fetch((request,))
            if response.status == 410 and not lost:
                del found[start:]
                cookie, lost = "", True
                continue
            told = read(request, response, below=True)
            found += told.entries
            if not told.cookie:
                break
            cookie = _onward(request, response, told, cookie, turned)
    return tuple(found)


def root(url: str) -> Exchange[Root]:
    """Ask what the server is; raises `VendorError`."""
    request = search(url, "", ANY, _ROOT, scope="base")
    (response,) = yield Fetch((request,))
    told = read(request, response)
    if len(told.entries) != 1:
        raise _strange(request, response)
    (entry,) = told.entries
    contexts = entry.values("namingContexts")
    capable = frozenset(entry.values("supportedCapabilities")) & ACTIVE_DIRECTORY
    default = entry.text("defaultNamingContext") or next(iter(contexts), "")
    made = Root(
        bool(capable), contexts, default, entry.text("dnsHostName") or "", usn=entry.number("highestCommittedUSN") or 0,
        controls=frozenset(entry.values("supportedControl")), service=entry.text("dsServiceName") or "",
    )  # fmt: skip
    if not made.active:
        return made
    return _named(made, (yield from _invocation(url, made)))


def _invocation(url: str, told: Root) -> Exchange[str]:
    """The identity of the server's own copy (invocationId), where it may be read."""
    if not told.service:
        return ""
    request = search(url, told.service, ANY, ["invocationId"], scope="base")
    (response,) = yield Fetch((request,))
    if response.status in (403, 404):
        return ""
    found = read(request, response)
    return names.guid(found.entries[0].raw("invocationId")) or "" if found.entries else ""


def _named(told: Root, invocation: str) -> Root:
    return Root(
        told.active, told.contexts, told.default, told.host, invocation or told.host.lower(), told.usn, told.controls,
        told.service,
    )  # fmt: skip


Take = Callable[[Request, Response, Found], Iterable[Page]]
"""What becomes of an answer: pages, maybe none."""


def walk(
    url: str, base: str, tree: Tree, attributes: Sequence[str], page: int, stream: str, take: Take, *,
    show_deleted: bool = False,
) -> Answer[int]:  # fmt: skip
    """Walk a search to its end, giving what `take` makes of each answer; gives how many referrals came."""
    cookie, referrals = "", 0
    for turned in count(1):
        request = search(url, base, tree, attributes, page=page, cookie=cookie, show_deleted=show_deleted)
        (response,) = yield from fetch(request)
        told = read(request, response, stream, below=True)
        yield from take(request, response, told)
        referrals += told.referrals
        if not told.cookie:
            break
        cookie = _onward(request, response, told, cookie, turned)
    return referrals


def _onward(request: Request, response: Response, told: Found, cookie: str, turned: int) -> str:
    """The cookie to go on with, after so many pages. Some servers give the same one at each: that alone is no end."""
    if turned > _MOST_PAGES or (told.cookie == cookie and not told.entries):
        raise malformed(request, response, "les pages ne finissent pas", "pages do not end")
    return told.cookie
