"""Run the sandbox by itself: `python -m saas_connectors.sandbox --port 8042 --bench-rows 1000000 --latency-ms 50`."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path

from saas_connectors.sandbox.datasets import Bench, Dataset, communes
from saas_connectors.sandbox.graph import Graph, member
from saas_connectors.sandbox.maarch import Maarch
from saas_connectors.sandbox.open311 import Open311, reports
from saas_connectors.sandbox.open311_shapes import FAMILIES
from saas_connectors.sandbox.opendatasoft import Portal, communes_of_france, notices
from saas_connectors.sandbox.scim import Scim, user
from saas_connectors.sandbox.server import Sandbox
from saas_connectors.sandbox.troubles import Trouble
from saas_connectors.sandbox.vendor import Vendor


def main() -> None:
    """Listen on loopback until interrupted; the first line printed is the address."""
    parser = argparse.ArgumentParser(prog="python -m saas_connectors.sandbox", description="A vendor on loopback.")
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 takes a free one")
    parser.add_argument("--bench-rows", type=int, default=0, help="serve this many bench rows as the dataset `bench`")
    parser.add_argument("--revision", type=int, default=0, help="revision of the bench rows, 0 to 99")
    parser.add_argument("--maarch", type=int, metavar="LETTERS", help="be a MaarchCourrier server with so many letters instead")
    parser.add_argument("--open311", type=int, metavar="REPORTS", help="be an Open311 server with so many reports instead")
    parser.add_argument("--family", choices=sorted(FAMILIES), help="with --open311: behave as the servers of this family")
    parser.add_argument("--portal", action="store_true", help="be a portal of open data (Opendatasoft) instead")
    parser.add_argument("--scim", type=int, metavar="ACCOUNTS", help="be a SCIM service with so many accounts instead")
    parser.add_argument("--graph", type=int, metavar="USERS", help="be a Graph tenant with so many users instead")
    parser.add_argument("--document-bytes", type=int, default=2_000, help="bytes of each file of a letter, at least")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="milliseconds that each answer waits")
    parser.add_argument("--cap", type=int, default=1000, help="most records in a page")
    parser.add_argument("--trouble", help="what befalls the first write, such as lands_then_resets")
    parser.add_argument("--certificate", type=Path, help="PEM file: speak TLS")
    parser.add_argument("--key", type=Path, help="PEM file of the certificate's key")
    asked = parser.parse_args()
    datasets: dict[str, Dataset] = {"communes": communes()}
    if asked.bench_rows:
        datasets["bench"] = Bench(asked.bench_rows, asked.revision)
    vendor = Vendor(datasets, latency=asked.latency_ms / 1000, cap=asked.cap)
    if asked.trouble:
        vendor.troubles.plan(Trouble(asked.trouble, method="POST"))
    portal = None
    if asked.portal:
        portal = Portal({"boamp": notices(), "communes-france": communes_of_france()}, latency=asked.latency_ms / 1000)
    maarch = None
    if asked.maarch is not None:
        maarch = Maarch(asked.maarch, document_bytes=asked.document_bytes, latency=asked.latency_ms / 1000)
    if asked.open311 is not None:
        present = datetime.now(UTC).replace(microsecond=0)
        held, moods = reports(asked.open311, until=present), FAMILIES.get(asked.family, ())
        vendor = Open311(held, moods=moods, now=present, latency=asked.latency_ms / 1000, cap=asked.cap)
    if asked.scim is not None:
        vendor = Scim(map(user, range(asked.scim)), now=datetime.now(UTC), latency=asked.latency_ms / 1000, cap=asked.cap)
    if asked.graph is not None:
        vendor = Graph(map(member, range(asked.graph)), latency=asked.latency_ms / 1000, cap=asked.cap)
    sandbox = Sandbox(maarch or portal or vendor, port=asked.port, certificate=asked.certificate, key=asked.key)
    sys.stdout.write(f"{sandbox.url}{'/v2' if asked.open311 is not None else ''}\n")
    sys.stdout.flush()
    try:
        sandbox.serve()
    except KeyboardInterrupt:
        sandbox.close()


if __name__ == "__main__":
    main()
