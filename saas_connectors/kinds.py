"""The product's own kinds of connectors, and where the reading and the writing side of each are made.

It loads nothing: the command line names them in its help.
"""

from collections.abc import Mapping
from typing import Final

KINDS: Final[Mapping[str, str]] = {
    "rest": "saas_connectors.rest:make",
    "decp": "saas_connectors.procurement.decp:make",
    "ogc-features": "saas_connectors.urban.ogc_features:make",
    "maarch": "saas_connectors.mail.maarch:make",
    "opendatasoft": "saas_connectors.urban.opendatasoft:make",
    "open311": "saas_connectors.urban.open311:make",
    "scim": "saas_connectors.identity.scim:make",
    "graph-users": "saas_connectors.identity.graph:make",
    "ldap": "saas_connectors.identity.ldap:make",
    "imap": "saas_connectors.mail.imap:make",
    "files": "saas_connectors.files.connector:make",
}

WRITERS: Final[Mapping[str, str]] = {
    "files": "saas_connectors.files.writing:make",
    "rest": "saas_connectors.rest.writer:make",
    "decp": "saas_connectors.procurement.publication:make",
    "ogc-features": "saas_connectors.urban.editing:make",
    "open311": "saas_connectors.urban.open311.writer:make",
    "maarch": "saas_connectors.mail.maarch_writer:make",
    "scim": "saas_connectors.identity.scim.writer:make",
    "graph-users": "saas_connectors.identity.graph.writer:make",
    "ldap": "saas_connectors.identity.ldap.writer:make",
}
