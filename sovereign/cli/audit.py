"""`sovereign audit`: the book of all that was done."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.exits import OF_KIND
from sovereign.cli.files import AlreadyThere, written_privately
from sovereign.cli.marks import number
from sovereign.cli.naming import since_instant
from sovereign.cli.output import Column, shown
from sovereign.cli.verifying import verify
from sovereign.language import say

command = Noun(
    "audit",
    fr="Le journal d'audit : chaque synchronisation, question, export, acte sur les clés ou les réglages y a son entrée.",
    en="The audit log: every pull, query, export, act on keys or settings has its entry.",
)

command.add_command(verify)

COLUMNS = (
    Column("seq", "n°", "no.", "number"),
    Column("at", "quand", "when", "time"),
    Column("who", "qui", "who"),
    Column("said", "acte", "act"),
    Column("on", "sur quoi", "on what"),
    Column("how", "faits", "facts"),
)
UNTOLD = {"datasets", "manifest", "unchanged"}
"""Facts that a person reads elsewhere; machines are given all of them."""
SHORT = 16
"""Characters shown of a hash."""


@command.verb(
    "show", fr="Montre les dernières entrées, la plus récente en dernier.", en="Show the latest entries, newest last."
)
@option(
    "--act",
    default=None,
    metavar="ACT",
    fr="Cet acte, ou ce nom : sync, query.ran…",
    en="This act, or this noun: sync, query.ran…",
)
@option("--since", default=None, metavar="DATE", fr="Depuis ce jour ou cet instant.", en="Since this day or instant.")
@option("--limit", type=click.IntRange(1), default=20, show_default=True, fr="Entrées au plus.", en="Entries at most.")
def show(door: Door, act: str | None, since: str | None, limit: int) -> None:
    """One row an entry; machines are given all of it."""
    from sovereign.audit import ACTS

    site = door.site()
    start = since_instant(since, site.settings.site.zone) if since else None
    rows = []
    for entry in site.audit.entries(act=act, since=start, limit=limit):
        body = entry.body or {}
        rows.append(
            {
                "seq": entry.seq,
                "at": entry.at,
                "act": entry.act,
                "actor": entry.actor,
                "subject": entry.subject,
                "facts": entry.facts,
                "body": entry.body,
                "erased": entry.erased,
                "leaf": entry.leaf.hex(),
            }
            if door.out.json
            else {
                "seq": entry.seq,
                "at": entry.at,
                "who": say("effacé", "erased") if entry.erased else body.get("actor"),
                "said": say(known.fr, known.en) if (known := ACTS.get(entry.act)) else entry.act,
                "on": _on(entry.subject, entry.facts),
                "how": _facts(entry.facts),
            }
        )
    door.out.table("entry", COLUMNS, rows)


def _on(subject: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    if "connection" in subject and "stream" in subject:
        return f"{subject['connection']}.{subject['stream']}"
    if isinstance(read := facts.get("datasets"), dict):
        return ", ".join(f"{name}@{sequence}" for name, sequence in read.items()) or "·"
    return ", ".join(_short(value) for key, value in subject.items() if key != "run") or "·"


def _facts(facts: Mapping[str, Any]) -> str:
    told = {key: value for key, value in facts.items() if key not in UNTOLD and value not in (None, "", 0, [], {})}
    return " ".join(f"{key}={_short(value)}" for key, value in told.items())


def _short(value: Any) -> str:  # noqa: ANN401 - any value that JSON can carry
    if isinstance(value, str) and len(value) >= 2 * SHORT and all(each in "0123456789abcdef" for each in value):
        return f"{value[:SHORT]}…"
    return shown(value)


NEW_FOLDER = click.Path(path_type=Path, file_okay=False)


@command.verb(
    "stamp",
    fr="Demande maintenant à l'autorité d'horodatage un jeton sur l'état du journal (RFC 3161).",
    en="Ask the time-stamping authority now for a token over the log as it stands (RFC 3161).",
)
def stamp(door: Door) -> None:
    """The service does it by itself, every day."""
    from sovereign.cli.stamps import stamp as run

    run(door)


@command.verb(
    "prove",
    fr="Donne la preuve qu'une entrée est au journal, à vérifier avec la seule clé publique (C2SP tlog-proof).",
    en="Give the proof that an entry is in the log, to be checked with the public key alone (C2SP tlog-proof).",
)
@argument("seq", type=click.IntRange(0), fr="Le numéro de l'entrée.", en="The entry's number.")
@option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    fr="Écrit la preuve dans FILE ; sinon elle est montrée.",
    en="Write the proof to FILE; else it is shown.",
)
def prove(door: Door, seq: int, output: Path | None) -> None:
    """The receipt, in text."""
    audit = door.site().audit
    proof = audit.prove(seq).encode()
    key = audit.checkpoints.verifier.vkey
    if output is not None:
        with written_privately(output, replace=False) as sink:
            sink.write(proof.encode())
        door.out.done("proof", f"Preuve : {output}", f"Proof: {output}", seq=seq, path=str(output), key=key)
    elif door.out.json:
        door.out.record("proof", seq=seq, proof=proof, key=key)
    else:
        click.echo(proof, nl=False)
    door.out.remark(f"Clé publique du journal : {key}", f"The log's public key: {key}")


@command.verb(
    "export",
    fr="Copie le journal, sans rien de personnel : publié, pour qui le vérifiera ailleurs, ou en événements OCSF.",
    en="Copy the log, with nothing personal in it: as published, for whoever checks it elsewhere, or as OCSF events.",
)
@argument(
    "folder",
    type=click.Path(path_type=Path),
    fr="Un dossier absent ou vide ; un fichier absent pour des événements.",
    en="An absent or empty folder; an absent file for events.",
)
@option(
    "--format",
    "form",
    type=click.Choice(["tiles", "ocsf"]),
    default="tiles",
    show_default=True,
    fr="tiles : le journal signé (C2SP tlog-tiles) ; ocsf : un événement JSON par ligne.",
    en="tiles: the signed log (C2SP tlog-tiles); ocsf: one JSON event a line.",
)
@option(
    "--from",
    "first",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    fr="La première entrée, pour ocsf.",
    en="The first entry, for ocsf.",
)
def export(door: Door, folder: Path, form: str, first: int) -> None:
    """The entry is written first, so that it is in the copy, and the witnesses are asked to cosign it."""
    from sovereign.audit.errors import Contradicted

    if form == "ocsf":
        return _export_events(door, folder, first)
    if first:
        raise click.UsageError(say("--from va avec --format ocsf", "--from goes with --format ocsf"))
    if folder.is_file():
        raise AlreadyThere(path=str(folder))
    if folder.exists() and any(folder.iterdir()):
        raise AlreadyThere(path=str(folder))
    site = door.site()
    audit = site.audit
    audit.append("audit.exported", {}, {"entries": audit.size()})
    if site.witnesses.keys:
        audit.publication.publish()
        for fault in site.witnesses.ask_all():
            door.out.fault(fault)
            door.exit = OF_KIND[fault.kind] if isinstance(fault, Contradicted) else door.exit
    checkpoint = audit.publication.export(folder)
    key = audit.checkpoints.verifier.vkey
    door.out.done(
        "audit.exported",
        f"{number(checkpoint.size)} entrées dans {folder}",
        f"{number(checkpoint.size)} entries in {folder}",
        entries=checkpoint.size, path=str(folder), key=key,
    )  # fmt: skip
    witnesses = "".join(f" --witness {each.vkey}" for each in site.witnesses.keys.values())
    said = f"sovereign audit verify --folder {folder} --key {key}{witnesses}"
    door.out.remark(f"À vérifier par : {said}", f"To be checked by: {said}")
    return None


def _export_events(door: Door, path: Path, first: int) -> None:
    from sovereign.audit.syslog import lines

    audit, count = door.site().audit, 0
    with written_privately(path, replace=False) as sink:
        audit.append("audit.exported", {}, {"entries": audit.size() - first, "format": "ocsf"})
        for line in lines(audit, first, audit.size()):
            sink.write(line)
            count += 1
    door.out.done(
        "audit.exported",
        f"{number(count)} événements dans {path}",
        f"{number(count)} events in {path}",
        entries=count, path=str(path),
    )  # fmt: skip


@command.verb(
    "prune",
    fr="Élague les vieilles entrées par lots de 256 ; leurs empreintes restent, et toutes les preuves avec.",
    en="Prune old entries by bundles of 256; their hashes stay, and every proof with them.",
)
@option("--before", required=True, metavar="DATE", fr="Ce qui est antérieur à ce jour.", en="What is older than this day.")
@option("--reason", default="", metavar="TEXT", fr="Pourquoi ; inscrit au journal.", en="Why; entered in the log.")
@option("--yes", is_flag=True, fr="Ne demande pas de confirmation.", en="Ask for no confirmation.")
def prune(door: Door, before: str, reason: str, yes: bool) -> None:
    """What is gone is gone: a person confirms."""
    from sovereign import eventing, exporting
    from sovereign.cli.keys import confirm

    site = door.site()
    instant = since_instant(before, site.settings.site.zone)
    if not yes:
        confirm(
            before,
            f"Les entrées antérieures au {before} seront perdues ; leurs empreintes restent.",
            f"The entries older than {before} will be lost; their hashes stay.",
        )
    awaited = [each for each in (exporting.unconfirmed(site), eventing.subscribers(site).awaited()) if each is not None]
    gone = site.audit.prune(instant, reason, unconfirmed=min(awaited, default=None))
    door.out.done("audit.pruned", f"{number(gone)} entrées élaguées", f"{number(gone)} entries pruned", entries=gone)
