"""Ports for servers that must be told theirs before they listen, and for addresses at which nobody does.

The system gives the ports of its own range to whoever connects or asks for any: one that was free there a moment ago may be
taken before its server starts. These are outside that range, no two workers of one run share any, and none is given twice.
"""

import itertools
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_LOWEST, _HIGHEST, _WORKERS = 10_000, 65_535, 16
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _candidates() -> Iterator[int]:
    low, high = (int(each) for each in _RANGE.read_text().split()) if _RANGE.exists() else (32_768, 60_999)
    outside = [*range(_LOWEST, low), *range(high + 1, _HIGHEST + 1)]
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    own = outside[worker::_WORKERS]
    start = secrets.randbelow(len(own) or 1)  # another run may be under way on this machine
    return itertools.chain(own[start:], own[:start])


_LEFT: Final = _candidates()


def free_port() -> int:
    """A port of this machine on which nobody listens, for whoever asked alone."""
    for port in _LEFT:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no port is left outside the range of the system")
