"""XML from a stranger, read element by element.

1. No DTD at all: a document that brings one is refused before its content is read, so that no entity exists to be expanded
   (billion laughs) or fetched (XXE).
2. No network, no external file, no recovery from errors, libxml2's own limits on depth, names and text kept (`huge_tree` off).
3. Memory stays bound to one child of the root, whatever the size of the document; the size itself is the driver's cap.
4. A refusal never quotes the document: libxml2's messages do, so they are dropped.

It does not validate, and it does not decide what an element means.
"""

import io
from collections.abc import Iterator

from lxml import etree

from saas_connectors.errors import ConnectorError


class UnsafeXml(ConnectorError):
    """The document is not XML that can be read safely."""

    code = "connector.xml"
    fr = "Le document XML est refusé : {why_fr}."
    en = "The XML document is refused: {why_en}."


def elements(body: bytes, root: str, tags: tuple[str, ...]) -> Iterator[etree._Element]:
    """Give, one by one, the children of the root element that bear one of `tags`.

    An element is valid until the next one is asked for. Raises `UnsafeXml` when the document is not well formed, brings a DTD,
    is nested beyond libxml2's limit, or has another root element than `root`.
    """
    reader = etree.iterparse(
        io.BytesIO(body),
        events=("start", "end"),
        tag=(root, *tags),
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    top: etree._Element | None = None
    try:
        for event, element in reader:
            if top is None:
                top = _root(element, root)
            if event == "end" and element.getparent() is top:
                yield element
                element.clear()
                while element.getprevious() is not None:
                    del top[0]
    except etree.XMLSyntaxError:
        raise UnsafeXml(why_fr="il n'est pas bien formé", why_en="it is not well formed") from None
    if top is None:
        raise UnsafeXml(why_fr=f"sa racine n'est pas « {root} »", why_en=f"its root is not `{root}`")


def _root(element: etree._Element, name: str) -> etree._Element:
    tree = element.getroottree()
    if tree.docinfo.internalDTD is not None or tree.docinfo.externalDTD is not None:
        raise UnsafeXml(why_fr="il déclare une DTD", why_en="it declares a DTD")
    if element.getparent() is not None or element.tag != name:
        raise UnsafeXml(why_fr=f"sa racine n'est pas « {name} »", why_en=f"its root is not `{name}`")
    return element
