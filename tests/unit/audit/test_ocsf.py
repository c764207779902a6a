"""Events that any OCSF consumer takes: the official schema of the stated version says so."""

from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from sovereign.audit import ACTS, ocsf, syslog
from sovereign.audit.entry import Entry

SUBJECT = {"connection": "geo", "stream": "communes", "intent": "i-1", "run": "r-1"}
TIME = "2026-11-24T10:00:00.123456Z"
ENTRY = Entry(v=1, time=TIME, act="sync.committed", actor="ab" * 16, subject=SUBJECT, facts={"rows": 3}, body=None)
LEAF = b"\x01" * 32
ORIGIN = "Ville/audit"
WRITER = syslog.Writer(13, "gw.ville.fr", 32473, ORIGIN)


@pytest.fixture(scope="module")
def schema() -> OcsfJsonSchemaEmbedded:
    return OcsfJsonSchemaEmbedded(get_ocsf_schema(version=ocsf.VERSION))


def of(schema: OcsfJsonSchemaEmbedded, uid: int, profiles: list[str]) -> Any:  # noqa: ANN401 - a compiled validator
    name = schema.lookup_class_name_from_uid(class_uid=uid)
    return jsonschema_rs.validator_for(schema.get_class_schema(class_name=name, profiles=profiles))


def test_every_act_becomes_an_event_of_its_class_as_the_official_schema_wants_it(schema: OcsfJsonSchemaEmbedded) -> None:
    validators: dict[int, Any] = {}
    for act in ACTS:
        assert act.partition(".")[0] in ocsf.NOUNS, "a noun without a class"
        for subject in (SUBJECT, {}):
            event = ocsf.event(7, msgspec.structs.replace(ENTRY, act=act, subject=subject), LEAF, ORIGIN)
            uid = event["class_uid"]
            if uid not in validators:
                validators[uid] = of(schema, uid, event["metadata"].get("profiles", []))
            validators[uid].validate(event)
            validators[uid].validate(ocsf.shortened(event))
    assert len(validators) >= 6
    with pytest.raises(jsonschema_rs.ValidationError):
        validators[6005].validate({**event, "class_uid": 6005})


def test_the_mapping_names_acts_that_exist() -> None:
    named = ocsf.FAILED | ocsf.UNDECIDED | set(ocsf.SEVERITIES)
    named |= {f"{noun}.{verb}" for noun, (_, verbs) in ocsf.NOUNS.items() for verb in verbs}
    assert named <= set(ACTS)
    for kind, verbs in ocsf.NOUNS.values():
        assert set(verbs.values()) <= set(kind.activities)


def test_the_page_of_the_format_has_the_mapping() -> None:
    page = (Path(__file__).parents[3] / "docs" / "formats" / "ocsf.md").read_text("utf-8")
    for noun, (kind, verbs) in ocsf.NOUNS.items():
        said = ", ".join(f"{verb}: {activity}" for verb, activity in verbs.items()) or "—"
        assert f"| `{noun}` | {kind.name} ({kind.uid}) | {said} |\n" in page
    for act in ocsf.FAILED | ocsf.UNDECIDED | set(ocsf.SEVERITIES):
        assert f"`{act}`" in page


def test_an_event_is_its_entry_and_can_be_told_from_every_other() -> None:
    event = ocsf.event(7, ENTRY, LEAF, ORIGIN)
    assert (event["metadata"]["log_name"], event["metadata"]["sequence"]) == (ORIGIN, 7)
    assert event["metadata"]["uid"] == LEAF.hex()
    assert (event["time"], event["actor"]) == (1795514400123, {"user": {"uid": ENTRY.actor}})
    assert (event["class_uid"], event["activity_id"], event["type_uid"], event["status_id"]) == (6005, 5, 600505, 1)
    assert event["unmapped"] == {"subject": SUBJECT, "facts": {"rows": 3}, "body": None}


@pytest.mark.parametrize(
    ("act", "facts", "status", "severity"),
    [
        ("delivery.confirmed", {}, 1, 1), ("delivery.unknown", {}, 0, 3), ("read.denied", {}, 2, 2),
        ("intent.decided", {"effect": "deny"}, 2, 2), ("intent.decided", {"effect": "allow"}, 1, 1),
        ("keys.destroyed", {}, 1, 3), ("serve.started", {}, 1, 1),
    ],
)  # fmt: skip
def test_what_failed_is_not_clear_or_is_grave_says_so(act: str, facts: dict[str, str], status: int, severity: int) -> None:
    event = ocsf.event(7, msgspec.structs.replace(ENTRY, act=act, facts=facts), LEAF, ORIGIN)
    assert (event["status_id"], event["severity_id"]) == (status, severity)


def test_a_message_is_rfc_5424_behind_its_length() -> None:
    framed = WRITER.frame(7, ENTRY, LEAF).decode("ascii")
    length, _, message = framed.partition(" ")
    assert int(length) == len(message)
    head, _, body = message.partition("] ")
    said = f'index="7" log="{ORIGIN}" leaf="{LEAF.hex()}"'
    assert head == f"<110>1 {ENTRY.time} gw.ville.fr sovereign - sync.committed [sovereign@32473 {said}"
    assert msgspec.json.decode(body) == ocsf.event(7, ENTRY, LEAF, ORIGIN)


def test_odd_names_cannot_break_a_message_and_a_long_event_is_shortened_not_cut() -> None:
    odd = syslog.Writer(13, "h ô\nte", 32473, 'V"i]l\\le/audit')
    framed = odd.frame(7, msgspec.structs.replace(ENTRY, facts={"said": "é\n\u2028"}), LEAF).decode("ascii")
    assert "\n" not in framed
    assert ' hte sovereign - sync.committed [sovereign@32473 index="7" log="V\\"i\\]l\\\\le/audit"' in framed
    long = WRITER.frame(7, msgspec.structs.replace(ENTRY, facts={"said": "x" * 60_000}), LEAF)
    assert len(long) <= syslog.LIMIT + 5
    assert msgspec.json.decode(long.partition(b"] ")[2])["unmapped"] == {"truncated": True}
