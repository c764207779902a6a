"""Names, filters and instants are read as the standards have them, and what is none is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saas_connectors.identity.ldap import filters, names, records


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("(objectClass=person)", {"equals": ["objectClass", "person"]}),
        ("(cn=*)", {"present": "cn"}),
        ("(cn=Lef*)", {"starts": ["cn", "Lef"]}),
        (r"(cn=a\2ab\29)", {"equals": ["cn", "a*b)"]}),
        (r"(objectGUID=\ff\fe)", {"equals": ["objectGUID", {"base64": "//4="}]}),
        ("(&(a=1)(!(b=2))(|(c>=3)(d<=4)))", {"and": [{"equals": ["a", "1"]}, {"not": {"equals": ["b", "2"]}}, {"or": [
            {"at_least": ["c", "3"]}, {"at_most": ["d", "4"]}]}]}),
        ("(userAccountControl:1.2.840.113556.1.4.803:=2)", {"rule": ["userAccountControl", "1.2.840.113556.1.4.803", "2"]}),
        ("  (  cn=é )", {"equals": ["cn", "é "]}),
    ],
    ids=["equals", "present", "starts", "escapes", "bytes", "several", "rule", "blanks"],
)  # fmt: skip
def test_a_filter_is_read_as_a_tree(text: str, tree: filters.Tree) -> None:
    assert filters.parse(text) == tree


@pytest.mark.parametrize(
    "text",
    ["", "cn=a", "(cn=a", "(cn=a))", "(cn=a)(b=c)", "(&)", "(cn=*a*)", "(cn=a\\2)", "(cn=)", "(c n=a)", "(!(a=1)(b=2))",
     "(" * 40 + "cn=a" + ")" * 40, "(|" + "(a=1)" * 300 + ")", "(a:=b)", "(a~=b)", "(a:x:=b)"],
    ids=range(16),
)  # fmt: skip
def test_a_text_that_is_no_filter_or_says_more_than_a_tree_is_refused(text: str) -> None:
    with pytest.raises(filters.BadFilter):
        filters.parse(text)


@given(st.text())
def test_no_text_breaks_the_reader_of_filters(text: str) -> None:
    for each in (text, f"(cn={text})", f"(&{text})"):
        try:
            filters.parse(each)
        except filters.BadFilter:
            continue


_VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30)


@given(_VALUES)
def test_a_value_that_is_escaped_in_a_name_is_one_part_of_it_and_is_read_as_it_was(value: str) -> None:
    dn = f"CN={names.escaped(value)},OU=Agents,DC=ville"
    assert len(names.pieces(dn)) == 3
    ((kind, read),) = names.rdns(dn)[0]
    assert (kind, read) == ("cn", names.folded(value))
    assert names.parent(dn) == "OU=Agents,DC=ville"
    assert names.under(dn, "ou=AGENTS, dc=Ville")


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader_of_names(text: str) -> None:
    names.same(text, "CN=a")
    names.under(text, "CN=a")


def test_a_name_is_below_another_by_whole_parts_alone() -> None:
    assert not names.under("CN=a,OU=BA,DC=x", "A,DC=x")
    assert not names.under("CN=a,OU=BA,DC=x", "OU=A,DC=x")
    assert not names.under(r"CN=a\,OU=A,DC=x", "OU=A,DC=x")
    assert names.same("CN=Lefe\u0300vre+uid=1,DC=x", "uid=1+cn=LEFÈVRE, dc=X")
    assert names.same(r"CN=a\2Cb,DC=x", r"CN=a\,b,DC=x")
    assert names.plain("<GUID=1>;<SID=2>;CN=a,DC=x") == "CN=a,DC=x"


def test_a_guid_is_written_as_active_directory_shows_it() -> None:
    raw = bytes.fromhex("33221100554477668899aabbccddeeff")
    assert names.guid(raw) == "00112233-4455-6677-8899-aabbccddeeff"
    assert names.guid_bytes("00112233-4455-6677-8899-aabbccddeeff") == raw
    assert (names.guid(b"short"), names.guid("text"), names.entry_uuid("x"), names.entry_uuid(None)) == (None,) * 4


@pytest.mark.parametrize(
    ("value", "attribute", "read"),
    [
        ("20260101080000.0Z", "", "2026-01-01T08:00:00+00:00"),
        ("202601010900+0100", "", "2026-01-01T08:00:00+00:00"),
        ("20261301000000Z", "", None),
        ("hier", "", None),
        ("0", "accountExpires", None),
        ("9223372036854775807", "accountExpires", None),
        ("134102304000000000", "accountExpires", "2025-12-15T00:00:00+00:00"),
        ("9000000000000000000", "accountExpires", None),
        ("-1", "shadowExpire", None),
        ("20454", "shadowExpire", "2026-01-01T00:00:00+00:00"),
    ],
)
def test_instants_are_read_as_directories_write_them(value: str, attribute: str, read: str | None) -> None:
    assert records.instant(value, attribute) == read
