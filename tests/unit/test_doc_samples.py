"""Samples of the pages that are no commands: Python compiles and finds what it imports, JSON, TOML and YAML are such.

Commands are run by tests/integration/test_docs_commands.py.
"""

import ast
import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted(path for path in (ROOT / "docs").rglob("*.md") if "reference" not in path.parts)]
_FENCE = re.compile(r"^```(?P<language>[a-z]+)[^\n`]*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
KNOWN = {"sh", "output", "text", "json", "python", "toml", "yaml", "js", "html", "sql", "ini", "nginx"}
OURS = ("tallystick", "standardwebhooks")
FOUND = [
    (f"{path.stem}-{path.read_text().count(chr(10), 0, match.start()) + 1}", match["language"], match["text"])
    for path in PAGES
    for match in _FENCE.finditer(path.read_text())
]
CHECKED = [pytest.param(*sample, id=name) for name, *sample in FOUND if sample[0] in ("json", "python", "toml", "yaml")]


def test_every_sample_says_what_it_is() -> None:
    assert {language for _, language, _ in FOUND} <= KNOWN


@pytest.mark.parametrize(("language", "text"), CHECKED)
def test_a_sample_is_what_it_says(language: str, text: str) -> None:
    if language == "json" and "…" not in text:
        json.loads(text)
    elif language == "toml":
        tomllib.loads(text)
    elif language == "yaml":
        assert list(yaml.safe_load_all(text))
    elif language == "python":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in OURS:
                module = importlib.import_module(node.module)
                assert all(hasattr(module, name.name) for name in node.names), node.module
