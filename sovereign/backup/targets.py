"""Targets by name: a table of `[backup.targets]`, a folder, or an object store named on the command line.

The object store is the operator's own: its address passes egress's guard before the library that speaks S3 is given it.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import msgspec

from sovereign.backed_up import SECRETS
from sovereign.backup.errors import NoKeysApart, NoPolicy, NoTarget
from sovereign.backup.folder import FolderTarget
from sovereign.backup.keeping import Keep
from sovereign.backup.target import Target

if TYPE_CHECKING:
    from sovereign.parts import Parts
    from sovereign.settings import BackupTarget


def named(site: "Parts", name: str | None) -> Target:
    """The target of that name, or the folder, or the one that the settings choose; errors: NoTarget, those of the target."""
    settings = site.settings.backup
    chosen = name or settings.target or (next(iter(settings.targets)) if len(settings.targets) == 1 else None)
    if chosen in settings.targets:
        return _configured(site, chosen, settings.targets[chosen])
    if name is None or not ("/" in name or name.startswith(".") or Path(name).is_dir()):
        raise NoTarget(name=name or "-", known=", ".join(sorted(settings.targets)) or "-")
    return FolderTarget(Path(name))


def _configured(site: "Parts", name: str, wanted: "BackupTarget") -> Target:
    if wanted.folder is not None:
        return FolderTarget(site.root / wanted.folder, name)
    from sovereign.backup.s3 import Store, connect

    if not (wanted.bucket and wanted.url and wanted.access_key and wanted.secret):
        raise NoTarget(name=name, known=name)  # settings refuse it when they are read
    return connect(
        name,
        Store(
            bucket=wanted.bucket,
            url=wanted.url,
            access_key=wanted.access_key,
            secret_key=site.secrets.get(SECRETS, wanted.secret).decode(),
            region=wanted.region,
            prefix=wanted.prefix,
            ca_bundle=None if wanted.network.ca_bundle is None else site.root / wanted.network.ca_bundle,
            private=wanted.network.private,
            loopback=wanted.network.loopback,
        ),
    )


def keys_of(site: "Parts", given: Path | None) -> Path:
    """Where copies of the keys go; errors: NoKeysApart."""
    if given is None and site.settings.backup.keys is None:
        raise NoKeysApart
    return given or site.root / str(site.settings.backup.keys)


def keys_if_any(site: "Parts") -> Path | None:
    """Where the settings put copies of the keys, None when they do not say."""
    return None if site.settings.backup.keys is None else site.root / site.settings.backup.keys


def policy_of(site: "Parts", given: Mapping[str, int | None] = MappingProxyType({})) -> Keep:
    """What is kept: as given when anything is, else as the settings say; errors: NoPolicy."""
    said = {name: many for name, many in given.items() if many is not None}
    if not said and (settled := site.settings.backup.keep) is not None:
        said = msgspec.structs.asdict(settled)
    if not (policy := Keep(**said)):
        raise NoPolicy
    return policy
