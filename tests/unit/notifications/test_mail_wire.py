"""Headers beyond ASCII reach the reader letter by letter, however long they are."""

from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr

from hypothesis import given
from hypothesis import strategies as st

from tallystick.notifications.addresses import printable
from tallystick.platform.mail import _WIRE

LETTERS = st.text(alphabet="aZ0 ,;:'()@=?_äß漢字ー\u00a0\u202f€😀.-&%", min_size=1, max_size=200)


def written(subject: str, name: str) -> bytes:
    message = EmailMessage()
    message["From"] = Address(name, "pay", "shop.example")
    message["To"] = "customer@example.com"
    message["Subject"] = subject
    message.set_content("Grüße")
    return message.as_bytes(policy=_WIRE)


def read(wire: bytes) -> tuple[str, str, str]:
    """Subject, sender's name and sender's address, as a mail program decodes them."""
    message = message_from_bytes(wire)
    name, address = parseaddr(message["From"].replace("\r\n", ""))
    return _decoded(message["Subject"].replace("\r\n", "")), _decoded(name), address


def _decoded(text: str) -> str:
    return str(make_header(decode_header(text)))


def test_a_long_german_subject_keeps_its_spaces() -> None:
    subject = "Zahlung eingegangen: 1.234,50\xa0€ an Bäckerei Grün, Köln am Rhein und Umgebung e. V."
    name = "Bäckerei Grün, Köln am Rhein und Umgebung e. V."
    assert read(written(subject, name)) == (subject, name, "pay@shop.example")


@given(LETTERS, LETTERS)
def test_subjects_and_names_of_any_letters(subject: str, name: str) -> None:
    subject, name = printable(subject, 200).strip(), printable(name, 100).strip()
    wire = written(subject, name)
    shown, sender, address = read(wire)
    assert wire.isascii()
    assert max(len(line) for line in wire.splitlines()) <= 998
    assert address == "pay@shop.example"
    # A header of ASCII only may be broken at any of its spaces.
    assert shown.split() == subject.split() if subject.isascii() else shown == subject
    assert sender.split() == name.split() if name.isascii() else sender == name
