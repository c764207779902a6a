"""What holds for notes of any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault import notes
from vault.errors import VaultError
from vault.notes import Signer

SIGNER = Signer("ville.example", bytes(32))
TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.just("\n"), max_size=200).map(lambda text: text + "\n")


@given(TEXTS)
def test_any_text_reads_back_as_it_was_signed(text: str) -> None:
    assert notes.verify(notes.sign(text, SIGNER), [SIGNER.verifier]) == text


@given(TEXTS, TEXTS)
def test_a_signature_serves_no_other_text(text: str, other: str) -> None:
    signature = notes.sign(text, SIGNER)[len(text) :]
    if text != other:
        with pytest.raises(VaultError):
            notes.verify(other + signature, [SIGNER.verifier])


@given(st.text(st.characters(exclude_categories=("Cs",)), max_size=300))
def test_anything_else_is_a_fault_of_the_vault_and_never_a_crash(note: str) -> None:
    with pytest.raises(VaultError):
        notes.verify(note, [SIGNER.verifier])
