"""What holds for every test: what takes longest begins first, and no example is timed.

Else one worker would wait, at the end of a run, while the other goes through what is long; and a busy machine would be told
as a defect.
"""

from typing import Final

import pytest
from hypothesis import HealthCheck, settings

LONGEST: Final = (
    "tests/journeys/test_tutorial.py",
    "tests/journeys/test_gateway_kills.py",
    "tests/cli/test_demo.py",
    "tests/journeys/test_schemathesis.py",
    "tests/journeys/test_kills.py",
    "tests/journeys/test_backup_kills.py",
    "tests/journeys/test_streams_kills.py",
    "tests/journeys/test_subscribers_kills.py",
    "tests/journeys/test_flows.py",
    "tests/property/gateway/test_exactly_once.py",
)

settings.register_profile(
    "untimed",
    settings.get_profile(settings.get_current_profile_name()),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put them at the head, in this order; the others keep theirs."""
    ranks = {name: rank for rank, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.nodeid.partition("::")[0], len(ranks)))
