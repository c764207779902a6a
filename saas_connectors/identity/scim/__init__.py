"""SCIM 2.0 (RFC 7643, RFC 7644): the users and groups of a service, read and written."""

from saas_connectors.identity.scim.connector import make

__all__ = ["make"]
