"""Processes killed under load, and nothing lost, doubled or left open: six, and 120 in a long run."""

import secrets
from pathlib import Path

import pytest

from simulation import kills
from simulation.report import LONG, tell


@pytest.mark.slow
@pytest.mark.timeout(600 if LONG else 180)
async def test_kills(tmp_path_factory: pytest.TempPathFactory) -> None:
    seed, number = secrets.randbelow(2**32), 120 if LONG else 4
    tell(f"kills: seed {seed}")
    folder: Path = tmp_path_factory.mktemp("kills") / "data"
    result = await kills.run(folder, seconds=140 if LONG else 5, kills=number, seed=seed, hurry=True)
    tell(result.table())
    assert len(result.killer.kills) >= number
    assert set(result.killer.kills) <= {"api", "worker", "postgres"}
    # How much gets through depends on the machine: every kill of the API costs it a start.
    assert result.load.done
    assert not result.problems, "\n".join(result.problems[:40])
