"""What is never written in this source: values inside SQL, templates that do not escape, readers that run what they
read. A place that has to be an exception is named here, with why it may be.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog

from tallystick.console.service_lists import _ASKS_TO_CALCULATE
from tallystick.platform.logging import configure_logging

SOURCE = Path(__file__).parents[2] / "src" / "tallystick"
_SQL = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|WHERE|ORDER BY|VALUES|CREATE|ALTER|DROP|TRUNCATE)\b")
_CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*\Z")
_NOT_OURS = ("migrations", "sandbox", "simulation")
"""Migrations are constant text; the sandbox has a store of its own without a user's SQL; simulation is a test tool."""

COMPOSED = {
    # Parts of a statement: joined, or chosen, from texts of the source.
    "conditions", "where", "changes", "columns", "wanted", "condition", "beyond", "direction", "marks", "keys", "rest",
    "gone", "extra", "order", "join", "rows", "content", "shown", "sql", "refs", "values", "found",
    # Names of tables and columns, from tables in the source.
    "table", "column", "name", "key", "alias", "stripe_id", "type_", "place", "kind", "compared", "section", "listing",
    "self", "SubscriptionRow", "Feature", "Alert", "names", "rank", "kind_", "amount",
    # Whole numbers, and names that a setting's pattern bounds (DATABASE_SCHEMA).
    "limit", "n", "month", "end", "schema",
    # `'FOR UPDATE' if lock else ''`, `ARCHIVED_PAYLOAD if payloads else ''`.
    "lock", "payloads", "enumerate", "range", "len",
}  # fmt: skip
"""What stands in a statement beside parameters, by the name that it has there; all of it comes from the source."""


@cache
def _texts() -> list[tuple[Path, str]]:
    return [(path, path.read_text(encoding="utf-8")) for path in sorted(SOURCE.rglob("*.py"))]


def _nodes(mark: str, *kinds: type[ast.AST]) -> Iterator[tuple[Path, ast.AST]]:
    """The nodes of these kinds, in files that have `mark` in them: parsing them all takes seconds."""
    for path, text in _texts():
        if re.search(mark, text):
            yield from ((path, node) for node in ast.walk(ast.parse(text)) if isinstance(node, kinds))


def _where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(SOURCE)}:{getattr(node, 'lineno', 0)}"


def _names(node: ast.expr) -> Iterator[str]:
    """The names that an expression is made of; constants and this module's own functions aside."""
    called = {call.func for call in ast.walk(node) if isinstance(call, ast.Call)}
    for each in ast.walk(node):
        if isinstance(each, ast.Name) and not _CONSTANT.match(each.id) and each not in called:
            yield each.id


def test_sql_holds_no_values() -> None:
    """Whatever is put into a statement by an f-string is named above; `%` and `format` make none at all."""
    found = _values_in_sql()
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        'f"SELECT 1 FROM users WHERE id = {user_id}"',
        '"DELETE FROM users WHERE id = %s" % user',
        '"UPDATE {}".format(x)',
    ],
)
def test_a_value_in_sql_is_found(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repository.py").write_text(f"{line}\n")
    monkeypatch.setitem(globals(), "SOURCE", tmp_path)
    monkeypatch.setitem(globals(), "_texts", _texts.__wrapped__)
    assert _values_in_sql()


def _values_in_sql() -> list[str]:
    found = []
    for path, node in _nodes(_SQL.pattern, ast.JoinedStr, ast.BinOp, ast.Call):
        if path.relative_to(SOURCE).parts[0] in _NOT_OURS:
            continue
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            inside = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
            names = {name for one in inside for name in _names(one)} if _SQL.search(text) else set()
            found += [f"{_where(path, node)}: {name}" for name in names - COMPOSED]
        elif _formats_sql(node):
            found.append(f"{_where(path, node)}: {ast.unparse(node)[:80]}")
    return found


def _formats_sql(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return isinstance(node.left, ast.Constant) and _is_sql(node.left.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "format":
        return isinstance(node.func.value, ast.Constant) and _is_sql(node.func.value.value)
    return False


def _is_sql(value: object) -> bool:
    return isinstance(value, str) and _SQL.search(value) is not None


_RUNS = re.compile(
    r"^\s*(?:import|from)\s+(?:pickle|marshal|shelve|dill|yaml|xml|telnetlib)\b"
    r"|(?<![.\w\"'`])(?:eval|exec|compile|__import__)\(|\bos\.(?:system|popen)\(|\bshell=True",
    re.MULTILINE,
)


def test_nothing_that_is_read_is_run() -> None:
    found = [f"{path.relative_to(SOURCE)}: {run[0]}" for path, text in _texts() for run in _RUNS.finditer(text)]
    assert not found, "\n".join(found)
    assert _RUNS.search("import pickle\n")
    assert _RUNS.search("x = eval(text)")
    assert not _RUNS.search("re.compile(text)")


def test_every_template_escapes() -> None:
    """Two environments: that of pages escapes everything, that of mails what ends in .html. No text becomes a template,
    and none says of itself that it is safe."""
    environments, templates = [], sorted(SOURCE.rglob("templates/**/*.*"))
    for path, node in _nodes(r"\bEnvironment\(", ast.Call):
        assert isinstance(node, ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id == "Environment":
            escapes = {word.arg: ast.unparse(word.value) for word in node.keywords}.get("autoescape")
            environments.append((str(path.relative_to(SOURCE)), escapes))
    assert not [path for path, text in _texts() if re.search(r"\.from_string\(|\bTemplate\(", text)]
    assert set(environments) == {
        ("notifications/rendering.py", "select_autoescape(['html'], default=False)"),
        ("ui/kit.py", "True"),
    }
    assert len(templates) > 50
    for template in templates:
        text = template.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe\b|autoescape|{%\s*include\s+[^\"'\s]", text), template
        # The policy of pages forbids it; and nothing of a user's stands where quotes would have to be escaped by hand.
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son[a-z]+=|javascript:", text), template


def test_only_what_was_escaped_counts_as_markup() -> None:
    made = [
        f"{_where(path, node)}: {ast.unparse(node)}"
        for path, node in _nodes(r"\bMarkup\(", ast.Call)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Markup"
        and not (node.args and isinstance(node.args[0], ast.Constant))
    ]  # fmt: skip
    assert all("str(escape(" in one for one in made), made


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_spreadsheet_is_asked_to_calculate_nothing(first: str) -> None:
    assert first in _ASKS_TO_CALCULATE


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_whatever_is_logged_stays_on_its_line(log_format: str, capfd: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", log_format, "test")
    structlog.get_logger().info("request", path='/x\n{"event":"forged"}\r\x1b[2J', status=200)
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "\r" not in said
    assert "\x1b" not in said
