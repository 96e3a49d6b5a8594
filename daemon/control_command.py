"""`dualface pause`, `resume`, `drain` and `retry`: words for the services of a share, left on the share itself."""

from __future__ import annotations

import time
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from daemon.errors import ConfigError, DaemonError
from daemon.helping import ConfigOption, RootOption, complete_failed
from daemon.leases import host_name
from daemon.reach import share_of
from daemon.settings import Settings
from daemon.share import Share
from daemon.survey import NoStatusError, Standing, survey

_POLL_S = 1.0
_RESTING = ("paused", "low_space", "share_away")


class WhichHostError(ConfigError):
    code = "WHICH_HOST"


class NoNameError(ConfigError):
    code = "NO_NAME"


def pause(
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Shown to everybody who waits.")] = "",
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Let all services of the share start nothing new; running files are finished.

    It makes the file PAUSE on the share, which anybody can also make or remove by hand, and it lasts until
    `dualface resume`.
    """
    from daemon import control

    share, settings = share_of(config, root)
    before = share.pause_reason()
    text = control.pause(share, reason)
    was = f" It was paused already: {before}" if before else ""
    typer.echo(f"Paused: {text}.{was}\nRunning files are finished. Go on with: dualface resume")
    _warn_if_nobody_listens(share, settings)


def resume(config: ConfigOption = None, root: RootOption = None) -> None:
    """Take back a pause and every drain."""
    from daemon import control

    share, settings = share_of(config, root)
    ended = control.resume(share)
    typer.echo(f"Ended: {', '.join(ended)}." if ended else "Nothing was paused or drained.")
    _warn_if_nobody_listens(share, settings)


def drain(
    hosts: Annotated[
        list[str] | None, typer.Argument(metavar="[HOST]...", help="This machine where none is named.")
    ] = None,
    everywhere: Annotated[bool, typer.Option("--all", help="All services of the share.")] = False,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until they are done.")] = True,
    reason: Annotated[str, typer.Option("--reason", "-r", metavar="TEXT", help="Shown to everybody who waits.")] = "",
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Let one machine's service finish what it has begun and take nothing new, before maintenance.

    Other machines of the share go on. The service then stays idle, also after a restart, until `dualface resume`.
    """
    from daemon import control

    share, settings = share_of(config, root)
    chosen = _hosts(share, settings, hosts or [], everywhere)
    text = control.drain(share, chosen, reason)
    typer.echo(f"Draining {', '.join(chosen)}: {text}.\nTake it back with: dualface resume")
    if wait:
        _wait(share, settings, chosen)


def retry(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Files in failed.", autocompletion=complete_failed),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All files in failed.")] = False,
    inbox: Annotated[str, typer.Option("--inbox", metavar="FOLDER", help="Another inbox than it came from.")] = "",
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Move files from failed back into the inbox that they came from, to try them again. Nothing is overwritten."""
    from daemon import retrying
    from daemon.naming import printable

    share, settings = share_of(config, root)
    files = retrying.failed_files(share)
    if not (names or everything):
        raise NoNameError(f"Name the files. {retrying.told(files)}", remedy="All of them: dualface retry --all")
    failed = 0
    for name in names or [str(file.relative) for file in files]:
        try:
            file = retrying.choose(files, name)
            target = retrying.retry(share, settings, file, inbox)
            typer.echo(f"{printable(file.relative)} is in {printable(target)} again.")
        except DaemonError as error:
            failed += 1
            typer.echo(f"{error.message} {error.remedy}", err=True)
    if everything and not files:
        typer.echo("Nothing lies in failed.")
    _warn_if_nobody_listens(share, settings)
    raise typer.Exit(1 if failed else 0)


def _hosts(share: Share, settings: Settings, named: list[str], everywhere: bool) -> list[str]:
    """The hosts that are meant, all of which must be known."""
    known = sorted(standing.seen.board.host for standing in survey(share, settings).standings)
    told = f"Services of this share: {', '.join(known)}."
    if everywhere:
        return known
    chosen = named or [host_name(settings.leases)]
    if missing := [host for host in chosen if host not in known]:
        raise WhichHostError(f"No service called {', '.join(missing)} has reported on this share.", remedy=told)
    return chosen


def _wait(share: Share, settings: Settings, hosts: list[str]) -> None:
    """Until the services have nothing in work; what they still do is shown on a terminal."""
    try:
        with Console(stderr=True).status("") as shown:
            while busy := [line for host in hosts if (line := _busy(share, settings, host))]:
                shown.update("; ".join(busy))
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        typer.echo("Not waiting any longer; it goes on by itself. See: dualface status", err=True)
        raise typer.Exit(1) from None
    for host in hosts:
        standing = _standing(share, settings, host)
        typer.echo(standing.verdict or f"{host} is {standing.seen.board.state}: nothing is in work there.")


def _busy(share: Share, settings: Settings, host: str) -> str:
    """What a host still has in work, in words; "" where that is nothing."""
    standing = _standing(share, settings, host)
    board = standing.seen.board
    done = board.state == "drained" or (board.state in _RESTING and not board.running)
    return "" if done or standing.verdict else escape(f"{host}: {board.line()}")


def _standing(share: Share, settings: Settings, host: str) -> Standing:
    standings = survey(share, settings).standings
    return next(standing for standing in standings if standing.seen.board.host == host)


def _warn_if_nobody_listens(share: Share, settings: Settings) -> None:
    try:
        found = survey(share, settings)
    except NoStatusError as error:
        typer.echo(f"{error.message} {error.remedy}", err=True)
    else:
        if not found.alive:
            typer.echo("\n".join(standing.verdict for standing in found.standings), err=True)
