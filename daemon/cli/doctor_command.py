"""``dualface doctor``: runs the checks and prints the results, also as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from daemon.config.loader import DEFAULT_PATH, load
from daemon.diagnostics import checks
from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import CHECKS, Finding, Result, Verdict, document, examine, select

__all__ = ["checks", "run", "show_list"]

_VERDICT_WIDTH = len(Verdict.NOT_APPLICABLE.value)
_SIGNS = {
    Verdict.OK: "[green]ok[/]",
    Verdict.WARNING: "[yellow]warning[/]",
    Verdict.FAILED: "[red bold]failed[/]",
    Verdict.NOT_APPLICABLE: "[dim]not applicable[/]",
}


def run(config: Path | None, *, only: list[str], through: Path | None, as_json: bool) -> bool:
    """Run checks and print the results; return whether the service can work.

    Raises:
        ConfigError: the configuration is wrong, or there is no such check.
    """
    chosen = select(only)
    used = config or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)
    context = Context(load(config), used, through.absolute() if through else None)
    results = examine(chosen, context)
    done = list(results) if as_json else _show(results, context)
    if as_json:
        typer.echo(json.dumps(document(done, context), indent=2, ensure_ascii=False))
    return all(result.finding.verdict is not Verdict.FAILED for result in done)


def _name_width() -> int:
    return max(map(len, CHECKS))


def show_list(as_json: bool) -> None:
    """Print the names of all checks and their meaning."""
    if as_json:
        typer.echo(json.dumps({name: found.meaning for name, found in CHECKS.items()}, indent=2, ensure_ascii=False))
        return
    table = _table(_name_width())
    for name, found in CHECKS.items():
        table.add_row(f"[bold]{name}[/]", escape(found.meaning))
    Console().print(table)


def _show(results: Iterable[Result], context: Context) -> list[Result]:
    console = Console(highlight=False)
    where = f" with {context.config}" if context.config else ""
    console.print(escape(f"{context.host}, user {context.user}, share {context.share.root}{where}"), soft_wrap=True)
    done = []
    for result in results:
        done.append(result)
        table = _table(_VERDICT_WIDTH, _name_width())
        table.add_row(_SIGNS[result.finding.verdict], f"[bold]{result.name}[/]", _words(result))
        console.print(table)
    _show_settings(console, [result.finding for result in done])
    counts = (f"{sum(r.finding.verdict is verdict for r in done)} {verdict.value}" for verdict in Verdict)
    console.print(f"[bold]{', '.join(counts)}[/]")
    return done


def _table(*widths: int) -> Table:
    """Return a table without lines; the last column takes the remaining width."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    for width in widths:
        table.add_column(width=width)
    table.add_column(ratio=1)
    return table


def _words(result: Result) -> str:
    """Return the summary; for warnings and failures also the meaning, and the remedy if there is one."""
    finding = result.finding
    lines = [escape(finding.summary)]
    if finding.verdict in (Verdict.WARNING, Verdict.FAILED):
        lines += [f"[dim]{escape(result.meaning)}[/]"]
    if finding.remedy:
        lines += [f"-> {escape(finding.remedy)}"]
    return "\n".join(lines)


def _show_settings(console: Console, findings: Iterable[Finding]) -> None:
    settings = {key: value for finding in findings for key, value in finding.settings.items()}
    if settings:
        console.print("Recommended settings for the configuration:")
    for key, value in settings.items():
        console.print(Padding(escape(f"{key}: {value}"), (0, 2)))
