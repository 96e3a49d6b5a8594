"""`dualface pause`, `resume`, `drain` and `retry`."""

from __future__ import annotations

from typing import Annotated

import typer

from daemon.cli.options import ConfigOption, RootOption, complete_failed
from daemon.errors import ConfigError, DaemonError
from daemon.remedies import explained


class NoNameError(ConfigError):
    code = "NO_NAME"


def pause(
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Shown on the status page.")] = "",
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Make all services of the share start nothing new; running files are finished.

    This creates the file PAUSE on the share, which anybody can also create or remove by hand. The pause lasts until
    `dualface resume`.
    """
    from daemon.cli import control, service_hosts
    from daemon.share.reach import share_of

    share, settings = share_of(config, root)
    before = share.pause_reason()
    text = control.pause(share, reason)
    was = f" It was paused already: {before}" if before else ""
    typer.echo(f"Paused: {text}.{was}\nRunning files are finished. Continue with: dualface resume")
    service_hosts.warn_if_no_service_runs(share, settings)


def resume(config: ConfigOption = None, root: RootOption = None) -> None:
    """End a pause and all drains."""
    from daemon.cli import control, service_hosts
    from daemon.share.reach import share_of

    share, settings = share_of(config, root)
    ended = control.resume(share)
    typer.echo(f"Ended: {', '.join(ended)}." if ended else "Nothing was paused or drained.")
    service_hosts.warn_if_no_service_runs(share, settings)


def drain(
    hosts: Annotated[
        list[str] | None, typer.Argument(metavar="[HOST]...", help="Hosts; this machine by default.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="All services of the share.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until they are done.")] = True,
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Shown on the status page.")] = "",
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Make the service of one machine finish its jobs and claim nothing new, before maintenance.

    Other machines of the share continue. The service then stays idle, also after a restart, until `dualface resume`.
    """
    from daemon.cli import control, service_hosts
    from daemon.share.reach import share_of

    share, settings = share_of(config, root)
    chosen = service_hosts.chosen_hosts(share, settings, hosts or [], everywhere=everywhere)
    text = control.drain(share, chosen, reason)
    typer.echo(f"Draining {', '.join(chosen)}: {text}.\nEnd it with: dualface resume")
    if wait:
        service_hosts.wait_until_idle(share, settings, chosen)


def retry(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Files in failed.", autocompletion=complete_failed),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All files in failed.")] = False,
    inbox: Annotated[str, typer.Option("--inbox", metavar="FOLDER", help="An inbox other than the original one.")] = "",
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Move files from failed back to their inbox, to try them again. Nothing is overwritten."""
    from daemon.cli import requeue, service_hosts
    from daemon.share.naming import printable
    from daemon.share.reach import share_of

    share, settings = share_of(config, root)
    files = requeue.failed_files(share)
    if not (names or everything):
        raise NoNameError(f"Name the files. {requeue.list_in_words(files)}", remedy="All of them: dualface retry --all")
    failed = 0
    for name in names or [str(file.relative) for file in files]:
        try:
            file = requeue.choose(files, name)
            target = requeue.requeue(share, settings, file, inbox)
            typer.echo(f"{printable(file.relative)} is in {printable(target)} again.")
        except DaemonError as error:
            failed += 1
            typer.echo(explained(error), err=True)
    if everything and not files:
        typer.echo("Nothing is in failed.")
    service_hosts.warn_if_no_service_runs(share, settings)
    raise typer.Exit(1 if failed else 0)
