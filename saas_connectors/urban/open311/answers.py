"""What is asked of a GeoReport v2 server and how it answers: JSON where it speaks it, XML otherwise.

1. XML is what the standard promises; JSON is tried first only because it is shorter. With `auto`, a JSON answer that is
   refused, or that is not JSON (`"service_code": 001`), is asked again in XML, and so is everything after it.
2. Lists are taken bare or wrapped (`{"service_requests": […]}`, `{"services": {"service": […]}}`, `{"requests": […], "meta":
   …}`), with the element names of the standard and those that servers use instead. An answer that is an error, be it a success,
   is no list.
3. Nothing of an answer enters an error; XML comes without DTD or entities, and is bounded in depth.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from lxml import etree

from saas_connectors.answer import ERRORS, accept, decode, malformed
from saas_connectors.connector import Exchange, Fetch, Json
from saas_connectors.errors import ConnectorError, Malformed, NotFound, Rejected
from saas_connectors.formats.xml import UnsafeXml, elements
from saas_connectors.request import Pairs, Request, Response

Kind = Literal["services", "service_definition", "requests"]

_MEDIA: Final = {"json": "application/json", "xml": "text/xml, application/xml"}
_ROOTS: Final[Mapping[Kind, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "services": (("services",), ("service",)),
    "service_definition": (("service_definition",), ("service_code", "attributes")),
    "requests": (("service_requests", "requests"), ("request", "service_request", "service-request", "service_requests")),
}
"""The names of the root element (`-` for `_` is the same), the first of them the standard's; those of what it holds."""
_WRAPPED: Final = ("services", "service", "service_requests", "service_request", "requests", "request", "service_definition")
_NAMED: Final = {"service_code", "service_request_id", "token"}
_TOLD: Final = {"code", "description", "detail", *ERRORS}
_ERRONEOUS: Final = ("errors", "requests", "service_requests", "services")
_LISTS: Final = {"attributes": "attribute", "values": "value", "notes": "note", "keywords": "keyword"}
_ROOT: Final = re.compile(rb"<([A-Za-z_][\w.-]*)")
_NAMESPACE: Final = re.compile(rb"<[A-Za-z_][\w.-]*\s[^>]*?\bxmlns\s*=\s*[\"']([^\"'<>]{1,200})[\"']")
_MOST_DEPTH: Final = 16
_NOT_JSON: Final = {400, 404, 405, 406, 415, 500, 501}
"""Statuses by which servers were seen, or may be expected, to refuse a format; 404 for a path that ends in .json."""


@dataclass(slots=True)
class Speech:
    """How one server is spoken to. `form`: the format in use; `auto`: whether it may turn to XML."""

    url: str
    jurisdiction: str | None = None
    params: Pairs = ()
    form: str = "json"
    auto: bool = False

    @classmethod
    def of(cls, url: str, form: str, jurisdiction: str | None, params: Mapping[str, str]) -> "Speech":
        """Begin to speak, in the format of the settings (`json`, `xml` or `auto`)."""
        return cls(url.rstrip("/"), jurisdiction, tuple(params.items()), "json" if form == "auto" else form, form == "auto")

    def request(self, path: str, params: Pairs = (), *, form: str | None = None, headers: Pairs = ()) -> Request:
        """Make the request of a resource, given without its format."""
        form = form or self.form
        named = (("jurisdiction_id", self.jurisdiction),) if self.jurisdiction else ()
        accepted = (("Accept", _MEDIA[form]), *headers)
        return Request("GET", f"{self.url}/{path}.{form}", (*named, *params, *self.params), accepted)

    def ask(
        self, kind: Kind, path: str, params: Pairs = (), *, empty: bool = False, headers: Pairs = ()
    ) -> Exchange[list[Any]]:
        """Ask, and give the objects of the answer; raises `VendorError`.

        empty: a refusal (404) that is an error of the interface means that there is nothing.
        """
        request = self.request(path, params, headers=headers)
        (response,) = yield Fetch((request,))
        return (yield from self.told(kind, path, params, request, response, empty=empty))

    def told(
        self, kind: Kind, path: str, params: Pairs, request: Request, response: Response, *, empty: bool = False
    ) -> Exchange[list[Any]]:
        """Read an answer; where it may be that the server does not speak JSON, ask again in XML."""
        try:
            return read(kind, self.form, request, response, empty=empty)
        except ConnectorError as fault:
            if not self.auto or self.form != "json" or not _hints(fault, response):
                raise
            refused = fault
        request = self.request(path, params, form="xml")
        (response,) = yield Fetch((request,))
        try:
            found = read(kind, "xml", request, response, empty=empty)
        except NotFound:
            raise
        except ConnectorError:
            raise refused from None
        self.form = "xml"
        return found


def _hints(fault: ConnectorError, response: Response) -> bool:
    return isinstance(fault, Malformed) or (isinstance(fault, NotFound | Rejected) and response.status in _NOT_JSON)


def read(kind: Kind, form: str, request: Request, response: Response, *, empty: bool = False) -> list[Any]:
    """Give the objects of an answer; raises `VendorError`."""
    if empty and response.status == 404 and is_error(form, response):
        return []
    accept(request, response)
    if form == "xml":
        return _xml(kind, request, response)
    found = _unwrapped(decode(request, response))
    if isinstance(found, Mapping):
        if any(found.get(name) for name in ERRORS):
            raise malformed(request, response, "une erreur dans une réponse 200", "an error inside a successful answer")
        found = [found] if _NAMED & found.keys() else None
    if not isinstance(found, list) or not all(isinstance(one, Mapping) for one in found):
        raise malformed(
            request, response, "une liste d'objets GeoReport était attendue", "a list of GeoReport objects was expected"
        )
    if found and all(_is_error(one) for one in found):
        raise malformed(request, response, "une erreur dans une réponse 200", "an error inside a successful answer")
    return found


def is_error(form: str, response: Response) -> bool:
    """Whether a refusal is an error of the interface, rather than whatever stands at that address.

    The standard's is a list of codes and descriptions. Servers leave out the code, or the list, or put their error in an
    envelope: `{"error": {"code": 404, "message": …}}`, `{"detail": …}`.
    """
    if form == "xml":
        body = _body(response)
        root = _root(body)
        if root is None or root not in _ERRONEOUS:
            return False
        try:
            return any(True for _ in elements(body, root, ("error", "detail")))
        except ConnectorError:
            return False
    try:
        found = decode(Request("GET", response.url), response)
    except ConnectorError:
        return False
    told = found if isinstance(found, list) else [found]
    return bool(told) and all(isinstance(one, Mapping) and bool(_TOLD & one.keys()) and not _NAMED & one.keys() for one in told)


def _is_error(one: Mapping[str, Json]) -> bool:
    return "code" in one and "description" in one and not _NAMED & one.keys()


def _unwrapped(found: Json) -> Json:
    """What envelopes hold, one within the other; what stands beside it in them says nothing of the list."""
    for _ in range(4):
        if not isinstance(found, Mapping) or _NAMED & found.keys() or any(found.get(name) for name in ERRORS):
            break
        names = [name for name in found if name in _WRAPPED]
        if len(names) != 1:
            break
        found = found[names[0]] if found[names[0]] is not None else []
        if isinstance(found, list) and len(found) == 1 and isinstance(found[0], Mapping) and found[0].keys() <= _WRAPPED_KEYS:
            (found,) = found
    return found


_WRAPPED_KEYS: Final = frozenset(_WRAPPED)


def _body(response: Response) -> bytes:
    return response.body.removeprefix(b"\xef\xbb\xbf").lstrip()


def _root(body: bytes) -> str | None:
    """The name of the root element, as it is written."""
    found = _ROOT.search(body[:2048])
    return found[1].decode() if found else None


def _xml(kind: Kind, request: Request, response: Response) -> list[Any]:
    roots, tags = _ROOTS[kind]
    body = _body(response)
    root = _root(body)
    if root is None or root.replace("-", "_") not in roots:
        root = roots[0]
    space = _NAMESPACE.search(body[:2048])
    prefix = f"{{{space[1].decode('latin-1')}}}" if space else ""
    try:
        found = [
            (_name(element), _value(element, _MOST_DEPTH))
            for element in elements(body, prefix + root, tuple(prefix + tag for tag in tags))
        ]
    except UnsafeXml:
        raise malformed(
            request, response, f"du XML sûr sous « {roots[0]} » était attendu", f"safe XML under `{roots[0]}` was expected"
        ) from None
    except ValueError:
        raise malformed(request, response, "du XML moins profond était attendu", "shallower XML was expected") from None
    if kind == "service_definition":
        return [dict(found)]
    if len(found) == 1 and found[0][0] == "service_requests":  # an envelope within the envelope
        held = _unwrapped({found[0][0]: found[0][1]})
        return held if isinstance(held, list) else [held]
    return [one if isinstance(one, Mapping) else {} for _, one in found]


def _name(element: etree._Element) -> str:
    return str(etree.QName(element).localname)


def _value(element: etree._Element, left: int) -> Json:
    """An element as plain values: text, a list where its children bear one name, else an object."""
    if not left:
        raise ValueError
    children = [child for child in element if isinstance(child.tag, str)]
    if not children:
        return element.text if element.text and element.text.strip() else None
    names = [_name(child) for child in children]
    values = [_value(child, left - 1) for child in children]
    if set(names) == {_LISTS.get(_name(element))} or (len(names) > 1 and len(set(names)) == 1):
        return values
    return dict(zip(names, values, strict=True))
