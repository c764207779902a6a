"""A pointer of version 2 reads the same for ever, and is written the same (docs/formats/mart.md)."""

from pathlib import Path

from snapshots import generations
from vault.keys import Wrapped

VECTOR = Path(__file__).parent / "pointer.json"


def test_a_pointer_of_version_2_is_read_and_written_to_the_byte(tmp_path: Path) -> None:
    pointer = generations.read(VECTOR)
    wrapped = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7"
    assert pointer == generations.Pointer(
        file="0f1e2d3c4b5a69788796a5b4c3d2e1f0.mart",
        key=Wrapped("00112233445566778899aabbccddeeff", wrapped),
        manifest="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        sequence=12,
        clearance="personal",
        missing=["sensitive"],
        withheld=[3],
        churn=4310,
    )
    assert pointer is not None
    generations.write(tmp_path / "pointer.json", pointer)
    assert (tmp_path / "pointer.json").read_bytes() == VECTOR.read_bytes()


def test_a_pointer_of_another_version_or_that_leads_elsewhere_is_none(tmp_path: Path) -> None:
    sound = VECTOR.read_text()
    for wrong in (
        sound.replace("mart/2", "mart/1"),
        sound.replace('"0f1e', '"../0f1e'),
        sound.replace('"churn"', '"x"'),
        sound[:-3],
    ):
        (tmp_path / "pointer.json").write_text(wrong)
        assert generations.read(tmp_path / "pointer.json") is None
