"""A dry run of a connection, for its connector's author: through the real way out, entered in the audit log, nothing kept."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sovereign.authoring.errors import Diverged, NoRehearsal, NotEmpty, Unscrubbed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from saas_connectors.connector import Connector
    from sovereign.authoring.recording import Recorded
    from sovereign.parts import Parts


def dry_run(
    site: "Parts", name: str, folder: Path | None, *, streams: Sequence[str] = (), pages: int | None = None
) -> "Recorded":
    """See `Site.dry_run`."""
    from saas_connectors.registry import make
    from sovereign.authoring.fixtures import write
    from sovereign.authoring.recording import record
    from sovereign.authoring.rehearsals import ELSEWHERE

    connection = site.connection(name)
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise NotEmpty(path=str(folder))
    allowed = site.settings.connectors.allow

    def made(settings: "Mapping[str, Any]") -> "Connector":
        return make(connection.connector, name, settings, allowed)

    names = site.secrets.names(name) if connection.secret or connection.auth else []
    try:
        with site.transport(name) as transport:
            recorded = record(
                connection.connector,
                connection.options,
                made,
                lambda request: transport.send(replace(request, spooled=False)),
                site.clock(),
                secrets.token_bytes(32),
                secrets=[site.secrets.get(name, each) for each in names],
                streams=streams,
                pages=pages,
            )
    except (Unscrubbed, Diverged):
        if connection.connector in ELSEWHERE:
            raise NoRehearsal(target=connection.connector) from None
        raise
    if folder is not None:
        write(recorded.fixtures, folder)
    facts = {"exchanges": len(recorded.fixtures.exchanges), "kept": folder is not None}
    site.audit.append("connection.recorded", {"connection": name}, facts)
    return recorded
