"""`document list` and `document get`: what records name, opened under one clearance, entered, written once."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.cli.conftest import Run, Said
from tests.servers.papers import CANARIES, CONNECTION, Archive, archive, content


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Archive]:
    with archive(tmp_path / "town", 12, documents_days=30) as made:
        assert made.sync().state == "succeeded"
        yield made


def get(run: Run, here: Archive, number: int, *more: str, document: str = "") -> Said:
    address = document or here.rows()[number]["document"]
    here.close()
    return run("--site", str(here.root), "document", "get", "courrier/letters", address, *more)


def entries(here: Archive, act: str) -> list[dict[str, object]]:
    return [dict(each.facts) for each in here.reopen().audit.entries(act=act)]


def test_a_document_is_written_whole_for_this_account_alone_and_entered(run: Run, here: Archive, tmp_path: Path) -> None:
    address = here.rows()[5]["document"]
    said = get(run, here, 5, "--clearance", "personal", "--output", str(tmp_path / "scan.pdf"), "--json")
    assert said.code == 0, said.err
    (told,) = said.of("document.opened")
    assert (told["document"], told["bytes"]) == (address, 3000)
    assert (tmp_path / "scan.pdf").read_bytes() == content(5)
    assert (tmp_path / "scan.pdf").stat().st_mode & 0o777 == 0o600
    (entry,) = entries(here, "document.opened")
    assert entry == {"document": address, "sequence": 1, "clearance": "personal", "bytes": 3000}
    assert CANARIES[2] not in json.dumps(entry) + said.out + said.err


def test_without_output_the_bytes_and_nothing_else_go_to_standard_output(run: Run, tmp_path: Path) -> None:
    with archive(tmp_path / "town", letters={5: b"the very text of a letter"}) as here:
        here.sync()
        said = get(run, here, 5, "--clearance", "personal", "--json")
        assert (said.code, said.out) == (0, "the very text of a letter")


def test_an_output_is_never_replaced(run: Run, here: Archive, tmp_path: Path) -> None:
    (tmp_path / "scan.pdf").write_bytes(b"mine")
    said = get(run, here, 5, "--clearance", "personal", "--output", str(tmp_path / "scan.pdf"), "--json")
    assert (said.code, said.errors[0]["code"]) == (2, "output.exists")
    assert (tmp_path / "scan.pdf").read_bytes() == b"mine"
    assert entries(here, "document.opened") == []


def test_a_clearance_too_low_is_refused_and_the_refusal_entered(run: Run, here: Archive, tmp_path: Path) -> None:
    said = get(run, here, 5, "--output", str(tmp_path / "scan.pdf"), "--json")
    assert (said.code, said.errors[0]["code"]) == (5, "document.denied")
    assert not (tmp_path / "scan.pdf").exists()
    assert len(entries(here, "document.refused")) == 1
    said = run("--site", str(here.root), "document", "list", CONNECTION, "--json")
    assert (said.code, said.of("document")) == (0, [])


def test_only_what_a_record_names_is_given(run: Run, here: Archive, tmp_path: Path) -> None:
    said = get(run, here, 0, "--clearance", "sensitive", "--json", document=f"d{'0' * 32}")
    assert (said.code, said.errors[0]["code"]) == (2, "document.unknown")
    said = get(run, here, 0, "--clearance", "sensitive", "--json", document="../../etc/passwd")
    assert said.code == 2
    address = here.rows()[11]["document"]
    del here.vendor.letters[11]
    here.sync()
    said = get(run, here, 0, "--clearance", "sensitive", "--json", document=address)
    assert (said.code, said.errors[0]["code"]) == (2, "document.unknown"), "held, and named by no record of today"
    output = tmp_path / "as it was"
    said = get(run, here, 0, "--clearance", "personal", "--as-of", "1", "--output", str(output), document=address)
    assert (said.code, output.read_bytes()) == (0, content(11))


def test_what_retention_destroyed_is_told_with_the_day(run: Run, here: Archive) -> None:
    address = here.rows()[11]["document"]
    del here.vendor.letters[11]
    here.sync()
    here.clock.offset = timedelta(days=31)
    here.sync()
    day = here.clock().date().isoformat()
    for more in ((), ("--as-of", "1")):
        said = get(run, here, 0, "--clearance", "personal", "--json", *more, document=address)
        assert (said.code, said.errors[0]["code"], said.errors[0]["destroyed"]) == (1, "document.destroyed", day)
    listed = run("--site", str(here.root), "document", "list", CONNECTION, "--clearance", "personal", "--as-of", "1", "--json")
    assert [each["state"] for each in listed.of("document") if each["document"] == address] == ["destroyed"]
    assert len(entries(here, "document.refused")) == 2


def test_destroyed_keys_are_told_as_such(run: Run, here: Archive) -> None:
    address = here.rows()[5]["document"]
    period = here.site.repository.period()
    here.close()
    said = run("--site", str(here.root), "keys", "destroy", CONNECTION, "personal", period, "--yes")
    assert said.code == 0
    assert "documents" in said.err
    said = get(run, here, 0, "--clearance", "personal", "--json", document=address)
    assert (said.code, said.errors[0]["code"]) == (12, "vault.shredded")


def test_the_list_counts_the_records_that_share_a_document(run: Run, here: Archive) -> None:
    named = [row["document"] for row in here.rows().values()]
    here.close()
    asked = ("document", "list", CONNECTION, "--clearance", "personal")
    said = run("--site", str(here.root), *asked, "--stream", "letters", "--json")
    found = said.of("document")
    assert {each["document"]: each["records"] for each in found} == {each: named.count(each) for each in named}
    assert {(each["bytes"], each["media_type"], each["state"]) for each in found} == {(3000, "application/pdf", "held")}
    assert CANARIES[2] not in said.out
    assert "kind" in run("--site", str(here.root), *asked).out


def test_records_and_their_documents_are_asked_for_in_sql(run: Run, here: Archive) -> None:
    address = here.rows()[5]["document"]
    here.close()
    question = "SELECT id FROM courrier.letters WHERE document = (SELECT document FROM courrier.letters WHERE id = 5)"
    said = run("--site", str(here.root), "query", question, "--clearance", "personal", "--json")
    assert 5 in [each["values"]["id"] for each in said.of("row")]
    assert address


def test_a_class_that_was_raised_since_withholds_the_documents_at_once(run: Run, here: Archive) -> None:
    address = here.rows()[5]["document"]
    here.close()
    with (here.root / "sovereign.toml").open("a") as settings:
        settings.write('\n[connections.courrier.streams.letters.classes]\nsensitive = ["document"]\n')
    said = get(run, here, 0, "--clearance", "personal", "--json", document=address)
    assert (said.code, said.errors[0]["code"], said.errors[0]["above"]) == (5, "document.denied", "sensitive")
    assert run("--site", str(here.root), "document", "list", CONNECTION, "--clearance", "personal", "--json").out == ""


def test_a_connection_that_is_not_known_is_named_and_one_that_left_still_lists_its_documents(run: Run, here: Archive) -> None:
    here.site.remove_connection(CONNECTION)
    here.close()
    said = run("--site", str(here.root), "document", "list", "courier", "--json")
    assert (said.code, said.errors[0]["code"]) == (2, "sync.connection")
    said = run("--site", str(here.root), "document", "list", CONNECTION, "--clearance", "personal", "--json")
    assert len(said.of("document")) > 5
