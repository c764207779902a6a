"""A new connection, or other settings of one: what can be refused before a vendor is asked anything is refused here.

Nothing is written then.

Its name must be one that SQL reads as it stands (`FROM name.table`), its folder must be there, and an authentication must name
its secret, which `sovereign secret set` seals afterwards.
"""

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from sovereign import settings as toml
from sovereign.errors import BadSettings

if TYPE_CHECKING:
    from saas_connectors.auth import Auth
    from sovereign.egress.policy import EgressPolicy
    from sovereign.egress.transport import Transport
    from sovereign.parts import Parts
    from sovereign.settings import Connection, Settings

    Write = Callable[[Path, str, Mapping[str, Any]], Settings]

SETTINGS: Final = "sovereign.toml"
SYSTEM: Final = frozenset({"information_schema", "main", "pg_catalog", "system", "temp"})
"""Schemas that the engine keeps for itself."""
NAMED: Final = frozenset({"imap", "imaps", "ldap", "ldaps", "sftp"})
"""Schemes of servers that let nobody in without an account."""
KEYWORDS: Final = frozenset({
    "all", "analyse", "analyze", "and", "anti", "any", "array", "as", "asc", "asof", "asymmetric", "at",
    "authorization", "binary", "both", "by", "case", "cast", "check", "collate", "collation", "column", "concurrently",
    "constraint", "create", "cross", "default", "deferrable", "desc", "describe", "distinct", "do", "else", "end",
    "except", "false", "fetch", "for", "foreign", "freeze", "from", "full", "glob", "group", "having", "ilike", "in",
    "initially", "inner", "intersect", "into", "is", "isnull", "join", "lambda", "lateral", "leading", "left", "like",
    "limit", "natural", "not", "notnull", "null", "offset", "on", "only", "or", "order", "outer", "overlaps", "pivot",
    "pivot_longer", "pivot_wider", "placing", "positional", "primary", "qualify", "references", "returning", "right",
    "select", "semi", "show", "similar", "some", "summarize", "symmetric", "table", "tablesample", "then", "to",
    "trailing", "true", "union", "unique", "unpack", "unpivot", "using", "variadic", "verbose", "when", "where",
    "window", "with",
})  # fmt: skip
"""Words that the engine's SQL does not read as a schema's name without quotes."""


def add(site: "Parts", name: str, values: Mapping[str, Any]) -> None:
    """Add a connection; see `Site.add_connection`."""
    made = _written(site, name, values, toml.add_connection)
    site.audit.append("connection.added", {"connection": name}, {"connector": made.connector})


def change(site: "Parts", name: str, values: Mapping[str, Any]) -> None:
    """Give a connection other settings, unless its connector refuses them; errors as `add`, the file is then as it was."""
    made = _written(site, name, values, toml.change_connection)
    site.audit.append("connection.changed", {"connection": name}, {"connector": made.connector})


def _written(site: "Parts", name: str, values: Mapping[str, Any], write: "Write") -> "Connection":
    """Try a change of the settings on a copy, then make it."""
    from saas_connectors.registry import make
    from sovereign.sync.jobs import cadence_of

    with TemporaryDirectory(dir=site.root) as aside:
        proposed = write(Path(copyfile(site.root / SETTINGS, Path(aside) / SETTINGS)), name, values)
        made = proposed.connections[name]
        _readable(made, site.root)
        make(made.connector, name, made.options, proposed.connectors.allow)
        cadence_of(made, proposed)
    site.settings = write(site.root / SETTINGS, name, values)
    return made


def _readable(made: "Connection", root: Path) -> None:
    from saas_connectors.auth import checked

    at = f"connections.{made.name}"
    if made.name in SYSTEM | KEYWORDS:
        raise BadSettings(
            field=at,
            expected_fr=f"« {made.name} » est un mot réservé du SQL ; prenez un autre nom",
            expected_en=f"`{made.name}` is a reserved word of SQL; take another name",
        )
    if not made.auth and made.url.partition(":")[0] in NAMED:
        example = f"""--set 'auth={{kind="basic",user="…"}}' --set secret={made.name}"""
        raise BadSettings(
            field=f"{at}.auth",
            expected_fr=f"attendu : le compte qui se présente à ce serveur, comme {example}",
            expected_en=f"expected the account that is shown to this server, such as {example}",
        )
    if made.auth and made.secret is None and "secret" not in made.auth:
        raise BadSettings(
            field=f"{at}.secret",
            expected_fr=f"attendu : le nom du secret de « auth » (--set secret={made.name}), "
            f"que « sovereign secret set {made.name} » scelle ensuite",
            expected_en=f"expected the name of the secret of `auth` (--set secret={made.name}), "
            f"which `sovereign secret set {made.name}` seals afterwards",
        )
    if made.auth:
        checked({"secret": made.secret, **made.auth}, f"{at}.auth")
    if made.url.startswith("folder:") and not (root / made.url.removeprefix("folder:").removeprefix("//")).is_dir():
        raise BadSettings(
            field=f"{at}.url", expected_fr="attendu : un dossier qui existe", expected_en="expected a folder that exists"
        )


def allowed(site: "Parts", name: str) -> "tuple[EgressPolicy, Auth | None]":
    """Give what a connection is allowed on the network, and the credential that it shows there."""
    from saas_connectors.registry import auth
    from sovereign.egress.policy import policy_of

    connection = site.connection(name)
    settings = dict(connection.auth)
    if connection.secret is not None:
        settings.setdefault("secret", connection.secret)

    def secret(wanted: str) -> bytes:
        return site.secrets.get(name, wanted)

    return policy_of(connection, site.root, secret), auth(settings, secret, site.clock, at=f"connections.{name}.auth")


def way_out(site: "Parts", name: str, stop: threading.Event | None, *, asked: bool = False) -> "Transport":
    """Open the way out of a connection, with its credential; whoever asks closes it.

    A credential that the vendor refused is not shown (`egress.sparing`), unless a person asks for it now (`asked`).
    """
    from sovereign.credentials import Pulled, mark
    from sovereign.egress.sparing import Sparing
    from sovereign.egress.transport import open_transport

    policy, shown = allowed(site, name)
    way = open_transport(policy, shown, site.clock, stop=stop)
    if (known := mark(site, name)) is None:
        return way
    return Sparing(way, Pulled(site, name, known, asked=asked), name, policy.own)


def bare_way_out(site: "Parts", name: str, stop: threading.Event) -> "Transport":
    """Open the way out of a connection for the gateway, which spares credentials by itself."""
    from sovereign.egress.transport import open_transport

    policy, shown = allowed(site, name)
    return open_transport(policy, shown, site.clock, stop=stop)
