"""What the settings say of classes today, and what a reader is told of columns that are withheld because of it.

The settings count as soon as they are written: a field that they class higher than a snapshot did is not shown below that
class, though no sync has come yet. See `snapshots.reclassed`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from saas_connectors.stream_settings import read_classes

if TYPE_CHECKING:
    from snapshots.dataset import DatasetId
    from snapshots.manifest import Manifest
    from sovereign.parts import Parts


def declared(site: "Parts", dataset: "DatasetId") -> Mapping[str, str]:
    """Give the fields of a stream that the settings class, each with its class.

    Errors: SettingsError when a class is not one: nothing is shown until it is understood.
    """
    connection = site.settings.connections.get(dataset.connection)
    streams = connection.options.get("streams") if connection is not None else None
    table = streams.get(dataset.stream) if isinstance(streams, Mapping) else None
    written = table.get("classes") if isinstance(table, Mapping) else None
    at = f"connections.{dataset.connection}.streams.{dataset.stream}"
    return read_classes(at, written) if isinstance(written, Mapping) else {}


def notes(site: "Parts", manifests: "Sequence[Manifest]", clearance: str) -> list[tuple[str, str]]:
    """Say (French, English) of each snapshot how many of its columns are withheld from a clearance, if any."""
    from snapshots.reclassed import told, withheld

    found = ((each, len(withheld(site.repository, each, clearance))) for each in manifests)
    return [told(each.id, each.sequence, count) for each, count in found if count]
