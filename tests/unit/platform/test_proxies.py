"""A caller is whom the nearest proxy that is not trusted is, or saw; what callers write themselves is not believed."""

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallystick.platform.proxies import Origin, Proxies, network_of

TRUSTED = [ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48")]
PROXIES = Proxies(TRUSTED, "x-forwarded")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.9.9.9", "198.51.100.1"),
        ("10.0.0.1", "10.2.2.2, 10.9.9.9", "10.2.2.2"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6, what is this", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6, , 10.1.1.1", "10.1.1.1"),
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8:2::7]:4711", "2001:db8:2::7"),
        ("2001:db8:1::1", "2001:DB8:0002::7", "2001:db8:2::7"),
        ("::ffff:10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("", "198.51.100.1", ""),
    ],
)
def test_who_is_believed(peer: str, forwarded_for: str, address: str) -> None:
    headers = {b"x-forwarded-for": forwarded_for.encode()}
    assert PROXIES.origin(peer, headers).address == address


@given(written=st.text(st.characters(codec="latin-1"), max_size=80))
def test_whatever_a_caller_writes_in_front_changes_nothing(written: str) -> None:
    headers = {b"x-forwarded-for": f"{written}, 198.51.100.1".encode("latin-1")}
    assert PROXIES.origin("10.0.0.1", headers).address == "198.51.100.1"
    assert (
        Proxies(TRUSTED, "forwarded").origin("9.9.9.9", {b"forwarded": written.encode("latin-1")}).address == "9.9.9.9"
    )


def test_scheme_and_host_are_the_nearest_proxys_word_and_of_nobody_else() -> None:
    headers = {b"x-forwarded-proto": b"http, HTTPS", b"x-forwarded-host": b"evil.test, pay.acme.test"}
    assert PROXIES.origin("10.0.0.1", headers) == Origin("10.0.0.1", "https", "pay.acme.test")
    assert PROXIES.origin("203.0.113.9", headers) == Origin("203.0.113.9")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ('for=198.51.100.1;proto=https;host="pay.acme.test"', Origin("198.51.100.1", "https", "pay.acme.test")),
        (
            'for=6.6.6.6;proto=http, For="[2001:db8:2::7]:4711";Proto=https;by=10.1.1.1',
            Origin("2001:db8:2::7", "https"),
        ),
        ("for=198.51.100.1;proto=https, for=10.3.3.3;proto=http", Origin("198.51.100.1", "https")),
        ("for=unknown;proto=https", Origin("10.0.0.1")),
        ('for="198.51.100.1', Origin("10.0.0.1")),
        ("", Origin("10.0.0.1")),
    ],
)
def test_the_standard_header_where_it_is_set(value: str, told: Origin) -> None:
    headers = {b"forwarded": value.encode(), b"x-forwarded-for": b"6.6.6.6"}
    assert Proxies(TRUSTED, "forwarded").origin("10.0.0.1", headers) == told


def test_hosts_of_one_network_of_ipv6_are_counted_together() -> None:
    assert network_of("2001:db8:2:3:aaaa::1") == network_of("2001:db8:2:3:bbbb::2") == "2001:db8:2:3::/64"
    assert network_of("198.51.100.1") != network_of("198.51.100.2")
    assert network_of("::ffff:198.51.100.1") == "198.51.100.1"
    assert network_of("nobody") == ""
