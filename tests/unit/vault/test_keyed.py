"""The keyed hash is HMAC-SHA-256, value by value."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from vault.keyed import keyed


@given(st.binary(min_size=1, max_size=100), st.lists(st.binary(max_size=200), max_size=5))
def test_each_value_has_the_hash_that_the_standard_library_gives(secret: bytes, values: list[bytes]) -> None:
    digest = keyed(secret)
    assert [digest(each) for each in values] == [hmac.digest(secret, each, "sha256") for each in values]
