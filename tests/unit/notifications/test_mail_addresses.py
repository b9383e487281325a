"""Who can be written to, who writes, and where the server is."""

from uuid import UUID

import pytest

from tallystick.notifications.addresses import InvalidAddress, Sender, parse_recipient, printable
from tallystick.platform.mail import parse_smtp_url

MAIL_ID = UUID("0197e4a1-5c3e-7d20-9b54-3f1c0a7d6e21")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("user@example.com", "user@example.com"),
        ("first.last+tag@mail.example.co.uk", "first.last+tag@mail.example.co.uk"),
        ("dev@localhost", "dev@localhost"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("user@bücher.example", "user@xn--bcher-kva.example"),
        ("用户@example.com", "用户@example.com"),
    ],
)
def test_addresses(text: str, address: str) -> None:
    assert parse_recipient(text).addr_spec == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "@example.com",
        "a@",
        "a b@example.com",
        "a@b@example.com",
        "a@example.com\r\nBcc: b@example.com",
        "a\n@example.com",
        "a@example.com, b@example.com",
        "Name <a@example.com>",
        "<a@example.com>",
        '"a b"@example.com',
        ".a@example.com",
        "a..b@example.com",
        "a@-example.com",
        "a@example..com",
        "a@exa mple.com",
        "a@[127.0.0.1]",
        "a\u202e@example.com",
        "a\ud800@example.com",
        "a\x00@example.com",
        f"{'a' * 65}@example.com",
        f"a@{'b' * 64}.com",
        f"a@{'b.' * 130}com",
    ],
)
def test_what_cannot_be_an_address(text: str) -> None:
    with pytest.raises(InvalidAddress) as caught:
        parse_recipient(text)
    assert "example" not in str(caught.value)


def test_printable_takes_out_what_cannot_be_seen_or_stored() -> None:
    assert printable("a\r\n\tb\x00c\u202e \ud800d", 50) == "a b c d"
    assert printable("x" * 10, 5) == "xxxx…"


def test_the_sender_shows_its_name_or_its_host() -> None:
    named = Sender.parse("Müller & Co <pay@shop.example>", "https://pay.shop.example")
    assert (named.name, named.domain) == ("Müller & Co", "shop.example")
    assert named.message_id(MAIL_ID) == f"<{MAIL_ID}@shop.example>"
    assert Sender.parse("pay@shop.example", "https://pay.shop.example").name == "pay.shop.example"
    assert Sender.parse("pay@shop.example", None).name == "shop.example"
    assert Sender.parse("Payments <payments@localhost>", "https://pay.example.com").domain == "pay.example.com"
    assert Sender.parse("Payments <payments@localhost>", None).domain == "localhost"
    for bad in ("", "nobody", "A <a@b>, C <c@d>", "Shop <a b@example.com>", "Shop <a@exa_mple.com>"):
        with pytest.raises(ValueError, match="MAIL_FROM"):
            Sender.parse(bad, None)


def test_smtp_urls() -> None:
    plain = parse_smtp_url("smtp://localhost:2525")
    assert (plain.host, plain.port, plain.username, plain.tls, plain.starttls) == (
        "localhost",
        2525,
        None,
        False,
        "optional",
    )
    secret = parse_smtp_url("smtp://us%40er:p%3Ass%2F@mail.example.com:587")
    assert (secret.username, secret.password, secret.starttls) == ("us@er", "p:ss/", "required")
    assert "p:ss" not in repr(secret)
    assert parse_smtp_url("smtp://mail.example.com").port == 25
    assert parse_smtp_url("smtps://mail.example.com").port == 465
    assert parse_smtp_url("smtp://u:p@mail.example.com?starttls=never").starttls == "never"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://host:notaport",
        "smtp://host:70000",
        "smtp://user:hunter2@host/path",
        "smtp://user:hunter2@host?starttls=maybe",
        "smtp://user:hunter2@host?tls=1",
    ],
)
def test_bad_smtp_urls_are_named_without_their_secrets(url: str) -> None:
    with pytest.raises(ValueError, match="SMTP_URL") as caught:
        parse_smtp_url(url)
    assert "hunter2" not in str(caught.value)
