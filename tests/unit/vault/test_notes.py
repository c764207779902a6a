"""What a signed note promises."""

import pytest

from vault import notes
from vault.errors import BadName, Corrupt, NotSigned
from vault.notes import Signer, Verifier

SIGNER = Signer("ville.example/sovereign", bytes(range(32)))
OTHER = Signer("agglo.example/sovereign", bytes(32))
TEXT = '{"format":"sovereign-manifest/1","sequence":1}\n'


def test_a_note_gives_its_text_to_who_knows_a_signer() -> None:
    assert notes.verify(notes.sign(TEXT, SIGNER), [OTHER.verifier, SIGNER.verifier]) == TEXT


def test_a_text_may_hold_empty_lines_and_lines_that_look_like_signatures() -> None:
    text = "first\n\n— someone AAAAAAAA\n\nlast\n"
    assert notes.verify(notes.sign(text, SIGNER), [SIGNER.verifier]) == text


def test_a_note_by_someone_else_is_refused_with_the_accepted_names() -> None:
    with pytest.raises(NotSigned, match=r"agglo\.example/sovereign"):
        notes.verify(notes.sign(TEXT, SIGNER), [OTHER.verifier], what="head.manifest")
    with pytest.raises(NotSigned):
        notes.verify(notes.sign(TEXT, SIGNER), [])


def test_no_altered_character_of_the_text_is_accepted() -> None:
    note = notes.sign(TEXT, SIGNER)
    for at in range(len(TEXT) - 1):
        with pytest.raises((NotSigned, Corrupt)):
            notes.verify(note[:at] + chr(ord(note[at]) ^ 1) + note[at + 1 :], [SIGNER.verifier])


def test_a_second_signature_may_be_added_and_an_unknown_one_is_ignored() -> None:
    line = notes.sign(TEXT, OTHER).splitlines(keepends=True)[-1]
    both = notes.sign(TEXT, SIGNER) + line
    assert notes.verify(both, [SIGNER.verifier]) == notes.verify(both, [OTHER.verifier]) == TEXT


def test_a_bad_signature_under_an_accepted_name_is_refused_even_beside_a_good_one() -> None:
    wrong = notes.sign(TEXT.replace("1}", "2}"), OTHER).splitlines(keepends=True)[-1]
    with pytest.raises(NotSigned):
        notes.verify(notes.sign(TEXT, SIGNER) + wrong, [SIGNER.verifier, OTHER.verifier])


def test_the_same_name_with_another_key_is_another_signer() -> None:
    impostor = Signer(SIGNER.name, b"\x07" * 32)
    with pytest.raises(NotSigned):
        notes.verify(notes.sign(TEXT, impostor), [SIGNER.verifier])


@pytest.mark.parametrize(
    "note",
    [
        "",
        TEXT,
        notes.sign(TEXT, SIGNER)[:-1],
        notes.sign(TEXT, SIGNER) + "\n",
        TEXT + "\n",
        TEXT + "\n— name\n",
        TEXT + "\n— name not-base64\n",
        TEXT + "\n- name AAAAAAAAAAAA\n",
        TEXT + "\n— name AAAA\n",
        "a\x00b\n\n" + notes.sign(TEXT, SIGNER).splitlines(keepends=True)[-1],
        TEXT + "\n" + notes.sign(TEXT, SIGNER).splitlines(keepends=True)[-1] * 101,
        "x" * notes.LIMIT + "\n\n— name AAAAAAAAAAAA\n",
    ],
)
def test_what_is_no_note_is_corrupt(note: str) -> None:
    with pytest.raises(Corrupt):
        notes.verify(note, [SIGNER.verifier])


@pytest.mark.parametrize("text", ["", "no newline", "a\ttab\n", "a\r\n", "\x00\n"])
def test_a_text_that_cannot_be_a_note_is_not_signed(text: str) -> None:
    with pytest.raises(ValueError, match="newline"):
        notes.sign(text, SIGNER)


@pytest.mark.parametrize("name", ["", "two words", "a+b", "a\nb", "a\u00a0b"])
def test_a_name_that_would_break_a_signature_line_is_refused(name: str) -> None:
    with pytest.raises(BadName):
        Signer(name, bytes(32))


def test_a_vkey_reads_back_and_an_altered_one_is_corrupt() -> None:
    vkey = SIGNER.verifier.vkey
    assert Verifier.parse(vkey) == SIGNER.verifier
    for bad in (
        "",
        "a",
        "a+b+c",
        vkey[:-8],
        vkey.replace("ville", "villa"),
        vkey + "AAAA",
        OTHER.name + vkey[vkey.index("+") :],
    ):
        with pytest.raises(Corrupt):
            Verifier.parse(bad)


def test_a_signer_does_not_show_its_seed() -> None:
    assert not hasattr(SIGNER, "__dict__")
    assert bytes(range(32)).hex() not in repr(SIGNER)
