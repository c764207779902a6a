"""`access` and `client`: who may do what, and which application may write, as a person types and reads it."""

from pathlib import Path

import pytest
import trustme

from .conftest import Run


@pytest.fixture
def here(run: Run, site: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SOVEREIGN_SITE", str(site))
    return site


def test_a_right_is_given_explained_and_taken_back(run: Run, here: Path) -> None:
    given = run("access", "grant", "berthe", "--role", "rssi", "--group", "securite", "--reason", "named", "--json")
    assert given.code == 0
    grant = given.of("grant")[0]["grant"]
    assert run("access", "explain", "berthe", "writes.approve", "--json").of("explained")[0]["allowed"] is True
    assert [row["person"] for row in run("access", "list", "--json").of("person")] == ["berthe"]
    assert run("access", "revoke", grant).code == 0
    no = run("access", "explain", "berthe", "writes.approve", "--json")
    assert (no.code, no.of("explained")[0]["allowed"], no.of("grant")[0]["counts"]) == (5, False, "taken back")


def test_a_wrong_right_names_what_was_expected(run: Run, here: Path) -> None:
    assert run("access", "grant", "berthe", "--reason", "r").code == 2
    said = run("access", "grant", "berthe", "--role", "king", "--reason", "r", "--json")
    assert (said.code, said.errors[0]["code"], said.errors[0]["field"]) == (2, "access.bad_right", "role")
    assert run("access", "explain", "nobody", "writes.approve", "--json").errors[0]["code"] == "access.unknown_person"


def test_a_token_is_shown_once_and_never_again(run: Run, here: Path) -> None:
    token = run("client", "add", "payroll", "--owner", "berthe", "--purpose", "p", "--connection", "*").out.strip()
    assert token.startswith("svn_")
    secret = token.rpartition("_")[2]
    listed = run("client", "list", "--json")
    assert [row["state"] for row in listed.of("client")] == ["active"]
    assert secret not in listed.out + listed.err + run("audit", "show", "--json").out
    rotated = run("client", "rotate", "payroll", "--json").of("client")[0]["token"]
    assert rotated != token
    assert run("client", "revoke", "payroll").code == 0
    assert {row["state"] for row in run("client", "list", "--json").of("client")} == {"revoked"}
    assert run("client", "rotate", "payroll", "--json").errors[0]["code"] == "access.unknown_client"


def test_a_certificate_is_bound_and_anything_else_is_refused(run: Run, here: Path, tmp_path: Path) -> None:
    run("client", "add", "payroll", "--owner", "berthe", "--purpose", "p", "--connection", "*")
    pem = tmp_path / "client.pem"
    pem.write_bytes(trustme.CA().issue_cert("payroll.city.example").cert_chain_pems[0].bytes())
    assert run("client", "bind", "payroll", str(pem)).code == 0
    assert sorted(row["kind"] for row in run("client", "list", "--json").of("client")) == ["certificate", "token"]
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    assert run("client", "bind", "payroll", str(wrong)).code == 2


def test_an_application_reaches_only_connections_that_exist(run: Run, here: Path) -> None:
    said = run("client", "add", "payroll", "--owner", "b", "--purpose", "p", "--connection", "nowhere", "--json")
    assert said.code != 0
    assert run("client", "list", "--json").of("client") == []
