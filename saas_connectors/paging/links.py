"""Links to the next page: read by their standards, and never followed elsewhere.

A next link stays on the origin it came from. A vendor behind a proxy often writes `http:` for its own `https:` address, or no
port: the host decides, the connection's own scheme and port are kept. User information, and parameters that are credentials
by their name, are dropped: the driver adds the credential anew.

Where several next links stand side by side, one a format, that of GeoJSON is taken, else another JSON, else one that names no
type: a page of HTML is for people.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

CREDENTIALS: Final = {"api_key", "apikey", "api-key", "access_token", "client_secret", "password"}
_LINK = re.compile(r"\s*<([^>]*)>((?:\s*;\s*[!#$%&'*+.^_`|~\w-]+\s*(?:=\s*(?:\"(?:[^\"\\]|\\.)*\"|[^\s\",;]+))?)*)\s*(?:,|$)")
_PARAM = re.compile(r";\s*([!#$%&'*+.^_`|~\w-]+)\s*(?:=\s*(?:\"((?:[^\"\\]|\\.)*)\"|([^\s\",;]+)))?")


def link_header(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Read a `Link` field: targets and their parameters, names in lower case (RFC 8288 section 3; first of each name wins)."""
    at = 0
    while found := _LINK.match(value, at):
        params: dict[str, str] = {}
        for name, quoted, token in _PARAM.findall(found[2]):
            params.setdefault(name.lower(), re.sub(r"\\(.)", r"\1", quoted) or token)
        yield found[1], params
        at = found.end()
        if at >= len(value):
            return


def next_link(value: str) -> str | None:
    """Give the target of the relation `next`, which may be one of several (RFC 8288 section 3.3)."""
    found = next_of({**params, "href": target, "rel": params.get("rel", "").lower()} for target, params in link_header(value))
    return None if found is None else str(found["href"])


def next_of(links: Iterable[Any]) -> Mapping[str, Any] | None:
    """Give the next link among objects with `rel`, `href` and perhaps `type` (GeoJSON, HAL, RFC 8288); see above."""
    offered = [link for link in links if isinstance(link, Mapping) and isinstance(link.get("href"), str)]
    return min((link for link in offered if "next" in str(link.get("rel")).split()), key=_far, default=None)


def _far(link: Mapping[str, Any]) -> int:
    """How far the format of a link is from what is read."""
    kind = str(link.get("type") or "").partition(";")[0].strip().lower()
    if not kind:
        return 2
    return 0 if kind in {"application/geo+json", "application/vnd.geo+json"} else 1 if "json" in kind else 3


def follow(base: str, link: str) -> str | None:
    """Give the absolute address of a next link, None when it leads to another host."""
    own, there = urlsplit(base), urlsplit(urljoin(base, link.strip()))
    if there.scheme not in {"http", "https", own.scheme} or (there.hostname or "") != (own.hostname or ""):
        return None
    try:
        if there.port not in {None, own.port, 80, 443}:
            return None
    except ValueError:
        return None
    query = there.query
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if name.lower() not in CREDENTIALS]
    if len(kept) != len(pairs):
        query = urlencode(kept)
    return there._replace(scheme=own.scheme, netloc=own.netloc, query=query, fragment="").geturl()
