"""REST to a committed encrypted snapshot, raw archive on, against dlt's defaults and a bare loop that stores nothing.

The figure is rows per CPU-second of the pulling process, from its start to its end, as a ratio in one run. The site was made
before, as a town makes it once; `made` says what that cost. `--rows` makes it shorter, `--times` takes the best of several.
"""

import argparse
import tempfile
from pathlib import Path

from measure import DLT, Cost, measured, report, vendor


def main() -> None:
    """Pull the same rows three times and compare what it cost."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--times", type=int, default=1)
    options.add_argument("--without-dlt", action="store_true")
    given = options.parse_args()
    costs: dict[str, Cost] = {}

    def best(name: str, cost: Cost) -> None:
        costs[name] = min(costs.get(name, cost), cost, key=lambda each: each.cpu)

    with vendor(given.rows) as port:
        for _ in range(given.times):
            best("bare", measured("peer_bare.py", port))
            with tempfile.TemporaryDirectory() as folder:
                site = str(Path(folder) / "site")
                made = measured("peer_sovereign.py", port, site, "make")
                best("sovereign", measured("peer_sovereign.py", port, site))
        if not given.without_dlt:
            costs["dlt"] = measured("peer_dlt.py", port, python=DLT)
    for name, cost in costs.items():
        if cost.output.splitlines()[-1] != str(given.rows):
            raise SystemExit(f"{name} read {cost.output} rows, not {given.rows}")
    own = costs["sovereign"]
    ratios = {f"against_{name}": cost.cpu / own.cpu for name, cost in costs.items() if name != "sovereign"}
    report("pull", rows=given.rows, made=made, **costs, **ratios)


if __name__ == "__main__":
    main()
