"""Read `sovereign.toml`: text to frozen values, or a `BadSettings` that names the field."""

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints
from zoneinfo import ZoneInfo

import msgspec

from sovereign.errors import BadSettings, NoSite
from sovereign.settings.address import reachable, wrong
from sovereign.settings.audit import AuditSettings, Witness
from sovereign.settings.backup import BackupKeep, BackupSettings, BackupTarget
from sovereign.settings.events import EventSource
from sovereign.settings.schema import (
    Connection,
    ConnectorSettings,
    GatewaySettings,
    KeySettings,
    Limits,
    Network,
    SiteSettings,
)
from sovereign.settings.subscribers import MOST as MOST_SUBSCRIBERS
from sovereign.settings.subscribers import Subscriber
from sovereign.settings.tables import expectation, known_fields, read, table_of
from sovereign.settings.whole import Settings

MAX_BYTES = 2**20
"""A longer file is not a settings file."""

MAX_DEPTH = 32
"""Tables and lists nested deeper are not settings."""

MAX_WITNESSES = 16

_DEEP_KEY = re.compile(
    r"""(?<![A-Za-z0-9_\-])(?:(?:[A-Za-z0-9_\-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){%d}""" % MAX_DEPTH  # noqa: UP031 — braces
)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def load(path: Path) -> Settings:
    """Read a site's settings.

    Errors: NoSite when there is no such file, BadSettings naming the dotted field.
    """
    try:
        with path.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise NoSite(path=str(path.parent)) from None
    except OSError:
        raise wrong("", "un fichier lisible par vous", "a file that you can read") from None
    if len(data) > MAX_BYTES:
        raise wrong("", f"au plus {MAX_BYTES} octets", f"at most {MAX_BYTES} bytes")
    try:
        return parse(data.decode("utf-8"), path)
    except UnicodeDecodeError:
        raise wrong("", "un fichier en UTF-8", "a file in UTF-8") from None


def parse(text: str, path: Path) -> Settings:
    """Read settings from text, as if it stood at `path`; errors as in `load`."""
    # The parser keeps every beginning of a dotted key: a key of 100,000 parts would take all the memory.
    if deep := _DEEP_KEY.search(text):
        raise too_deep(text.count("\n", 0, deep.start()) + 1)
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise too_deep(None) from None
    except ValueError as error:  # TOMLDecodeError, or a number of more than 4,300 digits
        # The parser's message may quote the line; only its position is repeated.
        where = re.search(r"at line (\d+), column (\d+)", str(error))
        line = int(where[1]) if where else text.count("\n") + 1
        field = f"{line}:{where[2]}" if where else str(line)
        raise wrong(field, f"du TOML valide à la ligne {line}", f"valid TOML on line {line}", line=line) from None
    try:
        _bounded(document)
        return _settings(document, path)
    except BadSettings as refused:
        raise BadSettings(**{**refused.fields, "line": line_of(text, str(refused.fields["field"]))}) from None


def too_deep(line: int | None) -> BadSettings:
    """The error for tables or lists nested beyond `MAX_DEPTH`; `line` where in the file, from 1."""
    said = f"au plus {MAX_DEPTH} tables ou listes emboîtées", f"at most {MAX_DEPTH} nested tables or lists"
    return wrong("" if line is None else str(line), *said, line=line)


def _bounded(document: dict[str, Any]) -> None:
    """Refuse what no setting may be, wherever it stands: nesting without end, a number that is not finite."""
    left: list[tuple[str, object, int]] = [("", document, 0)]
    while left:
        at, value, depth = left.pop()
        if isinstance(value, float) and not math.isfinite(value):
            raise wrong(at, "un nombre fini (ni inf, ni nan)", "a finite number (neither inf nor nan)")
        if isinstance(value, dict | list) and depth >= MAX_DEPTH:
            raise too_deep(None)
        if isinstance(value, dict):
            left += [(f"{at}.{name}".lstrip("."), inner, depth + 1) for name, inner in value.items()]
        elif isinstance(value, list):
            left += [(at, inner, depth + 1) for inner in value]


def line_of(text: str, field: str) -> int | None:
    """Find the line of a dotted field, or of the table it should be in, from 1; None when neither is written.

    It reads headers and plain keys, which is how settings are written; a field of an inline table is found by that table.
    """
    table, found, depth = "", None, 0
    for number, line in enumerate(text.splitlines(), 1):
        header = re.fullmatch(r"\s*\[\s*([A-Za-z0-9_.\-]+)\s*\]\s*(#.*)?", line)
        key = re.match(r"\s*([A-Za-z0-9_.\-]+)\s*=", line)
        if header:
            table = header[1]
        name = table if header else f"{table}.{key[1]}".lstrip(".") if key else ""
        if name and f"{field}.".startswith(f"{name}.") and len(name) > depth:
            found, depth = number, len(name)
    return found


def _settings(document: dict[str, Any], path: Path) -> Settings:
    known = ("site", "keys", "limits", "gateway", "audit", "backup", "connectors", "connections", "events", "subscribers")
    known_fields(document, known, "")
    tables = table_of(document.get("connections", {}), "connections")
    settings = Settings(
        path=path,
        site=read(document.get("site", {}), SiteSettings, "site"),
        keys=read(document.get("keys", {}), KeySettings, "keys"),
        limits=read(document.get("limits", {}), Limits, "limits"),
        gateway=_gateway(document.get("gateway", {})),
        audit=_audit(document.get("audit", {})),
        connectors=read(document.get("connectors", {}), ConnectorSettings, "connectors"),
        backup=_backup(document.get("backup", {})),
        connections={name: _connection(name, table) for name, table in tables.items()},
        events={name: _source(name, table) for name, table in table_of(document.get("events", {}), "events").items()},
        subscribers=_subscribers(document.get("subscribers", {}), tables),
    )
    _zone(settings.site.zone, "site.zone")
    return settings


def _gateway(value: object) -> GatewaySettings:
    gateway = read(value, GatewaySettings, "gateway")
    if (gateway.certificate is None) != (gateway.key is None):
        missing = "certificate" if gateway.certificate is None else "key"
        raise wrong(f"gateway.{missing}", "le certificat et sa clé vont ensemble", "a certificate and its key go together")
    if gateway.client_ca is not None and gateway.certificate is None:
        raise wrong("gateway.certificate", "TLS, pour des certificats de clients", "TLS, for certificates of clients")
    if 0 < gateway.max_upload < gateway.max_body:
        raise wrong("gateway.max_upload", *expectation(get_type_hints(GatewaySettings, include_extras=True)["max_upload"]))
    local = gateway.listen.rpartition(":")[0] in ("127.0.0.1", "localhost", "[::1]", "")
    if not local and gateway.certificate is None:
        raise wrong(
            "gateway.certificate",
            "un certificat dès que d'autres machines appellent (sinon les jetons circulent en clair)",
            "a certificate as soon as other machines call (else tokens travel in clear)",
        )
    return gateway


def _audit(value: object) -> AuditSettings:
    table = table_of(value, "audit")
    audit = read({name: each for name, each in table.items() if name != "witnesses"}, AuditSettings, "audit")
    if audit.timestamps is not None:
        _reachable(audit.timestamps.url, audit.timestamps.network, "audit.timestamps")
    hints = get_type_hints(AuditSettings, include_extras=True)
    witnesses: dict[str, Witness] = {}
    for name, each in table_of(table.get("witnesses", {}), "audit.witnesses").items():
        witnesses[name] = _witness(name, each, {known.key.partition("+")[0] for known in witnesses.values()})
    if len(witnesses) > MAX_WITNESSES:
        raise wrong("audit.witnesses", *expectation(hints["witnesses"]))
    audit = msgspec.structs.replace(audit, witnesses=witnesses)
    if audit.wanted > len(witnesses):
        raise wrong("audit.cosignatures", *expectation(hints["cosignatures"]))
    if audit.export is not None and audit.export.client_key is not None and audit.export.client_certificate is None:
        raise wrong(
            "audit.export.client_certificate",
            "le certificat qui va avec client_key",
            "the certificate that goes with client_key",
        )
    return audit


def _backup(value: object) -> BackupSettings:
    table = table_of(value, "backup")
    backup = read({name: each for name, each in table.items() if name != "targets"}, BackupSettings, "backup")
    targets = {}
    for name, each in table_of(table.get("targets", {}), "backup.targets").items():
        at = f"backup.targets.{name}"
        _named(name, at)
        target = targets[name] = read(each, BackupTarget, at)
        if (target.folder is None) == (target.bucket is None):
            raise wrong(f"{at}.folder", "soit « folder », soit « bucket »", "either `folder` or `bucket`")
        for field in ("url", "access_key", "secret") if target.bucket is not None else ():
            if getattr(target, field) is None:
                raise wrong(f"{at}.{field}", *expectation(get_type_hints(BackupTarget, include_extras=True)[field]))
        if target.url is not None:
            reachable(target.url, target.network, at)
            for field in ("proxy", "proxy_secret", "client_certificate", "client_key", "client_key_secret", "allow"):
                if getattr(target.network, field):
                    raise wrong(f"{at}.network.{field}", "ce champ absent : il ne sert pas ici", "no such field here")
    if backup.target is not None and backup.target not in targets:
        raise wrong("backup.target", *expectation(get_type_hints(BackupSettings, include_extras=True)["target"]))
    _planned(backup, len(targets))
    return msgspec.structs.replace(backup, targets=targets)


def _planned(backup: BackupSettings, targets: int) -> None:
    """Refuse a cadence of backups that could not be kept, and a table of rules that keeps nothing."""
    if backup.every is not None and backup.schedule is not None:
        fr, en = "soit « every », soit « schedule », pas les deux", "either `every` or `schedule`, not both"
        raise wrong("backup.schedule", fr, en)
    field = "every" if backup.every else "schedule" if backup.schedule else None
    if field and (backup.keys is None or (backup.target is None and targets != 1)):
        fr, en = "« keys » et une destination avec une cadence", "`keys` and a target beside a cadence"
        raise wrong(f"backup.{field}", fr, en)
    if backup.keep is not None and backup.keep == BackupKeep():
        raise wrong("backup.keep", *expectation(get_type_hints(BackupSettings, include_extras=True)["keep"]))


def _witness(name: str, value: object, taken: set[str]) -> Witness:
    """taken: the names that the keys of other witnesses bear; signature lines go by them."""
    from vault.cosignatures import Cosignatory
    from vault.errors import VaultError

    at = f"audit.witnesses.{name}"
    _named(name, at)
    witness = read(value, Witness, at)
    _reachable(witness.url, witness.network, at)
    try:
        fresh = Cosignatory.parse(witness.key).name not in taken
    except VaultError:
        fresh = False
    if not fresh:
        raise wrong(f"{at}.key", *expectation(get_type_hints(Witness, include_extras=True)["key"]))
    return witness


def _reachable(url: str, network: Network, at: str) -> None:
    """Refuse an address of our own infrastructure that egress would refuse, and what no secret is kept for."""
    reachable(url, network, at)
    for field in ("proxy_secret", "client_key_secret", "allow"):
        if getattr(network, field):
            raise wrong(f"{at}.network.{field}", "ce champ absent : il ne sert pas ici", "no such field here")


def _named(name: str, at: str) -> None:
    if not _NAME.fullmatch(name):
        raise wrong(
            at,
            "un nom en minuscules, chiffres et _, qui commence par une lettre",
            "a name in lower case, digits and _, starting with a letter",
        )


def _connection(name: str, value: object) -> Connection:
    at = f"connections.{name}"
    _named(name, at)
    table = table_of(value, at)
    ours = {field: table[field] for field in Connection.__struct_fields__ if field in table}
    for reserved in ("name", "options"):
        if reserved in ours:
            raise BadSettings(field=f"{at}.{reserved}", expected_fr="champ réservé", expected_en="reserved field")
    options = {field: content for field, content in table.items() if field not in ours or field in ("url", "streams")}
    connection = read({**ours, "name": name, "options": options}, Connection, at)
    if connection.every is not None and connection.schedule is not None:
        raise wrong(
            f"{at}.schedule", "soit « every », soit « schedule », pas les deux", "either `every` or `schedule`, not both"
        )
    if connection.zone is not None:
        _zone(connection.zone, f"{at}.zone")
    reachable(connection.url, connection.network, at, folder=True)
    return connection


def _source(name: str, value: object) -> EventSource:
    at = f"events.{name}"
    _named(name, at)
    source = read(value, EventSource, at)
    if sum(each is not None for each in (source.type, source.type_field, source.type_header)) > 1:
        raise wrong(f"{at}.type", "un seul de type, type_field, type_header", "one of type, type_field, type_header")
    if source.type is not None and source.types:
        raise wrong(f"{at}.types", "« type » ou « types », pas les deux", "either `type` or `types`, not both")
    if source.type is None and not source.prefix and not source.types:
        raise wrong(
            f"{at}.types",
            'ce que cette source peut dire : « type », « prefix » ou « types » (types = ["rh.*"] ; types = ["*"] pour tout, '
            "comme jusqu'ici)",
            'what this source may tell: `type`, `prefix` or `types` (types = ["rh.*"]; types = ["*"] for all, as until now)',
        )
    return source


def _subscribers(value: object, connections: Mapping[str, object]) -> dict[str, Subscriber]:
    tables = table_of(value, "subscribers")
    if len(tables) > MOST_SUBSCRIBERS:
        raise wrong("subscribers", f"au plus {MOST_SUBSCRIBERS} abonnés", f"at most {MOST_SUBSCRIBERS} subscribers")
    return {name: _subscriber(name, table, connections) for name, table in tables.items()}


def _subscriber(name: str, value: object, connections: Mapping[str, object]) -> Subscriber:
    at = f"subscribers.{name}"
    _named(name, at)
    wanted = read(value, Subscriber, at)
    _reachable(wanted.url, wanted.network, at)
    if not wanted.types and not wanted.changes:
        raise wrong(
            f"{at}.types", "au moins un type, ou un flux dans « changes »", "at least one type, or a stream in `changes`"
        )
    if wanted.changes and wanted.owner is None:
        raise wrong(
            f"{at}.owner", "qui répond des lignes que « changes » envoie", "who answers for the rows that `changes` sends"
        )
    for field in ("connections", "changes"):
        for each in getattr(wanted, field):
            if each.partition(".")[0] not in connections:
                raise wrong(f"{at}.{field}", "des connexions de ce site", "connections of this site")
    return wanted


def _zone(name: str, at: str) -> None:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise wrong(at, "un fuseau horaire, comme « Europe/Paris »", "a time zone, such as `Europe/Paris`") from None
