"""What a release is held to: the checks of `scripts/release_check.py`, on this tree and on trees that are wrong."""

import importlib
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tallystick

ROOT = Path(__file__).resolve().parents[2]


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("release_check", ROOT / "scripts" / "release_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = _load()
EIGHTH = "tallystick.migrations.versions.0008_installation"
FILES = (
    "pyproject.toml",
    "CHANGELOG.md",
    "requirements.lock",
    "requirements-dev.lock",
    "scripts/released_migrations.txt",
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree that passes, without its source."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    text = (tmp_path / "CHANGELOG.md").read_text()
    version = release._project(tmp_path)["version"]
    if f"## [{version}]" not in text:
        text = text.replace("## [Unreleased]\n", f"## [Unreleased]\n\n## [{version}] - 2026-12-01\n", 1)
    (tmp_path / "CHANGELOG.md").write_text(text)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_wheel_and_sdist_hold_the_whole_source() -> None:
    assert list(release.check_packages(ROOT)) == []


def test_a_file_that_the_wheel_would_lack_is_found(tmp_path: Path) -> None:
    package = tmp_path / "src" / "tallystick"
    package.mkdir(parents=True)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path / name)
    (package / "__init__.py").write_text('"""One."""\n')
    (package / "page.css").write_text("")
    change(
        tmp_path / "pyproject.toml", "[tool.ruff]", '[tool.uv.build-backend]\nwheel-exclude = ["*.css"]\n\n[tool.ruff]'
    )
    assert list(release.check_packages(tmp_path)) == ["wheel: lacks tallystick/page.css"]


def test_no_migration_that_was_released_has_changed() -> None:
    assert [problem for problem in release.check_migrations(ROOT) if "not noted" not in problem] == []


def test_the_locks_hold_what_pyproject_asks_for() -> None:
    assert list(release.check_locks(ROOT)) == []


def test_the_version_is_in_one_place() -> None:
    version = release._project(ROOT)["version"]
    command = ["git", "grep", "-nF", f'"{version}"', "--", "src", "pyproject.toml"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.splitlines()
    assert [line.partition(":")[0] for line in found] in (["pyproject.toml"], [])


def test_a_tree_in_order_has_no_problem(tree: Path) -> None:
    assert [*release.check_version(tree), *release.check_changelog(tree), *release.check_locks(tree)] == []


def edit(name: str, old: str, new: str) -> Callable[[Path], None]:
    return lambda tree: change(tree / name, old, new)


VERSION = release._project(ROOT)["version"]


@pytest.mark.parametrize(
    ("check", "wrong", "told"),
    [
        ("version", edit("pyproject.toml", f'"{VERSION}"', '"0.2"'), "MAJOR.MINOR.PATCH"),
        ("version", edit("pyproject.toml", f'"{VERSION}"', '"soon"'), "is no version"),
        ("changelog", edit("pyproject.toml", f'"{VERSION}"', '"9.0.0"'), "the newest release should be [9.0.0]"),
        ("changelog", edit("CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n- More.\n"), "belongs under"),
        ("changelog", edit("CHANGELOG.md", "## [Unreleased]\n", ""), "no section [Unreleased]"),
        ("locks", edit("pyproject.toml", '"asyncpg>=0.32,<0.33"', '"asyncpg>=0.99"'), "asks for asyncpg>=0.99"),
        ("locks", edit("pyproject.toml", '"babel>=2.18,<3"', '"bagel>=1"'), "has bagel not at all"),
        ("locks", edit("requirements.lock", "asyncpg==", "other=="), "has asyncpg not at all"),
        ("migrations", edit("scripts/released_migrations.txt", "0003 ", "0003 f"), "0003: was released and is changed"),
        ("migrations", edit("scripts/released_migrations.txt", "0003 ", "9999 "), "9999: was released and is gone"),
    ],
)
def test_what_is_wrong_is_told(tree: Path, check: str, wrong: Callable[[Path], None], told: str) -> None:
    wrong(tree)
    problems = list(release.CHECKS[check](tree))
    assert any(told in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("CONCURRENT", ("CREATE INDEX CONCURRENTLY more ON users (email)",)),
        ("BACKFILLS", {"users.more": "WITH some AS (SELECT id FROM users LIMIT $1 FOR UPDATE) SELECT"}),
    ],
)
def test_what_a_migration_does_beside_its_sql_is_part_of_it(
    monkeypatch: pytest.MonkeyPatch, name: str, more: object
) -> None:
    before = release.migrations()
    monkeypatch.setattr(importlib.import_module(EIGHTH), name, more, raising=False)
    changed = {revision for revision, digest in release.migrations().items() if before[revision] != digest}
    assert changed == {"0008"}
    assert next(iter(release.check_migrations(ROOT))) == "migration 0008: was released and is changed"


def test_a_tag_of_another_commit_and_changes_that_are_not_committed_are_told(tree: Path) -> None:
    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
        subprocess.run(["git", *identity, *arguments], cwd=tree, check=True, capture_output=True)

    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "one")
    git("tag", f"v{VERSION}")
    assert list(release.check_tag(tree)) == []
    change(tree / "CHANGELOG.md", "# Changelog", "# Changes")
    assert "not committed" in next(iter(release.check_tag(tree)))
    git("commit", "--quiet", "-am", "two")
    assert "is another commit" in next(iter(release.check_tag(tree)))


def test_the_names_for_hosts_are_there_and_cost_nothing_until_they_are_used() -> None:
    script = "import sys, tallystick; print([name for name in sys.modules if name.startswith('tallystick.')])"
    done = subprocess.run([sys.executable, "-c", script], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    assert all(getattr(tallystick, name) is not None for name in tallystick.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tallystick.nothing
