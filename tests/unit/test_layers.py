"""The house keeps its order: imports point one way, and names live where a reader guesses."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_imports_point_one_way() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--config", str(ROOT / "pyproject.toml")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


@pytest.mark.parametrize(
    ("name", "path"), re.findall(r"^\| `(\w+)` \| `([\w/]+\.py)` \|", ARCHITECTURE, flags=re.MULTILINE)
)
def test_a_class_is_where_the_architecture_page_says(name: str, path: str) -> None:
    module = importlib.import_module("tallystick." + path.removesuffix(".py").replace("/", "."))
    assert getattr(module, name).__module__ == module.__name__


def test_every_folder_has_its_line_on_the_architecture_page() -> None:
    folders = {path.parent.name for path in (ROOT / "src" / "tallystick").glob("*/__init__.py")}
    listed = set(re.findall(r"^\| `(\w+)/` \|", ARCHITECTURE, flags=re.MULTILINE))
    assert folders == listed


def test_every_name_of_the_design_document_that_is_built_is_listed() -> None:
    for name in (
        "PaymentController",
        "WebhookController",
        "StripeService",
        "StripePaymentService",
        "StripeCustomerService",
        "StripeWebhookService",
        "PaymentRepository",
        "WebhookEventRepository",
    ):
        assert f"| `{name}` |" in ARCHITECTURE
