"""The benchmark suite runs, and finds what it counts; what it measures in a smoke run says nothing. Long runs only."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.__main__ import PARTS

from system import LONG

_ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not LONG, reason="a run of every part takes minutes; TALLYSTICK_LONG=1")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", PARTS)
def test_each_part_runs(part: str, tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "bench", part, "--quick", "--json", str(file)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    told = json.loads(file.read_text())["parts"][part]["figures"]
    assert told
    assert all(figure["value"] >= 0 for figure in told)
