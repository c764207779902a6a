"""A town that pulls its letters from MaarchCourrier: what moves without a date is seen, files come once, nothing leaks."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from saas_connectors.request import Request, Response
from saas_connectors.sandbox import Sandbox, Trouble
from saas_connectors.sandbox.maarch import Account, Maarch
from saas_connectors.sandbox.vendor import SECRET, USER
from snapshots.dataset import CLASSES, DatasetId
from snapshots.documents import Documents
from sovereign.site import Site
from sovereign.sync.outcome import RunOutcome
from tests.security.canaries.search import search
from tests.servers.sites import credentials
from tests.unit.connectors_maarch.pulling import sender

NAME = "courrier"
PRIVILEGES = frozenset({"admin_users", "admin_contacts", "update_status_mail", "update_resources"})
PASSWORD = "Xk7-passerelle-du-courrier"
STREAMS = {"resources", "documents", "attachments", "notes", "contacts", "users", "entities", "statuses", "doctypes"}


@dataclass
class Here:
    """A site, its vendor, and what one asks of them."""

    root: Path
    site: Site
    server: Maarch

    def sync(self, **asked: Any) -> RunOutcome:  # noqa: ANN401 - what a sync takes
        self.server.calls.clear()
        return self.site.syncs.run(NAME, **asked)

    def rows(self, stream: str) -> dict[int, dict[str, Any]]:
        head = self.site.heads()[DatasetId(NAME, stream)]
        key = "res_id" if stream in ("resources", "documents") else "id"
        return {row[key]: row for batch in self.site.repository.read(head, CLASSES) for row in batch.to_pylist()}

    def write(self, method: str, path: str, body: object) -> Response:
        send = sender_of(self.server)
        return send(Request(method, f"http://maarch.example/rest{path}", body=json.dumps(body).encode()))


def sender_of(server: Maarch) -> Any:  # noqa: ANN401 - a function
    assert server.door.accounts["writer"].password == SECRET
    return sender(server, "writer")


@contextmanager
def town(
    folder: Path,
    letters: int,
    *,
    auth: Mapping[str, str] | None = None,
    account: Account | None = None,
    **asked: Any,  # noqa: ANN401
) -> Iterator[Here]:
    writer = Account("writer", SECRET, privileges=PRIVILEGES)
    reader = account or Account(USER, PASSWORD, number=2, privileges=PRIVILEGES)
    server = Maarch(letters, accounts=(reader, writer), document_bytes=asked.pop("document_bytes", 900))
    with pytest.MonkeyPatch.context() as patch, Sandbox(server) as sandbox:
        patch.setenv("CREDENTIALS_DIRECTORY", str(credentials(folder)))
        with Site.create(folder / "site", provider="systemd-cred:sovereign", name="Ville") as site:
            settings = {
                "connector": "maarch", "url": sandbox.url, "secret": "maarch",
                "auth": {"kind": "basic", "user": reader.login, **(auth or {})},
                "network": {"loopback": True, "plaintext": True},
                "limits": {"patience": 1.0, "timeout": 10.0, "attempts": 2, "concurrency": 8, "rate": 10_000.0},
                **asked,
            }  # fmt: skip
            site.add_connection(NAME, settings)
            site.set_secret(NAME, "maarch", reader.password.encode())
            yield Here(folder / "site", site, server)


def test_letters_are_pulled_with_their_files_and_closures_and_deletions_are_seen(tmp_path: Path) -> None:
    with town(tmp_path, 300) as here:
        first = here.sync()
        assert (first.state, {each.stream for each in first.streams}) == ("succeeded", STREAMS)
        assert {each.stream: each.verdict for each in first.streams}["resources"] == "complete"
        documents, store = here.rows("documents"), Documents(here.site.repository, NAME)
        for number in (101, 250, 400):
            assert store.read(documents[number]["document"]) == here.server.store.file("letter", number)
        attachments = here.rows("attachments")
        assert store.read(attachments[1]["document"]) == here.server.store.file("attachment", 1)
        here.write("PUT", "/res/resource/status", {"resId": [101], "status": "END"})
        here.write("PUT", "/res/resource/status", {"resId": [102], "status": "DEL"})
        here.write("PUT", "/res/externalInfos", {"externalInfos": [{"res_id": 103, "external_id": "P-1"}], "status": "COU"})
        second = here.sync()
        counts = {each.stream: each.counts for each in second.streams}
        assert (second.state, counts["resources"]["updated"], counts["resources"]["deleted"]) == ("succeeded", 3, 0)
        rows = here.rows("resources")
        assert (rows[101]["status"], rows[102]["status"]) == ("END", "DEL")
        assert rows[101]["closing_date"] is not None
        assert json.loads(rows[103]["external_id"])["publikId"] == "P-1"
        assert not [call for call in here.server.calls if call.path.endswith("/originalContent")]
        third = here.sync()
        assert {each.state for each in third.streams} == {"unchanged"}
        assert len(here.server.calls) < 15, "what was read again once is not read again for ever"


def test_a_server_where_nothing_moved_costs_two_hundredths_of_the_first_pull(tmp_path: Path) -> None:
    with town(tmp_path, 1_200) as here:
        assert here.sync().state == "succeeded"
        first = len(here.server.calls)
        second = here.sync()
        assert second.state == "succeeded"
        assert {each.state for each in second.streams} == {"unchanged"}
        assert len(here.server.calls) <= 0.02 * first
        full = here.sync(full=True)
        assert not [call for call in here.server.calls if call.path.endswith("/originalContent")]
        assert {each.state for each in full.streams} == {"unchanged"}


def test_a_pull_that_stopped_goes_on_and_fetches_no_file_twice(tmp_path: Path) -> None:
    with town(tmp_path, 200, streams=["resources", "documents"]) as here:
        here.server.troubles.plan(Trouble("reset", path="/rest/resources/", at=90, times=0))
        assert here.sync().state == "failed"
        here.server.troubles.clear()
        assert here.sync().state == "succeeded"
        assert (
            len([call for call in here.server.calls if call.path.endswith("/originalContent")]) == 120
        )  # five times 16 were held
        assert {row["state"] for row in here.rows("documents").values()} == {"filed"}
        assert len(here.rows("resources")) == 200


def test_a_run_is_made_again_from_its_archive_without_the_vendor(tmp_path: Path) -> None:
    with town(tmp_path, 60) as here:
        run = here.sync().run
        here.server.calls.clear()
        outcome = here.site.syncs.replay(run)
        assert (outcome.state, {each.state for each in outcome.streams}) == ("succeeded", {"unchanged"})
        assert list(here.server.calls) == []


def test_a_session_that_ends_in_the_middle_of_a_pull_is_renewed(tmp_path: Path) -> None:
    reader = Account("courrier", PASSWORD, number=2, mode="standard", privileges=PRIVILEGES)
    with town(tmp_path, 120, auth={"kind": "maarch"}, account=reader) as here:
        here.server.troubles.plan(
            Trouble("expired", path="/rest/resources", at=40), Trouble("expired", path="/rest/res/", at=4)
        )
        outcome = here.sync()
        assert outcome.state == "succeeded"
        assert len(here.rows("resources")) == 120
        assert {row["state"] for row in here.rows("documents").values()} == {"filed"}
        assert here.server.door.opened == 1
        assert here.server.door.refreshed >= 1


def test_a_letter_that_no_list_shows_keeps_its_row_until_someone_takes_the_lists_at_their_word(tmp_path: Path) -> None:
    with town(tmp_path, 40, streams=["resources", "documents"]) as here:
        here.sync()
        here.server.store.drop("res_letterbox", "res_id", 110)
        again = here.sync()
        assert 110 in here.rows("resources")
        checks = {note.check for each in again.streams for note in each.evidence}
        assert "vanished" in checks
        assert here.sync(full=True).state == "succeeded"
        assert 110 not in here.rows("resources")


def test_a_route_that_is_not_allowed_stops_its_stream_alone_and_is_named(tmp_path: Path) -> None:
    routes = (
        "POST/res/list", "GET/resources/{resId}/originalContent", "GET/resources/{resId}/notes", "GET/statuses",
        "GET/entities", "GET/doctypes/types",
    )  # fmt: skip
    account = Account(USER, PASSWORD, number=2, privileges=PRIVILEGES, authorized_api=routes)
    with town(tmp_path, 20, account=account, streams=["resources", "documents", "notes", "users"]) as here:
        outcome = here.sync()
        assert (outcome.state, {each.stream for each in outcome.streams}) == ("partial", {"resources", "documents", "notes"})
        assert outcome.fault is not None
        assert outcome.fault.code == "vendor.route_denied"
        assert "GET/users" in outcome.fault.todo_fr


def test_nothing_of_a_page_that_shows_the_password_is_kept(tmp_path: Path) -> None:
    with town(tmp_path, 20) as here:
        here.server.troubles.plan(Trouble("html", 404, path="/rest/resources/105/originalContent", times=0))
        here.server.troubles.plan(Trouble("html", 405, path="/rest/users", times=0))
        outcome = here.sync()
        assert outcome.state == "partial"
        assert {number: row["state"] for number, row in here.rows("documents").items() if row["state"] != "filed"} == {
            105: "missing"
        }
        here.site.close()
        report = search([here.root], [PASSWORD, "vendor.example/rest"])
        assert report.found == []
        assert report.bytes > 10_000
