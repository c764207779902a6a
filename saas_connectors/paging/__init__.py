"""How lists come in pages: pure strategies (`numbered`, `chained`), a guarded walk (`walk`), links by RFC 8288 (`links`)."""

from saas_connectors.paging.chained import Cursor, Keyset, Link, Single
from saas_connectors.paging.links import follow, link_header, next_link, next_of
from saas_connectors.paging.numbered import Offset, Page, Windows
from saas_connectors.paging.port import Elsewhere, Fact, Paging, Seen, Step, fill, instant, put
from saas_connectors.paging.walk import Walk

__all__ = [
    "Cursor",
    "Elsewhere",
    "Fact",
    "Keyset",
    "Link",
    "Offset",
    "Page",
    "Paging",
    "Seen",
    "Single",
    "Step",
    "Walk",
    "Windows",
    "fill",
    "follow",
    "instant",
    "link_header",
    "next_link",
    "next_of",
    "put",
]
