"""A site, put together: the one place where rooms, vault, snapshots and connectors meet.

1. Opening a site reads its settings and nothing else; each part is made when it is first asked for, so that a command that
   needs no key asks for none.
2. Every act that changes the site is entered in the audit log here or in a room, never by a door.
3. What is served follows the audit log: a snapshot that a crash left unentered is entered as recovered first.

Doors call it; it calls everything else. Nothing imports it but doors.
"""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sovereign import settings as toml
from sovereign.actor import person
from sovereign.clock import Clock, now
from sovereign.errors import NoMaster, SiteExists
from sovereign.settings import Connection, Settings
from vault import files

if TYPE_CHECKING:
    from pyarrow import RecordBatch

    from saas_connectors.connector import Catalog, Checked, Connector
    from snapshots.dataset import DatasetId
    from snapshots.formats import Written
    from snapshots.manifest import Manifest
    from snapshots.repository import Repository
    from snapshots.serving import Marts
    from sovereign.answers import Answer
    from sovereign.audit import AuditLog
    from sovereign.custody import Rotated
    from sovereign.egress.transport import Transport
    from sovereign.outbound import Outbound
    from sovereign.state import Leases, State
    from sovereign.sync.engine import Syncs
    from sovereign.sync.jobs import Jobs
    from sovereign.sync.records import History
    from vault.errors import Fault, Finding
    from vault.keys import Keys
    from vault.recovery import Restored
    from vault.secrets import Secrets

SETTINGS = "sovereign.toml"
Ask = Callable[[], str] | None
"""Asks for the passphrase of the key provider; None when nobody can be asked."""


class Site:
    """One installation: a folder with its settings, keys, snapshots and state. A context manager; close it when done."""

    def __init__(self, root: Path, settings: Settings, passphrase: Ask, clock: Clock, actor: str | None = None) -> None:
        """Made by `create` and `open`."""
        self.actor = actor or person()
        self.root = root
        self.settings = settings
        self.clock = clock
        self._passphrase = passphrase
        self._open = ExitStack()

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        provider: str = "file:keys/master.json",
        passphrase: Ask = None,
        name: str = "Sovereign",
        language: str = "fr",
        clock: Clock = now,
    ) -> Self:
        """Make a site in a folder that is absent or empty, with fresh keys.

        Errors: SiteExists, NoMaster, and those of the key provider. Whole or not at all: a failure leaves nothing.
        """
        from sovereign.gateway.policy.opening import write_starting
        from sovereign.older_keyring import watched
        from vault.errors import ProviderError
        from vault.keys import Keys
        from vault.providers import create_provider

        root = path.absolute()
        if root.is_dir() and any(root.iterdir()):
            raise SiteExists(path=str(path))
        with files.new_folder(root):
            try:
                master = create_provider(provider, passphrase=passphrase, directory=root)
            except ProviderError as refused:
                raise NoMaster(**refused.fields) from None
            keys = Keys.create(root / "keys", master, clock)
            files.write(root / SETTINGS, toml.template(name, provider, language).encode(), new=True)
            write_starting(root / "policies", clock().date())
            site = cls(root, toml.load(root / SETTINGS), passphrase, clock)
            site.__dict__["keys"] = watched(site, keys)  # already open: nobody is asked twice
            site.audit.append("site.created", {}, {"provider": provider.partition(":")[0]})
        return site

    @classmethod
    def open(cls, path: Path, *, passphrase: Ask = None, clock: Clock = now, actor: str | None = None) -> Self:
        """Open a site; errors: NoSite, BadSettings. Keys are opened when needed; actor: who runs this process when None."""
        root = path.absolute()
        return cls(root, toml.load(root / SETTINGS), passphrase, clock, actor)

    @classmethod
    def restore(cls, path: Path, shares: list[str], *, provider: str, passphrase: Ask = None, clock: Clock = now) -> "Restored":
        """Put a site whose master key is lost under a new one, with the shares of its recovery kit; gives what came back."""
        from sovereign.custody import restore

        return restore(cls, path, shares, provider=provider, passphrase=passphrase, clock=clock)

    def close(self) -> None:
        """Close what was opened."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The parts

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

        return self._open.enter_context(closing(AuditLog(self.state, self.keys, self.clock, actor=self.actor)))

    @cached_property
    def outbound(self) -> "Outbound":
        """What writes to vendors: people, applications, approvals."""
        from sovereign.outbound import Outbound

        return Outbound(self)

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
        from sovereign.sync.engine import Syncs

        return Syncs(
            settings=lambda: self.settings,
            repository=self.repository,
            audit=self.audit,
            runs=self.runs.runs,
            leases=self.leases,
            connector=self.connector,
            transport=lambda name, stop: self.transport(name, stop=stop),
            refresh=self.refresh,
            clock=self.clock,
        )

    def jobs(self) -> "Jobs":
        """Pulls on a cadence."""
        from sovereign.state import Jobs as Diary
        from sovereign.sync.jobs import Jobs

        return Jobs(
            settings=lambda: self.settings,
            state=self.state,
            diary=Diary(self.state, self.clock),
            runs=self.runs.runs,
            leases=self.leases,
            audit=self.audit,
            syncs=self.syncs,
            clock=self.clock,
            housekeep=self.housekeep,
        )

    # Connections

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
        return make(connection.connector, name, connection.options)

    def transport(self, name: str, *, stop: threading.Event | None = None) -> "Transport":
        """Open the way out of a connection; whoever asks closes it."""
        from sovereign.connecting import way_out

        return way_out(self, name, stop)

    def check(self, name: str) -> "Checked":
        """Ask the vendor whether it answers and takes the credential."""
        from sovereign.sync.reading import converse

        connector = self.connector(name)
        with self.transport(name) as transport:
            checked = converse(connector.check(), transport.exchange, name)
        self.audit.append("connection.checked", {"connection": name})
        return checked

    def discover(self, name: str) -> "Catalog":
        """Ask the vendor which streams there are."""
        from sovereign.sync.reading import converse

        connector = self.connector(name)
        with self.transport(name) as transport:
            catalog = converse(connector.discover(), transport.exchange, name)
        self.audit.append("connection.discovered", {"connection": name}, {"streams": len(catalog.streams)})
        return catalog

    def add_connection(self, name: str, values: Mapping[str, Any]) -> None:
        """Add a connection to sovereign.toml, unless its connector refuses it.

        Errors: BadSettings, SettingsError, BadCadence; the file is then as it was.
        """
        from sovereign.connecting import add

        add(self, name, values)

    def remove_connection(self, name: str) -> None:
        """Take a connection out of sovereign.toml; its snapshots stay."""
        self.settings = toml.remove_connection(self.root / SETTINGS, name)
        self.audit.append("connection.removed", {"connection": name})

    def set_secret(self, connection: str, name: str, value: bytes) -> None:
        """Seal a credential of a connection."""
        self.secrets.put(connection, name, value)
        self.audit.append("secret.stored", {"connection": connection}, {"secret": name})

    def remove_secret(self, connection: str, name: str) -> None:
        """Forget a credential."""
        self.secrets.remove(connection, name)
        self.audit.append("secret.removed", {"connection": connection}, {"secret": name})

    # What is held

    def heads(self, damaged: "dict[DatasetId, Fault] | None" = None) -> "dict[DatasetId, Manifest]":
        """The snapshot that is served of each dataset, as the audit log says; see `sovereign.answers.heads`."""
        from sovereign.answers import heads

        return heads(self, damaged)

    def refresh(self, dataset: "DatasetId", manifest: "Manifest") -> None:
        """Bring the marts that someone asked for before up to a snapshot."""
        from sovereign.answers import refresh

        refresh(self, dataset, manifest)

    def query(
        self,
        sql: str,
        *,
        clearance: str = "internal",
        as_of: int | datetime | None = None,
        parameters: Sequence[object] | Mapping[str, object] | None = None,
    ) -> "Answer":
        """Ask one SQL question to the local copies; close the answer when done.

        clearance: the highest class whose keys are opened; as_of: a sequence or an instant; parameters: bound, by place or by
        name. Errors: BadQuery, NotAllowed, UnknownName, NoSnapshot and those of a session.
        """
        from sovereign.answers import ask

        return ask(self, sql, clearance=clearance, as_of=as_of, parameters=parameters)

    def snapshot(self, dataset: "DatasetId", as_of: int | datetime | None = None) -> "Manifest":
        """The snapshot that is served of a dataset, or the one that was; raises NoSnapshot."""
        from sovereign.answers import head

        served = head(self, dataset) if as_of is None else None
        return served or self.repository.find(dataset, as_of)

    def changes(
        self, dataset: "DatasetId", before: "Manifest", after: "Manifest", *, clearance: str
    ) -> "Iterator[RecordBatch]":
        """What changed from one snapshot to another, as far as a clearance sees; see `snapshots.changes`."""
        from snapshots.changes import changes

        facts = {"before": before.sequence, "after": after.sequence, "clearance": clearance}
        self.audit.append("snapshot.compared", {"connection": dataset.connection, "stream": dataset.stream}, facts)
        return changes(self.repository, before, after, clearance)

    def export(
        self,
        dataset: "DatasetId",
        folder: Path,
        *,
        clearance: str = "internal",
        as_of: int | datetime | None = None,
        sealed: bool = False,
    ) -> "Written":
        """Hand over a snapshot in a new folder, in clear or sealed; see `snapshots.export`. The entry is written first."""
        from snapshots.errors import AlreadyExported
        from snapshots.export import export_dataset

        manifest = self.snapshot(dataset, as_of)
        if folder.exists():
            raise AlreadyExported(folder=folder.name)
        facts = {"sequence": manifest.sequence, "clearance": clearance, "sealed": sealed}
        self.audit.append("snapshot.exported", {"connection": dataset.connection, "stream": dataset.stream}, facts)
        return export_dataset(self.repository, manifest, clearance, folder, sealed=sealed)

    # Care

    def rotate_keys(self, *, master: bool = False) -> "Rotated":
        """Make a new generation of every key and move everything under it."""
        from sovereign.custody import rotate

        return rotate(self, master=master)

    def destroy_keys(self, connection: str, key_class: str, period: str, *, reason: str = "") -> list[str]:
        """Shred a scope: what its keys closed is gone for good, in every backup too; gives the keys' ids."""
        from sovereign.custody import destroy

        return destroy(self, connection, key_class, period, reason=reason)

    def export_recovery(self, *, threshold: int, shares: int) -> list[str]:
        """Make a recovery kit: `threshold` of its `shares` reopen every key."""
        from sovereign.custody import export_recovery

        return export_recovery(self, threshold=threshold, shares=shares)

    def doctor(self) -> "list[Finding]":
        """Look for what is wrong, or soon will be; see `sovereign.inspection`."""
        from sovereign.inspection import inspect

        return list(inspect(self))

    def housekeep(self, spared: frozenset[str] = frozenset()) -> None:
        """Remove what has had its time: payloads of writes, raw archives (not of `spared` connections), marts, dead spill."""
        from snapshots import engine
        from sovereign.gateway import keeping
        from sovereign.sync import retention

        keeping.sweep(self.state, self.audit, self.settings.gateway.keep_days, self.clock())
        known = self.settings.connections
        retention.sweep(self.repository, self.audit, self.runs.runs, self.leases, known, self.clock(), spared=spared)
        self.marts.sweep()
        engine.sweep(self.root / "spill")
