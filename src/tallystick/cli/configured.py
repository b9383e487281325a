"""The settings of an installation, for commands that do more than look into its database."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tallystick.cli.errors import Problem
from tallystick.cli.files import read_json
from tallystick.cli.instance import find_instance

if TYPE_CHECKING:
    from tallystick.platform.settings import Settings

__all__ = ["database_given", "environment_of", "given", "settings_among", "settings_of"]


def given(name: str) -> str | None:
    """A variable of the environment, or the content of the file that NAME_FILE names. Raises Problem."""
    if value := os.environ.get(name):
        return value
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except OSError as error:
        raise Problem(f"{name}_FILE: cannot be read ({error.strerror})", 2) from error


def database_given() -> str | None:
    """The address of PostgreSQL itself, past a pooler, as the environment gives it."""
    return given("DATABASE_DIRECT_URL") or given("DATABASE_URL")


def settings_of(data_dir: Path | None) -> "Settings":
    """The settings of the `dev` that was named, else of the environment, else of the `dev` in `.data`.

    Raises Problem where no `dev` runs there, SettingsError for settings that cannot be used.
    """
    from tallystick.platform.settings import load_settings

    return load_settings(environment_of(data_dir))


def environment_of(data_dir: Path | None) -> Mapping[str, str]:
    """The variables that these settings come from. Raises Problem where no `dev` runs."""
    named = data_dir is not None or os.environ.get("TALLYSTICK_DATA_DIR")
    if not named and (os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE")):
        return os.environ
    folder = find_instance(data_dir).data_dir
    try:
        return {name: str(value) for name, value in read_json(folder / "settings.json").items()}
    except (ValueError, OSError) as error:
        raise Problem(f"{folder / 'settings.json'} cannot be used: {error}") from error


def settings_among(environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment is a setting of ours."""
    from tallystick.platform.settings import Settings

    def ours(name: str) -> bool:
        # CLOCK_FILE is a setting itself; DATABASE_URL_FILE names the file of one.
        fields = Settings.model_fields
        return name.lower() in fields or name.removesuffix("_FILE").lower() in fields or "_PAYMENT_AMOUNT_" in name

    return {name: value for name, value in environment.items() if ours(name)}
