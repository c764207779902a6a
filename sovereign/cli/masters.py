"""`sovereign keys`, what opens everything else: the passphrase of the master key, the recovery kit.

A share is shown or written once, a passphrase never. A restore that did not bring all back, whole, does not leave 0.
"""

import sys
from pathlib import Path

import click

from sovereign.cli import exits
from sovereign.cli.commands import option, verb
from sovereign.cli.door import Door
from sovereign.cli.files import refuse_to_replace, written_privately
from sovereign.cli.marks import several
from sovereign.language import say


@verb(
    "passphrase",
    fr="Change la phrase de passe de la clé maîtresse. L'ancienne ouvre encore les copies faites avant de son fichier.",
    en="Change the passphrase of the master key. The former one still opens copies made before of its file.",
)
def passphrase(door: Door) -> None:
    """Ask for the present one, then for the new one twice, or read both from files."""
    from sovereign.cli.passphrase import ask, ask_new
    from sovereign.custody import change_passphrase

    path = door.path()
    change_passphrase(door.site(), lambda: ask(path), lambda: ask_new(path))
    door.out.done("passphrase.changed", "phrase de passe changée", "passphrase changed")
    door.out.remark(
        "Mettez à jour le fichier que lisent les services (SOVEREIGN_PASSPHRASE_FILE). Si l'ancienne a pu être vue : "
        "« sovereign keys rotate --master ».",
        "Update the file that services read (SOVEREIGN_PASSPHRASE_FILE). If the former one may have been seen: "
        "`sovereign keys rotate --master`.",
    )


@verb(
    "export-recovery",
    fr="Fait la trousse de secours : des parts en mots, dont un nombre choisi suffit à tout rouvrir.",
    en="Make the recovery kit: shares in words, a chosen number of which reopens everything.",
)
@option("--threshold", type=click.IntRange(2, 16), default=2, show_default=True, fr="Parts nécessaires.", en="Shares needed.")
@option("--shares", type=click.IntRange(2, 16), default=3, show_default=True, fr="Parts faites.", en="Shares made.")
@option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    metavar="DIR",
    fr="Écrit chaque part dans un fichier de DIR ; sinon elles sont montrées, une fois.",
    en="Write each share to a file of DIR; else they are shown, once.",
)
def export_recovery(door: Door, threshold: int, shares: int, output: Path | None) -> None:
    """Make shares and hand them out."""
    if threshold > shares:
        raise click.BadParameter(
            say("plus de parts nécessaires que de parts faites", "more shares needed than made"), param_hint="--threshold"
        )
    files = [output / f"share-{number}-of-{shares}.txt" for number in range(1, shares + 1)] if output is not None else []
    for path in files:
        # A new kit makes the former one useless: nothing may fail once it is made.
        refuse_to_replace(path)
    words = door.site().export_recovery(threshold=threshold, shares=shares)
    for number, share in enumerate(words, 1):
        if files:
            path = files[number - 1]
            with written_privately(path, replace=False) as sink:
                sink.write(f"{share}\n".encode())
            door.out.record("share", number=number, path=str(path))
            door.out.say(f"✓ part {number} sur {shares} : {path}", f"✓ share {number} of {shares}: {path}")
        else:
            door.out.record("share", number=number, words=share)
            head = say(f"Part {number} sur {shares}", f"Share {number} of {shares}")
            door.out.say(f"\n{head}\n  {share}", f"\n{head}\n  {share}")
    door.out.remark(
        f"Remettez chaque part à une personne différente, hors ligne : {threshold} rouvrent tout, moins ne disent rien.",
        f"Hand each share to a different person, off line: {threshold} shares reopen everything, fewer tell nothing.",
        style="bold",
    )


@verb(
    "restore-recovery",
    fr="Rouvre un site dont la clé maîtresse est perdue, avec les parts de la trousse, sous une nouvelle clé maîtresse.",
    en="Reopen a site whose master key is lost, with the shares of the kit, under a new master key.",
)
@option(
    "--share",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    fr="Fichier d'une part ; plusieurs fois. Sinon les mots sont demandés.",
    en="A share's file; several times. Else the words are asked for.",
)
@option("--keys", "provider", required=True, metavar="URI", fr="La nouvelle clé maîtresse.", en="The new master key.")
def restore_recovery(door: Door, files: tuple[Path, ...], provider: str) -> None:
    """Read the shares and restore."""
    from sovereign.cli.passphrase import ask
    from sovereign.site import Site

    path = door.path()
    shares = [file.read_text().strip() for file in files] or _asked()
    restored = Site.restore(path, shares, provider=provider, passphrase=lambda: ask(path, confirm=True))
    said_fr, said_en = f"clé* retrouvée*, sous {provider}", f"key* recovered, under {provider}"
    door.out.done(
        "keys.restored",
        several(restored.keys, said_fr, said_en),
        several(restored.keys, said_fr, said_en),
        keys=restored.keys,
        lost=restored.lost,
        intact=restored.intact,
    )
    if restored.lost:
        missing = several(len(restored.lost), "clé*", "key*")
        door.out.remark(
            f"! {missing} que la trousse n'ouvre pas : {', '.join(restored.lost)}. Cherchez une autre sauvegarde de keys/.",
            f"! {missing} that the kit does not open: {', '.join(restored.lost)}. Look for another backup of keys/.",
            style="yellow",
        )
    if not restored.intact:
        door.out.remark(
            "! Le trousseau n'était pas celui que ce site a écrit : des clés ont pu être retirées, ou changées d'état. "
            "Comparez « keys list » et « snapshot verify » avec une autre sauvegarde, et cherchez qui l'a modifié.",
            "! The keyring was not as this site wrote it: keys may have been dropped, or put in another state. "
            "Compare `keys list` and `snapshot verify` with another backup, and find out who altered it.",
            style="yellow",
        )
    if restored.lost or not restored.intact:
        door.exit = exits.PARTIAL


def _asked() -> list[str]:
    if not sys.stdin.isatty():
        raise click.UsageError(say("il faut --share FICHIER, ou un terminal", "--share FILE is needed, or a terminal"))
    shares: list[str] = []
    while True:
        said = say(f"Part {len(shares) + 1} (vide pour finir)", f"Share {len(shares) + 1} (empty to end)")
        words = click.prompt(said, hide_input=True, default="", show_default=False, err=True)
        if not words:
            return shares
        shares.append(words)
