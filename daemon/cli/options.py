"""Options, help texts and shell completion that several commands use."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        readable=False,  # our own message is better
        help="Configuration; /etc/dualface/config.yaml if it exists.",
    ),
]
RootOption = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="DIR",
        readable=False,
        help="The share's folder on this machine, instead of the configured one.",
    ),
]


def examples(*commands: str) -> str:
    """Return the end of a command's help: one example per line, ready to be copied."""
    return "\n\n".join(["Examples:", *(f"dualface {command}" for command in commands)])


def json_text(value: Any) -> str:
    """Return a value as indented JSON, for ``--json``."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def complete_keys(incomplete: str) -> list[str]:
    """Return configuration keys for the shell completion."""
    from daemon.config import catalog  # noqa: PLC0415 - help must appear at once

    found = (catalog.dotted(entry.path).replace(catalog.ANY, "default") for entry in catalog.entries() if entry.path)
    return [key for key in found if key.startswith(incomplete)]


def complete_profiles(incomplete: str) -> list[str]:
    """Return names of profiles for the shell completion."""
    from daemon.config.loader import load  # noqa: PLC0415 - as above
    from daemon.errors import ConfigError  # noqa: PLC0415 - as above

    try:
        return [name for name in load().profiles if name.startswith(incomplete)]
    except ConfigError:
        return []


def complete_failed(incomplete: str) -> list[str]:
    """Return files in failed for the shell completion."""
    from daemon.cli.requeue import failed_files  # noqa: PLC0415 - as above
    from daemon.errors import DaemonError  # noqa: PLC0415 - as above
    from daemon.share.reach import share_of  # noqa: PLC0415 - as above

    try:
        share, _ = share_of(None, None)
        return [str(file.relative) for file in failed_files(share) if str(file.relative).startswith(incomplete)]
    except DaemonError:
        return []
