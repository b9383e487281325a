"""The Python client that is generated from the OpenAPI document: as it is committed, and against a running system; and
what the document says of who needs a token."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from documented import ROOT, samples
from system import MakeDatabase, System, running_system, token_for

CLIENTS = ROOT / "clients/python"


@pytest.fixture(scope="module")
async def system(make_database: MakeDatabase) -> AsyncIterator[System]:
    async with running_system(await make_database()) as running:
        yield running


def test_the_client_is_what_the_generator_makes_of_the_document(tmp_path: Path) -> None:
    folder = tmp_path / "client"
    done = subprocess.run(
        [
            Path(sys.executable).parent / "openapi-python-client", "generate", "--meta", "uv", "--fail-on-warning",
            "--config", CLIENTS / "generator.yaml", "--custom-template-path", CLIENTS / "templates",
            "--path", ROOT / "docs/openapi.json", "--output-path", folder,
        ],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    made, ours = modules(folder / "tallystick_client"), modules(ROOT / "src/tallystick/client")
    assert [name for name in made | ours if made.get(name) != ours.get(name)] == [], "run `make reference`"
    # So it also stands alone: what it imports of its own is relative.
    assert not [name for name, text in made.items() if re.search(r"^\s*(from|import) tallystick", text, re.MULTILINE)]


def modules(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.py")}


async def test_a_payment_the_history_and_errors(system: System) -> None:
    environment = {
        **os.environ,
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


async def test_the_sample_of_the_page_pays(system: System, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = samples("docs/api-clients.md", "python")
    names = {"token": token_for("user-of-the-page", email="ben@example.test")}
    await asyncio.to_thread(exec, code.replace("https://pay.example.com", system.api_url), names)
    assert capsys.readouterr().out == "succeeded\n"


async def test_every_operation_asks_for_a_token_where_the_document_says_so(system: System) -> None:
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    for path, item in document["paths"].items():
        for method, operation in item.items():
            answer = await system.http.request(method, system.api_url + path.replace("{day}", "2026-01-01"))
            needed = operation.get("security") != []
            assert (answer.status == 401) == needed, f"{method} {path}: {answer.status}"


async def _run(environment: dict[str, str], *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()
