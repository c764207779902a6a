"""Counts of the door, as text that Prometheus reads (exposition format 0.0.4). Labels are routes and statuses."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from typing import Final

BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds."""


class Metrics:
    """The counts of a process, from its start. gauges: what other rooms tell, as text of the same format."""

    def __init__(self, gauges: Callable[[], str] = str) -> None:
        self._gauges = gauges
        self._requests: Counter[tuple[str, int]] = Counter()
        self._within = [0] * (len(BOUNDS) + 1)
        self._sum = 0.0

    def note(self, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered."""
        self._requests[route, status] += 1
        self._within[bisect_left(BOUNDS, seconds)] += 1
        self._sum += seconds

    def text(self) -> str:
        """The counts so far."""
        lines = ["# TYPE sovereign_http_requests_total counter"]
        lines += [
            f'sovereign_http_requests_total{{route="{route}",status="{status}"}} {count}'
            for (route, status), count in sorted(self._requests.items())
        ]
        lines.append("# TYPE sovereign_http_seconds histogram")
        total = 0
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._within, strict=True):
            total += count
            lines.append(f'sovereign_http_seconds_bucket{{le="{bound}"}} {total}')
        lines += [f"sovereign_http_seconds_sum {self._sum:.6f}", f"sovereign_http_seconds_count {total}"]
        return "\n".join(lines) + "\n" + self._gauges()
