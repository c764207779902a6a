"""What a set of policies decides."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import cedarpy
import pytest

from sovereign.gateway.decision import Finding
from sovereign.gateway.policy import CedarPolicy, Files, questions
from sovereign.gateway.policy.load import schema
from sovereign.gateway.policy.opening import Flow, starting
from tests.servers.policies import AT, asked, policy, rule

OPEN = rule("open", "permit")
FAILING = "when { context.bytes * 9223372036854775807 * 2 >= 0 }"


def test_what_no_policy_permits_is_denied_in_both_languages() -> None:
    decision = policy(rule("red", "forbid", "when { context.found.nir > 0 }")).decide(asked())
    assert (decision.effect, decision.policies) == ("deny", ("policy.default",))
    assert "eau" in decision.fr
    assert "not permitted is denied" in decision.en


def test_a_forbid_wins_over_a_permit_and_a_hold() -> None:
    held = rule("held", "permit", more='@hold("quorum=1")')
    decision = policy(OPEN, held, rule("red", "forbid")).decide(asked())
    assert (decision.effect, decision.policies, decision.fr) == ("deny", ("red",), "Phrase red.")


def test_a_hold_wins_over_a_permit_whether_it_opens_or_conditions() -> None:
    for head in ("permit", "forbid"):
        decision = policy(OPEN, rule("held", head, more='@hold("groups=rssi,dsi;within=2h")')).decide(asked())
        assert (decision.effect, decision.policies) == ("hold", ("held",))
        assert (decision.quorum, decision.groups, decision.within) == (2, ("rssi", "dsi"), timedelta(hours=2))


def test_a_condition_opens_no_flow_by_itself() -> None:
    decision = policy(rule("held", "forbid", more='@hold("quorum=1")')).decide(asked())
    assert (decision.effect, decision.policies) == ("deny", ("policy.default",))


def test_holds_that_meet_are_joined_without_asking_less() -> None:
    one = rule("one", "forbid", more='@hold("groups=rssi;within=3d")')
    two = rule("two", "forbid", more='@hold("quorum=3;within=90m")')
    decision = policy(OPEN, one, two).decide(asked())
    assert (decision.quorum, decision.groups, decision.within) == (3, ("rssi",), timedelta(minutes=90))


def test_a_policy_that_fails_denies_what_cedar_alone_would_allow() -> None:
    made = policy(OPEN, rule("failing", "forbid", FAILING))
    decision = made.decide(asked(bytes=7))
    assert (decision.effect, decision.policies, decision.errors) == ("deny", ("policy.error",), ("failing",))
    bare = cedarpy.is_authorized(questions.request(asked(bytes=7)), made._handle, questions.entities(asked()))
    assert bare.decision is cedarpy.Decision.Allow


@pytest.mark.parametrize("odd", [{"at": datetime(2026, 1, 1)}, {"bytes": 2**70}, {"records": "many"}])  # noqa: DTZ001 — the very fault
def test_a_question_that_cannot_be_asked_is_denied(odd: dict[str, object]) -> None:
    guarded = policy(OPEN, rule("red", "forbid", "when { context.records > 5 }"))
    assert guarded.decide(asked(**odd)).policies == ("policy.error",)


def test_a_permit_opens_through_its_last_day_in_the_sites_zone_and_no_longer() -> None:
    made = policy(rule("open", "permit", expires="2026-11-23"))
    assert made.decide(asked(at=datetime(2026, 11, 23, 23, 59, tzinfo=UTC))).effect == "allow"
    past = made.decide(asked(at=datetime(2026, 11, 24, tzinfo=UTC)))
    assert (past.effect, past.policies) == ("deny", ("policy.expired", "open"))


def test_a_forbid_and_a_condition_go_on_past_their_day() -> None:
    long_past = "2020-01-01"
    assert policy(OPEN, rule("red", "forbid", expires=long_past)).decide(asked()).policies == ("red",)
    held = rule("held", "forbid", expires=long_past, more='@hold("quorum=1")')
    assert policy(OPEN, held).decide(asked()).effect == "hold"


def test_a_permit_speaks_of_groups_roles_connections_and_time() -> None:
    scope = 'permit(principal in Group::"drh", action == Action::"write", resource in Connection::"geo")'
    made = policy(rule("open", scope, 'when { principal in Role::"owner" && context.weekday < 6 && context.hour >= 8 }'))
    known = {"groups": frozenset({"drh"}), "roles": frozenset({"owner"})}
    assert made.decide(asked(**known)).effect == "allow"
    for wrong in (
        {"groups": frozenset({"dsi"}), "roles": known["roles"]}, {**known, "connection": "paie"}, {**known, "reads": True},
        {**known, "at": AT - timedelta(hours=2)}, {**known, "at": AT - timedelta(days=1)},
    ):  # fmt: skip
        assert made.decide(asked(**wrong)).effect == "deny"


def test_what_is_pseudonymised_is_told_by_pointer() -> None:
    made = policy(rule("open", "permit", more='@pseudonymise("nir")'))
    found = (Finding("nir", "/a"), Finding("iban", "/b"), Finding("nir", "/c", 2))
    assert made.decide(asked(findings=found)).transforms == ("/a", "/c")


def test_a_finding_of_a_kind_no_policy_names_counts_as_other_and_for_one_at_least() -> None:
    made = policy(OPEN, rule("red", "forbid", "when { context.found.other > 0 }"))
    assert made.decide(asked(findings=(Finding("passport", "/a", 0),))).policies == ("red",)


def test_each_policy_is_explained_alone() -> None:
    made = policy(
        OPEN, rule("red", "forbid"), rule("quiet", "permit", "when { context.bytes > 9 }"), rule("bad", "permit", FAILING)
    )
    said = {voice.rule.id: voice.says for voice in made.explain(asked(bytes=7))}
    assert said == {"open": "speaks", "red": "speaks", "quiet": "silent", "bad": "failed"}


def test_what_the_encoder_makes_is_what_the_schema_says() -> None:
    found = (Finding("nir", "/a"), Finding("odd", "/b", 3, sure=False))
    for question in (
        asked(), asked(findings=found, classes=frozenset({"sensitive"}), person="jean", reads=True, departure=True),
    ):  # fmt: skip
        request = questions.request(question)
        said = cedarpy.is_authorized(request, "permit(principal, action, resource);", questions.entities(question), schema())
        assert (said.decision, said.diagnostics.errors) == (cedarpy.Decision.Allow, [])
        short = {**json.loads(request["context"])}
        del short["bytes"]
        said = cedarpy.is_authorized({**request, "context": short}, "permit(principal, action, resource);", "[]", schema())
        assert said.decision is cedarpy.Decision.NoDecision


def test_a_new_site_opens_nothing_and_its_red_lines_stand_when_a_flow_is_opened() -> None:
    first = starting(AT.date())
    assert CedarPolicy(first).decide(asked()).policies == ("policy.default",)
    flow = Flow("eau", "geo", "create_item", "dsi", date(2027, 1, 1))
    made = CedarPolicy(Files({**first.texts, flow.file: flow.text()}))
    assert made.decide(asked()).policies == (flow.id,)
    assert made.decide(asked(client="autre")).effect == "deny"
    expected = {
        "red.secret": {"findings": (Finding("secret", "/a"),)},
        "red.nir": {"findings": (Finding("nir", "/a"),)},
        "red.card": {"findings": (Finding("card", "/a"),)},
        "red.volume": {"hour": 20_000},
        "hold.sensitive": {"classes": frozenset({"sensitive"})},
        "hold.bank": {"findings": (Finding("iban", "/a"),)},
        "hold.many-people": {"findings": (Finding("email_volume", "", 500),)},
        "hold.suspected": {"findings": (Finding("nir", "/a", 1, sure=False),)},
    }
    for name, change in expected.items():
        assert made.decide(replace(asked(), **change)).policies == (name,)
    deleting = Flow("eau", "geo", "delete_item", "dsi", date(2027, 1, 1))
    made = CedarPolicy(Files({**first.texts, deleting.file: deleting.text()}))
    assert made.decide(asked(operation="delete_item")).effect == "allow"
    assert made.decide(asked(operation="delete_item", records=21)).policies == ("red.mass-delete",)
