"""Whether this tree can be released: one line a check, exit code 1 where something is missing.

    .venv/bin/python scripts/release_check.py            look
    .venv/bin/python scripts/release_check.py --freeze   note the SQL of all migrations as released, then look

Run it on a clean tree, before the tag is made and after.
"""

import hashlib
import importlib
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
FROZEN = Path("scripts", "released_migrations.txt")
_RELEASED = re.compile(r"^## \[(?P<version>[^\]]+)\] - (?P<date>\d{4}-\d{2}-\d{2})$", re.MULTILINE)
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)", re.MULTILINE)


def check_version(root: Path) -> Iterator[str]:
    """The one place of the version holds one that can be released."""
    version = _project(root)["version"]
    try:
        parsed = Version(version)
    except InvalidVersion:
        yield f"pyproject.toml: {version!r} is no version"
        return
    if parsed.is_devrelease or parsed.local or len(parsed.release) != 3:
        yield f"pyproject.toml: {version} should be MAJOR.MINOR.PATCH"


def check_changelog(root: Path) -> Iterator[str]:
    """CHANGELOG.md tells of this version, newest first, and nothing is left unreleased."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    version = _project(root)["version"]
    released = [found["version"] for found in _RELEASED.finditer(text)]
    if "## [Unreleased]" not in text:
        yield "CHANGELOG.md: there is no section [Unreleased]"
    elif _section(text, "Unreleased").strip():
        yield f"CHANGELOG.md: what is under [Unreleased] belongs under [{version}]"
    if not released or released[0] != version:
        yield f"CHANGELOG.md: the newest release should be [{version}] with its date"
    elif not _section(text, version).strip():
        yield f"CHANGELOG.md: [{version}] tells nothing"
    if sorted(released, key=Version, reverse=True) != released:
        yield "CHANGELOG.md: the releases are not in order, newest first"


def check_tag(root: Path) -> Iterator[str]:
    """The tree is as committed, and this version's tag is not somewhere else."""
    if _git(root, "status", "--porcelain"):
        yield "git: the tree has changes that are not committed"
    tag = f"v{_project(root)['version']}"
    tagged = _git(root, "rev-list", "-n1", tag)
    if tagged and tagged != _git(root, "rev-parse", "HEAD"):
        yield f"git: {tag} is another commit; raise the version in pyproject.toml"


def check_locks(root: Path) -> Iterator[str]:
    """Every requirement of pyproject.toml is pinned, with hashes, in the locks, at a version that it allows."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    base = [*project["project"]["dependencies"], *project["project"]["optional-dependencies"]["dev"]]
    groups = project["dependency-groups"]
    for lock, wanted in (
        ("requirements.lock", [*base, *groups["build"]]),
        ("requirements-dev.lock", [*base, *(one for group in groups.values() for one in group)]),
    ):
        text = (root / lock).read_text(encoding="utf-8")
        pins = {_plain(found["name"]): found["version"] for found in _PINNED.finditer(text)}
        for requirement in map(Requirement, wanted):
            pin = pins.get(_plain(requirement.name))
            if pin is None or not requirement.specifier.contains(pin, prereleases=True):
                yield f"{lock}: has {requirement.name} {pin or 'not at all'}, pyproject.toml asks for {requirement}"
        if text.count("--hash=sha256:") < len(pins):
            yield f"{lock}: not every package has a hash (`make lock`)"


def check_migrations(root: Path) -> Iterator[str]:
    """What was released is never changed: a new migration mends an old one."""
    frozen = dict(line.split() for line in (root / FROZEN).read_text(encoding="utf-8").splitlines() if line)
    there = migrations()
    for revision, digest in frozen.items():
        if there.get(revision) != digest:
            yield f"migration {revision}: was released and is {'changed' if revision in there else 'gone'}"
    for revision in there.keys() - frozen.keys():
        yield f"migration {revision}: is not noted as released (--freeze)"


def check_packages(root: Path) -> Iterator[str]:
    """Wheel and sdist hold every file of the source, and nothing else of it."""
    sources = {
        str(path.relative_to(root / "src"))
        for path in (root / "src" / "tallystick").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with tempfile.TemporaryDirectory(prefix="tallystick-release-") as folder:
        wheel, sdist = build(root, Path(folder))
        with zipfile.ZipFile(wheel) as archive:
            packed = {name for name in archive.namelist() if not name.endswith("/") and ".dist-info/" not in name}
        with tarfile.open(sdist) as archive:
            stem = sdist.name.removesuffix(".tar.gz")
            given = {name.removeprefix(f"{stem}/") for name in archive.getnames()}
    yield from (f"wheel: lacks {name}" for name in sorted(sources - packed))
    yield from (f"wheel: should not hold {name}" for name in sorted(packed - sources))
    needed = {f"src/{name}" for name in sources} | {"pyproject.toml", "README.md", "LICENSE", "PKG-INFO"}
    yield from (f"sdist: lacks {name}" for name in sorted(needed - given))


CHECKS: dict[str, Callable[[Path], Iterator[str]]] = {
    "version": check_version,
    "changelog": check_changelog,
    "tag": check_tag,
    "locks": check_locks,
    "migrations": check_migrations,
    "packages": check_packages,
}


def build(root: Path, folder: Path) -> tuple[Path, Path]:
    """Wheel and sdist, made in `folder` by the build backend that pyproject.toml names, without a network."""
    script = "import sys, uv_build; print(uv_build.build_wheel(sys.argv[1])); print(uv_build.build_sdist(sys.argv[1]))"
    environment = {"PATH": str(Path(sys.executable).parent)}
    command = [sys.executable, "-c", script, str(folder)]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, check=True)
    wheel, sdist = done.stdout.split()[-2:]
    return folder / wheel, folder / sdist


def migrations() -> dict[str, str]:
    """The hash of whatever each migration has done (its SQL, indexes built concurrently, back-fills), by revision."""
    package = importlib.import_module("tallystick.migrations.versions")
    hashes = {}
    for path in sorted(Path(next(iter(package.__path__))).glob("[0-9]*.py")):
        module = importlib.import_module(f"tallystick.migrations.versions.{path.stem}")
        filled = [f"{name}: {sql}" for name, sql in getattr(module, "BACKFILLS", {}).items()]
        done = "\n".join([module.SQL, *getattr(module, "CONCURRENT", ()), *filled])
        hashes[str(module.revision)] = hashlib.sha256(done.encode()).hexdigest()
    return hashes


def freeze(root: Path) -> None:
    """Note all migrations as released."""
    lines = [f"{revision} {digest}\n" for revision, digest in migrations().items()]
    (root / FROZEN).write_text("".join(lines), encoding="utf-8")


def _project(root: Path) -> Any:
    return tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def _section(text: str, name: str) -> str:
    after = text.partition(f"## [{name}]")[2].partition("\n")[2]
    return re.split(r"^## \[", after, maxsplit=1, flags=re.MULTILINE)[0]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    return done.stdout.strip()


def main() -> int:
    if "--freeze" in sys.argv[1:]:
        freeze(ROOT)
    failed = False
    for name, check in CHECKS.items():
        problems = list(check(ROOT))
        failed = failed or bool(problems)
        print(f"{'✗' if problems else '✓'} {name}")
        print("".join(f"    {problem}\n" for problem in problems), end="")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
