"""Opendatasoft keeps the laws of all connectors, however the dataset is pulled."""

from typing import Any

import pytest

from saas_connectors import registry
from saas_connectors.conformance import suite
from saas_connectors.sandbox.opendatasoft import Portal, notices

STREAMS: dict[str, dict[str, Any]] = {
    "by export": {},
    "by parts": {"split": "lots"},
    "by pages": {"exports": False},
    "by pages of dates": {"exports": False, "split": "dateparution"},
    "what changed": {"cursor": "maj"},
    "what changed, by pages": {"cursor": "maj", "exports": False},
}


@pytest.mark.parametrize("how", STREAMS)
@pytest.mark.parametrize("keyed", [True, False], ids=["keyed", "by content"])
def test_a_portal_keeps_the_laws(how: str, keyed: bool) -> None:
    portal = Portal({"boamp": notices(1500)})
    if not keyed:
        portal.datasets["boamp"].key = None
    connector = registry.make(
        "opendatasoft", "p", {"url": "https://p.example", "part": 1000, "streams": {"boamp": STREAMS[how]}}
    )
    changes = "cursor" in STREAMS[how]
    report = suite.run(
        connector,
        portal.respond,
        resumes=4,
        mode="incremental" if changes else "full_refresh",
        cursors={"boamp": {"after": "2026-02-01T00:00:00Z"}} if changes else None,
    )
    assert report.rows == {"boamp": 756 if changes else 1500}
