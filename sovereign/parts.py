"""The parts of a site, and how each is put together; a part is made when it is first asked for.

A command that needs no key asks for none. Nothing here is an act: acts, and what they enter in the audit log, are in `site`.
"""

import threading
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from sovereign.actor import person
from sovereign.clock import Clock
from sovereign.settings import Connection, Settings
from vault import files

if TYPE_CHECKING:
    from saas_connectors.connector import Connector
    from snapshots.repository import Repository
    from snapshots.serving import Marts
    from sovereign.audit import AuditLog
    from sovereign.audit.witnesses import Witnesses
    from sovereign.egress.transport import Transport
    from sovereign.gateway.spool import Spool
    from sovereign.outbound import Outbound
    from sovereign.state import Leases, State
    from sovereign.sync.engine import Syncs
    from sovereign.sync.records import History
    from vault.keys import Keys
    from vault.secrets import Secrets

Ask = Callable[[], str] | None
"""Asks for the passphrase of the key provider; None when nobody can be asked."""


class Parts:
    """What a site is made of: keys, state, audit log, snapshots, connectors. A context manager; close it when done."""

    def __init__(self, root: Path, settings: Settings, passphrase: Ask, clock: Clock, actor: str | None = None) -> None:
        self.actor = actor or person()
        self.root = root
        self.settings = settings
        self.clock = clock
        self._passphrase = passphrase
        self._open = ExitStack()

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def keys(self) -> "Keys":
        """The keyring."""
        from sovereign.older_keyring import watched
        from vault.keys import Keys
        from vault.providers import open_provider

        master = open_provider(self.settings.keys.provider, passphrase=self._passphrase, directory=self.root)
        return watched(self, Keys.open(self.root / "keys", master, self.clock))

    @cached_property
    def secrets(self) -> "Secrets":
        """The vendors' credentials, sealed."""
        from vault.secrets import Secrets

        return Secrets(self.keys, self.root / "keys" / "secrets")

    @cached_property
    def state(self) -> "State":
        """The database of runs, leases, jobs and the audit log."""
        from sovereign.state import State

        return self._open.enter_context(State(self.root / "state.db", self.clock))

    @cached_property
    def leases(self) -> "Leases":
        """Who works on what."""
        from sovereign.state import Leases

        return Leases(self.state, self.clock)

    @cached_property
    def audit(self) -> "AuditLog":
        """The one book."""
        from sovereign.audit import AuditLog

        wanted = self.settings.audit.wanted
        log = AuditLog(self.state, self.keys, self.clock, actor=self.actor, cosignatures=wanted)
        return self._open.enter_context(closing(log))

    @cached_property
    def witnesses(self) -> "Witnesses":
        """Who else sees the audit log go on."""
        from sovereign.audit.witnesses import Witnesses

        return Witnesses(self.settings.audit, self.root, self.state, self.audit, self.clock)

    @cached_property
    def outbound(self) -> "Outbound":
        """What writes to vendors: people, applications, approvals."""
        from sovereign.outbound import Outbound

        return Outbound(self)

    @cached_property
    def spool(self) -> "Spool":
        """The long bodies of writes."""
        from sovereign.gateway.spool import Spool

        return Spool(self.root / "spool", self.state)

    @cached_property
    def repository(self) -> "Repository":
        """The snapshots."""
        from snapshots.repository import Repository
        from sovereign.withheld import declared

        root, known = files.folder(self.root / "snapshots"), partial(declared, self)
        return Repository(root, self.keys, self.clock, period=self.settings.keys.period, declared=known)

    @cached_property
    def marts(self) -> "Marts":
        """What sessions open."""
        from snapshots.serving import Marts

        return Marts(self.repository, files.folder(self.root / "marts"), self.keys)

    @cached_property
    def runs(self) -> "History":
        """What became of the syncs."""
        from sovereign.state import Runs
        from sovereign.sync.records import History

        return History(Runs(self.state, self.clock), self.leases)

    @cached_property
    def syncs(self) -> "Syncs":
        """Pulls."""
        from sovereign.answers import refresh
        from sovereign.sync.engine import Syncs

        return Syncs(
            settings=lambda: self.settings,
            repository=self.repository,
            audit=self.audit,
            runs=self.runs.runs,
            leases=self.leases,
            connector=self.connector,
            transport=lambda name, stop: self.transport(name, stop=stop),
            refresh=partial(refresh, self),
            clock=self.clock,
        )

    def connection(self, name: str) -> Connection:
        """The settings of a connection; raises UnknownConnection."""
        from sovereign.sync.errors import UnknownConnection

        if name not in self.settings.connections:
            raise UnknownConnection(connection=name, known=", ".join(sorted(self.settings.connections)) or "-")
        return self.settings.connections[name]

    def connector(self, name: str) -> "Connector":
        """Make the connector of a connection; raises UnknownConnection, SettingsError."""
        from saas_connectors.registry import make

        connection = self.connection(name)
        return make(connection.connector, name, connection.options, self.settings.connectors.allow)

    def transport(self, name: str, *, stop: threading.Event | None = None, asked: bool = False) -> "Transport":
        """Open the way out of a connection; whoever asks closes it. asked: a person tries its credential, whatever stands."""
        from sovereign.connecting import way_out

        return way_out(self, name, stop, asked=asked)
