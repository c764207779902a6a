"""The care of a site's keys: rotation, destruction, the recovery kit; each act is entered in the audit log.

Rotating touches key files only. A former generation goes when nothing is wrapped under it any more. Destroying a scope also
removes at once what was drawn from it to serve questions, and shreds the keys of it, so that no backup of it opens. One process
at a time rotates or destroys. Each act enters the keyring's revision, so that an older keyring is seen
(`sovereign.older_keyring`). No function here gives a key to anyone; `export_recovery` gives shares, once.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sovereign import settings as toml
from sovereign.clock import Clock
from sovereign.older_keyring import custody, few
from vault import files, providers, recovery
from vault.errors import NoKey, PassphraseUnknown
from vault.keys import KeyRecord, Scope

if TYPE_CHECKING:
    from sovereign.parts import Ask
    from sovereign.site import Site


@dataclass(frozen=True, slots=True)
class Rotated:
    """Key-encryption keys renewed, wrapped keys moved under them, former generations that are gone."""

    keys: int
    rewrapped: int
    retired: int


def rotate(site: "Site", *, master: bool) -> Rotated:
    """Make a new generation of every key and move everything under it; with `master`, of the master key too.

    Waits for another rotation or destruction to end: what one makes is not in use yet when the other looks.
    """
    from snapshots.export import KEY_CLASS as EXPORTS
    from sovereign.gateway.sealing import Sealing

    with files.locked(custody(site)):
        made, payloads = site.keys.rotate(), Sealing(site.keys, site.settings.keys.period)
        rewrapped = site.repository.rewrap() + site.marts.rewrap() + site.secrets.rewrap() + payloads.rewrap(site.state)
        in_use = site.repository.keks_in_use() | site.marts.keks_in_use() | site.secrets.keks_in_use()
        in_use |= payloads.keks_in_use(site.state)
        in_use |= {each.id for each in site.keys.list() if each.scope.key_class == EXPORTS}  # what they open is elsewhere
        retired = site.keys.retire(in_use)
        if master:
            site.keys.rotate_master()
        facts = {"keys": made, "rewrapped": rewrapped, "master": master, "revision": site.keys.revision}
        site.audit.append("keys.rotated", {}, facts)
        for some in few(retired):
            site.audit.append("keys.retired", {}, {"keys": some, "revision": site.keys.revision})
    return Rotated(made, rewrapped, len(retired))


def destroy(site: "Site", connection: str, key_class: str, period: str, *, reason: str) -> list[str]:
    """Shred a scope; it is entered as decided first, so that no destruction is without an entry, then as done."""
    scope, named = {"key_class": key_class, "period": period}, Scope(connection, key_class, period)
    subject, body = {"connection": connection}, {"reason": reason}
    with files.locked(custody(site)):
        held = [each for each in site.keys.list() if each.scope.connection == connection]
        if all(each.scope != named for each in held):
            raise NoKey(what=str(named))
        doomed = [each.id for each in held if each.state != "destroyed" and (each.scope == named or _drawn(each))]
        site.audit.append("keys.condemned", subject, scope | {"keys": doomed}, body)
        destroyed, drawn = site.keys.destroy(connection, key_class, period), list[str]()
        with suppress(NoKey):  # marts are a cache: made anew under new keys when someone asks
            drawn = site.keys.destroy(connection, "mart", None)
        facts = scope | {"keys": destroyed + drawn, "revision": site.keys.revision}
        site.audit.append("keys.destroyed", subject, facts, body)
    site.marts.forget(connection)
    return destroyed


def change_passphrase(site: "Site", former: "Ask", new: "Ask") -> None:
    """Change the passphrase that opens the master key.

    Errors: PassphraseUnknown when it has none, WrongPassphrase, BadName for an empty one.
    """
    provider = site.settings.keys.provider
    if not provider.startswith("file:"):
        raise PassphraseUnknown(uri=provider)
    audit = site.audit  # opened now: afterwards the keys no longer open by the former passphrase
    providers.change_passphrase(provider, passphrase=former, new=new, directory=site.root)
    audit.append("passphrase.changed")


def export_recovery(site: "Site", *, threshold: int, shares: int) -> list[str]:
    """Make a recovery kit and give its shares."""
    words = recovery.export(site.keys, threshold, shares)
    site.audit.append("recovery.exported", {}, {"threshold": threshold, "shares": shares, "revision": site.keys.revision})
    return words


def restore(
    kind: type["Site"], path: Path, shares: Sequence[str], *, provider: str, passphrase: "Ask", clock: Clock
) -> recovery.Restored:
    """Put a site under a new master with the shares of its kit; gives what came back."""
    root = path.absolute()
    settings = toml.load(root / "sovereign.toml")
    recovery.rehearse(root / "keys", shares)  # before a new master is made
    given: list[str] = []

    def once() -> str:
        if not given and passphrase is not None:
            given.append(passphrase())
        return given[0]

    master = providers.create_provider(provider, passphrase=once if passphrase else None, directory=root)
    restored = recovery.restore(root / "keys", shares, master)
    if provider != settings.keys.provider:
        name_provider(root / "sovereign.toml", provider)
    with kind.open(path, passphrase=once if passphrase else None, clock=clock) as site:
        facts = {"keys": restored.keys, "lost": len(restored.lost), "intact": restored.intact}
        site.audit.append("recovery.restored", {}, facts | {"revision": site.keys.revision})
    return restored


def _drawn(record: KeyRecord) -> bool:
    return record.scope.key_class == "mart"


def name_provider(path: Path, provider: str) -> None:
    """Write another provider into settings."""
    import tomlkit

    document: Any = tomlkit.parse(path.read_text("utf-8"))
    document.setdefault("keys", tomlkit.table())["provider"] = provider
    text = tomlkit.dumps(document)
    toml.parse(text, path)
    files.write(path, text.encode())
