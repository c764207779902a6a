"""What an envelope promises; the shapes and sizes at random are in tests/property/vault."""

import io
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault import envelope
from vault.envelope import CHUNK, Opener, Sealer
from vault.errors import Corrupt, UnknownVersion, VaultError, WrongKey
from vault.hkdf import derive

KEY = bytes(range(32))
CONTEXT = b"ville/marches/raw/1"
THREE = bytes(3 * CHUNK)
BLOCK = CHUNK + 16


def streamed(data: bytes) -> bytes:
    sink = io.BytesIO()
    with Sealer(KEY, CONTEXT, sink) as sealer:
        sealer.write(data)
    return sink.getvalue()


@pytest.mark.parametrize("size", [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_what_is_sealed_in_one_piece_or_as_a_stream_opens_in_one_piece_or_as_a_stream(size: int) -> None:
    data = bytes(i % 251 for i in range(size))
    for sealed in (envelope.seal(KEY, CONTEXT, data), streamed(data)):
        assert len(sealed) == 80 + size + 16 * max(1, -(-size // CHUNK))
        assert envelope.open(KEY, CONTEXT, sealed) == data
        assert Opener(KEY, CONTEXT, io.BytesIO(sealed)).read() == data


def test_the_same_bytes_never_seal_to_the_same_envelope() -> None:
    assert envelope.seal(KEY, CONTEXT, b"x")[8:] != envelope.seal(KEY, CONTEXT, b"x")[8:]


def test_a_wrong_key_and_a_wrong_context_are_told_apart_from_damage() -> None:
    sealed = envelope.seal(KEY, CONTEXT, b"secret")
    for key, context in ((bytes(32), CONTEXT), (KEY, b"ville/marches/raw/2"), (KEY, b"")):
        with pytest.raises(WrongKey, match=r"part-1\.raw"):
            envelope.open(key, context, sealed, what="part-1.raw")
        with pytest.raises(WrongKey):
            Opener(key, context, io.BytesIO(sealed))


def test_no_single_altered_byte_opens_and_damage_is_corrupt() -> None:
    sealed = envelope.seal(KEY, CONTEXT, b"secret")
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 1
        with pytest.raises(UnknownVersion if at == 7 else Corrupt):
            envelope.open(KEY, CONTEXT, bytes(altered))


def test_an_envelope_made_for_one_key_cannot_be_dressed_for_another() -> None:
    """Without commitment, GCM lets a forger make bytes that open under two keys; here the header decides first."""
    other = bytes(32)
    ours, theirs = envelope.seal(KEY, CONTEXT, b"ours"), envelope.seal(other, CONTEXT, b"theirs")
    for mixed in (theirs[:80] + ours[80:], ours[:80] + theirs[80:]):
        opened = []
        for key in (KEY, other):
            try:
                opened.append(envelope.open(key, CONTEXT, mixed))
            except VaultError:
                continue
        assert opened == []


@pytest.mark.parametrize("keep", [0, 7, 79, 80, 95, 80 + BLOCK, 80 + 2 * BLOCK, 80 + 3 * BLOCK - 1])
def test_a_cut_is_seen_also_between_two_chunks(keep: int) -> None:
    cut = envelope.seal(KEY, CONTEXT, THREE)[:keep]
    with pytest.raises(Corrupt):
        envelope.open(KEY, CONTEXT, cut)
    with pytest.raises(Corrupt):
        Opener(KEY, CONTEXT, io.BytesIO(cut)).read()


def _mutations(sealed: bytes) -> Iterator[bytes]:
    header, chunks = sealed[:80], [sealed[80 + i * BLOCK : 80 + (i + 1) * BLOCK] for i in range(3)]
    yield header + chunks[1] + chunks[0] + chunks[2]
    yield header + chunks[0] + chunks[0] + chunks[1] + chunks[2]
    yield header + chunks[0] + chunks[2]
    yield sealed + b"\x00"
    yield sealed + bytes(16)
    yield sealed + chunks[2]
    yield sealed + sealed


def test_moved_repeated_missing_or_added_chunks_are_corrupt() -> None:
    for mutated in _mutations(envelope.seal(KEY, CONTEXT, THREE)):
        with pytest.raises(Corrupt):
            envelope.open(KEY, CONTEXT, mutated)
        with pytest.raises(Corrupt):
            Opener(KEY, CONTEXT, io.BytesIO(mutated)).read()


def test_an_empty_last_chunk_after_a_full_one_is_corrupt_even_from_who_holds_the_key() -> None:
    sealed = envelope.seal(KEY, CONTEXT, bytes(CHUNK))
    stream = AESGCM(derive(KEY, b"sovereign-envelope/1" + CONTEXT, salt=sealed[8:40], length=64)[:32])
    first = stream.encrypt(bytes(12), bytes(CHUNK), None)
    longer = sealed[:80] + first + stream.encrypt(bytes(10) + b"\x01\x01", b"", None)
    with pytest.raises(Corrupt):
        envelope.open(KEY, CONTEXT, longer)
    with pytest.raises(Corrupt):
        Opener(KEY, CONTEXT, io.BytesIO(longer)).read()


def test_a_later_version_is_named_as_such() -> None:
    sealed = bytearray(envelope.seal(KEY, CONTEXT, b"x"))
    sealed[7] = 2
    with pytest.raises(UnknownVersion, match="sovereign-envelope/2"):
        envelope.open(KEY, CONTEXT, bytes(sealed))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        envelope.seal(bytes(size), CONTEXT, b"x")


def test_what_an_interrupted_sealer_left_does_not_open() -> None:
    sink, sealer = io.BytesIO(), None

    def interrupted() -> None:
        nonlocal sealer
        with Sealer(KEY, CONTEXT, sink) as sealer:
            sealer.write(THREE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sealer is not None
    assert sealer.closed
    with pytest.raises(Corrupt):
        envelope.open(KEY, CONTEXT, sink.getvalue())


def test_a_closed_sealer_takes_nothing_more_and_closing_twice_is_closing_once() -> None:
    sink = io.BytesIO()
    sealer = Sealer(KEY, CONTEXT, sink)
    sealer.write(b"x")
    sealer.close()
    sealer.close()
    with pytest.raises(ValueError, match="closed"):
        sealer.write(b"y")
    assert envelope.open(KEY, CONTEXT, sink.getvalue()) == b"x"


def test_an_opener_serves_python_files_and_sources_that_give_little_at_a_time() -> None:
    class Trickle(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 1000))

    data = b"".join(b"%d\n" % line for line in range(40_000))
    with io.BufferedReader(Opener(KEY, CONTEXT, Trickle(streamed(data)))) as lines:
        assert list(lines) == data.splitlines(keepends=True)


def test_a_stream_is_sealed_and_opened_in_bounded_memory() -> None:
    import tracemalloc

    class Kept(io.RawIOBase):
        size = 0

        def write(self, data: object, /) -> int:
            assert isinstance(data, memoryview)
            self.size += len(data)
            return len(data)

    piece = bytes(1 << 20)
    kept = Kept()
    tracemalloc.start()
    with Sealer(KEY, CONTEXT, kept) as sealer:
        for _ in range(64):
            sealer.write(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert kept.size > 64 << 20
    assert peak < 4 << 20


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_the_length_of_an_envelope_is_known_before_it_is_sealed(size: int) -> None:
    assert envelope.length(size) == len(envelope.seal(bytes(32), b"context", bytes(size)))
