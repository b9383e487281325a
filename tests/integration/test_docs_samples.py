"""What the pages show beside commands is used as its readers would: code runs, settings are ones, objects are whole.

`HELD` says which test sees to a block. One that is in nobody's care fails, by its file and line. Commands and what they
answer (`sh`, `output`) are test_docs_commands.py's. A `text` is a picture or what something shows, never a command.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
import yaml
from standardwebhooks import WebhookVerificationError

from documented import EVERY, PAGES, ROOT, Block, blocks_of, samples, spans_of
from system import MakeDatabase
from tallystick.cli import reconcile
from tallystick.hooks import Fact
from tallystick.notifications.hooks import Hooks
from tallystick.notifications.outbound_models import FactTypes, fact_body
from tallystick.notifications.outbound_sender import sign
from tallystick.notifications.schemas import CreateEndpoint
from tallystick.payments.schemas import PaymentView
from tallystick.payments.service_facts import FACT_TYPES
from tallystick.platform.settings import Settings
from tallystick.reconciliation.compare import FieldDifference
from tallystick.reconciliation.models import EqualShare, Found, Result
from tallystick.subscriptions.service_access_told import ACCESS_FACT_TYPES

HELD = {
    ("docs/api-clients.md", "python"): (1, "integration/test_generated_client.py"),
    ("docs/backup.md", "ini"): (2, "integration/test_docs_samples.py"),
    ("docs/first-payment.md", "js"): (1, "browser/test_pasted_samples.py"),
    ("docs/hooks.md", "python"): (1, "integration/test_docs_samples.py"),
    ("docs/hooks.md", "toml"): (1, "integration/test_docs_samples.py"),
    ("docs/library.md", "python"): (1, "integration/test_mounted.py"),
    ("docs/metrics.md", "sql"): (1, "integration/test_metrics.py"),
    ("docs/monitoring.md", "yaml"): (1, "integration/test_docs_samples.py"),
    ("docs/outbound-webhooks.md", "json"): (2, "integration/test_docs_samples.py"),
    ("docs/outbound-webhooks.md", "python"): (2, "integration/test_docs_samples.py"),
    ("docs/outbound-webhooks.md", "toml"): (1, "integration/test_docs_samples.py"),
    ("docs/reconcile.md", "json"): (1, "integration/test_docs_samples.py"),
    ("docs/sandbox.md", "html"): (1, "browser/test_pasted_samples.py"),
    ("docs/sandbox.md", "js"): (1, "browser/test_pasted_samples.py"),
    ("docs/scale.md", "sql"): (2, "integration/test_docs_samples.py"),
}
"""Of each page and language: how many blocks there are, and the file whose test uses them."""

NOT_NAMED_IN_THE_SOURCE = re.compile(r"OTEL_|MAX_PAYMENT_AMOUNT_[A-Z]{3}$|(X|NAME)_FILE$")
"""What the library for traces reads, one limit for each currency, and what stands for any name."""

COMMAND = re.compile(
    r"\s*(?:\$ |(?:[A-Z_]+=\S+ +)*(?:\S*/)?"
    r"(?:createdb|curl|docker|git|kubectl|make|pg_\w+|pip|psql|pytest|python3?|stripe|systemctl|tallystick)\s)"
)


def complaint_about(block: Block) -> str | None:
    """Why no test sees to a block; None where one does."""
    if block.language in ("sh", "output", "{toctree}"):
        return None
    if block.language == "text":
        wrong = next((line for line in block.text.splitlines() if COMMAND.match(line)), None)
        return f"{block}: a command; call it sh, or it is not run: {wrong}" if wrong else None
    if (block.page, block.language) in HELD:
        return None
    return f"{block}: no test uses this block of {block.language or 'no language'}; see HELD"


def test_every_block_is_in_the_care_of_a_test() -> None:
    assert [told for told in map(complaint_about, EVERY) if told] == []
    found = Counter((block.page, block.language) for block in EVERY)
    assert {key: found[key] for key in HELD} == {key: count for key, (count, _) in HELD.items()}
    for (page, _), (_, test) in HELD.items():
        assert Path(page).name in (ROOT / "tests" / test).read_text(), f"{test} does not read {page}"


@pytest.mark.parametrize(
    "text",
    [
        "```text\n$ ls\n```",
        "```text\nmake test\n```",
        "- in a list\n\n  ```text\n  DATABASE_URL=… tallystick migrate\n  ```",
        "~~~bash\nls\n~~~",
        "```\nnothing\n```",
        "Shown:\n\n    tallystick doctor",
        "<pre>\nmake up\n</pre>",
        ":::{code-block} sh\nmake up\n:::",
        "```{code-block} sh\nmake up\n```",
        "```python\nprint()\n```",
    ],
)
def test_what_would_escape_is_seen(text: str) -> None:
    (block,) = blocks_of(f"Words.\n\n{text}\n\nMore.\n", "page.md")
    assert str(complaint_about(block)).startswith("page.md:")


def test_settings_and_codes_that_a_line_names_are_there() -> None:
    source = "".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    wrong = []
    for page in PAGES:
        for span in spans_of(page.read_text(), str(page.relative_to(ROOT))):
            name = re.fullmatch(r"([A-Z]+(?:_[A-Z]+)+)(?:=.*)?", span.text)
            if name and not NOT_NAMED_IN_THE_SOURCE.match(name[1]):
                setting = name[1].lower().removesuffix("_file")
                if setting not in Settings.model_fields and f'"{name[1]}"' not in source:
                    wrong.append(f"{span}: {name[1]}")
    assert wrong == []


# Hooks and outbound webhooks


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty place that Python looks for packages in; what was imported from it is forgotten after."""
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in ("shop.payments", "shop"):
        sys.modules.pop(name, None)


def install(folder: Path, page: str, code: str) -> Any:
    """Install the package that a page writes, with its entry point; its module."""
    (declared,) = samples(page, "toml")
    points = tomllib.loads(declared)["project"]["entry-points"]
    assert points == {"tallystick.hooks": {"shop": "shop.payments:on_fact"}}
    (folder / "shop").mkdir()
    (folder / "shop/__init__.py").touch()
    (folder / "shop/payments.py").write_text(code)
    info = folder / "shop-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop\nVersion: 1.0\n")
    lines = [
        f"[{group}]\n" + "\n".join(f"{name} = {value}" for name, value in of.items()) for group, of in points.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    return import_module("shop.payments")


async def tell_everything() -> list[Fact]:
    """Have the installed hook hear one fact of each type; the facts."""
    hooks = Hooks()
    assert hooks.names == ["shop"]
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    facts = [Fact(f"fact_{type_.name}", type_.name, at, type_.example) for type_ in (*FACT_TYPES, *ACCESS_FACT_TYPES)]
    for fact in facts:
        await hooks.call("shop", fact)
    return facts


async def test_the_hook_that_opens_and_closes_accounts(shop: Path) -> None:
    (code,) = samples("docs/hooks.md", "python")
    module = install(shop, "docs/hooks.md", code)
    heard: list[tuple[str, Any]] = []

    async def open_account(user: str, access: Any) -> None:
        heard.append((user, access))

    async def close_account(user: str) -> None:
        heard.append((user, None))

    module.open_account, module.close_account = open_account, close_account
    by_type = {fact.type: fact.data for fact in await tell_everything()}
    granted, lost = by_type["access.granted"], by_type["access.lost"]
    assert sorted(heard, key=lambda told: told[1] is None) == [
        (granted["user"], granted["access"]),
        (lost["user"], None),
    ]


async def test_the_hook_that_prints(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, code = samples("docs/outbound-webhooks.md", "python")
    install(shop, "docs/outbound-webhooks.md", code)
    facts = await tell_everything()
    (paid,) = [fact for fact in facts if fact.type == "payment.succeeded"]
    assert capsys.readouterr().out == f"{paid.id} {paid.occurred_at} {paid.data['payment']['id']}\n"


def test_a_webhook_is_what_is_sent_and_its_receiver_believes_only_that() -> None:
    asked, sent = samples("docs/outbound-webhooks.md", "json")
    receiver, _ = samples("docs/outbound-webhooks.md", "python")
    types = FactTypes()
    types.register(FACT_TYPES)
    wanted = CreateEndpoint.model_validate_json(asked)
    assert all(name in types for name in wanted.events)

    fact = json.loads(sent)
    at = datetime.fromisoformat(fact["timestamp"])
    body = fact_body(UUID(fact["id"].removeprefix("fact_")), fact["type"], at, fact["data"])
    assert body == {**fact, "timestamp": at}
    (example,) = [type_.example for type_ in FACT_TYPES if type_.name == fact["type"]]
    assert fact["data"].keys() == example.keys()
    PaymentView.model_validate({**example["payment"], **fact["data"]["payment"]}, extra="forbid")

    names: dict[str, Any] = {}
    exec(receiver, names)  # noqa: S102  # our own page
    secret, now = "whsec_" + "c2VjcmV0" * 4, datetime.now(UTC)
    headers = {
        "webhook-id": fact["id"],
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": sign([secret], fact["id"], now, sent),
    }
    assert names["handle"](sent.encode(), headers, secret) == "payment.succeeded"
    with pytest.raises(WebhookVerificationError):
        names["handle"](sent.replace("1050", "1").encode(), headers, secret)


# Reconcile, Prometheus


def test_the_json_of_reconcile_is_what_it_prints() -> None:
    (text,) = samples("docs/reconcile.md", "json")
    shown = json.loads(text)
    found = [
        Found(
            one["object"],
            one["id"],
            [FieldDifference(one["field"], one["ours"], one["stripe"])],
            {one["field"]: one["cause"]},
            one["state"],
        )
        for one in shown["differences"]
    ]
    counted = {name: shown[name] for name in ("fields", "repaired", "in_flight", "calls")}
    result = Result(finished=True, objects=shown["compared"], left_open=shown["left"], found=found, **counted)
    share = shown["equal_share"]
    times = [datetime.fromisoformat(share[name]) for name in ("as_of", "full_as_of")]
    printed = vars(reconcile)["_as_json"](result, EqualShare(share["equal"], share["compared"], *times))
    assert printed == shown


def test_prometheus_takes_the_configuration(tmp_path: Path) -> None:
    (text,) = samples("docs/monitoring.md", "yaml")
    deployed = ROOT / "deploy/prometheus"
    shown, ours = yaml.safe_load(text), yaml.safe_load((deployed / "prometheus.yml").read_text())
    assert shown["rule_files"] == ours["rule_files"]
    ports = [
        [target.partition(":")[2] for target in config["scrape_configs"][0]["static_configs"][0]["targets"]]
        for config in (shown, ours)
    ]
    assert ports[0] == ports[1]
    beside = Path(sys.executable).with_name("promtool")
    promtool = str(beside) if beside.exists() else shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not there: scripts/bootstrap.sh test fetches it on Debian; or install Prometheus")
    (tmp_path / "prometheus.yml").write_text(text)
    shutil.copy(deployed / "tallystick.rules.yml", tmp_path)
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


# PostgreSQL


@pytest.fixture(scope="module")
async def database(make_database: MakeDatabase) -> AsyncIterator[asyncpg.Connection]:
    """A migrated database in a transaction that never happens: roles are the whole server's."""
    connection = await asyncpg.connect(await make_database())
    transaction = connection.transaction()
    await transaction.start()
    yield connection
    await transaction.rollback()
    await connection.close()


async def test_a_role_is_given_what_a_pooler_does_not_pass_on(database: asyncpg.Connection) -> None:
    given, _ = samples("docs/scale.md", "sql")
    assert await database.fetchval("SELECT current_user") == "tallystick"
    await database.execute(given)
    kept = await database.fetchval(
        "SELECT setconfig FROM pg_db_role_setting WHERE setrole = current_user::regrole AND setdatabase = 0"
    )
    assert kept == ["search_path=pay", "idle_in_transaction_session_timeout=60s", "jit=off"]


async def test_the_size_of_a_row_is_told_of_every_table(database: asyncpg.Connection) -> None:
    _, asked = samples("docs/scale.md", "sql")
    rows = await database.fetch(asked)
    assert len(rows) == 15
    tables = {row["table_name"] for row in await database.fetch("SELECT table_name FROM information_schema.tables")}
    assert {row["relname"] for row in rows} <= tables
    assert all(row["bytes_a_row"] > 0 for row in rows)


async def test_postgresql_has_the_settings(database: asyncpg.Connection) -> None:
    for text in samples("docs/backup.md", "ini"):
        for line in text.splitlines():
            name, _, value = line.partition(" = ")
            row = await database.fetchrow("SELECT vartype, context, enumvals FROM pg_settings WHERE name = $1", name)
            assert row is not None, f"PostgreSQL has no {name}"
            assert row["context"] in ("postmaster", "sighup"), name
            assert row["vartype"] != "integer" or value.isdigit(), line
            assert row["vartype"] != "string" or re.fullmatch("'[^']*'", value), line
            assert row["enumvals"] is None or value.strip("'") in row["enumvals"], line
