"""A subscriber is declared as it can be told, or the field that is wrong is named."""

from pathlib import Path

import pytest

from sovereign.errors import BadSettings
from sovereign.settings import parse

RH = '[connections.rh]\nconnector = "rest"\nurl = "https://rh.example"\n'
GOOD = '[subscribers.si]\nurl = "https://si.example/told"\n'
TYPES = 'types = ["sovereign.write.*"]\n'


def test_a_subscriber_is_read_with_its_defaults() -> None:
    more = 'connections = ["rh"]\nchanges = ["rh.agents"]\nowner = "agathe"\nclearance = "personal"\n'
    made = parse(RH + GOOD + TYPES + more, Path("sovereign.toml")).subscribers["si"]
    assert (made.types, made.changes, made.ordered, made.most, made.keep_days) == (
        ("sovereign.write.*",), ("rh.agents",), True, 100_000, 90,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (GOOD, "subscribers.si.types"),
        (GOOD + 'types = ["sovereign.write.lost"]', "subscribers.si.types"),
        (GOOD + 'types = ["sovereign.row.changed"]', "subscribers.si.types"),
        (GOOD + TYPES + 'connections = ["paie"]', "subscribers.si.connections"),
        (GOOD + 'owner = "agathe"\nchanges = ["paie.agents"]', "subscribers.si.changes"),
        (GOOD + 'changes = ["rh.agents"]', "subscribers.si.owner"),
        (GOOD + 'owner = "agathe"\nchanges = ["rh"]', "subscribers.si.changes"),
        (GOOD + TYPES + 'clearance = "public"', "subscribers.si.clearance"),
        (GOOD + TYPES + "most = 0", "subscribers.si.most"),
        (GOOD + TYPES + 'secret = "x"', "subscribers.si.secret"),
        (GOOD + TYPES + 'network = { proxy_secret = "x" }', "subscribers.si.network.proxy_secret"),
        (GOOD.replace("https", "http") + TYPES, "subscribers.si.url"),
        (GOOD.replace("si.example", "a:b@si.example") + TYPES, "subscribers.si.url"),
        (GOOD.replace("told", "told?token=1") + TYPES, "subscribers.si.url"),
        (GOOD.replace("si]", "Si]") + TYPES, "subscribers.Si"),
    ],
    ids=["nothing", "type", "rows", "connection", "stream", "owner", "dataset", "clearance", "most", "secret", "proxy", "clear",
         "login", "query", "name"],
)  # fmt: skip
def test_a_subscriber_that_cannot_be_told_is_refused_by_its_field(text: str, field: str) -> None:
    with pytest.raises(BadSettings) as refused:
        parse(RH + text, Path("sovereign.toml"))
    assert refused.value.fields["field"] == field


def test_more_subscribers_than_a_house_has_are_refused() -> None:
    many = "".join(GOOD.replace("si]", f"s{number}]") + TYPES for number in range(65))
    with pytest.raises(BadSettings) as refused:
        parse(many, Path("sovereign.toml"))
    assert refused.value.fields["field"] == "subscribers"
