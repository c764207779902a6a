"""What a policy file must be."""

import re
from datetime import date
from pathlib import Path

import pytest

from sovereign.gateway.policy import CedarPolicy, Files, read_folder
from sovereign.gateway.policy.errors import BadPolicy, NoPolicies
from sovereign.gateway.policy.load import schema_text
from sovereign.gateway.policy.opening import Flow
from tests.servers.policies import policy, rule


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        (rule("a", "permit") + "\n" + rule("b", "permit", "when { context.nope }"), 3, "off the schema"),
        ("// first\n" + rule("a", "permit").rstrip(";\n"), 2, "does not end"),
        (rule("a", "permit", "when { context. }"), 1, "Cedar"),
        (rule("a", "permit") + rule("a", "forbid"), 2, "taken already"),
        (rule("a", "permit", expires="2026-02-30"), 1, "@expires"),
        (rule("a", "permit", expires="soon"), 1, "@expires"),
        (rule("A b", "permit"), 1, "@id"),
        (rule("policy.default", "permit"), 1, "@id"),
        (rule("a", "permit", more='@hodl("quorum=1")'), 1, "@hodl"),
        (rule("a", "permit", more='@hold("quorum=0")'), 1, "@hold"),
        (rule("a", "permit", more='@hold("quorum=2;groups=rssi")'), 1, "@hold"),
        (rule("a", "permit", more='@hold("within=91d")'), 1, "@hold"),
        (rule("a", "permit", more='@hold("quorom=2")'), 1, "@hold"),
        (rule("a", "forbid", more='@pseudonymise("nir")'), 1, "@pseudonymise"),
        (rule("a", "permit", more='@pseudonymise("name")'), 1, "@pseudonymise"),
        ("permit (principal, action, resource);", 1, "missing"),
        (rule("a", "permit(principal == ?principal, action, resource)"), 1, "slots"),
        (rule("a", "permit", "when { " + "(" * 3000 + "true" + ")" * 3000 + " }"), 1, "nested"),
        (rule("a", "permit", 'when { resource.name == "open }'), 1, "quoted"),
        (rule("a", "permit", "when { true" + " && true" * 3000 + " }"), 1, "characters"),
        (rule("a", "permit", "when { true" + " && true" * 500 + " }"), 1, "Cedar"),
    ],
)
def test_a_wrong_policy_is_refused_with_its_line(text: str, line: int, why: str) -> None:
    with pytest.raises(BadPolicy) as refused:
        CedarPolicy(Files({"x.cedar": text}))
    assert (refused.value.fields["file"], refused.value.fields["line"]) == ("x.cedar", line)
    assert why in str(refused.value.fields["why_en"])


def test_signs_in_quotes_and_comments_cut_nothing() -> None:
    tricky = 'when { resource.name != "a;}//b\\"" } // ; ) "\n'
    made = policy('// ; " ( {\n', rule("a", "permit", tricky), rule("b", "forbid"))
    assert [(each.id, each.line) for each in made.rules] == [("a", 2), ("b", 4)]


def test_a_folder_is_read_whole_or_refused(tmp_path: Path) -> None:
    with pytest.raises(NoPolicies):
        read_folder(tmp_path / "absent")
    (tmp_path / "a.cedar").write_text(rule("a", "permit"))
    (tmp_path / ".a.cedar.swp").write_text("half")
    (tmp_path / "b.txt").write_text("notes")
    assert list(read_folder(tmp_path).texts) == ["a.cedar"]
    (tmp_path / "b.cedar").write_bytes(b"\xff\xfe")
    with pytest.raises(BadPolicy):
        read_folder(tmp_path)
    (tmp_path / "b.cedar").write_bytes(b" " * 300_000)
    with pytest.raises(BadPolicy):
        read_folder(tmp_path)


def test_the_digest_covers_names_and_comments() -> None:
    digests = {Files(each).digest for each in ({"a.cedar": "x"}, {"b.cedar": "x"}, {"a.cedar": "x //"}, {})}
    assert len(digests) == 4


def test_no_name_writes_anything_but_a_name_in_the_policy_that_opens_a_flow() -> None:
    until = date(2027, 1, 1)
    sly = 'x"); permit(principal,action,resource); //'
    flow = Flow("eau", "geo", sly, "dsi", until)
    (made,) = policy(flow.text()).rules
    assert made.id == flow.id
    with pytest.raises(BadPolicy):
        Flow("eau", "geo", "a\nb", "dsi", until).text()
    with pytest.raises(BadPolicy):
        Flow("eau", "geo", "a", "dsi", until, hold="quorum=none").text()
    held = policy(Flow("eau", "geo", "a", "dsi", until, hold="groups=rssi").text()).rules[0]
    assert held.kind == "hold"


def test_the_page_on_policies_names_all_that_a_policy_may_speak_of_and_every_annotation() -> None:
    page = (Path(__file__).parents[3] / "docs" / "policy.md").read_text()
    for name in re.findall(r"(\w+)\??: \w", re.sub(r"//.*", "", schema_text())):
        assert re.search(rf"[.`]{name}[.`]", page), name
    examples = re.findall(r"```cedar\n(.*?)```", page, re.DOTALL)
    assert [policy(each).rules[0].hold is not None for each in examples] == [True, True]
    for said in ("policy.default", "policy.expired", "policy.error", "policy.none"):
        assert f"`{said}`" in page
