"""What is asked of a SCIM server and how it answers: lists, one resource, what it supports.

1. Lists are asked for from a place (`startIndex`, 1 the first), sorted by identifier where the server sorts.
2. A list answer says `totalResults`; with none it may leave `Resources` out (RFC 7644, section 3.4.2). All else is no list.
3. What a server supports is what `ServiceProviderConfig` says; one that does not show it is tried, and what comes back is
   checked as everywhere.
4. A value in a filter is quoted as JSON (RFC 7644, section 3.4.2.2); names of attributes in filters are constants of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import msgspec

from saas_connectors.answer import accept, decode, malformed
from saas_connectors.connector import Json
from saas_connectors.identity.scim.records import attribute
from saas_connectors.request import Pairs, Request, Response

MEDIA: Final = "application/scim+json"
ACCEPT: Final = ("Accept", f"{MEDIA}, application/json")
_UNSHOWN: Final = {403, 404, 405, 501}
_KINDS: Final = frozenset(
    {
        "invalidFilter", "tooMany", "uniqueness", "mutability", "invalidSyntax", "invalidPath", "noTarget", "invalidValue",
        "invalidVers", "sensitive",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Supported:
    """What a server says that it does; None: it does not say. `most`: resources that an answer holds at most."""

    patch: bool | None = None
    filter: bool | None = None
    sort: bool | None = None
    etag: bool | None = None
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list answer: its resources as they came, and what the server counts."""

    resources: tuple[Json, ...]
    total: int | None


def config(url: str) -> Request:
    """Ask what a server supports."""
    return Request("GET", f"{url}/ServiceProviderConfig", headers=(ACCEPT,))


def supported(request: Request, response: Response) -> Supported:
    """Read what a server supports; raises `VendorError`."""
    if response.status in _UNSHOWN:
        return Supported()
    accept(request, response)
    found = decode(request, response)
    if not isinstance(found, dict) or not any(isinstance(attribute(found, name), dict) for name in ("patch", "filter")):
        raise malformed(
            request, response, "ce que le serveur sait faire était attendu", "what the server supports was expected"
        )
    most = attribute(_part(found, "filter"), "maxResults")
    patch, filters, sort, etag = (_flag(_part(found, name)) for name in ("patch", "filter", "sort", "etag"))
    return Supported(patch, filters, sort, etag, most if type(most) is int and most > 1 else None)


def _part(found: Mapping[str, Json], name: str) -> Mapping[str, Json]:
    held = attribute(found, name)
    return held if isinstance(held, dict) else {}


def _flag(held: Mapping[str, Json]) -> bool | None:
    said = attribute(held, "supported")
    return said if isinstance(said, bool) else None


def page(url: str, kind: str, at: int, count: int, params: Pairs = ()) -> Request:
    """Ask for `count` resources of a list (`Users`, `Groups`) from a place."""
    asked = (("startIndex", str(at)), ("count", str(count)), *params)
    return Request("GET", f"{url}/{kind}", params=asked, headers=(ACCEPT,))


def one(url: str, kind: str, identifier: str, headers: Pairs = ()) -> Request:
    """Ask for one resource."""
    return Request("GET", f"{url}/{kind}/{quote(identifier, safe='')}", headers=(ACCEPT, *headers))


def listed(request: Request, response: Response) -> Listed:
    """Read a list answer; raises `VendorError`."""
    accept(request, response)
    found = decode(request, response)
    if isinstance(found, dict):
        total = attribute(found, "totalResults")
        total = total if type(total) is int else None
        resources = attribute(found, "Resources")
        if isinstance(resources, list):
            return Listed(tuple(resources), total)
        if resources is None and total == 0:
            return Listed((), 0)
    raise malformed(request, response, "une liste SCIM était attendue", "a SCIM list was expected")


def resource(request: Request, response: Response) -> Mapping[str, Any]:
    """Read one resource; raises `VendorError`."""
    accept(request, response)
    found = decode(request, response)
    if not isinstance(found, dict) or attribute(found, "id") is None:
        raise malformed(request, response, "une ressource SCIM était attendue", "a SCIM resource was expected")
    return found


def refusal_kind(response: Response) -> str | None:
    """The standard's word for a refusal (`scimType`, RFC 7644 section 3.12), None when the answer says none of them."""
    try:
        found = msgspec.json.decode(response.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    said = found.get("scimType") if isinstance(found, dict) else None
    return said if isinstance(said, str) and said in _KINDS else None


def equals(name: str, value: str) -> str:
    """Write a filter on one attribute; the value is quoted, whatever it holds."""
    return f"{name} eq {quoted(value)}"


def quoted(value: str) -> str:
    """Write a text as a value in a filter."""
    return msgspec.json.encode(value).decode()
