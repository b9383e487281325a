"""`make audit`: a weakness is told, and a database that could not be asked is no clean bill of health."""

import importlib.util
import stat
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


audit = _load()
CLEAN = {"name": "jinja2", "version": "3.1.6", "vulns": []}
WEAK = {
    "name": "jinja2",
    "version": "3.1.2",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-2024-22195"], "fix_versions": ["3.1.3"]}],
}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI and could not be audited: ours (1.0)"}


@pytest.mark.parametrize(
    ("packages", "status", "said"),
    [
        ([CLEAN], 0, "nothing is known against any of 1 packages"),
        ([CLEAN, WEAK], 1, "jinja2 3.1.2: PYSEC-1 (CVE-2024-22195), mended in 3.1.3"),
        ([WEAK, UNKNOWN], 1, "PYSEC-1"),
        # pip-audit itself exits with 0 here.
        ([CLEAN, UNKNOWN], 3, "not looked up: 1 of 2 packages"),
        ([], 3, "not looked up"),
    ],
)
def test_what_a_report_comes_to(packages: Any, status: int, said: str) -> None:
    found, lines = audit.judge({"dependencies": packages})
    assert found == status
    assert said in "\n".join(lines)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo '{\"dependencies\": []}'", "not looked up: 0 of 0 packages"),
        ("echo the index is away >&2; exit 1", "the database could not be asked: the index is away"),
    ],
)
def test_what_could_not_be_asked_ends_apart(script: str, said: str, tmp_path: Path, capsys: Any) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert audit.main([str(program)]) == audit.UNASKED
    assert capsys.readouterr().out.count(said) == len(audit.LOCKS)


def test_what_is_shipped_has_licences_that_ask_for_nothing() -> None:
    found = dict(audit.licences((ROOT / "requirements.lock").read_text(encoding="utf-8")))
    assert len(found) > 30
    assert not [name for name, licence in found.items() if audit._STRONG.search(licence) and "LGPL" not in licence]
    # Certificates alone, which are data.
    assert [name for name, licence in found.items() if "Mozilla" in licence or "MPL" in licence] in (["certifi"], [])
    assert "not told" not in found.values()
