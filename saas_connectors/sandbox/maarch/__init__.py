"""A MaarchCourrier server (21.03 and later) on loopback: its routes, its rights, its habits, over letters that no one wrote.

It is for the tests, the demo and the benches. Where a real Maarch server runs, the tests of this connector use that one.
"""

from saas_connectors.sandbox.maarch.door import Account
from saas_connectors.sandbox.maarch.rules import Model
from saas_connectors.sandbox.maarch.vendor import Maarch

__all__ = ["Account", "Maarch", "Model"]
