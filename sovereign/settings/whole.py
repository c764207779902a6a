"""All that a site's settings hold."""

from pathlib import Path

import msgspec

from sovereign.settings.audit import AuditSettings
from sovereign.settings.backup import BackupSettings
from sovereign.settings.events import EventSource
from sovereign.settings.schema import Connection, ConnectorSettings, GatewaySettings, KeySettings, Limits, SiteSettings
from sovereign.settings.subscribers import Subscriber


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The whole of `sovereign.toml`, and where it was read."""

    path: Path
    site: SiteSettings = SiteSettings()
    keys: KeySettings = KeySettings()
    limits: Limits = Limits()
    gateway: GatewaySettings = GatewaySettings()
    audit: AuditSettings = AuditSettings()
    connectors: ConnectorSettings = ConnectorSettings()
    backup: BackupSettings = BackupSettings()
    connections: dict[str, Connection] = {}
    events: dict[str, EventSource] = {}
    subscribers: dict[str, Subscriber] = {}

    @property
    def directory(self) -> Path:
        """The site's folder; relative paths of the file start there."""
        return self.path.parent
