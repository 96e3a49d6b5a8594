"""The services of a share from a command's side: which are meant, whether they heed it, and when they are done."""

from __future__ import annotations

import time

import typer
from rich.console import Console
from rich.markup import escape

from daemon.config.settings import Settings
from daemon.errors import ConfigError
from daemon.share.leases import host_name
from daemon.share.reach import NoShareError
from daemon.share.share import Share
from daemon.status.liveness import HostHealth, NoStatusError, survey
from daemon.status.model import ServiceStatus

_POLL_S = 1.0
_RESTING = ("paused", "low_space", "share_away")


class WhichHostError(ConfigError):
    code = "WHICH_HOST"


def chosen_hosts(share: Share, settings: Settings, named: list[str], *, everywhere: bool) -> list[str]:
    """The hosts that are meant: those named, all, or this machine.

    Raises:
        WhichHostError: one of them has never reported on this share.
    """
    known = sorted(host_health.seen.board.host for host_health in survey(share, settings).host_healths)
    told = f"Services of this share: {', '.join(known)}."
    if everywhere:
        return known
    chosen = named or [host_name(settings.leases)]
    if missing := [host for host in chosen if host not in known]:
        raise WhichHostError(f"No service called {', '.join(missing)} has reported on this share.", remedy=told)
    return chosen


def wait_until_idle(share: Share, settings: Settings, hosts: list[str]) -> None:
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
        host_health = _host_health(share, settings, host)
        typer.echo(host_health.verdict or f"{host} is {host_health.seen.board.state}: nothing is in work there.")


def warn_if_nobody_listens(share: Share, settings: Settings) -> None:
    """Say where no service will see what was left on the share."""
    try:
        found = survey(share, settings)
    except NoStatusError as error:
        typer.echo(f"{error.message} {error.remedy}", err=True)
    else:
        if not found.alive:
            typer.echo("\n".join(host_health.verdict for host_health in found.host_healths), err=True)


def _busy(share: Share, settings: Settings, host: str) -> str:
    """What a host still has in work, in words; "" where that is nothing."""
    host_health = _host_health(share, settings, host)
    board = host_health.seen.board
    return "" if host_health.verdict or _rests(board, share) else escape(f"{host}: {board.line()}")


def _rests(board: ServiceStatus, share: Share) -> bool:
    """Whether nothing is in work and nothing will be. A pause that has just ended may still stand on the board."""
    if board.state == "paused" and share.pause_reason() is None:
        return False
    return board.state == "drained" or (board.state in _RESTING and not board.running)


def _host_health(share: Share, settings: Settings, host: str) -> HostHealth:
    host_healths = survey(share, settings).host_healths
    return next(host_health for host_health in host_healths if host_health.seen.board.host == host)


def with_unit_status(error: NoShareError) -> NoShareError:
    """Return the error with the status line of this machine's service, which cannot report on a missing share."""
    from daemon.diagnostics.checks.unit import Unit  # noqa: PLC0415 - loads all checks

    says = Unit.look_up().says
    return NoShareError(f"{error.message} The service says: {says}.", remedy=error.remedy) if says else error
