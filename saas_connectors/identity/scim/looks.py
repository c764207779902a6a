"""Whom a payload names, found at the server; and what the server then holds, against what was asked.

1. A filter is not believed. One answer must hold exactly one resource, and that one must bear the value asked: a resource that
   does not shows a filter that is ignored, two that do are too many; nothing is written then.
2. `userName` and a group's name are compared without case (RFC 7643, section 4.1.1), `externalId` exactly.
3. Several values (`emails`) are compared whatever their order: what was asked must be there.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from saas_connectors.comparison import same
from saas_connectors.connector import Exchange, Fetch, Json
from saas_connectors.identity.scim import answers, records
from saas_connectors.identity.scim.operations import WHO
from saas_connectors.lookup import Lookup, Names
from saas_connectors.payloads import pointer
from saas_connectors.request import Pairs, Request, Response
from saas_connectors.writing import FRESH, refused

_FEW: Final = "10"


def named(payload: Mapping[str, Json]) -> tuple[str, str]:
    """The attribute that says whom a payload is about, and its value."""
    return next((name, str(payload[name])) for name in WHO if name in payload)


def equal(name: str, held: Json, wanted: str) -> bool:
    """Whether a resource bears the value that was asked."""
    if not isinstance(held, str):
        return False
    return held == wanted if name in ("id", "externalId") else held.casefold() == wanted.casefold()


def search(url: str, kind: str, name: str, value: str | None) -> Request:
    """Ask for the resources that bear a value; None: for some."""
    asked: Pairs = (("startIndex", "1"), ("count", _FEW))
    wanted: Pairs = () if value is None else (("filter", answers.equals(name, value)),)
    return Request("GET", f"{url}/{kind}", params=(*wanted, *asked), headers=(answers.ACCEPT, FRESH))


def find(url: str, kind: str, name: str, value: str) -> Exchange[Mapping[str, Json]]:
    """Give the one resource that bears a value, with its `id`; raises `Rejected`, definitive: nothing was written."""
    request = search(url, kind, name, value)
    (response,) = yield Fetch((request,))
    found = _resources(request, response)
    bearing = [one for one in found if equal(name, records.attribute(one, name), value)]
    if len(bearing) != len(found):
        raise refused(request, response.status, "filter_ignored")
    if not bearing:
        raise refused(request, response.status, "not_found")
    if len(bearing) > 1:
        raise refused(request, response.status, "ambiguous")
    return bearing[0]


def _resources(request: Request, response: Response) -> list[dict[str, Json]]:
    return list(records.named(answers.listed(request, response).resources))


def look(url: str, kind: str, name: str, value: str) -> Exchange[tuple[str, Json]]:
    """Look for the resource that bears a value: `found`, `missing` (the filter was seen to work), or `unsure`."""

    def names(resource: Json) -> Names | None:
        held = records.attribute(resource, name)
        if equal(name, held, value):
            return {name: value}
        return {name: held} if isinstance(held, str) else None

    search_for = Lookup(lambda asked: search(url, kind, name, asked.get(name)), _resources, names)
    return (yield from search_for.find({name: value}))


def differences(asked: Mapping[str, Json], held: Mapping[str, Json], *at: str) -> tuple[str, ...]:
    """JSON pointers, from `at`, of what a resource does not hold as it was asked."""
    return tuple(_differences(asked, held, at))


def _differences(asked: Mapping[str, Json], held: Mapping[str, Json], at: tuple[str, ...]) -> Iterator[str]:
    for name, value in asked.items():
        theirs = records.attribute(held, wire(name))
        if name == "userName" and isinstance(value, str):
            if not equal(name, theirs, value):
                yield pointer((*at, name))
        elif isinstance(value, Mapping):
            inner = theirs if isinstance(theirs, Mapping) else {}
            yield from _differences(value, inner, (*at, name))
        elif isinstance(value, Sequence) and not isinstance(value, str):
            listed = theirs if isinstance(theirs, list) else []
            if not all(any(_bears(one, other) for other in listed) for one in value):
                yield pointer((*at, name))
        elif not same(value, records.flag(theirs) if isinstance(value, bool) else theirs) and (value or theirs):
            yield pointer((*at, name))


def wire(name: str) -> str:
    """The name of an attribute as it is on the wire."""
    return records.ENTERPRISE if name == "enterprise" else name


def _bears(asked: Json, held: Json) -> bool:
    return isinstance(asked, Mapping) and isinstance(held, Mapping) and not any(_differences(asked, held, ()))


def holds(group: Mapping[str, Json], member: str) -> bool:
    """Whether a group has a member."""
    return any(one["member_id"] == member for one in records.members(group)[0])
