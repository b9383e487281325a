"""SECURITY.md names the test of each defence; each of them is there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_every_test_that_the_page_names_is_there() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "`tests/" in line]
    assert len(rows) >= 20
    for row in rows:
        for path, names in re.findall(r"`(tests/[\w/.]+\.py)`(?: \(([^)]*)\))?", row):
            source = (ROOT / path).read_text(encoding="utf-8")
            for name in re.findall(r"`(test_\w+)`", names):
                assert f"def {name}(" in source, f"{path} has no {name}"


def test_every_security_test_is_named_by_the_page() -> None:
    for path in sorted((ROOT / "tests" / "integration" / "security").glob("test_*.py")):
        assert str(path.relative_to(ROOT)) in PAGE


def test_every_setting_that_the_page_names_is_one() -> None:
    from tallystick.platform.settings import Settings

    known = {name.upper() for name in Settings.model_fields}
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)`", PAGE))
    assert named - known - {"STRIPE_WEBHOOK_SECRETS"} == set()
