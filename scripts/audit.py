"""Look up everything that the locks name in PyPI's database of advisories, and list the licences of what is shipped.

    python scripts/audit.py PIP_AUDIT [--licences]

Exits with 0 where nothing is known against anything, 1 where something is, 3 where the database could not be asked (no
network, or a mirror without it): that is no clean bill of health.
"""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-dev.lock", "deploy/requirements.lock")
CLEAN, FOUND, UNASKED = 0, 1, 3
# Whoever ships these with a program has to give away that program's source; ours is not under one of them.
_STRONG = re.compile(r"\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)


def judge(report: Mapping[str, Any]) -> tuple[int, list[str]]:
    """What a report of pip-audit comes to: how to exit, and what to say."""
    found, unasked = [], []
    for package in report["dependencies"]:
        name = f"{package['name']} {package.get('version', '')}".strip()
        if "skip_reason" in package:
            unasked.append(name)
        for weakness in package.get("vulns", ()):
            fixed = ", ".join(weakness["fix_versions"]) or "no version yet"
            found.append(f"{name}: {weakness['id']} ({', '.join(weakness['aliases'])}), mended in {fixed}")
    if found:
        return FOUND, found
    if unasked or not report["dependencies"]:
        return UNASKED, [f"not looked up: {len(unasked)} of {len(report['dependencies'])} packages"]
    return CLEAN, [f"nothing is known against any of {len(report['dependencies'])} packages"]


def audit(program: str, lock: Path) -> tuple[int, list[str]]:
    """Have pip-audit look up what a lock names."""
    command = [program, "--requirement", str(lock), "--require-hashes", "--disable-pip", "--format", "json"]
    done = subprocess.run([*command, "--progress-spinner", "off"], capture_output=True, text=True, check=False)
    try:
        return judge(json.loads(done.stdout))
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        return UNASKED, [f"the database could not be asked: {last[:200]}"]


def licences(lock: str) -> list[tuple[str, str]]:
    """Name and licence of each package that a lock names and that is installed here."""
    found = []
    for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, flags=re.MULTILINE):
        try:
            found.append((name, _licence(distribution(name))))
        except PackageNotFoundError:
            found.append((name, "not installed on this platform"))
    return sorted(found)


def _licence(package: Distribution) -> str:
    told = package.metadata
    classified = [
        line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or () if line.startswith("License ::")
    ]
    expression = next(iter(told.get_all("License-Expression") or ()), "")
    written = next(iter(told.get_all("License") or ()), "").strip().splitlines()
    return expression or ", ".join(classified) or (written[0][:60] if written else "not told")


def main(arguments: Sequence[str]) -> int:
    """Look up both locks; the worst of them is how it ends."""
    worst = CLEAN
    for name in LOCKS:
        status, lines = audit(arguments[0], ROOT / name)
        worst = FOUND if FOUND in (status, worst) else max(status, worst)
        print(f"{name}:", *lines, sep="\n  ")
    if "--licences" in arguments:
        shipped = licences((ROOT / "requirements.lock").read_text(encoding="utf-8"))
        print("\nLicences of what is shipped:", *(f"{name:28} {licence}" for name, licence in shipped), sep="\n  ")
        strong = [name for name, licence in shipped if _STRONG.search(licence) and "LGPL" not in licence]
        if strong:
            print(f"\nNot to be shipped with this program: {', '.join(strong)}")
            worst = FOUND
    return worst


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
