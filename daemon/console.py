"""What the commands show on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn
from rich.table import Table

from daemon import logs
from daemon import process as processing
from daemon.config_text import Row
from daemon.naming import printable
from daemon.orders import job_slots
from daemon.process import Batch, Item
from daemon.settings import Settings
from daemon.spawn import WorkerProcess
from daemon.words import clock
from pipeline import job


def process(
    files: list[Path], output: Path, settings: Settings, profile: str, *, debug_overlay: bool, spare: WorkerProcess
) -> int:
    """Work on files under a progress bar for each; returns how many failed."""
    console = Console(stderr=True)
    with _progress(console) as progress:
        logs.configure(settings.log)
        items = processing.prepare(files, output, settings, profile, debug_overlay=debug_overlay)
        bars = Bars(progress, items)
        Batch(settings, output, items, job_slots(settings), bars.update, spare).run()
    processing.clean_up(output)
    for item in items:
        console.print(_outcome(item), soft_wrap=True)
    return sum(item.error is not None for item in items)


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TextColumn("{task.fields[speed]}"),
    )
    return Progress(*columns, console=console, disable=not console.is_terminal)


class Bars:
    """One bar for each file."""

    def __init__(self, progress: Progress, items: Iterable[Item]) -> None:
        self._progress = progress
        self._tasks: dict[int, TaskID] = {
            id(item): progress.add_task(escape(printable(item.source.name)), total=100.0, speed="waits")
            for item in items
        }

    def update(self, item: Item) -> None:
        task = self._tasks[id(item)]
        if item.ended:
            self._progress.update(task, completed=100.0, speed="failed" if item.error else "done")
        elif item.progress is not None:
            self._progress.update(task, completed=item.progress.percent or 0.0, speed=speed(item.progress))


def speed(progress: job.Progress) -> str:
    """Pictures a second, how many times faster than the recording plays, and the time that is left."""
    if not progress.realtime:
        return progress.stage
    words = [f"{progress.fps:.0f} fps", f"{progress.realtime:.1f}x realtime"]
    if progress.left_s is not None:
        words.append(f"{clock(progress.left_s)} left")
    return ", ".join(words)


def _outcome(item: Item) -> str:
    name = f"[bold]{escape(printable(item.source.name))}[/]"
    if item.error is None:
        return f"[green]done[/]   {name}: {escape(printable(item.video or ''))}\n       {escape(item.verdict)}"
    report = f"\n       report: {escape(printable(item.report))}" if item.report else ""
    return f"[red]failed[/] {name}: {escape(f'{item.error.message} {item.error.remedy}')}{report}"


def show_settings(rows: Sequence[Row], *, origin: bool) -> None:
    """A table on a terminal; one tab-separated line for each key elsewhere."""
    console = Console()
    if not console.is_terminal:
        for row in rows:
            print("\t".join(_cells(row, origin)))  # noqa: T201
        return
    table = Table("key", "value", "unit", *(["origin"] if origin else []), "description", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*map(escape, _cells(row, origin)), style="" if row.origin == "default" else "bold")
    console.print(table)


def _cells(row: Row, origin: bool) -> list[str]:
    value = ", ".join(map(str, row.value)) if isinstance(row.value, list) else str(row.value)
    origins = "; hides ".join([row.origin, *row.hidden])
    return [row.key, value, row.unit, *([origins] if origin else []), row.description]
