"""XML without entities, without document type, without network: a payload that brings its own is not read but reported."""

from typing import Final

from lxml import etree

from sovereign.gateway.dlp import fields
from sovereign.gateway.dlp.limits import Budget, OverBounds, Unreadable
from sovereign.gateway.dlp.naming import shown
from sovereign.gateway.dlp.visiting import Place, Visit, Walked

_NESTED: Final = 3


def walk(body: bytes, visit: Visit, budget: Budget, pointer: str = "") -> Walked:
    """Visit texts, attributes, comments and instructions. Errors: Unreadable, OverBounds."""
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False, huge_tree=False, strip_cdata=False
    )
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise Unreadable from None  # the cause quotes the payload
    tree = root.getroottree()
    if tree.docinfo.doctype or tree.docinfo.internalDTD is not None:
        raise Unreadable
    for beside in (*root.itersiblings(preceding=True), *root.itersiblings()):
        _text(beside, visit, budget, pointer, "", "")
    _element(root, visit, budget, pointer, "", 0)
    declared = body.lstrip().startswith(b"<?xml")
    written = etree.tostring(tree, encoding=tree.docinfo.encoding or "UTF-8", xml_declaration=declared)
    return Walked(_records(root, 0), written)


def _element(element: etree._Element, visit: Visit, budget: Budget, pointer: str, above: str, depth: int) -> None:
    if depth >= budget.limits.depth:
        raise OverBounds
    if not isinstance(element.tag, str):
        _text(element, visit, budget, pointer, above, "")
        return
    name = etree.QName(element).localname
    pointer = f"{pointer}/{shown(name)}"
    label = next((str(v) for k, v in element.attrib.items() if fields.is_label(etree.QName(k).localname)), "") or above
    for key, value in element.attrib.items():
        budget.leaf()
        attribute = etree.QName(key).localname
        seen = visit(Place(f"{pointer}/@{shown(attribute)}", fields.hints(attribute, name)), str(value))
        if seen is not value:
            element.set(key, seen)
    _text(element, visit, budget, pointer, name, label)
    for child in element:
        _element(child, visit, budget, pointer, label or name, depth + 1)
        if child.tail and not child.tail.isspace():
            budget.leaf()
            child.tail = visit(Place(pointer, fields.hints(name, above)), child.tail)


def _text(element: etree._Element, visit: Visit, budget: Budget, pointer: str, name: str, above: str) -> None:
    text = element.text
    if text and not text.isspace() and not isinstance(element, etree._Entity):  # noqa: SLF001 -- lxml's only name for it
        budget.leaf()
        seen = visit(Place(pointer, fields.hints(name, above) | fields.hints(above)), text)
        if seen is not text:
            element.text = seen


def _records(element: etree._Element, depth: int) -> int:
    counts: dict[object, int] = {}
    most = 1
    for child in element:
        if len(child) or child.attrib:
            counts[child.tag] = counts.get(child.tag, 0) + 1
            if depth < _NESTED - 1:
                most = max(most, _records(child, depth + 1))
    return max(most, *counts.values()) if counts else most
