"""A snapshot as `sovereign snapshot` tells it: as one line of a list, or with its columns, its proofs and its drift."""

from typing import TYPE_CHECKING, Any, Final

from sovereign.cli.door import Door
from sovereign.cli.marks import number, size
from sovereign.cli.naming import dotted
from sovereign.cli.output import Column, shown
from sovereign.cli.telling import UNPROVEN, evidence
from sovereign.language import say

if TYPE_CHECKING:
    from snapshots.dataset import DatasetId
    from snapshots.manifest import Manifest

LINE: Final = (
    Column("dataset", "jeu de données", "dataset"),
    Column("sequence", "n°", "no.", "number"),
    Column("created", "pris le", "taken", "time"),
    Column("rows", "lignes", "rows", "number"),
    Column("inserted", "+", "+", "number"),
    Column("updated", "~", "~", "number"),
    Column("deleted", "\u2212", "\u2212", "number"),
    Column("bytes", "taille", "size", "bytes"),
    Column("state", "verdict", "verdict", "state"),
)
FACTS: Final = {
    "dataset": Column("dataset", "jeu de données", "dataset"),
    "sequence": Column("sequence", "numéro", "number"),
    "created": Column("created", "pris le", "taken", "time"),
    "mode": Column("mode", "mode", "mode"),
    "state": Column("state", "verdict", "verdict", "state"),
    "rows": Column("rows", "lignes", "rows", "number"),
    "change": Column("change", "depuis le précédent", "since the last one"),
    "size": Column("size", "fragments", "parts"),
    "primary_key": Column("primary_key", "clé primaire", "primary key"),
    "from": Column("from", "d'où", "from"),
    "run": Column("run", "exécution", "run"),
    "hash": Column("hash", "empreinte", "hash"),
    "parent": Column("parent", "précédent", "parent"),
}


def line(dataset: "DatasetId", manifest: "Manifest") -> dict[str, Any]:
    """One snapshot as a row of `LINE`."""
    counts = manifest.counts
    return {
        "dataset": dotted(dataset),
        "sequence": manifest.sequence,
        "created": manifest.created,
        "rows": counts.rows,
        "inserted": counts.inserted,
        "updated": counts.updated,
        "deleted": counts.deleted,
        "bytes": manifest.bytes,
        "state": manifest.verdict.state,
        "hash": manifest.hash,
    }


def describe(door: Door, dataset: "DatasetId", manifest: "Manifest", clearance: str) -> None:
    """Tell the facts of a snapshot, as far as a clearance sees."""
    from sovereign.withheld import notes

    site = door.site()
    counts, origin = manifest.counts, manifest.provenance
    schema = site.repository.schema(manifest, clearance)
    fields = [
        {"column": each.name, "kind": str(each.type), "class": _meta(each, b"class"), "key": "✓" if _meta(each, b"key") else ""}
        for each in schema
    ]
    values = {
        "dataset": dotted(dataset),
        "sequence": manifest.sequence,
        "created": manifest.created,
        "mode": manifest.mode,
        "state": manifest.verdict.state,
        "rows": counts.rows,
        "change": f"+{number(counts.inserted)} ~{number(counts.updated)} \u2212{number(counts.deleted)}",
        "size": f"{len(manifest.parts)}, {size(manifest.bytes)}",
        "primary_key": [each["column"] for each in fields if each["key"]],
        "from": f"{origin.host} ({origin.connector} {origin.connector_version})",
        "run": origin.run,
        "hash": manifest.hash,
        "parent": manifest.parent,
    }
    warnings = notes(site, [manifest], clearance)
    drift = [_plain(each) for each in site.repository.drift(manifest, clearance)]
    door.out.facts(
        "snapshot", [(FACTS[key], value) for key, value in values.items()],
        columns=fields, evidence=manifest.verdict.evidence, drift=drift, inserted=counts.inserted, updated=counts.updated,
        deleted=counts.deleted, bytes=manifest.bytes, parts=len(manifest.parts),
        warnings=[say(*each) for each in warnings],
    )  # fmt: skip
    if door.out.json:
        return
    door.out.say()
    door.out.table(
        "column",
        (
            Column("column", "colonne", "column"),
            Column("kind", "type", "type"),
            Column("class", "classe", "class"),
            Column("key", "clé", "key"),
        ),
        fields,
        empty=("Aucune colonne à cette habilitation.", "No column at this clearance."),
    )
    hidden = _hidden(manifest, clearance)
    if hidden:
        names = ", ".join(hidden)
        door.out.remark(
            f"Colonnes scellées à cette habilitation : {names} (--clearance {hidden[0]})",
            f"Columns sealed at this clearance: {names} (--clearance {hidden[0]})",
        )
    for fr, en in warnings:
        door.out.remark(f"! {fr}", f"! {en}", style="yellow")
    for each in manifest.verdict.evidence:
        text = evidence(each.get("check"), each.get("holds"), each.get("detail"))
        door.out.say(text, text)
    if manifest.verdict.state == "unverified" and not any(each.get("holds") for each in manifest.verdict.evidence):
        door.out.say(*(f"· {said}" for said in UNPROVEN))
    for each in drift:
        text = f"{each['field']} : {shown(each['was'])} → {shown(each['now'])} ({each['action']})"
        door.out.say(f"! dérive · {text}", f"! drift · {text}", style="yellow")


def _meta(field: Any, key: bytes) -> str:  # noqa: ANN401 - pyarrow has no types
    return str((field.metadata or {}).get(key, b"").decode())


def _plain(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a struct
    import msgspec

    built: dict[str, Any] = msgspec.to_builtins(value)
    return built


def _hidden(manifest: "Manifest", clearance: str) -> list[str]:
    from snapshots.dataset import CLASSES

    beyond = CLASSES[CLASSES.index(clearance) + 1 :]
    return [each for each in beyond if each in manifest.sealed]
