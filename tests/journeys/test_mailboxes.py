"""Mailboxes copied from a real Dovecot by the real sync."""

import asyncio
import hashlib
import shutil
from pathlib import Path

import pytest

from saas_connectors.request import Request
from sovereign.egress.errors import Refused
from sovereign.sync.outcome import RunOutcome
from sovereign.ways import Ways
from tests.servers import dovecot
from tests.servers.mailbox import CONNECTION, Mailroom, letter, mailroom

PLAIN = "IMAP4rev1 SASL-IR LITERAL+"
CONDSTORE = f"{PLAIN} ENABLE CONDSTORE"
ABILITIES = {"qresync": "", "condstore": CONDSTORE, "plain": PLAIN}


@pytest.fixture(autouse=True)
def _server() -> None:
    dovecot.required()


def changed(outcome: RunOutcome, stream: str) -> dict[str, int]:
    (found,) = [each for each in outcome.streams if each.stream == stream]
    return {name: count for name, count in found.counts.items() if name in ("inserted", "updated", "deleted") and count}


def test_a_first_pull_copies_folders_messages_and_attachments_with_their_bytes(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        for n in range(7):
            here.server.put(letter(n, attached=n % 3), "INBOX" if n < 5 else "Dossier &AOk-t&AOk-")
        here.server.put(letter(90), "Trash")
        outcome = here.sync()
        assert outcome.state == "succeeded", outcome.fault
        assert {each.stream: each.verdict for each in outcome.streams} == {
            "folders": "unverified", "messages": "complete", "attachments": "unverified",
        }  # fmt: skip
        messages, attachments = here.rows("messages"), here.rows("attachments")
        assert {row["folder"] for row in messages} == {"INBOX", "Dossier été"}
        assert {row["name"]: row["read"] for row in here.rows("folders")} == {
            "INBOX": True, "Dossier été": True, "Trash": False, "Junk": False,
        }  # fmt: skip
        (first,) = [row for row in messages if row["subject"] == "Objet été 2"]
        assert first["from_addresses"] == ["eva@mairie.example"]
        assert first["to_addresses"] == ["a@b.example", "c@d.example"]
        assert (first["text"], first["seen"], first["attachments"]) == ("Bonjour été.", False, 2)
        kept = here.document(first["document"])
        assert kept is not None
        assert kept.replace(b"\r\n", b"\n") == letter(2, attached=2)
        assert hashlib.sha256(kept).hexdigest() == first["sha256"]
        assert len(attachments) == 6
        names = [row["filename"] for row in attachments if row["uid"] == first["uid"] and row["folder"] == "INBOX"]
        assert names == [
            f"pièce jointe longue et accentuée, pour que son nom soit coupé en morceaux n° 2.{n}.pdf" for n in (0, 1)
        ]
        assert here.document(attachments[0]["document"]) == b"%PDF-" + b"\x01\x00" * 60


def test_no_message_is_marked_as_seen(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        here.server.put(letter(1, attached=1))
        here.sync()
        with here.server.client() as client:
            client.select("INBOX", readonly=True)
            assert client.search(None, "UNSEEN")[1] == [b"1"]


@pytest.mark.parametrize("ability", sorted(ABILITIES))
def test_flags_arrivals_and_deletions_come_into_the_copy(tmp_path: Path, ability: str) -> None:
    with mailroom(tmp_path, capability=ABILITIES[ability]) as here:
        for n in range(6):
            here.server.put(letter(n, attached=1))
        assert here.sync().state == "succeeded"
        with here.server.client() as client:
            client.select("INBOX")
            client.uid("STORE", "2", "+FLAGS", "(\\Seen \\Flagged)")
            client.uid("STORE", "4,6", "+FLAGS", "(\\Deleted)")
            client.expunge()
        here.server.put(letter(7, attached=2))
        outcome = here.sync()
        assert outcome.state == "succeeded", outcome.fault
        assert changed(outcome, "messages") == {"inserted": 1, "updated": 1, "deleted": 2}
        assert changed(outcome, "attachments") == {"inserted": 2, "deleted": 2}
        assert [row["uid"] for row in here.rows("messages")] == [1, 2, 3, 5, 7]
        assert [row["uid"] for row in here.rows("messages") if row["seen"] and row["flagged"]] == [2]
        assert [row["uid"] for row in here.rows("attachments")] == [1, 2, 3, 5, 7, 7]


def test_a_mailbox_where_nothing_moved_costs_a_few_requests(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        for n in range(40):
            here.server.put(letter(n, attached=1), f"Projet {n % 4}")
        here.sync()
        outcome = here.sync()
        assert outcome.state == "succeeded"
        assert outcome.requests <= 6
        assert changed(outcome, "messages") == {}


def test_a_message_moved_to_another_folder_is_the_same_by_its_identity(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        here.server.put(letter(1))
        here.sync()
        (before,) = here.rows("messages")
        with here.server.client() as client:
            client.create("Archives")
            client.select("INBOX")
            client._simple_command("UID", "MOVE", "1", "Archives")  # imaplib has no name for it
        assert here.sync().state == "succeeded"
        (after,) = here.rows("messages")
        assert (before["folder"], after["folder"]) == ("INBOX", "Archives")
        assert (after["identity"], after["document"]) == (before["identity"], before["document"])


def test_folders_renamed_and_deleted_take_their_messages_along(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        here.server.put(letter(1, attached=1), "Un")
        here.server.put(letter(2, attached=1), "Deux")
        here.sync()
        with here.server.client() as client:
            client.rename("Un", "Uno")
            client.delete("Deux")
        assert here.sync().state == "succeeded"
        assert [row["folder"] for row in here.rows("messages")] == ["Uno"]
        assert [row["folder"] for row in here.rows("attachments")] == ["Uno"]


def test_a_folder_made_again_under_its_name_is_read_again_and_its_former_messages_removed(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        for n in range(3):
            here.server.put(letter(n, attached=1), "Projets")
        here.sync()
        (validity,) = {row["uidvalidity"] for row in here.rows("messages")}
        with here.server.client() as client:
            client.delete("Projets")
        here.server.put(letter(9, attached=1), "Projets")
        outcome = here.sync()
        assert outcome.state == "succeeded", outcome.fault
        (row,) = here.rows("messages")
        assert (row["subject"], row["uid"]) == ("Objet été 9", 1)
        assert row["uidvalidity"] != validity
        assert [(row["uid"], row["uidvalidity"]) for row in here.rows("attachments")] == [(1, row["uidvalidity"])]


def test_a_server_restored_from_a_backup_is_read_again_and_said_to_have_gone_backwards(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        for n in range(3):
            here.server.put(letter(n, attached=1))
        here.sync()
        here.server.save(tmp_path / "backup")
        for n in range(3, 8):
            here.server.put(letter(n, attached=2))
        here.sync()
        assert len(here.rows("messages")) == 8
        here.server.restore(tmp_path / "backup")
        here.server.put(letter(50))  # the UID that another message had
        outcome = here.sync()
        assert outcome.state == "succeeded", outcome.fault
        assert any(note.check == "went_backwards" for each in outcome.streams for note in each.evidence)
        assert [row["subject"] for row in here.rows("messages")] == [f"Objet été {n}" for n in (0, 1, 2, 50)]
        assert [row["uid"] for row in here.rows("attachments")] == [1, 2, 3]
        kept = here.document(here.rows("messages")[3]["document"])
        assert kept is not None
        assert b"<50@mairie.example>" in kept


def test_a_message_too_large_is_recorded_and_not_fetched(tmp_path: Path) -> None:
    with mailroom(tmp_path, max_message=20_000) as here:
        here.server.put(letter(1, text="x" * 70 + "\n", subject="petit"))
        here.server.put(letter(2, text=("x" * 70 + "\n") * 1000, subject="grand"))
        outcome = here.sync()
        assert outcome.state == "succeeded"
        assert [(row["subject"], row["state"], row["document"] is None) for row in here.rows("messages")] == [
            ("petit", "filed", False), ("grand", "too_large", True),
        ]  # fmt: skip
        (note,) = [n for s in outcome.streams for n in s.evidence if n.check == "document_missing"]
        assert note.detail["rules"] == {"too_large": 1}


def test_settings_choose_the_folders(tmp_path: Path) -> None:
    with mailroom(tmp_path, include=["INBOX", "Projets*", "Trash"], exclude=["Projets/Secret"]) as here:
        for n, folder in enumerate(["INBOX", "Projets/Un", "Projets/Secret", "Divers", "Trash"]):
            here.server.put(letter(n), folder)
        here.sync()
        assert {row["folder"] for row in here.rows("messages")} == {"INBOX", "Projets/Un", "Trash"}


def test_a_replay_makes_the_same_copy_without_the_server(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        for n in range(5):
            here.server.put(letter(n, attached=n % 2))
        run = here.sync().run
        before = here.rows("messages"), here.rows("attachments")
        here.server.stop()
        shutil.rmtree(here.server.root / "mail")
        again = here.site.syncs.replay(run)
        assert again.state == "succeeded", again.fault
        assert {each.state for each in again.streams} == {"unchanged"}
        assert (here.rows("messages"), here.rows("attachments")) == before


def test_a_wrong_password_is_said_at_once_and_shows_nowhere(tmp_path: Path) -> None:
    with mailroom(tmp_path) as here:
        here.site.set_secret("courrier", "boite", b"un-autre-mot")
        outcome = here.sync()
        assert outcome.fault is not None
        assert (outcome.state, outcome.fault.code) == ("failed", "vendor.unauthorized")
        assert "un-autre-mot" not in str(outcome)


def test_an_application_reaches_no_mailbox(tmp_path: Path) -> None:
    async def asked(here: Mailroom) -> None:
        ways = Ways(here.site)  # type: ignore[arg-type]
        try:
            await ways(CONNECTION).send(Request("GET", f"{here.server.url}/INBOX;UIDVALIDITY=1/;UID=1"))
        finally:
            await ways.close()

    with mailroom(tmp_path) as here:
        with pytest.raises(Refused) as refusal:
            asyncio.run(asked(here))
        assert refusal.value.rule == "egress.method"
