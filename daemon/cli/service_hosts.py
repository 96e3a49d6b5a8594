"""The services of a share for commands: which ones a command is for, whether they run, and when they are idle."""

from __future__ import annotations

import time

import typer
from rich.console import Console
from rich.markup import escape

from daemon.config.settings import Settings
from daemon.errors import ConfigError
from daemon.remedies import explained, remedy_of
from daemon.share.leases import host_name
from daemon.share.reach import NoShareError
from daemon.share.share import Share
from daemon.status.liveness import HostHealth, NoStatusError, survey
from daemon.status.model import ServiceState, ServiceStatus

_POLL_S = 1.0
_BLOCKED = (ServiceState.PAUSED, ServiceState.LOW_SPACE, ServiceState.SHARE_AWAY)


class WhichHostError(ConfigError):
    code = "WHICH_HOST"


def chosen_hosts(share: Share, settings: Settings, named: list[str], *, everywhere: bool) -> list[str]:
    """Return the hosts that a command is for: those named, all, or this machine.

    Raises:
        WhichHostError: one of them has never reported on this share.
    """
    known = sorted(host.report.status.host for host in survey(share, settings).hosts)
    if everywhere:
        return known
    chosen = named or [host_name(settings.leases)]
    listed = f"Services of this share: {', '.join(known)}."
    if missing := [host for host in chosen if host not in known]:
        raise WhichHostError(f"No service called {', '.join(missing)} has reported on this share.", remedy=listed)
    return chosen


def wait_until_idle(share: Share, settings: Settings, hosts: list[str]) -> None:
    """Wait until the services have no work left; show on a terminal what they still do."""
    try:
        with Console(stderr=True).status("") as shown:
            while busy := [line for host in hosts if (line := _busy(share, settings, host))]:
                shown.update("; ".join(busy))
                time.sleep(_POLL_S)
    except KeyboardInterrupt:
        typer.echo("Stopped waiting; the services continue by themselves. See: dualface status", err=True)
        raise typer.Exit(1) from None
    for host in hosts:
        health = _health(share, settings, host)
        typer.echo(health.verdict or f"{host} is {health.report.status.state}: no job runs there.")


def warn_if_no_service_runs(share: Share, settings: Settings) -> None:
    """Print a warning if no service runs that would read the control files."""
    try:
        found = survey(share, settings)
    except NoStatusError as error:
        typer.echo(explained(error), err=True)
    else:
        if not found.alive:
            typer.echo("\n".join(host.verdict for host in found.hosts), err=True)


def _busy(share: Share, settings: Settings, host: str) -> str:
    """Return a host's remaining work in words; "" if there is none."""
    health = _health(share, settings, host)
    status = health.report.status
    return "" if health.verdict or _is_idle(status, share) else escape(f"{host}: {status.line()}")


def _is_idle(status: ServiceStatus, share: Share) -> bool:
    """Whether no job runs and none will start. The status may still show a pause that has just ended."""
    if status.state == ServiceState.PAUSED and share.pause_reason() is None:
        return False
    return status.state == ServiceState.DRAINED or (status.state in _BLOCKED and not status.running)


def _health(share: Share, settings: Settings, host: str) -> HostHealth:
    return next(health for health in survey(share, settings).hosts if health.report.status.host == host)


def with_unit_status(error: NoShareError) -> NoShareError:
    """Return the error with the status line of this machine's service, which cannot report on a missing share."""
    from daemon.diagnostics.checks.unit import Unit  # noqa: PLC0415 - loads all checks

    status = Unit.look_up().status
    return (
        NoShareError(f"{error.message} Status of the service: {status}.", remedy=remedy_of(error)) if status else error
    )
