"""Whatever is written in LDAP is read back by the other side; whatever comes, reading it ends in a value or in Malformed."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign.egress import ber, ldap_messages
from sovereign.egress.ber import Malformed
from sovereign.egress.ldap_orders import Misasked, order
from sovereign.egress.ldap_session import _entry, shown
from tests.servers import ldap_wire as wire

NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9.-]{0,12}(;[a-z0-9=-]{1,8}){0,2}", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
DNS = TEXTS.filter(bool)
VALUES = st.one_of(TEXTS, st.binary(max_size=40).map(lambda raw: {"base64": base64.b64encode(raw).decode()}))
TERMS = st.one_of(
    st.builds(
        lambda kind, name, value: {kind: [name, value]}, st.sampled_from(["equals", "at_least", "at_most"]), NAMES, VALUES
    ),
    st.builds(lambda name: {"present": name}, NAMES),
    st.builds(lambda name, value: {"rule": [name, "1.2.840.113556.1.4.803", value]}, NAMES, VALUES),
)
CHANGES = st.tuples(st.sampled_from(["add", "delete", "replace"]), NAMES, st.lists(VALUES, max_size=3))
TREES = st.recursive(
    TERMS,
    lambda inner: st.one_of(
        st.builds(lambda kind, each: {kind: each}, st.sampled_from(["and", "or"]), st.lists(inner, max_size=4)),
        st.builds(lambda each: {"not": each}, inner),
    ),
    max_leaves=12,
)


def raw(value: str | dict[str, str]) -> bytes:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value.encode()


def plain(tree: dict[str, Any]) -> dict[str, Any]:
    """A tree, its values bytes."""
    ((kind, held),) = tree.items()
    if kind in ("and", "or"):
        return {kind: [plain(each) for each in held]}
    if kind == "not":
        return {kind: plain(held)}
    return {kind: held if kind == "present" else [*held[:-1], raw(held[-1])]}


def asked(method: str, body: object) -> wire.Asked:
    made = order(method, json.dumps(body).encode(), 60)
    assert made is not None
    number, read = wire.read(ldap_messages.envelope(7, made.operation, made.controls))
    assert number == 7
    return read


@given(base=TEXTS, tree=TREES, names=st.lists(NAMES, max_size=4), limit=st.integers(0, 2**31 - 1))
def test_a_search_says_to_the_server_what_its_tree_says_and_nothing_else(
    base: str, tree: dict[str, Any], names: list[str], limit: int
) -> None:
    found = asked("SEARCH", {"base": base, "scope": "subtree", "filter": tree, "attributes": names, "limit": limit})
    assert found == wire.Search(base, 2, limit, 60, plain(tree), tuple(names), {})


@given(dn=DNS, changes=st.lists(CHANGES, min_size=1, max_size=4))
def test_a_change_says_to_the_server_what_its_body_says(dn: str, changes: list[tuple[str, str, list[Any]]]) -> None:
    found = asked("MODIFY", {"dn": dn, "changes": [{"do": do, "attribute": a, "values": v} for do, a, v in changes]})
    assert found == wire.Modify(dn, tuple((do, name, [raw(each) for each in values]) for do, name, values in changes), {})


@given(dn=DNS, rdn=DNS, delete=st.booleans(), parent=st.none() | TEXTS)
def test_a_move_says_to_the_server_what_its_body_says(dn: str, rdn: str, delete: bool, parent: str | None) -> None:
    found = asked("MOVE", {"dn": dn, "rdn": rdn, "delete_old": delete, "parent": parent})
    assert found == wire.Move(dn, rdn, delete, parent, {})


@given(dn=DNS, attributes=st.dictionaries(NAMES, st.lists(VALUES, max_size=3), max_size=4))
def test_an_addition_says_to_the_server_what_its_body_says(dn: str, attributes: dict[str, list[Any]]) -> None:
    found = asked("ADD", {"dn": dn, "attributes": attributes})
    assert found == wire.Add(dn, {name: [raw(each) for each in values] for name, values in attributes.items()}, {})


@given(dn=TEXTS, attributes=st.dictionaries(NAMES, st.lists(st.binary(max_size=300), max_size=4), max_size=5))
def test_an_entry_is_read_as_the_server_has_it(dn: str, attributes: dict[str, list[bytes]]) -> None:
    said = ldap_messages.message(wire.entry(2, dn, attributes))
    assert ldap_messages.entry(said) == (dn, attributes)
    held = _entry(said, frozenset())["attributes"]
    assert isinstance(held, dict)
    assert {name: [raw(value) for value in values] for name, values in held.items()} == attributes


@given(number=st.integers(-(2**63), 2**63 - 1))
def test_an_integer_is_read_as_it_was_written(number: int) -> None:
    data = ber.integer(number)
    assert ber.number(data, *ber.expect(data, 0, len(data), ber.INTEGER)) == number


MESSAGES = st.one_of(
    st.builds(
        lambda dn, held: wire.entry(2, dn, held), TEXTS, st.dictionaries(NAMES, st.lists(st.binary(max_size=9), max_size=3))
    ),
    st.builds(lambda code: wire.ended(2, 0x65, code, "x", {wire.PAGED: wire.paged(b"c")}), st.integers(0, 90)),
)


def understood(data: bytes) -> None:
    """Read bytes in every way that a session does."""
    try:
        size = ber.announced(data)
        if size is None or size > len(data):
            return
        said = ldap_messages.message(data[:size])
    except Malformed:
        return
    with suppress(Malformed):
        _entry(said, frozenset())
    with suppress(Malformed):
        shown(ldap_messages.result(said))
    for value in said.controls.values():
        with suppress(Malformed):
            ldap_messages.page(value)
        with suppress(Malformed):
            ldap_messages.synced(value)


@given(data=st.binary(max_size=200))
def test_whatever_bytes_come_reading_them_ends_in_a_value_or_in_malformed(data: bytes) -> None:
    understood(data)
    understood(b"\x30" + bytes((len(data) & 0x7F,)) + data)


@given(message=MESSAGES, cut=st.integers(0, 400), at=st.integers(0, 400), put=st.binary(min_size=1, max_size=4))
def test_a_message_that_is_cut_or_altered_ends_in_a_value_or_in_malformed(
    message: bytes, cut: int, at: int, put: bytes
) -> None:
    understood(message[:cut])
    understood(message[:at] + put + message[at + len(put) :])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["and", "equals", "dn", "base64"]), inner),
    max_leaves=10,
)
FIELDS = st.sampled_from(["base", "scope", "filter", "attributes", "page", "cookie", "dirsync", "dn", "changes", "rdn"])


@given(method=st.sampled_from(["SEARCH", "MODIFY", "MOVE", "ADD", "WHOAMI"]), body=st.dictionaries(FIELDS, JSON) | JSON)
def test_whatever_is_asked_is_an_order_or_misasked(method: str, body: object) -> None:
    with suppress(Misasked):
        assert order(method, json.dumps(body).encode(), 60) is not None


def test_a_message_that_holds_more_values_than_it_may_is_malformed() -> None:
    empty = ber.octets(b"") * (ldap_messages.VALUES + 1)
    held = ber.sequence(ber.sequence(ber.octets("cn"), ber.element(ber.SET, empty)))
    data = ber.sequence(ber.integer(2), ber.sequence(ber.octets("cn=a"), held, tag=0x64))
    with pytest.raises(Malformed):
        ldap_messages.entry(ldap_messages.message(data))


@pytest.mark.parametrize(("flags", "written"), [(1, "020101"), (0x7FFFFFFF, "02047fffffff"), (0x80000001, "020480000001")])
def test_the_flags_of_dirsync_are_a_signed_integer_of_four_bytes_at_most(flags: int, written: str) -> None:
    assert ldap_messages.dirsync(flags, 0, b"").hex() == f"30{len(written) // 2 + 5:02x}{written}0201000400"
