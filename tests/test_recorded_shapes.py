"""Last of all: whatever the sandbox answered anywhere in this run is what Stripe would print at that version."""

import json
import os
import re
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from contract.test_shapes import checker, problems
from tallystick.sandbox.versions import NEWEST, OLDEST

__all__ = ["checker"]

_VALUES = re.compile(r'"(?:[a-z]+_)+[A-Za-z0-9]{8,}"|\b\d{2,}\b')


def test_everything_the_sandbox_said_in_this_run(checker: ModuleType, sandbox_records: Path) -> None:
    """Documents that differ only in ids and numbers are held against the schema once."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.skip("one of several processes has not seen the whole run; `make pytest` runs this one after them")
    distinct: dict[str, tuple[str, dict[str, object]]] = {}
    lines = 0
    for file in sandbox_records.glob("*.jsonl"):
        for line in file.read_text(encoding="utf-8").splitlines():
            lines += 1
            if (shape := _VALUES.sub("0", line)) not in distinct:
                record = json.loads(line)
                distinct[shape] = (record["api_version"], record["body"])
    if not lines:
        pytest.skip("no test of this run used the sandbox")
    found: Counter[str] = Counter()
    # Of the versions between the two ends there are no schemas.
    for version in (OLDEST, NEWEST):
        documents = [body for of_version, body in distinct.values() if of_version == version]
        found += problems(checker, version, documents, strict=False)
    assert not found, f"of {lines} documents:\n" + "\n".join(f"{n} x {what}" for what, n in found.most_common(40))
