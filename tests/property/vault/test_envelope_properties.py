"""What holds for envelopes of any size, written and read in any pieces, and damaged anywhere."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vault import envelope
from vault.envelope import CHUNK, Opener, Sealer
from vault.errors import VaultError

KEYS = st.binary(min_size=32, max_size=32)
SIZES = st.one_of(st.integers(0, 300), st.sampled_from([CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK]), st.integers(0, 4 * CHUNK))


@settings(max_examples=150, deadline=None)
@given(KEYS, st.binary(max_size=80), SIZES, st.lists(st.integers(1, 3 * CHUNK), max_size=6), st.integers(1, 2 * CHUNK))
def test_any_pieces_written_and_read_give_the_same_bytes(
    key: bytes, context: bytes, size: int, cuts: list[int], reads: int
) -> None:
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    sink, rest = io.BytesIO(), memoryview(data)
    with Sealer(key, context, sink) as sealer:
        for cut in cuts:
            assert sealer.write(rest[:cut]) == len(rest[:cut])
            rest = rest[cut:]
        sealer.write(rest)
    assert envelope.open(key, context, sink.getvalue()) == data
    opener, pieces = Opener(key, context, io.BytesIO(sink.getvalue())), []
    while piece := opener.read(reads):
        pieces.append(piece)
    assert all(len(piece) == reads for piece in pieces[:-1])
    assert b"".join(pieces) == data


@settings(max_examples=150, deadline=None)
@given(SIZES, st.data())
def test_no_damage_anywhere_gives_a_single_wrong_byte(size: int, data: st.DataObject) -> None:
    key, plaintext = bytes(32), bytes(size)
    sealed = bytearray(envelope.seal(key, b"c", plaintext))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert", "repeat"]))
    at = data.draw(st.integers(0, len(sealed) - 1))
    if kind == "flip":
        sealed[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        del sealed[at:]
    elif kind == "insert":
        sealed.insert(at, sealed[at] ^ 1)
    else:
        sealed += sealed[at:]
    with pytest.raises(VaultError):
        envelope.open(key, b"c", bytes(sealed))
    out = bytearray()

    def read() -> None:
        opener = Opener(key, b"c", io.BytesIO(bytes(sealed)))
        while piece := opener.read(1000):
            out.extend(piece)

    with pytest.raises(VaultError):
        read()
    assert plaintext.startswith(bytes(out))


@settings(max_examples=100, deadline=None)
@given(KEYS, KEYS, st.binary(max_size=40), st.binary(max_size=40))
def test_only_the_same_key_and_the_same_context_open(key: bytes, other: bytes, context: bytes, elsewhere: bytes) -> None:
    sealed = envelope.seal(key, context, b"x")
    if (key, context) == (other, elsewhere):
        assert envelope.open(other, elsewhere, sealed) == b"x"
    else:
        with pytest.raises(VaultError):
            envelope.open(other, elsewhere, sealed)
