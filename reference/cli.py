"""docs/reference/cli.md: every command with its options, as its `--help` has them."""

import re
import sys
from unittest.mock import patch

from reference.markdown import page
from tallystick.cli.main import build_app

__all__ = ["cli_page"]


def cli_page() -> str:
    """The page."""
    with patch.object(sys, "argv", ["tallystick"]):  # it would show the arguments of who runs this
        told = build_app().generate_docs(output_format="markdown", heading_level=1)
    told = re.sub(r"## Table of Contents\n.*?\*\*Commands\*\*:\n", "", told, flags=re.DOTALL)
    told = told.partition("Payments and subscriptions on PostgreSQL and Stripe.\n")[2].strip()
    told = (
        told.replace("```console", "```text")
        .replace("**Parameters**:", "Options:")
        .replace("**Arguments**:", "Arguments:")
    )
    return page(
        "Command line",
        "`tallystick <command> --help` says the same. Commands take their settings from the environment, as the API "
        "and the worker do; beside a running `dev` they find that one's. Exit codes: 0 done, 1 failed or something is "
        "wrong, 2 wrongly asked. `TALLYSTICK_DEBUG=1` shows where an unexpected error came from.",
        re.sub(r"<((?!!--)[A-Za-z])", r"&lt;\1", told.replace("**Commands**:", "Commands:")),
    )
