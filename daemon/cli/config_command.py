"""`dualface config`: check, show and change the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.options import ConfigOption, complete_keys, complete_profiles, examples
from daemon.errors import ConfigError

app = typer.Typer(no_args_is_help=True, help="Check, show and change the configuration.")


@app.command("check", epilog=examples("config check /etc/dualface/config.yaml"))
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="Configuration to check.")],
) -> None:
    """Check a file with its drop-ins and the environment, and print all errors."""
    from daemon.config.loader import load

    load(file)
    typer.echo(f"{file} is a valid configuration.")


@app.command("show", epilog=examples("config show --origin", "config show profiles.fast", "config show --ignored"))
def show(
    within: Annotated[
        str, typer.Argument(metavar="[KEY]", help="Only this key or section.", autocompletion=complete_keys)
    ] = "",
    config: ConfigOption = None,
    origin: Annotated[bool, typer.Option("--origin", help="Also show where each value was set.")] = False,
    ignored: Annotated[
        bool, typer.Option("--ignored", help="Show instead which names in an inbox are ignored, and what makes them.")
    ] = False,
) -> None:
    """Show all values in force, with unit and description.

    Precedence, highest first: command line, drop-ins (config.d/*.yaml), the file, the environment, the results of
    `dualface probe --write`, the defaults.
    """
    from daemon.cli import tables
    from daemon.config.loader import load_with_origins
    from daemon.config.render import rows

    if ignored:
        tables.show_ignored()
        return
    found = rows(load_with_origins(config), within)
    if not found:
        raise ConfigError(f"There is no key '{within}'", remedy="`dualface config show` lists every key.")
    tables.show_settings(found, origin=origin)


@app.command("set", epilog=examples('config set workers.concurrent_jobs 2 --reason "the NAS is slow by day"'))
def set_(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Such as settle.local_s.", autocompletion=complete_keys)],
    value: Annotated[str, typer.Argument(metavar="VALUE", help="Written as in the file.")],
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Why; noted in the file.")],
    config: ConfigOption = None,
) -> None:
    """Set one value in the configuration file; its comments are kept.

    The whole configuration is checked first, and nothing is written if it is wrong. Time, user, former value and
    reason are noted above the key.
    """
    from daemon.config.edit import set_value

    typer.echo(set_value(config, key, value, reason).summary())


@app.command("schema", epilog=examples("config schema > config.schema.json"))
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    from daemon.config.render import schema_text

    typer.echo(schema_text(), nl=False)


@app.command("sample", epilog=examples("config sample > config.yaml", "config sample --profile archive"))
def sample(
    profile: Annotated[
        str,
        typer.Option("--profile", "-p", help="A built-in profile, as a template.", autocompletion=complete_profiles),
    ] = "",
) -> None:
    """Print the commented sample configuration, or a built-in profile as a drop-in."""
    from daemon.config.profiles import BUILT_IN
    from daemon.config.render import profile_text, sample_text

    if profile and profile not in BUILT_IN:
        raise ConfigError(f"There is no built-in profile '{profile}'", remedy=f"Known: {', '.join(BUILT_IN)}.")
    typer.echo(profile_text(profile) if profile else sample_text(), nl=False)
