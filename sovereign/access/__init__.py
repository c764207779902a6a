"""Who may do what: people and groups, roles and clearances that expire, applications and their credentials, approvers' keys.

1. Nothing is allowed that no grant in force allows. A grant has a reason and whoever gave it; most have an end.
2. Nothing is deleted: a right that is taken back keeps its row, so that the past can be explained.
3. A credential is kept as a hash of 256 bits of chance: reading the database lets nobody in.
4. Every change is an entry of the audit log, in the same transaction; people's names stand in its sealed body alone.
"""

from sovereign.access.clients import Client, Clients, Issued, Limits
from sovereign.access.errors import AccessError, BadRight, NotAuthenticated, UnknownClient, UnknownPerson
from sovereign.access.people import People, Person
from sovereign.access.rights import Explained, Grant, Rights
from sovereign.access.roles import ROLES, Permission, Role

__all__ = [
    "ROLES",
    "AccessError",
    "BadRight",
    "Client",
    "Clients",
    "Explained",
    "Grant",
    "Issued",
    "Limits",
    "NotAuthenticated",
    "People",
    "Permission",
    "Person",
    "Rights",
    "Role",
    "UnknownClient",
    "UnknownPerson",
]
