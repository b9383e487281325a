"""`tallystick token`: an access token for trying things out."""

import base64
import hashlib
import hmac
import json
import os
import time
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from tallystick.cli.errors import Problem
from tallystick.cli.files import read_json
from tallystick.cli.instance import data_folder

__all__ = ["make_token", "subject_of", "token"]

Role = Literal["admin", "support", "service"]


def token(
    *,
    email: str,
    role: list[Role] | None = None,
    sub: str | None = None,
    days: Annotated[int, Parameter(help="How long it is valid.")] = 30,
    data_dir: Path | None = None,
) -> None:
    """Print an access token (JWT, HS256) as the last line.

    Parameters
    ----------
    email
        The user's e-mail address.
    role
        A role: admin, support or service. May be given several times.
    sub
        The user's id in the host application. Default: derived from the e-mail address, always the same.
    data_dir
        The data folder of `dev`. Default: TALLYSTICK_DATA_DIR, else .data.
    """
    if "@" not in email or email != email.strip():
        raise Problem(f"--email: {email!r} is not an e-mail address", 2)
    if not 1 <= days <= 3650:
        raise Problem("--days: should be 1 to 3650", 2)
    print(
        make_token(
            _secret(data_dir),
            email=email,
            roles=list(dict.fromkeys(role or [])),
            subject=sub or subject_of(email),
            days=days,
        )
    )


def subject_of(email: str) -> str:
    """The `sub` of a token that names none: the same for the same address, whoever asks."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"mailto:{email.lower()}"))


def make_token(secret: str, *, email: str, roles: list[Role], subject: str, days: int) -> str:
    """A signed token, valid from now for `days` days.

    Issuer, audience and the roles' claim are those of JWT_ISSUER, JWT_AUDIENCE and JWT_ROLES_CLAIM.
    """
    now = int(time.time())
    claims = {
        "iss": os.environ.get("JWT_ISSUER") or "tallystick",
        "aud": os.environ.get("JWT_AUDIENCE") or "tallystick",
        "sub": subject,
        "email": email,
        os.environ.get("JWT_ROLES_CLAIM") or "roles": roles,
        "iat": now,
        "exp": now + days * 86_400,
    }
    # RFC 7515 by hand: the JWT library takes a tenth of a second to load its cryptography.
    signed = f"{_part({'alg': 'HS256', 'typ': 'JWT'})}.{_part(claims)}"
    signature = hmac.digest(secret.encode(), signed.encode(), hashlib.sha256)
    return f"{signed}.{_base64url(signature)}"


def _part(value: dict[str, Any]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _secret(data_dir: Path | None) -> str:
    # A folder that is named wins over the environment: several instances may run beside each other.
    folder = data_folder(data_dir)
    given = os.environ.get("JWT_SECRET")
    if given and data_dir is None:
        return given
    try:
        secret = read_json(folder / "secrets.json").get("JWT_SECRET")
    except (ValueError, OSError) as error:
        raise Problem(f"{folder / 'secrets.json'} cannot be read: {error}") from error
    if secret := secret or given:
        return str(secret)
    raise Problem(
        f"There is no secret to sign with: no `tallystick dev` has run in {folder}. Name its folder with "
        "--data-dir or TALLYSTICK_DATA_DIR, or set JWT_SECRET."
    )
