"""Bytes of audit entries that must never change: a hash, a commitment or a sealed body once kept can be checked for ever."""

import base64
import json
from datetime import datetime
from pathlib import Path

import pytest

from sovereign.audit.entry import Body, Entry, canonical, leaf, pseudonym, read

VECTORS = json.loads((Path(__file__).parent / "entries.json").read_text("utf-8"))


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["what"] for vector in VECTORS])
def test_an_entry_has_the_bytes_it_always_had(vector: dict[str, object]) -> None:
    given = vector["given"]
    assert isinstance(given, dict)
    key = base64.b64decode(given["pseudonym_key"])
    body = Body(base64.b64decode(given["salt"]), given["body"])
    name = pseudonym(key, given["body"]["actor"])
    made = canonical(given["act"], datetime.fromisoformat(given["time"]), name, given["subject"], given["facts"], body)
    assert made.decode() == vector["entry"]
    assert leaf(made).hex() == vector["leaf"]
    assert body.encode().decode() == vector["sealed_body"]
    found = read(made, 0)
    assert isinstance(found, Entry)
    assert found.body == body.commitment()
    assert Body.decode(body.encode()) == body
