"""A site, put together: the one place where rooms, vault, snapshots and connectors meet.

1. Opening a site reads its settings and nothing else; its parts are made when they are first asked for (`sovereign.parts`).
2. Every act that changes the site is entered in the audit log here or in a room, never by a door.
3. What is served follows the audit log: a snapshot that a crash left unentered is entered as recovered first.

Doors call it; it calls everything else. Nothing imports it but doors.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sovereign import settings as toml
from sovereign.clock import Clock, now
from sovereign.errors import NoMaster, SiteExists
from sovereign.parts import Ask, Parts
from vault import files

if TYPE_CHECKING:
    from pyarrow import RecordBatch

    from saas_connectors.connector import Catalog, Checked
    from snapshots.dataset import DatasetId
    from snapshots.formats import Written
    from snapshots.manifest import Manifest
    from sovereign.answers import Answer, Given
    from sovereign.authoring.recording import Recorded
    from sovereign.custody import Rotated
    from sovereign.documents import Listed
    from sovereign.sync.jobs import Jobs
    from vault.errors import Fault, Finding
    from vault.recovery import Restored

SETTINGS = "sovereign.toml"


class Site(Parts):
    """One installation: a folder with its settings, keys, snapshots and state."""

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

    # Connections

    def check(self, name: str) -> "Checked":
        """Ask the vendor whether it answers and takes the credential."""
        from sovereign.sync.reading import converse

        connector = self.connector(name)
        with self.transport(name, asked=True) as transport:
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

    def dry_run(self, name: str, folder: Path | None, *, streams: Sequence[str] = (), pages: int | None = None) -> "Recorded":
        """Check, discover and read through the way out, keeping no copy; folder: where the scrubbed exchanges go.

        Errors: Unscrubbed, Diverged, NotEmpty, UnknownStream, those of the vendor; nothing is then written.
        """
        from sovereign.authoring.dry_run import dry_run

        return dry_run(self, name, folder, streams=streams, pages=pages)

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
        """Seal a credential of a connection; what waited because the vendor refused the former one leaves by itself."""
        from sovereign.credentials import reopen

        self.secrets.put(connection, name, value)
        self.audit.append("secret.stored", {"connection": connection}, {"secret": name})
        reopen(self, connection)

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
        given: "Given | None" = None,
    ) -> "Answer":
        """Ask one SQL question to the local copies; close the answer when done.

        clearance: the highest class whose keys are opened; as_of: a sequence or an instant; parameters: bound, by place or by
        name; given: tables in memory that may be read beside the copies. Errors: BadQuery, NotAllowed, UnknownName, NoSnapshot
        and those of a session.
        """
        from sovereign.answers import ask

        return ask(self, sql, clearance=clearance, as_of=as_of, parameters=parameters, given=given or {})

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

    def documents(
        self, connection: str, stream: str | None = None, *, clearance: str = "internal", as_of: int | datetime | None = None
    ) -> "Iterator[Listed]":
        """List the documents that records of a connection name, of one stream or of all; see `sovereign.documents`."""
        from snapshots.dataset import DatasetId
        from sovereign.documents import listed

        datasets = [each for each in self.repository.datasets() if each.connection == connection]
        if stream is not None:
            datasets = [DatasetId(connection, stream)]
        chosen = [self.snapshot(each, as_of) for each in datasets]
        facts = {"clearance": clearance, "streams": [each.id.stream for each in chosen]}
        self.audit.append("document.listed", {"connection": connection}, facts)
        for manifest in chosen:
            yield from listed(self, manifest, clearance)

    def document(
        self, dataset: "DatasetId", document: str, *, clearance: str = "internal", as_of: int | datetime | None = None
    ) -> bytes:
        """Open a document that a record of a snapshot names, under the keys of a clearance; see `sovereign.documents`."""
        from sovereign.documents import opened

        return opened(self, self.snapshot(dataset, as_of), document, clearance)

    # Care

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
        """Remove what had its time: payloads, events, raw archives, documents (not of `spared` connections), marts, spill."""
        from snapshots import engine
        from sovereign.eventing import prune
        from sovereign.gateway import keeping, messages
        from sovereign.sync import disposal, retention

        keeping.sweep(self.state, self.audit, self.settings.gateway.keep_days, self.clock(), self.spool.remove)
        messages.sweep(self.state, self.settings.gateway.keep_days, self.clock())
        prune(self)
        known = self.settings.connections
        retention.sweep(self.repository, self.audit, self.runs.runs, self.leases, known, self.clock(), spared=spared)
        disposal.sweep(self.repository, self.audit, self.runs.runs, self.leases, known, self.clock(), spared=spared)
        self.marts.sweep()
        engine.sweep(self.root / "spill")
