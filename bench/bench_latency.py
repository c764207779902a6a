"""The same pull when the vendor takes 50 ms to answer each page: wall time against dlt's defaults."""

import argparse

from measure import DLT, measured, report, vendor


def main() -> None:
    """Pull from a slow vendor with both and compare how long it took."""
    options = argparse.ArgumentParser()
    options.add_argument("--rows", type=int, default=300_000)
    options.add_argument("--latency", type=float, default=0.05)
    given = options.parse_args()
    with vendor(given.rows, latency=given.latency) as port:
        own = measured("peer_sovereign.py", port)
        peer = measured("peer_dlt.py", port, python=DLT)
    report("latency", rows=given.rows, latency=given.latency, sovereign=own, dlt=peer, ratio=peer.wall / own.wall)


if __name__ == "__main__":
    main()
