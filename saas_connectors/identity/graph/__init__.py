"""Microsoft Graph: the users and groups of a tenant, read by their changes and written to."""

from saas_connectors.identity.graph.connector import make

__all__ = ["make"]
