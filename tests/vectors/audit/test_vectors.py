"""Bytes of audit entries that must never change: a hash, a commitment or a sealed body once kept can be checked for ever."""

import base64
import json
from datetime import datetime
from pathlib import Path

import pytest

from sovereign.audit.canonical import dumps as canonical_json
from sovereign.audit.entry import Body, Entry, canonical, leaf, pseudonym, read
from vault import envelope
from vault.records import Records

VECTORS = json.loads((Path(__file__).parent / "entries.json").read_text("utf-8"))
BODIES = json.loads((Path(__file__).parent / "bodies.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["what"] for vector in VECTORS])
def test_an_entry_has_the_bytes_it_always_had(vector: dict[str, object]) -> None:
    given = vector["given"]
    assert isinstance(given, dict)
    key = base64.b64decode(given["pseudonym_key"])
    content = canonical_json(given["body"])
    body = Body(base64.b64decode(given["salt"]), content)
    name = pseudonym(key, given["body"]["actor"])
    made = canonical(given["act"], datetime.fromisoformat(given["time"]), name, given["subject"], given["facts"], body)
    assert made.decode() == vector["entry"]
    assert leaf(made).hex() == vector["leaf"]
    assert Body.decode_first(str(vector["sealed_body"]).encode()) == body
    found = read(made, 0)
    assert isinstance(found, Entry)
    assert found.body == body.commitment()
    assert Body.decode(body.encode()) == body
    assert body.encode() == base64.b64decode(given["salt"]) + content
    assert body.read() == given["body"]


def test_a_sealed_body_has_the_bytes_it_always_had_and_opens_in_both_forms() -> None:
    vector = BODIES
    key = base64.b64decode(vector["key"])
    plain = base64.b64decode(vector["plain"])
    record = Records(key, b"sovereign-audit-body/2")
    assert base64.b64encode(record.seal(vector["seq"], plain, base64.b64decode(vector["nonce"]))).decode() == vector["record"]
    assert record.open(vector["seq"], base64.b64decode(vector["record"])) == plain
    first = envelope.open(key, b"sovereign-audit-body/1:%d" % vector["seq"], base64.b64decode(vector["envelope"]))
    assert Body.decode_first(first) == Body.decode(plain)
