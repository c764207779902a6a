"""A process that pulls once and says what it took: `python -m tests.journeys.drinker SITE CONNECTION`.

One line of JSON: how the run ended, its fault, and the most memory it held above what it held before (bytes).
"""

import json
import sys
from pathlib import Path

import snapshots.draft
import snapshots.serving  # noqa: F401 — loaded before, so that what is measured is the work and not the imports
import sovereign.sync.replay
from saas_connectors import registry
from sovereign.site import Site


def memory(name: str) -> int:
    """VmRSS or VmHWM of this process, in bytes."""
    return int(Path("/proc/self/status").read_text().partition(f"{name}:")[2].split()[0]) * 1024


def main() -> None:
    registry.KINDS["letters"] = "tests.servers.papers:make"  # type: ignore[index]  # a dict, in fact
    with Site.open(Path(sys.argv[1])) as site:
        assert site.keys
        assert site.syncs
        site.connector(sys.argv[2])
        Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS")
        outcome = site.syncs.run(sys.argv[2])
        fault = outcome.fault
        told = {
            "state": outcome.state, "rows": outcome.rows, "grown": memory("VmHWM") - before, "before": before,
            "code": fault.code if fault else None,
            "fr": fault.todo_fr if fault else "", "en": fault.todo_en if fault else "",
        }  # fmt: skip
        sys.stdout.write(f"{json.dumps(told)}\n")


if __name__ == "__main__":
    assert sovereign.sync.replay
    main()
