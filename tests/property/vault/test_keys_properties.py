"""What holds for a keyring through any sequence of acts, its recovery kit included."""

import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.servers.masters import Mortal
from vault import recovery
from vault.errors import NoKey, Shredded
from vault.keys import Keys, Scope, Wrapped

SCOPES = [Scope(c, k, "2026") for c in ("ville", "agglo") for k in ("internal", "personal")]


def clock() -> datetime:
    return datetime(2026, 11, 23, tzinfo=UTC)


class KeyringLife(RuleBasedStateMachine):
    """Live data keys always open, destroyed ones never do, and the kit always covers what lives."""

    @initialize()
    def create(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.provider = Mortal()
        self.keys = Keys.create(Path(self.folder.name) / "keys", self.provider, clock)
        self.live: list[tuple[Scope, bytes, Wrapped]] = []
        self.dead: list[Wrapped] = []
        self.shares: list[str] = []

    @rule(scope=st.sampled_from(SCOPES))
    def make(self, scope: Scope) -> None:
        self.live.append((scope, *self.keys.new_data_key(scope, b"c")))

    @rule()
    def rotate(self) -> None:
        self.keys.rotate()

    @rule()
    def rotate_master(self) -> None:
        self.keys.rotate_master()

    @rule()
    def rewrap_and_retire(self) -> None:
        former = [wrapped for _, _, wrapped in self.live if not self.keys.is_current(wrapped)]
        self.live = [(scope, key, self.keys.rewrap(wrapped, b"c")) for scope, key, wrapped in self.live]
        self.keys.retire({wrapped.kek for _, _, wrapped in self.live})
        self.dead += former

    @rule(scope=st.sampled_from(SCOPES))
    def destroy(self, scope: Scope) -> None:
        try:
            self.keys.destroy(scope.connection, scope.key_class, scope.period)
        except NoKey:
            assert all(r.scope != scope for r in self.keys.list())
        self.dead += [wrapped for owner, _, wrapped in self.live if owner == scope]
        self.live = [kept for kept in self.live if kept[0] != scope]

    @rule()
    def export(self) -> None:
        self.shares = recovery.export(self.keys, 2, 2)

    @rule()
    def reopen(self) -> None:
        self.keys = Keys.open(self.keys.directory, Mortal(self.provider.store), clock)

    @rule()
    def restore(self) -> None:
        if self.shares:
            self.provider = Mortal()
            assert recovery.restore(self.keys.directory, self.shares, self.provider).lost == ()
            self.keys = Keys.open(self.keys.directory, self.provider, clock)

    @invariant()
    def holds(self) -> None:
        assert [self.keys.unwrap(wrapped, b"c") for _, _, wrapped in self.live] == [key for _, key, _ in self.live]
        for wrapped in self.dead:
            with pytest.raises(Shredded):
                self.keys.unwrap(wrapped, b"c")
        active = [record.scope for record in self.keys.list() if record.state == "active"]
        assert len(active) == len(set(active))
        if self.shares:
            assert all(record.covered for record in self.keys.list() if record.state != "destroyed")

    def teardown(self) -> None:
        self.folder.cleanup()


TestKeyringLife = KeyringLife.TestCase
TestKeyringLife.settings = settings(max_examples=20, stateful_step_count=20, deadline=None)
