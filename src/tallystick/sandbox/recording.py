"""Writes down every distinct answer and event, so that a test can hold them against Stripe's schemas."""

import hashlib
from pathlib import Path

from tallystick.sandbox.shapes import decode, encode

__all__ = ["Recorder"]


class Recorder:
    """Appends JSON lines `{"api_version", "body"}` to a file; equal bodies of one version once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: set[bytes] = set()

    def add(self, version: str, body: bytes) -> None:
        """An answer at `version`; events (in lists too) are noted at the version they were rendered in."""
        value = decode(body)
        if value.get("object") == "list" and str(value.get("url")).startswith("/v1/events"):
            for event in value["data"]:
                self._write(event["api_version"], encode(event))
        elif value.get("object") == "event":
            self._write(value["api_version"], body)
        else:
            self._write(version, body)

    def _write(self, version: str, body: bytes) -> None:
        digest = hashlib.sha256(version.encode() + body).digest()
        if digest in self._seen:
            return
        self._seen.add(digest)
        with self._path.open("ab") as file:
            file.write(encode({"api_version": version, "body": decode(body)}) + b"\n")
