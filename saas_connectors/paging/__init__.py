"""How lists come in pages: pure strategies (`strategies`), a guarded walk (`walk`), links by RFC 8288 (`links`)."""

from saas_connectors.paging.links import follow, link_header, next_link
from saas_connectors.paging.strategies import (
    Cursor,
    Elsewhere,
    Fact,
    Keyset,
    Link,
    Offset,
    Page,
    Paging,
    Seen,
    Single,
    Step,
    Windows,
    fill,
    instant,
    put,
)
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
    "put",
]
