"""The care of a site's keys: rotation, destruction, the recovery kit; each act is entered in the audit log.

Rotating touches key files only. A former generation goes when nothing is wrapped under it any more. Destroying a scope also
removes at once what was drawn from it to serve questions, and shreds the keys of it, so that no backup of it opens.
No function here gives a key to anyone; `export_recovery` gives
shares, once.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sovereign import settings as toml
from sovereign.clock import Clock
from vault import files, recovery
from vault.errors import NoKey
from vault.keys import Scope
from vault.providers import create_provider

if TYPE_CHECKING:
    from sovereign.site import Ask, Site


@dataclass(frozen=True, slots=True)
class Rotated:
    """Key-encryption keys renewed, wrapped keys moved under them, former generations that are gone."""

    keys: int
    rewrapped: int
    retired: int


def rotate(site: "Site", *, master: bool) -> Rotated:
    """Make a new generation of every key and move everything under it; with `master`, of the master key too."""
    from snapshots.export import KEY_CLASS as EXPORTS

    made = site.keys.rotate()
    rewrapped = site.repository.rewrap() + site.marts.rewrap() + site.secrets.rewrap()
    in_use = site.repository.keks_in_use() | site.marts.keks_in_use() | site.secrets.keks_in_use()
    in_use |= {each.id for each in site.keys.list() if each.scope.key_class == EXPORTS}  # what they open is elsewhere
    retired = site.keys.retire(in_use)
    if master:
        site.keys.rotate_master()
    site.audit.append("keys.rotated", {}, {"keys": made, "rewrapped": rewrapped, "master": master})
    if retired:
        site.audit.append("keys.retired", {}, {"keys": retired})
    return Rotated(made, rewrapped, len(retired))


def destroy(site: "Site", connection: str, key_class: str, period: str, *, reason: str) -> list[str]:
    """Shred a scope; the entry is written first, so that no destruction is without one."""
    named = Scope(connection, key_class, period)
    if all(each.scope != named for each in site.keys.list()):
        raise NoKey(what=str(named))
    scope = {"key_class": key_class, "period": period}
    site.audit.append("keys.destroyed", {"connection": connection}, scope, {"reason": reason})
    destroyed = site.keys.destroy(connection, key_class, period)
    with suppress(NoKey):  # marts are a cache: made anew under new keys when someone asks
        site.keys.destroy(connection, "mart", None)
    site.marts.forget(connection)
    return destroyed


def export_recovery(site: "Site", *, threshold: int, shares: int) -> list[str]:
    """Make a recovery kit and give its shares."""
    words = recovery.export(site.keys, threshold, shares)
    site.audit.append("recovery.exported", {}, {"threshold": threshold, "shares": shares})
    return words


def restore(kind: type["Site"], path: Path, shares: Sequence[str], *, provider: str, passphrase: "Ask", clock: Clock) -> int:
    """Put a site under a new master with the shares of its kit; gives how many keys came back."""
    root = path.absolute()
    settings = toml.load(root / "sovereign.toml")
    recovery.rehearse(root / "keys", shares)  # before a new master is made
    given: list[str] = []

    def once() -> str:
        if not given and passphrase is not None:
            given.append(passphrase())
        return given[0]

    master = create_provider(provider, passphrase=once if passphrase else None, directory=root)
    restored = recovery.restore(root / "keys", shares, master)
    if provider != settings.keys.provider:
        _name_provider(root / "sovereign.toml", provider)
    with kind.open(path, passphrase=once if passphrase else None, clock=clock) as site:
        site.audit.append("recovery.restored", {}, {"keys": restored.keys, "lost": len(restored.lost)})
    return restored.keys


def _name_provider(path: Path, provider: str) -> None:
    import tomlkit

    document: Any = tomlkit.parse(path.read_text("utf-8"))
    document.setdefault("keys", tomlkit.table())["provider"] = provider
    text = tomlkit.dumps(document)
    toml.parse(text, path)
    files.write(path, text.encode())
