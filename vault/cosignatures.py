"""Cosignatures: what a witness signs of a checkpoint that it has seen continue the last one (C2SP tlog-cosignature, Ed25519).

    cosignature/v1
    time SECONDS SINCE 1970
    (the text of the checkpoint)

is what is signed; the line of the note is `— NAME base64(key id(4) || time(8, big-endian) || signature(64))`, and the key's
kind is 0x04, in its key id and in its vkey.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping

from vault import notes
from vault.errors import NotSigned

_TIME = 8
_LENGTH = 4 + _TIME + 64


class Cosignatory(notes.Verifier):
    """The public key of a witness."""

    __slots__ = ()
    kind = b"\x04"


class Cosigner:
    """The private key of a witness, under its name."""

    __slots__ = ("_signer", "verifier")

    def __init__(self, name: str, seed: bytes) -> None:
        """seed: 32 bytes."""
        self._signer = notes.Signer(name, seed)
        self.verifier = Cosignatory(name, self._signer.verifier.public)

    def cosign(self, text: str, time: int) -> str:
        """Give the signature line over a checkpoint's text, as seen at `time`, in seconds since 1970; no newline at its end."""
        blob = self.verifier.key_id + time.to_bytes(_TIME, "big") + self._signer.sign(_message(text, time))
        return f"— {self.verifier.name} {b64encode(blob).decode()}"


def times(note: str, witnesses: Iterable[Cosignatory]) -> Mapping[str, int]:
    """When each of `witnesses` that cosigned `note` saw it, by name, in seconds since 1970; those that did not are left out.

    Errors: `Corrupt` for what is no note, `NotSigned` when a line under the name and id of one of them is not its own.
    """
    known = {(each.name, each.key_id): each for each in witnesses}
    text, signatures = notes.split(note)
    found: dict[str, int] = {}
    for name, blob in signatures:
        witness = known.get((name, blob[:4]))
        if witness is None:
            continue
        if len(blob) != _LENGTH:
            raise NotSigned(what="note", accepted=name)
        time = int.from_bytes(blob[4 : 4 + _TIME], "big")
        witness.check(_message(text, time), blob[4 + _TIME :])
        found[name] = max(time, found.get(name, 0))
    return found


def _message(text: str, time: int) -> str:
    return f"cosignature/v1\ntime {time}\n{text}"
