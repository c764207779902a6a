"""The recovery kit: k of n people, each with a sheet of words, give a city its keys back when the master is lost.

1. `export` draws a recovery key (X25519), seals every key of the keyring to its public half, and splits the private half into
   SLIP-39 shares (Shamir over GF(256), words with a checksum). The private half is kept nowhere; keys made later are covered
   too, without the holders.
2. Fewer than `threshold` shares say nothing about the key. All shares of a kit begin with the same two words, which name it.
   A mistyped share, and a share of another kit, are told by their number.
3. `restore` needs the folder `keys/` (from a backup) and the shares, not the old master: it takes back only keys that this site
   sealed, and wraps them under another provider. What was destroyed stays destroyed.
4. A new export makes the former kit useless for the present keyring; an old backup of `keys/` still opens with its own kit.

The shares are the whole power over the data: they are given once, and never stored or logged. Words and layout:
docs/formats/recovery.md; SLIP-0039 by its reference implementation.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from shamir_mnemonic import MnemonicError, Share, combine_mnemonics, generate_mnemonics

from vault import files, kit, notes, whole
from vault.errors import BadName, BadShare, Corrupt, ForeignShares, NoKit, TooFewShares
from vault.keyring import Keyring, KeyringFile, Kit
from vault.keys import Keys
from vault.providers import Provider


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore gave back: the count of keys, and the ids of those that the kit does not open.

    `intact` is false when the keyring is not as its site wrote it: what was recovered is the site's, but records may have been
    dropped, or their states changed.
    """

    keys: int
    lost: tuple[str, ...]
    intact: bool = True


def export(keys: Keys, threshold: int, shares: int, *, entropy: Callable[[int], bytes] = os.urandom) -> list[str]:
    """Make a recovery kit and give its shares, 33 words each: any `threshold` of the `shares` restore.

    2 ≤ threshold ≤ shares ≤ 16, else `BadName`. The words exist nowhere else: hand them out, then forget them.
    """
    if not 2 <= threshold <= shares <= 16:
        raise BadName(
            given=f"{threshold}/{shares}",
            expected_fr="un seuil d'au moins 2, et au plus 16 parts",
            expected_en="a threshold of at least 2, and at most 16 shares",
        )
    private = entropy(32)
    words: list[str] = generate_mnemonics(1, [(threshold, shares)], private)[0]
    name, created = _kit_of(words[0]), keys.now()
    keys.cover(lambda site: kit.make(name, private, site, threshold=threshold, shares=shares, created=created))
    return words


def rehearse(directory: Path, shares: Sequence[str]) -> Restored:
    """Do all that `restore` does but write: the drill that proves shares and backup good."""
    return _restored(_opened(KeyringFile(directory).read(), shares))


def restore(directory: Path, shares: Sequence[str], provider: Provider) -> Restored:
    """Open the keyring in `directory` with the shares and wrap every key under `provider`, in one write.

    Errors: `NoKit`, `BadShare`, `TooFewShares`, `ForeignShares`, and `Corrupt` when the site key is not the one that was
    sealed. Keys that the kit does not open are left as they are and named in the result.
    """
    found: list[_Opened] = []

    def change(keyring: Keyring) -> Keyring:
        opened = _opened(keyring, shares)
        found.append(opened)
        files.write(directory / "site.vkey", notes.Signer(keyring.name, opened.signing).verifier.vkey.encode() + b"\n")
        return keyring.replacing(
            {
                record.id: msgspec.structs.replace(record, wrapped=provider.wrap(key, record.context()))
                for record in keyring.records
                if (key := opened.keys.get(record.id)) is not None
            }
        )

    KeyringFile(directory).edit(change, lambda edited: whole.bind(edited, found[0].site))
    return _restored(found[0])


@dataclass(frozen=True, slots=True)
class _Opened:
    """The site key and the signing key, and the key of each live record by its id, None where the kit does not open it."""

    site: bytes
    signing: bytes
    keys: dict[str, bytes | None]
    intact: bool


def _opened(keyring: Keyring, shares: Sequence[str]) -> _Opened:
    if keyring.kit is None:
        raise NoKit
    private = _combine(keyring.kit, shares)
    site = kit.open_site(keyring.kit, keyring.only("site"), private)
    opened: dict[str, bytes | None] = {}
    for record in keyring.records:
        if record.state != "destroyed":
            try:
                opened[record.id] = kit.open_record(record, private, site)
            except Corrupt:
                opened[record.id] = None
    signing = opened[keyring.only("signer").id]
    if signing is None:
        raise Corrupt(what="keyring.json: signer")
    try:
        whole.check(keyring, site)
    except Corrupt:
        # Refusing now would lose the sound keys for a damaged one: each key is proven by its own tag, and this is told.
        return _Opened(site, signing, opened, intact=False)
    return _Opened(site, signing, opened, intact=True)


def _combine(to: Kit, shares: Sequence[str]) -> bytes:
    given: dict[int, str] = {}
    for number, words in enumerate(shares, start=1):
        tidy = " ".join(words.lower().split())
        try:
            share = Share.from_mnemonic(tidy)
        except MnemonicError:
            raise BadShare(number=number) from None
        if _kit_of(tidy) != to.id:
            raise _foreign(to, number)
        given[share.index] = tidy
    if len(given) < to.threshold:
        raise TooFewShares(given=len(given), needed=to.threshold)
    try:
        private: bytes = combine_mnemonics(list(given.values())[: to.threshold])
    except MnemonicError:
        raise _foreign(to, *range(1, len(shares) + 1)) from None
    if len(private) != 32 or not kit.owns(to, private):
        raise _foreign(to, *range(1, len(shares) + 1))
    return private


def _kit_of(words: str) -> str:
    """Give the two words that all shares of a kit begin with: SLIP-39's identifier and parameters."""
    return " ".join(words.split()[:2])


def _foreign(to: Kit, *numbers: int) -> ForeignShares:
    return ForeignShares(numbers=", ".join(map(str, numbers)), kit=to.id, created=f"{to.created:%Y-%m-%d}")


def _restored(opened: _Opened) -> Restored:
    lost = tuple(key_id for key_id, key in opened.keys.items() if key is None)
    return Restored(len(opened.keys) - len(lost), lost, opened.intact)
