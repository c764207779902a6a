"""`sovereign audit verify`: the log read again, at the site, or elsewhere with public keys alone."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sovereign.cli.commands import option, verb
from sovereign.cli.door import Door
from sovereign.cli.exits import DONE, PARTIAL
from sovereign.cli.findings import show as show_findings
from sovereign.cli.marks import number
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.audit.witnesses import Window, Witnesses
    from vault.cosignatures import Cosignatory
    from vault.notes import Verifier

_STATES = {
    "asked": ("il n'a pas encore répondu", "it has not answered yet"),
    "unreachable": ("il ne répond pas", "it does not answer"),
    "declined": ("il ne suit pas ce journal", "it does not follow this log"),
    "contradicted": ("il contredit ce journal", "it contradicts this log"),
}
FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@verb(
    "verify",
    fr="Relit tout le journal et demande aux témoins ce qu'ils ont vu ; ou un dossier publié ou une preuve, sans site.",
    en="Read the whole log again and ask the witnesses what they saw; or a published folder or a proof, without a site.",
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
    "--witness",
    multiple=True,
    metavar="VKEY",
    fr="La clé publique d'un témoin qui doit avoir cosigné, ou le fichier qui la contient ; à répéter.",
    en="The public key of a witness that must have cosigned, or the file that holds it; may be repeated.",
)
@option(
    "--cosignatures",
    type=click.IntRange(1, 16),
    metavar="N",
    fr="Combien de ces témoins doivent avoir cosigné ; tous par défaut.",
    en="How many of these witnesses must have cosigned; all when left out.",
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
@option("--offline", is_flag=True, fr="Ne demande rien aux témoins du site.", en="Ask the site's witnesses nothing.")
def verify(
    door: Door, folder: Path | None, proof: Path | None, key: str | None, witness: tuple[str, ...], cosignatures: int | None,
    earlier: Path | None, authority: Path | None, offline: bool,
) -> None:  # fmt: skip
    """Exit code 20 when something is not what was written, or not what the witnesses saw."""
    if folder is None and proof is None:
        if any((key, earlier, authority, witness, cosignatures)):
            given = "--key, --witness, --cosignatures, --earlier"
            fr, en = f"{given} et --authority vont avec --folder", f"{given} and --authority go with --folder"
            raise click.UsageError(say(fr, en))
        return _verify_site(door, offline)
    if key is None:
        raise click.UsageError(say("il faut la clé publique : --key", "the public key is needed: --key"))
    if cosignatures is not None and cosignatures > len(witness):
        raise click.UsageError(say("il faut autant de --witness que de --cosignatures", "as many --witness as --cosignatures"))
    log, witnesses = _key(key), [_witness(each) for each in witness]
    if proof is not None:
        _verify_proof(door, proof, log, witnesses, cosignatures)
    if folder is not None:
        from sovereign import timestamping
        from sovereign.audit.folder import verify as check
        from sovereign.cli.stamps import tell

        before = None if earlier is None else text_of(earlier)
        believed = None if authority is None else timestamping.read(authority)
        found = check(folder, log, earlier=before, authority=believed, witnesses=witnesses, wanted=cosignatures)
        size, seen = found.checkpoint.size, found.witnessed
        more = _window(size, seen.entries, seen.seconds) if witnesses else {}
        door.out.done(
            "audit",
            f"{number(size)} entrées intactes, signées par {log.name}",
            f"{number(size)} entries intact, signed by {log.name}",
            entries=size, first=found.first, root=found.checkpoint.root.hex(), log=log.name, **more,
        )  # fmt: skip
        for name, many in seen.seen.items():
            fr, en = f"le témoin {name} en a vu {number(many)}", f"witness {name} saw {number(many)} of them"
            door.out.done("witness", fr, en, witness=name, entries=many)
        if witnesses:
            _say_window(door, size, seen.entries, seen.seconds)
        tell(door, folder, found)
    return None


def _verify_site(door: Door, offline: bool) -> None:
    from sovereign import timestamping
    from sovereign.audit.folder import verify as check
    from sovereign.cli.stamps import tell
    from sovereign.inspection import missing_heads, unentered

    site = door.site()
    audit, witnesses, found = site.audit, site.witnesses, None
    count = audit.verify()
    if audit.publication.published() is not None or audit.publication.folder.is_dir():
        believed, known = timestamping.authority(site), list(witnesses.keys.values())
        log = audit.checkpoints.verifier
        found = check(audit.publication.folder, log, authority=believed, witnesses=known, wanted=0)
        audit.checkpoints.continues(found.checkpoint)
    window = _ask(door, witnesses, offline) if witnesses.keys else None
    gone = [*missing_heads(site), *unentered(site)]
    if gone:
        door.exit = show_findings(door, gone, lambda: ("", ""))
        return
    audit.append("audit.verified", {}, {"entries": count, **({} if window is None else {"witnessed": window.witnessed})})
    more = {} if window is None else _window(*window)
    said = f"{number(count)} entrées intactes", f"{number(count)} entries intact"
    door.out.done("audit", *said, entries=count, **more)
    if window is not None:
        _say_witnesses(door, witnesses)
        _say_window(door, *window, before=not offline and door.exit == DONE)
    if found is not None:
        tell(door, audit.publication.folder, found)


def _ask(door: Door, witnesses: "Witnesses", offline: bool) -> "Window":
    """Hold the log against what the witnesses saw, asking them unless offline; gives what was not witnessed before."""
    from sovereign.audit.errors import Contradicted

    window = witnesses.window()
    if not offline:
        witnesses.audit.publication.publish()
        for fault in witnesses.ask_all():
            if isinstance(fault, Contradicted):
                raise fault
            door.out.fault(fault)
            door.exit = PARTIAL
    witnesses.verify()
    return window


def _say_witnesses(door: Door, witnesses: "Witnesses") -> None:
    for each in witnesses.standings():
        seen = number(each.size)
        door.out.record(
            "witness", witness=each.name, state=each.state, entries=each.size, seen_at=each.seen_at, since=each.since,
            reason=each.reason,
        )  # fmt: skip
        if each.state == "cosigning":
            door.out.say(f"✓ le témoin {each.name} a vu {seen} entrées", f"✓ witness {each.name} saw {seen} entries")
        else:
            fr, en = _STATES[each.state]
            fr, en = (
                f"! le témoin {each.name} n'a vu que {seen} entrées : {fr}",
                f"! witness {each.name} saw {seen} entries only: {en}",
            )
            door.out.say(fr, en, style="yellow")


def _window(entries: int, witnessed: int, seconds: float) -> dict[str, Any]:
    return {"witnessed": witnessed, "unwitnessed": entries - witnessed, "unwitnessed_seconds": round(seconds, 3)}


def _say_window(door: Door, entries: int, witnessed: int, seconds: float, *, before: bool = False) -> None:
    """Say what was not witnessed; before: until the witnesses were asked, just now."""
    left, seconds = entries - witnessed, round(seconds)
    if not left:
        door.out.say("✓ chaque entrée a ses témoins", "✓ each entry has its witnesses", style="green")
        return
    if before:
        fr = f"… {number(left)} entrées n'avaient pas leurs témoins avant cette vérification, depuis {number(seconds)} s"
        en = f"… {number(left)} entries did not have their witnesses before this check, for {number(seconds)} s"
    else:
        fr = f"… {number(left)} entrées n'ont pas leurs témoins ({number(seconds)} s) : un faux y reste possible"
        en = f"… {number(left)} entries do not have their witnesses ({number(seconds)} s): a forgery is still possible there"
    door.out.say(fr, en)


def _verify_proof(
    door: Door, proof: Path, log: "Verifier", witnesses: "list[Cosignatory]", wanted: int | None
) -> None:  # fmt: skip
    from sovereign.audit import Receipt
    from sovereign.audit.entry import read
    from sovereign.audit.errors import Unwitnessed
    from vault.cosignatures import times

    receipt = Receipt.decode(text_of(proof))
    checkpoint = receipt.verify(log)
    cosigned = [each.name for each in witnesses if times(receipt.note, [each])]
    wanted = len(witnesses) if wanted is None else wanted
    if len(cosigned) < wanted:
        raise Unwitnessed(witness=", ".join(each.name for each in witnesses), wanted=wanted)
    entry = read(receipt.entry, receipt.index)
    by = say(f", cosigné par {', '.join(cosigned)}", f", cosigned by {', '.join(cosigned)}") if cosigned else ""
    door.out.done(
        "proof",
        f"L'entrée {receipt.index} ({entry.act}, {entry.time}) est au journal de {log.name}{by}",
        f"Entry {receipt.index} ({entry.act}, {entry.time}) is in the log of {log.name}{by}",
        seq=receipt.index, size=checkpoint.size, act=entry.act, at=entry.at, subject=entry.subject, facts=entry.facts,
        log=log.name, witnesses=cosigned,
    )  # fmt: skip


def _key(given: str) -> "Verifier":
    """Read a public key, or the file that holds it."""
    from vault.notes import Verifier

    return Verifier.parse(_given(given))


def _witness(given: str) -> "Cosignatory":
    """Read the public key of a witness, or the file that holds it."""
    from vault.cosignatures import Cosignatory

    return Cosignatory.parse(_given(given))


def _given(given: str) -> str:
    path = Path(given)
    return text_of(path) if "+" not in given and path.is_file() else given


def text_of(path: Path) -> str:
    """The text of a small file that a person names."""
    from sovereign.audit.receipt import LIMIT
    from vault import files
    from vault.errors import Corrupt

    try:
        return files.read(path, limit=LIMIT).decode()
    except UnicodeDecodeError:
        raise Corrupt(what=path.name) from None
