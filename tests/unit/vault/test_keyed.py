"""The keyed hash is HMAC-SHA-256, value by value."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from vault.keyed import digests


@given(st.binary(min_size=1, max_size=100), st.lists(st.binary(max_size=200), max_size=5), st.integers(1, 32))
def test_each_value_has_the_hash_that_the_standard_library_gives(secret: bytes, values: list[bytes], size: int) -> None:
    assert digests(secret, values, size) == b"".join(hmac.digest(secret, each, "sha256")[:size] for each in values)
