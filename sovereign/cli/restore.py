"""`sovereign restore`: a site made again from a backup, proved equal before it is one."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sovereign.cli import exits
from sovereign.cli.commands import argument, option, verb
from sovereign.cli.door import Door
from sovereign.cli.findings import show
from sovereign.cli.marks import number, several, size, when
from sovereign.cli.marks import rows as counted
from sovereign.language import say

if TYPE_CHECKING:
    from sovereign.backup.restoring import Restored
    from sovereign.backup.target import Target

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@verb(
    "restore",
    fr="Refait un site dans DIR, absent ou vide, et prouve qu'il est celui qui a été sauvegardé. Coupée, elle reprend.",
    en="Make a site again in DIR, absent or empty, and prove that it is the one that was saved. When cut, it goes on.",
)
@argument("source", fr="Un dossier, ou s3://COMPARTIMENT/PRÉFIXE.", en="A folder, or s3://BUCKET/PREFIX.")
@argument(
    "folder", metavar="DIR", type=click.Path(path_type=Path), fr="Le dossier du nouveau site.", en="The new site's folder."
)
@option(
    "--keys",
    "keys",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="KEYS",
    fr="Les clés sauvegardées à part.",
    en="The keys that were backed up apart.",
)
@option("--backup", "id_", default=None, metavar="ID", fr="Laquelle ; la dernière sinon.", en="Which; else the latest.")
@option(
    "--provider", default=None, metavar="URI", fr="Où vit la clé maîtresse ici ; sinon comme avant.",
    en="Where the master key lives here; else as before.",
)  # fmt: skip
@option(
    "--share", "shares", multiple=True, type=_FILE,
    fr="Fichier d'une part de la trousse de secours ; plusieurs fois : --provider en fait une nouvelle clé maîtresse.",
    en="A share's file of the recovery kit; several times: --provider makes a new master key.",
)  # fmt: skip
@option(
    "--read-all", is_flag=True, fr="Déchiffre aussi chaque page des instantanés.", en="Decrypt every page of snapshots too."
)
@option("--endpoint", metavar="URL", default=None, fr="S3 : l'adresse du serveur.", en="S3: the server's address.")
@option("--access-key", metavar="ID", default=None, fr="S3 : l'identifiant de la clé.", en="S3: the access key's id.")
@option("--secret-file", type=_FILE, default=None, fr="S3 : le fichier de la clé secrète.", en="S3: the secret key's file.")
@option("--ca-bundle", type=_FILE, default=None, fr="S3 : les autorités à croire.", en="S3: the authorities to believe.")
@option("--region", metavar="NAME", default="us-east-1", show_default=True, fr="S3 : la région.", en="S3: the region.")
def command(
    door: Door, source: str, folder: Path, keys: Path, id_: str | None, provider: str | None, shares: tuple[Path, ...],
    read_all: bool, endpoint: str | None, access_key: str | None, secret_file: Path | None, ca_bundle: Path | None, region: str,
) -> None:  # fmt: skip
    """Restore, then say what was proved."""
    from sovereign.backup.restoring import restore
    from sovereign.cli.passphrase import ask

    target = _target(source, endpoint, access_key, secret_file, ca_bundle, region)
    done = restore(
        target,
        folder,
        keys,
        id_=id_,
        provider=provider,
        passphrase=lambda: ask(folder, confirm=bool(shares)),
        shares=[each.read_text().strip() for each in shares],
        read_all=read_all,
    )
    _tell(door, folder, done)


def _tell(door: Door, folder: Path, done: "Restored") -> None:
    proof, of = done.proof, done.record
    rows = sum(proof.rows.values())
    door.out.done(
        "restored",
        f"Site restauré dans {folder} : sauvegarde {of.id} du {when(of.created)}",
        f"Site restored in {folder}: backup {of.id} of {when(of.created)}",
        id=of.id, created=of.created, path=str(folder.absolute()), files=proof.files, bytes=proof.bytes,
        entries=proof.entries, root=proof.root, rows=proof.rows, unknown=done.unknown, held=done.held, shredded=done.shredded,
        unlisted=list(done.unlisted),
    )  # fmt: skip
    door.out.say(
        f"  fichiers   {number(proof.files)}, {size(proof.bytes)} : chaque empreinte est celle qui a été signée\n"
        f"  journal    {number(proof.entries)} entrées relues, racine {proof.root} : celle du point de contrôle\n"
        f"  state.db   {number(rows)} lignes, autant dans chaque table",
        f"  files      {number(proof.files)}, {size(proof.bytes)}: every hash is the one that was signed\n"
        f"  audit log  {number(proof.entries)} entries read again, root {proof.root}: the checkpoint's\n"
        f"  state.db   {number(rows)} rows, as many in each table",
    )
    for each in proof.datasets:
        name = str(each.dataset).replace("/", ".", 1)  # as SQL writes it
        door.out.record(
            "dataset", dataset=each.dataset, sequence=each.sequence, rows=each.rows, manifest=each.manifest,
            snapshots=each.snapshots, parts=each.parts, erased=each.erased,
        )  # fmt: skip
        door.out.say(
            f"  {name}   {counted(each.rows)}, {several(each.parts, 'pièce* comme signée*', '')}, n° {each.sequence}",
            f"  {name}   {counted(each.rows)}, {several(each.parts, '', 'part*')} as signed, no. {each.sequence}",
        )
    if not done.newest:
        door.out.remark(
            "! Copie simple de keys/ : ce qui a été détruit après elle n'est pas connu ici.",
            "! A plain copy of keys/: what was destroyed after it is not known here.",
            style="yellow",
        )
    if done.unlisted:
        last = done.unlisted[-1]
        door.out.remark(
            f"! Les clés connaissent une sauvegarde plus récente, {last}, que cette destination n'a pas : coupée, faite "
            "ailleurs, ou enlevée d'ici. Cherchez-la avant de mettre ce site en service : il est plus ancien qu'elle.",
            f"! The keys know of a later backup, {last}, which this place does not have: cut, made elsewhere, or taken away "
            "from here. Look for it before this site is put in service: it is older.",
            style="bold yellow",
        )
    if done.shredded:
        gone = several(done.shredded, "clé* détruite*", "key*")
        door.out.remark(
            f"! {gone} depuis cette sauvegarde : leurs données restent illisibles.",
            f"! {gone} destroyed since this backup: their data stay unreadable.",
            style="yellow",
        )
    if done.unknown or done.held:
        door.out.remark(
            f"! {number(done.unknown)} écritures en route à cet instant sont d'issue inconnue, aucune n'est renvoyée ; "
            f"{number(done.held)} attendent une approbation, qui a pu être donnée depuis : voyez « delivery list ».",
            f"! {number(done.unknown)} writes under way at that instant are of unknown outcome, none is sent again; "
            f"{number(done.held)} wait for an approval, which may have been given since: see `delivery list`.",
            style="yellow",
        )
    door.out.remark(
        "! L'ancien site ne doit plus jamais tourner : deux copies écriraient deux fois, et signeraient deux journaux.",
        "! The former site must never run again: two copies would write twice, and sign two audit logs.",
        style="bold",
    )
    if proof.findings:
        door.exit = show(door, proof.findings, lambda: ("", ""))
        if door.exit == exits.UNVERIFIED:
            door.out.remark(
                "  Le site est restauré tel qu'il a été sauvegardé ; ces défauts y étaient.",
                "  The site is restored as it was saved; these faults were there.",
            )


def _target(
    source: str, endpoint: str | None, access_key: str | None, secret_file: Path | None, ca_bundle: Path | None, region: str
) -> "Target":
    if not source.startswith("s3://"):
        from sovereign.backup.folder import FolderTarget

        return FolderTarget(Path(source))
    if endpoint is None or access_key is None or secret_file is None:
        raise click.UsageError(
            say("S3 veut --endpoint, --access-key et --secret-file", "S3 needs --endpoint, --access-key and --secret-file")
        )
    from sovereign.backup.s3 import Store, connect
    from sovereign.cli.secret import read_secret

    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    return connect(
        source,
        Store(
            bucket=bucket, url=endpoint, access_key=access_key, secret_key=read_secret(source, secret_file).decode(),
            region=region, prefix=f"{prefix.rstrip('/')}/" if prefix else "", ca_bundle=ca_bundle,
            private=True, loopback=True,  # whoever types the command names the place himself
        ),
    )  # fmt: skip
