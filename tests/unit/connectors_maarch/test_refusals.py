"""What Maarch refuses, and what `connection check` finds, is named without a word of its answer."""

from dataclasses import replace

import pytest

from saas_connectors.conformance.driver import converse
from saas_connectors.errors import ConnectorError, Malformed, SettingsError, Unauthorized
from saas_connectors.mail.maarch_calls import AccountHeld, ListRefused, NoGroup, RightMissing, RouteDenied
from saas_connectors.registry import make
from saas_connectors.request import Request
from saas_connectors.sandbox import Trouble
from saas_connectors.sandbox.maarch import Account, Maarch
from saas_connectors.sandbox.vendor import SECRET, USER
from tests.unit.connectors_maarch.pulling import LETTERS, URL, Town, agent, checked, sender, town


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("subject = 'to update'", "update"),
        ("status <> 'DEL') OR (1=1", "parentheses"),
        ("status = 'NEW'; select 1", "`;`"),
        ("external_id ? 'gateway'", "`?`"),
        ("status = 'NEW' -- all", "comment"),
        ("status = 'NEW", "quotes"),
        ("destination in (@my_entities)", "group"),
        ("typist = @user_id", "group"),
        (" ", "condition"),
    ],
)
def test_a_perimeter_that_cannot_stand_in_a_clause_is_refused_without_being_quoted(where: str, said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        make("maarch", "courrier", {"url": URL, "where": where})
    assert said in refused.value.diagnostics("en").what
    assert "connections.courrier.where" in refused.value.diagnostics("fr").what
    assert where.strip() == "" or where not in refused.value.diagnostics("en").what


def test_a_perimeter_limits_what_is_read() -> None:
    here = town(20)
    here.settings["where"] = "destination = 'PE' OR destination = 'URB'"
    assert {row["destination"] for row in here.pull().rows("resources")} == {"PE", "URB"}


def test_a_group_that_sees_nothing_is_remarked() -> None:
    server = Maarch(5, accounts=(agent(clause="1=0"),))
    checked = converse(make("maarch", "courrier", {"url": URL}).check(), sender(server))
    assert any("1=0" in fr and "1=0" in en for fr, en in checked.remarks)


def test_check_tells_which_streams_cannot_be_read_and_which_route_to_allow() -> None:
    allowed = (
        "POST/res/list",
        "GET/resources/{resId}/notes",
        "GET/entities",
        "GET/statuses",
        "GET/doctypes/types",
        "GET/users",
    )
    server = Maarch(5, accounts=(agent(authorized_api=allowed, privileges=frozenset()),), change_key=True)
    checked = converse(make("maarch", "courrier", {"url": URL}).check(), sender(server))
    english = " ".join(en for _, en in checked.remarks)
    french = " ".join(fr for fr, _ in checked.remarks)
    for route in ("GET/resources/{resId}/originalContent", "GET/resources/{resId}/attachments", "GET/contacts"):
        assert f"`{route}`" in english
        assert f"« {route} »" in french
    assert "admin_users" in english
    assert "changeKey" in english
    assert "notes" not in english


def test_a_route_that_is_not_allowed_is_named_as_the_vendor_writes_it() -> None:
    server = Maarch(5, accounts=(agent(authorized_api=("GET/users",)),))
    with pytest.raises(RouteDenied) as denied:
        converse(make("maarch", "courrier", {"url": URL}).discover(), sender(server))
    assert "POST/res/list" in denied.value.diagnostics("fr").todo
    assert not isinstance(denied.value, Unauthorized)  # other streams go on


def test_a_privilege_that_is_missing_is_named() -> None:
    here = Town(Maarch(1, accounts=(agent(privileges=frozenset()),)), {"streams": ["statuses", "contacts"]})
    with pytest.raises(RightMissing, match="admin_contacts"):
        here.pull()


def test_an_account_in_no_group_and_one_that_is_held_back_are_said() -> None:
    people = replace(agent(), mode="standard", held="User must change his password")
    for account, kind, words in (
        (agent(clause=""), NoGroup, ("groupe", "group")),
        (people, AccountHeld, ("mot de passe", "password")),
    ):
        here = Town(Maarch(2, accounts=(account,)), dict(LETTERS))
        with pytest.raises(kind) as told:
            here.pull()
        for language, word in zip(("fr", "en"), words, strict=True):
            assert word in told.value.diagnostics(language).todo
        assert any(words[1] in en for _, en in checked(here))


def test_check_says_that_maarch_is_being_updated_and_asks_nothing_more() -> None:
    here = town(2)
    here.server.migrating = True
    (remark,) = checked(here)
    assert "mise à jour" in remark[0]
    assert "updated" in remark[1]
    assert len(here.server.calls) == 1
    refused = sender(here.server)(Request("GET", f"{URL}/rest/statuses"))
    assert (refused.status, refused.headers["retry-after"]) == (503, "5 minutes")


def test_check_says_that_the_clause_of_a_group_may_be_wrong_when_lists_fail() -> None:
    here = town(2)
    here.server.troubles.plan(Trouble("status", 500, path="/rest/res/list", times=0))
    assert any("clause" in fr and "clause" in en for fr, en in checked(here))


def test_a_wrong_password_stops_everything_at_the_first_request() -> None:
    server = Maarch(5, accounts=(Account(USER, "another"),))
    for streams in (["resources"], ["users", "statuses"]):
        connector = make("maarch", "courrier", {"url": URL, "streams": streams})
        with pytest.raises(Unauthorized):
            converse(connector.discover(), sender(server))
    assert len(server.calls) == 2


def test_a_condition_that_the_server_refuses_is_said() -> None:
    with pytest.raises(ListRefused):
        Town(Maarch(3, accounts=(agent(),)), {**LETTERS, "where": "no_such_column = 3"}).pull()


@pytest.mark.parametrize("status", [404, 405, 500])
def test_no_page_that_shows_the_password_is_told(status: int) -> None:
    server = Maarch(5, accounts=(agent(),))
    server.troubles.plan(Trouble("html", status, path="/rest", times=0))
    for act in ("check", "discover"):
        with pytest.raises(ConnectorError) as refused:
            converse(getattr(make("maarch", "courrier", {"url": URL}), act)(), sender(server))
        said = [refused.value.diagnostics(language) for language in ("fr", "en")]
        assert SECRET not in repr(said) + repr(refused.value.fields)


def test_a_site_that_is_not_maarch_is_said() -> None:
    server = Maarch(0)
    server.troubles.plan(Trouble("not_json", path="/rest", times=0))
    with pytest.raises(Malformed):
        converse(make("maarch", "courrier", {"url": URL}).check(), sender(server))


def test_an_unknown_stream_or_field_is_refused_with_those_that_are_known() -> None:
    for settings in ({"streams": ["letters"]}, {"streams": {"users": {"classes": {"internal": ["email"]}}}}):
        with pytest.raises(SettingsError, match=r"one of: "):
            make("maarch", "courrier", {"url": URL, **settings})


def test_classes_have_sensible_defaults_and_may_be_changed() -> None:
    settings = {"url": URL, "streams": {"resources": {"classes": {"subject": "sensitive"}}}}
    catalog = converse(make("maarch", "courrier", settings).discover(), sender(Maarch(1)))
    classes = {stream.name: stream.classes for stream in catalog.streams}
    assert classes["resources"]["subject"] == "sensitive"
    assert classes["resources"]["status"] == classes["resources"]["res_id"] == "internal"
    assert classes["contacts"]["lastname"] == classes["notes"]["value"] == classes["documents"]["document"] == "personal"
