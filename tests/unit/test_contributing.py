"""What contributors are told is there: targets, hooks, files and templates."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert phony is not None
    told = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert set(phony[1].split()) - told == {"setup", "setup-test"}
    assert told == set(phony[1].split()) & told


def test_every_make_that_a_page_names_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    named = {target for page in pages for target in re.findall(r"`make ([a-z-]+)", page.read_text())}
    assert named <= targets


def test_the_hooks_are_usable() -> None:
    config = ROOT / ".pre-commit-config.yaml"
    subprocess.run([Path(sys.executable).parent / "pre-commit", "validate-config", config], check=True, timeout=60)
    for hook in yaml.safe_load(config.read_text())["repos"][0]["hooks"]:
        program = hook["entry"].split()[0]
        assert (ROOT / program).name in ("ruff", "mypy", "lint-imports")
        assert (Path(sys.executable).parent / Path(program).name).exists()


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: str(path.name))
def test_templates_are_forms(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    if path.name == "config.yml":
        return
    if "ISSUE_TEMPLATE" in path.parts:
        assert {"name", "description", "body"} <= set(form)
        fields = [field for field in form["body"] if field["type"] != "markdown"]
        assert len({field["id"] for field in fields}) == len(fields)


def test_files_that_pages_lead_to_are_there() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"
