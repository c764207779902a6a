"""A vendor on loopback, for the demo, the tests and the benches: real data, every style of paging, faults on demand.

It stands for no real vendor: where a real server can run, the tests use that one. It opens sockets, on loopback only; no other
module of `saas_connectors` does.
"""

from saas_connectors.sandbox.datasets import Bench, Dataset, Table, communes
from saas_connectors.sandbox.server import Sandbox
from saas_connectors.sandbox.troubles import Trouble
from saas_connectors.sandbox.vendor import Vendor

__all__ = ["Bench", "Dataset", "Sandbox", "Table", "Trouble", "Vendor", "communes"]
