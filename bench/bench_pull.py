"""REST to a committed encrypted snapshot, raw archive on, against dlt's defaults and a bare loop that stores nothing.

The figure is rows per CPU-second of the pulling process, as a ratio in one run. `--rows` makes it shorter.
"""

import argparse

from measure import DLT, Cost, measured, report, vendor


def main() -> None:
    """Pull the same rows three times and compare what it cost."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--without-dlt", action="store_true")
    given = options.parse_args()
    costs: dict[str, Cost] = {}
    with vendor(given.rows) as port:
        costs["bare"] = measured("peer_bare.py", port)
        costs["sovereign"] = measured("peer_sovereign.py", port)
        if not given.without_dlt:
            costs["dlt"] = measured("peer_dlt.py", port, python=DLT)
    for name, cost in costs.items():
        if cost.output.splitlines()[-1] != str(given.rows):
            raise SystemExit(f"{name} read {cost.output} rows, not {given.rows}")
    own = costs["sovereign"]
    ratios = {f"against_{name}": cost.cpu / own.cpu for name, cost in costs.items() if name != "sovereign"}
    report("pull", rows=given.rows, **costs, **ratios)


if __name__ == "__main__":
    main()
