"""TLS and passwords: never in the clear unless told so, and never a mail's fault when they do not work."""

import ssl
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from integration.notifications.mail_world import Mailbox
from tallystick.platform.mail import MailDelayed, MailRejected, SmtpTransport


def message(recipient: str = "b@example.com") -> EmailMessage:
    built = EmailMessage()
    built["From"], built["To"], built["Subject"] = "a@example.com", recipient, "Hello"
    built.set_content("Hello")
    return built


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1 that nobody vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + built.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls_box(mailbox: Mailbox, certificate: Path) -> Mailbox:
    """A server that offers STARTTLS, and after it a login for `user` with `hunter2`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"us@er", b"hunter2"), handled=False)

    mailbox.close()
    mailbox.open(tls_context=context, authenticator=authenticate)
    return mailbox


async def test_a_trusted_certificate_and_a_password(
    tls_box: Mailbox, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transport = SmtpTransport(f"smtp://us%40er:hunter2@127.0.0.1:{tls_box.port}?starttls=required")
    await transport.send(message())
    await transport.close()
    assert tls_box.secure == [True]
    assert len(tls_box.messages) == 1


async def test_a_wrong_password_is_not_the_messages_fault(
    tls_box: Mailbox, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    transport = SmtpTransport(f"smtp://us%40er:wrong-one@127.0.0.1:{tls_box.port}?starttls=required")
    with pytest.raises(MailDelayed, match="535") as caught:
        await transport.send(message())
    assert not caught.value.counted
    assert "wrong-one" not in str(caught.value)


async def test_required_tls_refuses_a_certificate_that_nobody_vouches_for(tls_box: Mailbox) -> None:
    with pytest.raises(MailDelayed, match=r"(?i)certificate") as caught:
        await SmtpTransport(f"smtp://127.0.0.1:{tls_box.port}?starttls=required").send(message())
    assert not caught.value.counted
    assert tls_box.messages == []


async def test_optional_tls_is_used_where_it_is_offered(tls_box: Mailbox) -> None:
    for options in ("", "?starttls=optional", "?starttls=never"):
        transport = SmtpTransport(f"smtp://127.0.0.1:{tls_box.port}{options}")
        await transport.send(message())
        await transport.close()
    assert tls_box.secure == [True, True, False]


async def test_letters_beyond_ascii_before_the_at(mailbox: Mailbox) -> None:
    transport = SmtpTransport(f"smtp://127.0.0.1:{mailbox.port}")
    await transport.send(message("用户@example.com"))
    await transport.close()
    assert mailbox.recipients == ["用户@example.com"]
    mailbox.close()
    mailbox.open(enable_SMTPUTF8=False)
    with pytest.raises(MailRejected, match="such letters"):
        await SmtpTransport(f"smtp://127.0.0.1:{mailbox.port}").send(message("用户@example.com"))
