"""Thirty processes killed under load, and nothing lost, doubled or left open."""

import secrets
from pathlib import Path

import pytest

from simulation import kills
from simulation.report import tell


@pytest.mark.slow
async def test_thirty_kills(tmp_path_factory: pytest.TempPathFactory) -> None:
    seed = secrets.randbelow(2**32)
    tell(f"kills: seed {seed}")
    folder: Path = tmp_path_factory.mktemp("kills") / "data"
    result = await kills.run(folder, seconds=33, kills=30, seed=seed, hurry=True)
    tell(result.table())
    assert len(result.killer.kills) >= 30
    assert set(result.killer.kills) == {"api", "worker", "postgres"}
    # How much gets through depends on the machine: every kill of the API costs it a start.
    assert len(result.load.done) > 10
    assert not result.problems, "\n".join(result.problems[:40])
