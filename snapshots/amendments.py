"""Amendments: how history is corrected without being rewritten in silence.

1. A manifest may be replaced at its place in history: same dataset, sequence and parent, `amends` naming the old hash. It is a
   manifest like any other, signed and named by its hash.
2. Each replacement publishes an amendment, a signed note: old hash, new hash, reason, certificate. `verify` follows it, asks
   for it, and accepts a child that still names the old hash as its parent.
3. Order: new key file, new manifest (from then on it counts), amendment, then the old manifest and its key file are removed. A
   crash in between leaves a history that reads right; doing it again ends it.

`erase` is its first use: a class of a dataset leaves every snapshot, its files with it. Destroying the class's key (`keys
destroy`) already makes it unreadable, in backups too; erasing also removes the bytes.
"""

import hashlib
from collections.abc import Mapping, Sequence

import msgspec
import rfc8785

from snapshots import keyfile, parts
from snapshots.columns import Json
from snapshots.dataset import DatasetId
from snapshots.durable import read_bounded
from snapshots.errors import Damaged, NotCommitted
from snapshots.manifest import Manifest
from snapshots.repository import Repository
from vault import files, notes
from vault.errors import UnknownVersion
from vault.keys import Wrapped

FORMAT = "sovereign-amendment/1"
LIMIT = 1 << 20


class Amendment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a manifest was replaced, and by which. `certificate` is JSON without any personal value."""

    format: str
    dataset: str
    old: str
    new: str
    reason: str
    created: str
    certificate: Json = None


def amend(
    repository: Repository, old: Manifest, new: Manifest, wraps: Mapping[str, Wrapped], reason: str, certificate: Json = None
) -> Manifest:
    """Put `new` in the place of `old`; its place in history and its key file's name are set here.

    Arguments: wraps: the entries of its key file, blocks included, by the names that `new.keys` gives.
    """
    if (new.dataset, new.sequence, new.parent, new.amends) != (
        old.dataset,
        old.sequence,
        old.parent,
        old.hash,
    ) or new.keys == old.keys:
        raise NotCommitted(
            stream=old.id.stream,
            reason_fr="un amendement garde la place de ce qu'il remplace",
            reason_en="an amendment keeps the place of what it replaces",
        )
    repository.write_manifest(new, wraps)
    now = repository.clock().isoformat()
    text = rfc8785.dumps(
        msgspec.to_builtins(Amendment(FORMAT, old.dataset, old.hash, new.hash, reason, now, certificate))
    ).decode()
    folder = files.folder(repository.folder(old.id) / "amendments")
    name = hashlib.sha256(text.encode()).hexdigest()
    files.write(folder / f"{name}.amendment", notes.sign(text + "\n", repository.keys.signer).encode())
    files.remove(repository.manifest_file(old.id, old.hash))
    repository.key_file(old).unlink(missing_ok=True)
    return new


def read_all(repository: Repository, dataset: DatasetId) -> list[Amendment]:
    """Give a dataset's amendments, oldest first; raises NotSigned, Damaged or UnknownVersion, naming the file."""
    paths = (repository.folder(dataset) / "amendments").glob("*.amendment")
    return sorted((read(repository, path.name, dataset) for path in paths), key=lambda each: each.created)


def read(repository: Repository, name: str, dataset: DatasetId) -> Amendment:
    """Read one amendment; raises NotSigned, Damaged or UnknownVersion, naming it."""
    data = read_bounded(repository.folder(dataset) / "amendments" / name, LIMIT)
    damaged = Damaged(
        file=name, reason_fr="ce n'est pas un amendement de ce flux", reason_en="it is not an amendment of this stream"
    )
    try:
        text = notes.verify(data.decode(), [repository.keys.verifier], what=name).removesuffix("\n")
        found = msgspec.json.decode(text, type=Amendment)
    except (UnicodeDecodeError, msgspec.DecodeError):
        raise damaged from None
    if found.format != FORMAT:
        raise UnknownVersion(what=name, found=found.format)
    if found.dataset != str(dataset) or hashlib.sha256(text.encode()).hexdigest() != name.partition(".")[0]:
        raise damaged
    return found


def erase(
    repository: Repository, dataset: DatasetId, classes: Sequence[str], reason: str, certificate: Json = None
) -> list[Manifest]:
    """Take classes other than internal out of every snapshot of a dataset, then remove their files.

    Returns: the manifests that replaced others, oldest first. A primary key of an erased class stays as its pseudonym.
    """
    if "internal" in classes:
        raise NotCommitted(
            stream=dataset.stream,
            reason_fr="la classe interne porte les lignes : elle ne s'efface pas seule",
            reason_en="the internal class carries the rows: it is not erased alone",
        )
    made = []
    for old in repository.manifests(dataset):
        if not set(classes) & (set(old.sealed) | {at for part in old.parts for at in part.files}):
            continue
        stem = f"{old.sequence:08d}-{repository.entropy(8).hex()}"
        new = msgspec.structs.replace(
            old,
            amends=old.hash,
            keys=f"{stem}.keys",
            sealed={},
            parts=[
                msgspec.structs.replace(part, files={at: file for at, file in part.files.items() if at not in classes})
                for part in old.parts
            ],
        )
        wraps, sealed = _resealed(repository, old, new, [each for each in old.sealed if each not in classes])
        made.append(amend(repository, old, msgspec.structs.replace(new, sealed=sealed), wraps, reason, certificate))
    folder = repository.parts_folder(dataset)
    for class_name in classes:
        for path in folder.glob(f"*.{class_name}.parquet"):
            path.unlink()
    if made:
        files.flush(folder)
    return made


def _resealed(
    repository: Repository, old: Manifest, new: Manifest, blocks: Sequence[str]
) -> tuple[dict[str, Wrapped], dict[str, str]]:
    """Seal a manifest's blocks under the names of its replacement; gives its key file's entries and the blocks."""
    from snapshots.manifest import open_block, seal_block
    from vault.keys import Scope

    entries = keyfile.read(repository.key_file(old))
    names = {parts.key_name(new.id, part.id, at) for part in new.parts for at in part.files}
    wraps, sealed = {name: entries[name] for name in names}, {}
    opening = repository.opener(old)
    for block in blocks:
        before, name = old.block_name(block), new.block_name(block)
        content = msgspec.Raw(open_block(opening(before), before, old.sealed[block]))
        key_class = "manifest" if block == "cursor" else block
        data_key, wraps[name] = repository.keys.new_data_key(
            Scope(new.id.connection, key_class, repository.period()), name.encode()
        )
        sealed[block] = seal_block(data_key, name, content)
    return wraps, sealed
