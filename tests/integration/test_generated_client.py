"""The Python client that is generated from the OpenAPI document, against a running system; and what the document says
of who needs a token."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from system import LONG, MakeDatabase, System, running_system, token_for

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "clients/python"


@pytest.fixture(scope="module")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        yield running


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `make client` would write."""
    folder = tmp_path_factory.mktemp("client") / "client"
    done = subprocess.run(
        [
            Path(sys.executable).parent / "openapi-python-client", "generate", "--meta", "uv", "--fail-on-warning",
            "--config", CLIENTS / "generator.yaml", "--path", ROOT / "docs/openapi.json", "--output-path", folder,
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    return folder


async def test_a_payment_the_history_and_errors(system: System, generated: Path) -> None:
    environment = {
        **os.environ,
        "PYTHONPATH": str(generated),
        "TALLYSTICK_URL": system.api_url,
        "TALLYSTICK_TOKEN": token_for("user-of-the-client", email="ann@example.test"),
    }
    process = await _run(environment, sys.executable, str(CLIENTS / "example.py"))
    assert process.splitlines() == [
        "paid      1050 usd: succeeded",
        "declined  402 INSUFFICIENT_FUNDS: Use another payment method, or try again later.",
        "history   2500 usd: failed",
        "history   1050 usd: succeeded",
        "details   1 charge with a visa",
        "missing   404 NOT_FOUND",
    ]


async def test_every_operation_asks_for_a_token_where_the_document_says_so(system: System) -> None:
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    for path, item in document["paths"].items():
        for method, operation in item.items():
            answer = await system.http.request(method, system.api_url + path.replace("{day}", "2026-01-01"))
            needed = operation.get("security") != []
            assert (answer.status == 401) == needed, f"{method} {path}: {answer.status}"


@pytest.mark.skipif(not LONG, reason="a long run checks the client's types")
def test_its_types_hold(generated: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", CLIENTS / "example.py"],
        cwd=generated, env={**os.environ, "MYPYPATH": str(generated)}, check=True, timeout=170,
    )  # fmt: skip


async def _run(environment: dict[str, str], *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()
