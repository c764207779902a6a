"""Directories spoken to by LDAP (RFC 4511): Active Directory and OpenLDAP, their people, groups and units, read and written."""

from saas_connectors.identity.ldap.connector import make

__all__ = ["make"]
