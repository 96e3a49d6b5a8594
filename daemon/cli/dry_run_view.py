"""Output of ``dualface run --dry-run``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from daemon.cli.dry_run import Claim, Forecast
from daemon.pages.i18n import size
from daemon.share.naming import printable


def show(forecast: Forecast) -> None:
    """Print what the service would do."""
    console = Console(soft_wrap=True, highlight=False)
    if forecast.block:
        console.print(f"Nothing would be started: {forecast.block}", markup=False, style="yellow")
    _list(console, "Continues first", forecast.held)
    claims = [(f"{number}. {claim.file}", _how(claim)) for number, claim in enumerate(forecast.claims, start=1)]
    _list(console, f"Would be claimed, after {forecast.quiet_s:g} s without change, in this order", claims)
    _list(console, "Not yet", forecast.waiting)
    _list(console, "Ignored", forecast.ignored)
    if not (forecast.held or claims or forecast.waiting):
        console.print("There is nothing to do.")
    console.print("Nothing was changed. To check the machine: dualface doctor", style="dim")


def _how(claim: Claim) -> str:
    parts = f", {claim.parts} parts" if claim.parts > 1 else ""
    return f"profile {claim.profile}, {size(claim.bytes)}{parts}{', with a sidecar' if claim.has_sidecar else ''}"


def _list(console: Console, title: str, rows: Sequence[tuple[str, str]]) -> None:
    if rows:
        console.print(f"{title}:", style="bold", markup=False)
    for name, words in rows:
        console.print(f"  {printable(name)}: {words}", markup=False)
