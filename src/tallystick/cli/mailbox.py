"""The mail catcher as a process of `dev`."""

from pathlib import Path

__all__ = ["preload", "run"]


def preload() -> None:
    """Import all that the mail catcher needs."""
    import tallystick.mailbox.server

    del tallystick.mailbox.server


def run(*, http_port: int, smtp_port: int, folder: str) -> None:
    """Catch mails until SIGTERM or SIGINT."""
    from tallystick.mailbox.server import run as serve

    serve(http_port=http_port, smtp_port=smtp_port, folder=Path(folder))
