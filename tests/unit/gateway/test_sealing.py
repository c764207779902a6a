"""What payloads at rest promise when keys turn, and when they are destroyed."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from sovereign.clock import now
from sovereign.gateway.errors import PayloadGone
from sovereign.gateway.sealing import Answer, Sealing
from sovereign.state import State
from sovereign.state.schema import instant_text
from tests.servers.gate import intent
from tests.servers.masters import Mortal
from vault.keys import Keys


def kept(state: State, sealing: Sealing) -> tuple[str, str]:
    asked = intent("add", "canari")
    sealed = sealing.seal(asked)
    with state.begin() as transaction:
        transaction.execute(
            text(
                "INSERT INTO intents (id, received_at, client, connection, door, operation, method, lane, priority, digest, "
                "bytes, wrapped, sealed) VALUES (:id, :at, 'app', 'ledger', 'operation', 'add', '', 'x', 5, :d, 1, :w, :s)"
            ),
            {"id": asked.id, "at": instant_text(now()), "d": b"", "w": sealed.wrapped, "s": sealed.sealed},
        )
    return asked.id, sealed.wrapped


def read(state: State, sealing: Sealing, name: str) -> bytes:
    with state.read() as reader:
        row = reader.execute(text("SELECT wrapped, sealed FROM intents WHERE id = :id"), {"id": name}).one()
    return sealing.open(name, "ledger", row.wrapped, row.sealed).body


def test_a_payload_opens_after_rotation_and_its_former_key_can_go(tmp_path: Path) -> None:
    keys = Keys.create(tmp_path / "keys", Mortal(), now)
    with State(tmp_path / "state.db") as state:
        sealing = Sealing(keys, "year", entropy=os.urandom)
        name, _ = kept(state, sealing)
        before = sealing.keks_in_use(state)
        keys.rotate()
        assert sealing.rewrap(state) == 1
        assert not sealing.keks_in_use(state) & before
        keys.retire(sealing.keks_in_use(state))
        assert b"canari" in read(state, sealing, name)


def test_destroying_its_key_erases_a_payload_and_the_answer_even_where_they_were_at_hand(tmp_path: Path) -> None:
    keys = Keys.create(tmp_path / "keys", Mortal(), now)
    with State(tmp_path / "state.db") as state:
        sealing = Sealing(keys, "year", entropy=os.urandom)
        name, wrapped = kept(state, sealing)
        answer = sealing.seal_answer(name, "ledger", wrapped, Answer(201, "v1"))
        assert sealing.open_answer(name, "ledger", wrapped, answer) == Answer(201, "v1")
        keys.destroy("ledger", "intent", None)
        with pytest.raises(PayloadGone):
            read(state, sealing, name)
        assert sealing.open_answer(name, "ledger", wrapped, answer) is None
