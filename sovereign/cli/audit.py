"""`sovereign audit`: the book of all that was done."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sovereign.cli.commands import Noun, argument, option
from sovereign.cli.door import Door
from sovereign.cli.files import AlreadyThere, written_privately
from sovereign.cli.findings import show as show_findings
from sovereign.cli.marks import number
from sovereign.cli.naming import since_instant
from sovereign.cli.output import Column, shown
from sovereign.language import say

if TYPE_CHECKING:
    from vault.notes import Verifier

command = Noun(
    "audit",
    fr="Le journal d'audit : chaque synchronisation, question, export, acte sur les clés ou les réglages y a son entrée.",
    en="The audit log: every pull, query, export, act on keys or settings has its entry.",
)

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


FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
NEW_FOLDER = click.Path(path_type=Path, file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@command.verb(
    "verify",
    fr="Relit tout le journal, ou un dossier publié ou une preuve avec la seule clé publique, sans site.",
    en="Read the whole log again, or a published folder or a proof with the public key alone, without a site.",
)
@option("--folder", type=FOLDER, metavar="DIR", fr="Un journal publié, à vérifier seul.", en="A published log, to check alone.")
@option("--proof", type=FILE, metavar="FILE", fr="Une preuve, à vérifier seule.", en="A proof, to check alone.")
@option(
    "--key",
    metavar="VKEY",
    fr="La clé publique du journal, ou le fichier qui la contient, venue d'une autre main que le dossier.",
    en="The log's public key, or the file that holds it, come by another hand than the folder.",
)
@option(
    "--earlier",
    type=FILE,
    metavar="FILE",
    fr="Un point de contrôle gardé d'avant, que le dossier doit continuer.",
    en="A checkpoint kept from before, which the folder must continue.",
)
@option(
    "--authority",
    type=FILE,
    metavar="FILE",
    fr="Les certificats (PEM) de l'autorité d'horodatage, pour vérifier aussi les jetons du dossier.",
    en="The certificates (PEM) of the time-stamping authority, to check the tokens of the folder too.",
)
def verify(
    door: Door, folder: Path | None, proof: Path | None, key: str | None, earlier: Path | None, authority: Path | None
) -> None:
    """Exit code 20 when something is not what was written."""
    if folder is None and proof is None:
        if key is not None or earlier is not None or authority is not None:
            raise click.UsageError(
                say("--key, --earlier et --authority vont avec --folder", "--key, --earlier and --authority go with --folder")
            )
        return _verify_site(door)
    if key is None:
        raise click.UsageError(say("il faut la clé publique : --key", "the public key is needed: --key"))
    verifier = _key(key)
    if proof is not None:
        _verify_proof(door, proof, verifier)
    if folder is not None:
        from sovereign import timestamping
        from sovereign.audit.folder import verify as check
        from sovereign.cli.stamps import tell

        believed = None if authority is None else timestamping.read(authority)
        found = check(folder, verifier, earlier=None if earlier is None else _text(earlier), authority=believed)
        size = found.checkpoint.size
        door.out.done(
            "audit",
            f"{number(size)} entrées intactes, signées par {verifier.name}",
            f"{number(size)} entries intact, signed by {verifier.name}",
            entries=size, first=found.first, root=found.checkpoint.root.hex(), log=verifier.name,
        )  # fmt: skip
        tell(door, folder, found)
    return None


def _verify_site(door: Door) -> None:
    from sovereign import timestamping
    from sovereign.audit.folder import verify as check
    from sovereign.cli.stamps import tell
    from sovereign.inspection import missing_heads, unentered

    audit, found = door.site().audit, None
    count = audit.verify()
    if audit.publication.published() is not None or audit.publication.folder.is_dir():
        believed = timestamping.authority(door.site())
        found = check(audit.publication.folder, audit.checkpoints.verifier, authority=believed)
        audit.checkpoints.continues(found.checkpoint)
    gone = [*missing_heads(door.site()), *unentered(door.site())]
    if gone:
        door.exit = show_findings(door, gone, lambda: ("", ""))
        return
    audit.append("audit.verified", {}, {"entries": count})
    door.out.done("audit", f"{number(count)} entrées intactes", f"{number(count)} entries intact", entries=count)
    if found is not None:
        tell(door, audit.publication.folder, found)


def _verify_proof(door: Door, proof: Path, verifier: "Verifier") -> None:
    from sovereign.audit import Receipt
    from sovereign.audit.entry import read

    receipt = Receipt.decode(_text(proof))
    checkpoint = receipt.verify(verifier)
    entry = read(receipt.entry, receipt.index)
    door.out.done(
        "proof",
        f"L'entrée {receipt.index} ({entry.act}, {entry.time}) est au journal de {verifier.name}",
        f"Entry {receipt.index} ({entry.act}, {entry.time}) is in the log of {verifier.name}",
        seq=receipt.index, size=checkpoint.size, act=entry.act, at=entry.at, subject=entry.subject, facts=entry.facts,
        log=verifier.name,
    )  # fmt: skip


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
    fr="Copie le journal publié dans un dossier, pour qui le vérifiera ailleurs ; rien de personnel n'y est.",
    en="Copy the published log to a folder, for whoever checks it elsewhere; nothing personal is in it.",
)
@argument("folder", type=NEW_FOLDER, fr="Un dossier absent ou vide.", en="An absent or empty folder.")
def export(door: Door, folder: Path) -> None:
    """The entry is written first, so that it is in the copy."""
    if folder.exists() and any(folder.iterdir()):
        raise AlreadyThere(path=str(folder))
    audit = door.site().audit
    audit.append("audit.exported", {}, {"entries": audit.size()})
    checkpoint = audit.publication.export(folder)
    key = audit.checkpoints.verifier.vkey
    door.out.done(
        "audit.exported",
        f"{number(checkpoint.size)} entrées dans {folder}",
        f"{number(checkpoint.size)} entries in {folder}",
        entries=checkpoint.size, path=str(folder), key=key,
    )  # fmt: skip
    said = f"sovereign audit verify --folder {folder} --key {key}"
    door.out.remark(f"À vérifier par : {said}", f"To be checked by: {said}")


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
    from sovereign.cli.keys import confirm

    site = door.site()
    instant = since_instant(before, site.settings.site.zone)
    if not yes:
        confirm(
            before,
            f"Les entrées antérieures au {before} seront perdues ; leurs empreintes restent.",
            f"The entries older than {before} will be lost; their hashes stay.",
        )
    gone = site.audit.prune(instant, reason)
    door.out.done("audit.pruned", f"{number(gone)} entrées élaguées", f"{number(gone)} entries pruned", entries=gone)


def _key(given: str) -> "Verifier":
    """Read a public key, or the file that holds it."""
    from vault.notes import Verifier

    path = Path(given)
    return Verifier.parse(_text(path) if "+" not in given and path.is_file() else given)


def _text(path: Path) -> str:
    from sovereign.audit.receipt import LIMIT
    from vault import files
    from vault.errors import Corrupt

    try:
        return files.read(path, limit=LIMIT).decode()
    except UnicodeDecodeError:
        raise Corrupt(what=path.name) from None
