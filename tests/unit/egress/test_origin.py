"""What the one grammar of URLs admits, and what it refuses."""

import pytest

from sovereign.egress.errors import Refused
from sovereign.egress.origin import Origin, declared, origin, split


@pytest.mark.parametrize(
    ("url", "expected", "target"),
    [
        ("https://api.ville.fr/v1?x=1#frag", Origin("https", "api.ville.fr", 443), "/v1?x=1"),
        ("HTTPS://API.Ville.FR", Origin("https", "api.ville.fr", 443), "/"),
        ("https://api.ville.fr.:8443/", Origin("https", "api.ville.fr", 8443), "/"),
        ("http://10.0.0.1:80?q", Origin("http", "10.0.0.1", 80), "/?q"),
        ("https://[2001:DB8::1]:444/x", Origin("https", "2001:db8::1", 444), "/x"),
    ],
)
def test_a_well_formed_url_is_read_one_way(url: str, expected: Origin, target: str) -> None:
    scheme, authority, found = split(url)
    assert (origin(scheme, authority), found) == (expected, target)


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("https://user:pw@ville.fr/", "egress.userinfo"), ("https://ville.fr@127.0.0.1/", "egress.userinfo"),
        ("https://0x7f.1/", "egress.url"),
        ("https://2130706433/", "egress.url"), ("https://0177.0.0.1/", "egress.url"), ("https://127.1/", "egress.url"),
        ("https://0x7f000001/", "egress.url"),
        ("https://127.0.0.1.:0/", "egress.url"), ("https://ville.fr:99999/", "egress.url"),
        ("https://ville.fr:/", "egress.url"), ("https:///x", "egress.url"),
        ("ftp://ville.fr/", "egress.url"), ("file:///etc/passwd", "egress.url"), ("gopher://ville.fr/", "egress.url"),
        ("https:ville.fr", "egress.url"),
        ("https://ville.fr\\@evil.example/", "egress.userinfo"), ("https://ville.fr\\x/", "egress.url"),
        ("https://ville .fr/", "egress.url"), ("https://ville.fr\r\nHost: x/", "egress.url"),
        ("https://[::1%25eth0]/", "egress.url"), ("https://ville.fr/a\r\nX: y", "egress.url"),
        ("https://[127.0.0.1]/", "egress.url"), ("https://vil%6ce.fr/", "egress.url"), ("https://ville。fr/", "egress.url"),
        ("https://①②⑦.⓪.⓪.①/", "egress.url"), ("https://-ville.fr/", "egress.url"), ("https://ville..fr/", "egress.url"),
        ("", "egress.url"), ("//ville.fr/", "egress.url"),
    ],
)  # fmt: skip
def test_anything_else_is_refused_and_not_repaired(url: str, rule: str) -> None:
    with pytest.raises(Refused) as refusal:
        origin(*split(url)[:2])
    assert refusal.value.rule == rule


def test_an_operator_may_leave_the_scheme_out() -> None:
    assert declared("cdn.ville.fr") == Origin("https", "cdn.ville.fr", 443)
    assert declared("cdn.ville.fr:8443") == Origin("https", "cdn.ville.fr", 8443)
    assert str(declared("https://[::1]:8443")) == "https://[::1]:8443"
