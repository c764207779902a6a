"""What the operator writes in `sovereign.toml`, read strictly and edited with care.

1. A field that no one knows is an error, and the nearest known one is suggested; every error names the dotted field and says
   what was expected, in French and in English.
2. What `load` returns is frozen. Nothing here opens a network connection or a key; no secret is ever written in the file.
3. `add_connection` and `change_connection` keep comments and order, check the whole new text before it takes the place of the
   old, and never leave half a file.

It does not know connectors: whatever a connection's table holds beside the fields of `Connection` goes to the connector, as
`options`.
"""

from sovereign.settings.audit import AuditSettings, Export, Timestamps, Witness
from sovereign.settings.backup import BackupKeep, BackupSettings, BackupTarget
from sovereign.settings.edit import add_connection, change_connection, remove_connection
from sovereign.settings.events import EventSource
from sovereign.settings.load import load, parse
from sovereign.settings.schema import (
    Connection,
    ConnectionLimits,
    ConnectorSettings,
    GatewaySettings,
    Guards,
    KeySettings,
    Limits,
    Network,
    SiteSettings,
    Size,
)
from sovereign.settings.subscribers import Subscriber
from sovereign.settings.template import template
from sovereign.settings.whole import Settings

__all__ = [
    "AuditSettings",
    "BackupKeep",
    "BackupSettings",
    "BackupTarget",
    "Connection",
    "ConnectionLimits",
    "ConnectorSettings",
    "EventSource",
    "Export",
    "GatewaySettings",
    "Guards",
    "KeySettings",
    "Limits",
    "Network",
    "Settings",
    "SiteSettings",
    "Size",
    "Subscriber",
    "Timestamps",
    "Witness",
    "add_connection",
    "change_connection",
    "load",
    "parse",
    "remove_connection",
    "template",
]
